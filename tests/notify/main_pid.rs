//! `MAINPID=`: another process is the child from then on.

use super::App;
use crate::harness::{LIMIT, Running, Stead};

/// What stead started says that the process behind it is the main one, and does this then.
fn handing_over(program: &str, then: &str) -> Stead {
    Stead::script(&format!("{program} & systemd-notify MAINPID=$!; {then}"))
        .options(["--notify", "--grace", "60s"])
}

fn main_pid(stead: &Running) -> i64 {
    stead.wait_for_event("main process changed", LIMIT)["pid"].as_i64().expect("a pid")
}

#[test]
fn what_stead_started_may_end_and_the_main_process_goes_on() {
    let mut stead = handing_over("print_signals --exit-on 15:7", "exit 3").listening().start();
    stead.wait_ready();
    stead.wait_for_event("former main process ended", LIMIT);
    assert_eq!((stead.status("/livez"), stead.status("/readyz")), (200, 200));
    stead.signal(libc::SIGUSR1);
    stead.wait_for_line(LIMIT, |line| line.starts_with("got 10 "));
    stead.signal(libc::SIGTERM);
    assert_eq!(stead.wait_exit(LIMIT), 7, "the main process's code");
    assert_eq!(
        stead.wait_for_event("stop signal sent", LIMIT)["pid"].as_i64(),
        Some(main_pid(&stead))
    );
}

#[test]
fn the_last_word_of_what_stead_started_counts_without_a_barrier() {
    for _ in 0..30 {
        let script = "print_signals --exit-on 15:7 & exec notify MAINPID=$!";
        let mut stead = Stead::script(script).options(["--notify"]).start();
        stead.wait_ready();
        stead.wait_for_event("former main process ended", LIMIT);
        stead.signal(libc::SIGTERM);
        assert_eq!(stead.wait_exit(LIMIT), 7);
    }
}

#[test]
fn an_end_without_a_last_word_is_the_end() {
    for (script, code) in [("sleep 300 & exit 3", 3), ("exit 4", 4)] {
        let mut stead = Stead::script(script).options(["--notify"]).start();
        assert_eq!(stead.wait_exit(LIMIT), code);
        assert_eq!(stead.events_of("child ended").len(), 1);
    }
}

#[test]
fn the_main_process_gets_the_signals_while_what_stead_started_still_runs() {
    let mut stead = handing_over("print_signals --exit-on 12:0", "wait; exit 4").start();
    stead.wait_ready();
    stead.wait_for_event("main process changed", LIMIT);
    stead.signal(libc::SIGHUP);
    stead.wait_for_line(LIMIT, |line| line.starts_with("got 1 "));
    // It is the shell's child, which reaps it: then the shell is the child again, and its code stead's.
    stead.signal(libc::SIGUSR2);
    assert_eq!(stead.wait_exit(LIMIT), 4);
}

#[test]
fn a_main_process_that_another_one_reaps_leaves_what_stead_started() {
    let mut stead = handing_over(
        "print_signals --exit-on 12:0",
        "wait; echo alone; trap 'exit 9' TERM; while :; do sleep 0.05; done",
    )
    .start();
    stead.wait_ready();
    stead.wait_for_event("main process changed", LIMIT);
    stead.signal(libc::SIGUSR2);
    stead.wait_for_line(LIMIT, |line| line == "alone");
    let is_back = |event: &serde_json::Value| {
        event["message"] == "main process changed" && event["from_pid"] == main_pid(&stead)
    };
    stead.wait_for("the way back", LIMIT, is_back);
    stead.signal(libc::SIGTERM);
    assert_eq!(stead.wait_exit(LIMIT), 9);
}

#[test]
fn the_end_of_the_main_process_is_the_end_and_what_stead_started_is_left_over() {
    // The main process is an orphan by then, stead's own to reap; another process of the command stays.
    let script =
        "sleep 300 & (print_signals --exit-on 12:6 & systemd-notify MAINPID=$!); exec sleep 300";
    let mut stead = Stead::script(script).options(["--notify"]).start();
    stead.wait_ready();
    stead.wait_for_event("main process changed", LIMIT);
    stead.signal(libc::SIGUSR2);
    assert_eq!(stead.wait_exit(LIMIT), 6);
    assert_eq!(stead.events_of("straggler signalled").len(), 2);
}

#[test]
fn the_group_that_signals_go_to_is_the_main_processes_own() {
    let script = "setsid sh -c 'print_signals --name beside & exec print_signals --name main --exit-on 12:0' & \
                  systemd-notify MAINPID=$!; wait";
    let mut stead = Stead::script(script).options(["--notify", "--signal-group"]).start();
    for name in ["main", "beside"] {
        stead.wait_for_line(LIMIT, |line| line.starts_with(&format!("{name} ready")));
    }
    stead.wait_for_event("main process changed", LIMIT);
    stead.signal(libc::SIGHUP);
    for name in ["main", "beside"] {
        stead.wait_for_line(LIMIT, |line| line.starts_with(&format!("{name} got 1 ")));
    }
    stead.signal(libc::SIGUSR2);
    stead.wait_exit(LIMIT);
}

#[test]
fn what_is_no_descendant_is_refused() {
    let mut app = App::start(["--notify"]);
    // PID 1, this test, stead itself, nobody.
    let own = std::process::id();
    let stead = app.stead.pid();
    for pid in [1, own, stead as u32, 4_000_000] {
        app.run(&format!("systemd-notify MAINPID={pid}"));
    }
    // What it is already changes nothing.
    app.run("systemd-notify MAINPID=$$");
    assert!(app.stead.events_of("main process changed").is_empty());
    assert_eq!(app.stead.events_of("main process not changed").len(), 4);
    app.tell("exit 8");
    assert_eq!(app.stead.wait_exit(LIMIT), 8);
}
