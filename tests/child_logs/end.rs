//! The end: what was written is out before stead is gone, and nobody holds the end up who is none of stead's.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{json, messages, objects, said};
use crate::harness::{LIMIT, Place, Running, Scratch, Stead, until};

/// How long a reader that takes nothing may hold up the end, by the README.
pub const PATIENCE: Duration = Duration::from_secs(5);

#[test]
fn the_last_words_of_a_child_that_is_killed_come_out() {
    for place in Place::BOTH {
        let script = "seq 1 8000; printf 'the end'; kill -KILL $$";
        let mut stead = json(Stead::script(script)).place(place).start();
        assert_eq!(stead.wait_exit(LIMIT), 137);
        let objects = objects(&stead.stdout());
        assert_eq!(objects.len(), 8001);
        assert_eq!(
            (&objects[8000]["message"], &objects[8000]["newline"]),
            (&"the end".into(), &false.into())
        );
    }
}

#[test]
fn the_last_words_of_stragglers_and_daemons_come_out() {
    let scratch = Scratch::new();
    let text =
        "#!/bin/sh\ntrap \"echo $1 goes; exit\" TERM; echo x >>$2; while :; do sleep 0.01; done";
    let mourner = scratch.file("mourner", text, 0o755);
    let script = "\"$1\" straggler \"$2\" & (setsid \"$1\" daemon \"$2\" &); \
        until [ \"$(wc -l <\"$2\")\" = 2 ]; do sleep 0.01; done; echo child goes";
    for place in Place::BOTH {
        let list = scratch.file("list", "", 0o644);
        let stead = Stead::script(script).args(["sh".into(), mourner.clone(), list]).place(place);
        let mut stead = json(stead).start();
        assert_eq!(stead.wait_exit(LIMIT), 0);
        let objects = objects(&stead.stdout());
        let messages = messages(&objects);
        for words in ["child goes", "straggler goes", "daemon goes"] {
            assert!(messages.contains(&words), "{words}: {messages:?}, {place:?}");
        }
    }
}

/// The child's own standard output, held open by this program as by any other that is none of stead's.
fn held_open(stead: &Running) -> File {
    let path = format!("/proc/{}/fd/1", stead.child_pid());
    OpenOptions::new().append(true).open(path).expect("the child's pipe")
}

fn waiting_child() -> Stead {
    let script = "trap 'echo the end; exit 4' TERM; echo ready; while :; do sleep 0.01; done";
    Stead::script(script).options(["--logs", "json"])
}

fn wait_ready(stead: &Running) {
    stead.wait_for_line(LIMIT, |line| line.contains("\"ready\""));
}

#[test]
fn a_pipe_that_somebody_else_holds_open_does_not_delay_the_end() {
    let mut stead = waiting_child().start();
    wait_ready(&stead);
    let held = held_open(&stead);
    let from = Instant::now();
    stead.signal(libc::SIGTERM);
    assert!(until(LIMIT, || !stead.is_running()), "it waits for somebody else");
    assert!(from.elapsed() < PATIENCE, "took {:?}", from.elapsed());
    assert_eq!(stead.wait_exit(LIMIT), 4);
    let objects = objects(&stead.stdout());
    assert_eq!(messages(&objects), ["ready", "the end"]);
    assert!(stead.events_of("lines lost").is_empty());
    drop(held);
}

#[test]
fn somebody_else_who_goes_on_writing_does_not_delay_the_end() {
    let mut stead = waiting_child().start();
    wait_ready(&stead);
    let mut held = held_open(&stead);
    let stop = Arc::<AtomicBool>::default();
    let stopped = stop.clone();
    // It ends with EPIPE when stead does.
    let writing = thread::spawn(move || {
        while !stopped.load(Ordering::Relaxed) && held.write_all(b"strange\n").is_ok() {}
    });
    stead.wait_for_line(LIMIT, |line| line.contains("\"strange\""));
    stead.signal(libc::SIGTERM);
    let ended = until(LIMIT, || !stead.is_running());
    stop.store(true, Ordering::Relaxed);
    writing.join().expect("the writer");
    assert!(ended, "it waits for somebody else");
    assert_eq!(stead.wait_exit(LIMIT), 4);
    assert!(messages(&objects(&stead.stdout())).contains(&"the end"));
}

/// What was said through one pipe, with stead's own events.
fn in_one(script: &str) -> Vec<Value> {
    let mut stead = Stead::run(["/bin/sh", "-c", script]).options(["--logs", "json"]);
    stead = stead.under(["/bin/sh", "-c", "exec \"$0\" \"$@\" 2>&1"]);
    let mut stead = stead.start();
    assert_eq!(stead.wait_exit(LIMIT), 0);
    objects(&stead.stdout())
}

#[test]
fn what_the_child_said_stands_before_its_end() {
    for _ in 0..10 {
        let objects = in_one("seq 1 500; seq 501 1000 >&2; printf 'no newline'");
        let place = |message: &str| {
            objects
                .iter()
                .position(|o| o["message"] == message)
                .unwrap_or_else(|| panic!("no {message}"))
        };
        for last in ["500", "1000", "no newline"] {
            assert!(place(last) < place("child ended"), "{last} came behind the child's end");
        }
        assert_eq!(objects.last().unwrap()["message"], "finished");
    }
}

#[test]
fn a_child_that_never_writes_and_one_that_closes_its_streams_end_as_ever() {
    assert!(said("exit 0").is_empty());
    assert_eq!(messages(&said("echo first; exec >&- 2>&-; sleep 0.1; exit 0")), ["first"]);
}
