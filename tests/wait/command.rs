//! The command of `stead wait`: the same process, with exactly what stead was given.

use std::ffi::OsStr;

use super::{Later, plain_line, wait};
use crate::app::App;
use crate::harness::{LIMIT, Place, Scratch, Stead, example, sys};
use crate::spawn::comparable;

/// What the report says when stead has waited first, and when there was no stead.
fn after_a_wait_and_without(prepare: impl Fn(Stead) -> Stead) -> [Vec<String>; 2] {
    let app = App::new();
    let report = example("report");
    let waited = wait([&app.url("/"), "--", report.to_str().expect("a path that is text")]);
    let without = Stead::invoked([""; 0]).program(&report);
    [waited, without].map(|start| {
        let mut running = prepare(start).start();
        assert_eq!(running.wait_exit(LIMIT), 0, "the report failed");
        comparable(running.stdout())
    })
}

fn is_handed_on(what: &str, prepare: impl Fn(Stead) -> Stead) {
    let [after, without] = after_a_wait_and_without(prepare);
    assert!(!without.is_empty());
    assert_eq!(after, without, "{what} is not as inherited");
}

#[test]
fn it_is_given_exactly_what_stead_was_given() {
    let scratch = Scratch::new();
    let file = scratch.file("open", "", 0o600);
    let open = format!("exec 5>'{0}' 9>'{0}'; exec \"$@\"", file.display());
    is_handed_on("a plain start", |stead| stead);
    is_handed_on("a start as PID 1", |stead| stead.place(Place::Pid1));
    is_handed_on("the directory", |stead| stead.cwd(scratch.path()));
    is_handed_on("descriptors", |stead| stead.under(["sh", "-c", &open, "sh"]));
    is_handed_on("what nohup set", |stead| stead.under(["nohup"]));
    is_handed_on("a limit", |stead| stead.under(["sh", "-c", "ulimit -n 99; exec \"$@\"", "sh"]));
    is_handed_on("the mask", |stead| {
        stead.before_exec(|| sys::block_only(&[libc::SIGTERM, libc::SIGCHLD, libc::SIGRTMIN() + 1]))
    });
    for signal in [libc::SIGPIPE, libc::SIGCHLD, libc::SIGINT, libc::SIGRTMIN() + 2] {
        is_handed_on("what is ignored", |s| s.before_exec(move || sys::ignore(signal)));
    }
}

#[test]
fn a_closed_standard_stream_stays_closed() {
    let app = App::new();
    let script = "exec \"$@\" <&- 2>&-";
    let list = "ls /proc/self/fd | grep -c '^[02]$'";
    // The listing has a descriptor of its own, which is 0 where that is free.
    let mut without = Stead::invoked(["-c", list]).program("/bin/sh");
    without = without.under(["sh", "-c", script, "sh"]);
    let mut waited =
        wait([&app.url("/"), "--", "sh", "-c", list]).under(["sh", "-c", script, "sh"]);
    let mut said = Vec::new();
    for start in [&mut without, &mut waited] {
        let start = std::mem::replace(start, Stead::invoked([""; 0]));
        let mut running = start.start();
        running.wait_exit(LIMIT);
        said.push(running.stdout());
    }
    assert_eq!(said[0], said[1]);
}

#[test]
fn it_is_the_same_process() {
    let app = App::new();
    for place in Place::BOTH {
        let mut stead = wait([&app.url("/"), "--", "sh", "-c", "echo $$"]).place(place).start();
        assert_eq!(stead.wait_exit(LIMIT), 0);
        assert_eq!(stead.stdout(), [stead.pid_inside().to_string()]);
    }
    let mut stead = wait([&app.url("/"), "--", "sh", "-c", "exit 7"]).start();
    assert_eq!(stead.wait_exit(LIMIT), 7);
}

#[test]
fn one_that_is_not_there_is_127_at_once() {
    let later = Later::new();
    for name in ["no-such-command", "/not/there", "./not-there"] {
        let mut stead = wait([&later.url(), "--timeout", "1h", "--", name]).start();
        assert_eq!(stead.wait_exit(LIMIT), 127);
        assert!(plain_line(&stead).starts_with(&format!("stead: cannot run {name}: ")));
        assert!(stead.events().is_empty());
    }
}

#[test]
fn one_that_cannot_be_executed_is_126_at_once() {
    let (later, scratch) = (Later::new(), Scratch::new());
    let plain = scratch.file("plain", "#!/bin/sh\n", 0o644);
    for path in [plain.as_path(), scratch.path()] {
        let path = path.to_str().expect("a path that is text");
        let mut stead = wait([&later.url(), "--timeout", "1h", "--", path]).start();
        assert_eq!(stead.wait_exit(LIMIT), 126);
        assert!(plain_line(&stead).starts_with(&format!("stead: cannot run {path}: ")));
    }
}

#[test]
fn one_that_exec_refuses_in_the_end_says_why() {
    let (app, scratch) = (App::new(), Scratch::new());
    let lost = scratch.file("lost", "#!/not/there/interpreter\n", 0o755);
    let broken = scratch.file("broken", b"\x7fELF and no more", 0o755);
    for (path, code) in [(lost, 127), (broken, 126)] {
        let path = path.to_str().expect("a path that is text").to_owned();
        let mut stead = wait([app.url("/"), "--".to_owned(), path.clone()]).start();
        assert_eq!(stead.wait_exit(LIMIT), code, "{path}");
        assert!(plain_line(&stead).starts_with(&format!("stead: cannot run {path}: ")));
    }
}

#[test]
fn a_script_without_an_interpreter_line_and_one_on_the_path_run_as_a_shell_would_run_them() {
    let (app, scratch) = (App::new(), Scratch::new());
    let script = scratch.file("app", "echo \"ran $1\"; exit 4\n", 0o755);
    let script = script.to_str().expect("a path that is text");
    let mut by_path = wait([&app.url("/"), "--", script, "a b"]).start();
    assert_eq!(by_path.wait_exit(LIMIT), 4);
    assert_eq!(by_path.stdout(), ["ran a b"]);
    let mut path = OsStr::new("/not/there:").to_owned();
    path.push(scratch.path());
    path.push(":/usr/bin:/bin");
    let mut by_name = wait([&app.url("/"), "--", "app", "c"]).env("PATH", path).start();
    assert_eq!(by_name.wait_exit(LIMIT), 4);
    assert_eq!(by_name.stdout(), ["ran c"]);
}
