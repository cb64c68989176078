//! What the child finds on its descriptors: a pipe that it may open again, nothing else of stead's, and in raw mode stead's
//! own streams.

use std::fs;
use std::os::fd::AsRawFd;

use super::{json, messages, objects, said_by};
use crate::harness::{LIMIT, Stead, processes, until};

/// Becomes nobody, with no group and no capability.
const AS_NOBODY: [&str; 4] = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];

#[test]
fn the_streams_can_be_opened_again_also_by_another_user() {
    let script = "echo one >/dev/stdout; echo two >>/proc/self/fd/1; echo three >/dev/stderr; \
                  echo four >>/proc/self/fd/2; echo five >/dev/fd/1";
    let shell = ["/bin/sh", "-c", script];
    for command in [shell.to_vec(), [&AS_NOBODY[..], &shell[..]].concat()] {
        let [out, err] = said_by(json(Stead::run(command.clone())).start());
        assert_eq!(messages(&out), ["one", "two", "five"], "{command:?}");
        assert_eq!(messages(&err), ["three", "four"], "{command:?}");
    }
}

#[test]
fn raw_hands_over_the_very_same_file() {
    let (_reader, writer) = std::io::pipe().expect("a pipe");
    let own = fs::read_link(format!("/proc/self/fd/{}", writer.as_raw_fd())).expect("its name");
    for options in [&[][..], &["--logs", "raw"]] {
        let stead = Stead::run(["sleep", "1000"]);
        let mut stead =
            stead.options(options).stdout(writer.try_clone().expect("the pipe once more")).start();
        let child = stead.child_pid();
        let name = |pid: i32| fs::read_link(format!("/proc/{pid}/fd/1")).expect("a stream");
        assert_eq!((name(child), name(stead.pid())), (own.clone(), own.clone()));
        assert_eq!(processes::threads_named(stead.pid(), "stdout"), Vec::<i32>::new());
        stead.signal(libc::SIGTERM);
        assert_eq!(stead.wait_exit(LIMIT), 143);
    }
}

#[test]
fn the_child_gets_its_three_streams_and_nothing_of_stead_s() {
    let list = || Stead::script("exec ls /proc/self/fd");
    let mut raw = list().start();
    assert_eq!(raw.wait_exit(LIMIT), 0);
    let [out, _] = said_by(json(list()).start());
    assert_eq!(messages(&out), raw.stdout());
}

#[test]
fn stead_keeps_no_end_open_that_writes() {
    let script = "trap 'exit 0' TERM; echo ready; exec >&- 2>&-; while :; do sleep 0.01; done";
    let mut stead = Stead::script(script).options(["--logs", "json"]).start();
    stead.wait_for_line(LIMIT, |line| line.contains("ready"));
    let ended = || {
        ["stdout", "stderr"]
            .iter()
            .all(|name| processes::threads_named(stead.pid(), name).is_empty())
    };
    assert!(until(LIMIT, ended), "the pipes are open though the child has closed them");
    stead.signal(libc::SIGTERM);
    assert_eq!(stead.wait_exit(LIMIT), 0);
}

#[test]
fn a_stream_that_stead_was_started_without_stays_closed() {
    let stead = Stead::script("(echo x >&1) 2>/dev/null && exit 1; echo err >&2; exit 0");
    let stead = json(stead).before_exec(|| crate::harness::sys::close(1));
    let mut stead = stead.start();
    assert_eq!(stead.wait_exit(LIMIT), 0);
    assert_eq!(messages(&objects(&stead.stderr())), ["err"]);
}

#[test]
fn in_the_place_of_another_init_the_output_stays_raw() {
    for name in ["tini", "dumb-init"] {
        let stead = Stead::invoked(["/bin/echo", "plain"]).name(name);
        let mut stead = stead.env("STEAD_LOGS", "json").start();
        assert_eq!(stead.wait_exit(LIMIT), 0, "{name}");
        assert_eq!(stead.stdout(), ["plain"], "{name}");
    }
}

#[test]
fn what_stead_wait_becomes_is_not_touched() {
    let port = crate::harness::free_port();
    let listener = std::net::TcpListener::bind(("127.0.0.1", port)).expect("a listener");
    let url = format!("tcp://127.0.0.1:{port}");
    let stead = Stead::invoked(["wait", &url, "--", "/bin/echo", "plain"]);
    let mut stead = stead.env("STEAD_LOGS", "json").start();
    assert_eq!(stead.wait_exit(LIMIT), 0);
    assert_eq!(stead.stdout(), ["plain"]);
    drop(listener);
}
