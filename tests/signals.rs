//! Forwarding: every signal that can be caught arrives at the child once, in order, and rewritten as asked.

use crate::harness::{LIMIT, Place, Running, Stead, first_real_time_signal, processes, sys, until};

/// Every signal that stead can forward and that starts no drain: all but KILL, STOP, the C library's
/// own, CHLD, TERM and INT.
fn forwarded() -> impl Iterator<Item = i32> {
    let apart = [libc::SIGKILL, libc::SIGSTOP, libc::SIGCHLD, libc::SIGTERM, libc::SIGINT];
    (1..=64).filter(move |n| !apart.contains(n) && !(32..first_real_time_signal()).contains(n))
}

/// How often the program of this name (`""` where it has none) has got a signal.
fn times_got(stead: &Running, name: &str, signal: i32) -> usize {
    let start = format!("{name}got {signal} ");
    stead.stdout().iter().filter(|line| line.starts_with(&start)).count()
}

fn wait_until_got(stead: &Running, name: &str, signal: i32) {
    let got = until(LIMIT, || times_got(stead, name, signal) > 0);
    assert!(got, "signal {signal} did not reach {name:?}");
}

/// Sends each signal once, waits for each, and then sees that none came twice.
fn each_arrives_once(stead: &Running, names: &[&str]) {
    for signal in forwarded() {
        stead.signal(signal);
        for name in names {
            wait_until_got(stead, name, signal);
        }
    }
    // TERM is last: what came twice has come by now, for a program gets its signals from one queue.
    stead.signal(libc::SIGTERM);
    for name in names {
        wait_until_got(stead, name, libc::SIGTERM);
        let wrong: Vec<_> = forwarded()
            .map(|signal| (signal, times_got(stead, name, signal)))
            .filter(|(_, times)| *times != 1)
            .collect();
        assert!(wrong.is_empty(), "{name:?} got (signal, times) {wrong:?}");
    }
}

#[test]
fn every_signal_reaches_the_child_exactly_once() {
    for place in Place::BOTH {
        let stead = Stead::example("print_signals").place(place).start();
        stead.wait_ready();
        each_arrives_once(&stead, &[""]);
        assert_eq!(times_got(&stead, "", libc::SIGCHLD), 0, "{place:?}");
    }
}

#[test]
fn every_signal_reaches_the_childs_whole_group_when_asked() {
    for place in Place::BOTH {
        let script = "print_signals --name kid & exec print_signals --name lead";
        let stead = Stead::script(script).options(["--signal-group"]).place(place).start();
        for name in ["kid", "lead"] {
            stead.wait_for_line(LIMIT, |line| line.starts_with(&format!("{name} ready")));
        }
        each_arrives_once(&stead, &["kid ", "lead "]);
    }
}

#[test]
fn signals_go_to_the_child_alone_unless_asked() {
    let script = "print_signals --name kid & exec print_signals --name lead";
    let stead = Stead::script(script).start();
    for name in ["kid", "lead"] {
        stead.wait_for_line(LIMIT, |line| line.starts_with(&format!("{name} ready")));
    }
    stead.signal(libc::SIGHUP);
    wait_until_got(&stead, "lead ", libc::SIGHUP);
    assert_eq!(times_got(&stead, "kid ", libc::SIGHUP), 0);
}

#[test]
fn int_and_term_reach_the_child_in_group_mode_and_alone() {
    for options in [&["--signal-group"][..], &[]] {
        for signal in [libc::SIGINT, libc::SIGTERM] {
            let exit = format!("{signal}:3");
            let stead = Stead::example("print_signals").args(["--exit-on", &exit]).options(options);
            let mut stead = stead.start();
            stead.wait_ready();
            stead.signal(signal);
            assert_eq!(stead.wait_exit(LIMIT), 3);
            assert_eq!(times_got(&stead, "", signal), 1, "signal {signal}");
        }
    }
}

#[test]
fn all_signals_sent_at_once_all_arrive() {
    // Without CONT: the kernel throws away a CONT that waits when a stop signal comes (`prepare_signal`
    // in its signal.c), as POSIX has it.
    let all = || forwarded().filter(|signal| *signal != libc::SIGCONT);
    for place in Place::BOTH {
        let stead = Stead::example("print_signals").place(place).start();
        stead.wait_ready();
        all().for_each(|signal| stead.signal(signal));
        for signal in all() {
            wait_until_got(&stead, "", signal);
        }
        stead.signal(libc::SIGTERM);
        wait_until_got(&stead, "", libc::SIGTERM);
        assert!(all().all(|signal| times_got(&stead, "", signal) == 1), "{place:?}");
    }
}

#[test]
fn real_time_signals_keep_their_count() {
    for place in Place::BOTH {
        let signal = libc::SIGRTMIN() + 3;
        let stead = Stead::example("print_signals").place(place).start();
        stead.wait_ready();
        (0..200).for_each(|_| stead.signal(signal));
        let all = until(LIMIT, || times_got(&stead, "", signal) >= 200);
        let times = times_got(&stead, "", signal);
        assert!(all, "{times} of 200 arrived, {place:?}");
        stead.signal(libc::SIGTERM);
        wait_until_got(&stead, "", libc::SIGTERM);
        assert_eq!(times_got(&stead, "", signal), 200, "{place:?}");
    }
}

#[test]
fn a_burst_of_signals_loses_no_other_signal() {
    let mut stead = Stead::example("print_signals").args(["--exit-on", "15:4"]).start();
    stead.wait_ready();
    for round in 0..20_000 {
        stead.signal(if round % 2 == 0 { libc::SIGUSR1 } else { libc::SIGUSR2 });
    }
    stead.signal(libc::SIGHUP);
    stead.signal(libc::SIGTERM);
    assert_eq!(stead.wait_exit(LIMIT), 4);
    for signal in [libc::SIGUSR1, libc::SIGUSR2, libc::SIGHUP] {
        assert!(times_got(&stead, "", signal) > 0, "signal {signal} never arrived");
    }
}

#[test]
fn a_stop_and_then_a_continue_leave_the_child_running() {
    for place in Place::BOTH {
        let stead = Stead::run(["sleep", "1000"]).place(place).start();
        let child = stead.child_pid();
        for signal in [libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU] {
            stead.signal(signal);
            let stopped = until(LIMIT, || processes::state(child) == Some('T'));
            assert!(stopped, "signal {signal} did not stop the child, {place:?}");
            assert_ne!(processes::state(stead.pid()), Some('T'), "stead has stopped, {place:?}");
            stead.signal(libc::SIGCONT);
            let goes_on = until(LIMIT, || processes::state(child) == Some('S'));
            assert!(goes_on, "CONT after signal {signal} did not wake the child, {place:?}");
        }
    }
}

#[test]
fn the_log_says_what_was_forwarded_to_whom_and_from_whom() {
    for place in Place::BOTH {
        let stead = Stead::example("print_signals").place(place).start();
        stead.wait_ready();
        stead.signal(libc::SIGUSR1);
        let event = stead.wait_for_event("signal forwarded", LIMIT);
        assert_eq!(event["signal"], "USR1");
        assert_eq!(event["pid"], stead.child_pid_inside());
        assert_eq!(event["group"], false);
        let sender = match place {
            Place::Pid1 => 0,
            Place::Subreaper => std::process::id(),
        };
        assert_eq!(event["from_pid"], sender, "{place:?}");
        assert!(event.get("received").is_none(), "{event}");
    }
}

#[test]
fn window_size_and_continue_are_forwarded_without_a_line_in_the_log() {
    let stead = Stead::example("print_signals").start();
    stead.wait_ready();
    for signal in [libc::SIGWINCH, libc::SIGCONT, libc::SIGURG] {
        stead.signal(signal);
        wait_until_got(&stead, "", signal);
    }
    stead.signal(libc::SIGHUP);
    stead.wait_for_event("signal forwarded", LIMIT);
    let logged: Vec<_> =
        stead.events_of("signal forwarded").iter().map(|event| event["signal"].clone()).collect();
    assert_eq!(logged, ["HUP"]);
}

#[test]
fn rewriting_changes_what_the_child_gets_and_the_log_names_both() {
    let options = ["--rewrite", "HUP:USR2", "--rewrite", "SIGWINCH:RTMIN+2", "--rewrite=12:1"];
    let stead = Stead::example("print_signals").options(options).start();
    stead.wait_ready();
    let pairs = [
        (libc::SIGHUP, libc::SIGUSR2),
        (libc::SIGWINCH, libc::SIGRTMIN() + 2),
        (libc::SIGUSR2, libc::SIGHUP),
    ];
    for (sent, arrives) in pairs {
        stead.signal(sent);
        wait_until_got(&stead, "", arrives);
    }
    let event = stead.wait_for("HUP rewritten", LIMIT, |e| e["received"] == "HUP");
    assert_eq!(event["signal"], "USR2");
    assert_eq!(times_got(&stead, "", libc::SIGWINCH), 0);
}

#[test]
fn a_signal_rewritten_to_nothing_never_came() {
    let options = ["--rewrite", "HUP:0", "--rewrite", "TERM:0", "--log-level", "debug"];
    let stead = Stead::example("print_signals").options(options).start();
    stead.wait_ready();
    for (signal, name) in [(libc::SIGHUP, "HUP"), (libc::SIGTERM, "TERM")] {
        stead.signal(signal);
        stead.wait_for(name, LIMIT, |e| e["message"] == "signal dropped" && e["signal"] == name);
    }
    stead.signal(libc::SIGUSR1);
    wait_until_got(&stead, "", libc::SIGUSR1);
    assert_eq!(stead.stdout().len(), 2, "more than `ready` and USR1: {:?}", stead.stdout());
    assert_eq!(stead.events_of("drain started").len(), 0);
}

#[test]
fn a_rewritten_term_still_starts_the_drain() {
    let stead = Stead::example("print_signals").args(["--exit-on", "3:0"]);
    let mut stead = stead.options(["--rewrite", "TERM:QUIT"]).start();
    stead.wait_ready();
    stead.signal(libc::SIGTERM);
    assert_eq!(stead.wait_exit(LIMIT), 0);
    assert_eq!(stead.events_of("drain started").len(), 1);
    assert_eq!(times_got(&stead, "", libc::SIGQUIT), 1);
    assert_eq!(times_got(&stead, "", libc::SIGTERM), 0);
}

#[test]
fn a_signal_rewritten_to_term_starts_the_drain() {
    let stead = Stead::example("print_signals").args(["--exit-on", "15:0"]);
    let mut stead = stead.options(["--rewrite", "USR1:TERM"]).start();
    stead.wait_ready();
    stead.signal(libc::SIGUSR1);
    assert_eq!(stead.wait_exit(LIMIT), 0);
    assert_eq!(stead.events_of("drain started").len(), 1);
    assert_eq!(times_got(&stead, "", libc::SIGUSR1), 0);
}

#[test]
fn the_stop_signal_is_what_the_child_gets_for_term_and_it_drains_by_itself() {
    for sent in [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT] {
        let stead = Stead::example("print_signals").args(["--exit-on", "3:6"]);
        let mut stead = stead.options(["--stop-signal", "QUIT"]).start();
        stead.wait_ready();
        stead.signal(sent);
        assert_eq!(stead.wait_exit(LIMIT), 6);
        assert_eq!(stead.events_of("drain started").len(), 1, "sent {sent}");
        assert_eq!(stead.stdout().len(), 2, "more than `ready` and QUIT: {:?}", stead.stdout());
    }
}

#[test]
fn a_child_that_signals_its_parent_or_its_own_group_makes_no_echo() {
    // `kill 0` is for the group of the child, in which stead is not; `kill $PPID` comes back once.
    let script = "trap '' HUP USR1; kill -HUP 0; kill -USR1 $PPID; exec print_signals";
    for options in [&["--signal-group"][..], &[]] {
        let stead = Stead::script(script).options(options).start();
        stead.wait_ready();
        stead.signal(libc::SIGUSR2);
        stead.wait_for("USR2 forwarded", LIMIT, |event| event["signal"] == "USR2");
        let forwarded: Vec<_> = stead
            .events_of("signal forwarded")
            .iter()
            .map(|event| event["signal"].as_str().unwrap_or_default().to_owned())
            .collect();
        assert_eq!(forwarded, ["USR1", "USR2"], "{options:?}");
    }
}

#[test]
fn a_signal_for_a_child_that_is_just_ending_hurts_nobody() {
    for _ in 0..50 {
        let mut stead = Stead::script("exit 9").start();
        stead.wait_for_event("child started", LIMIT);
        // Stead may have ended already; or the signal may come before the child's own end.
        let _ = sys::kill(stead.pid(), libc::SIGHUP);
        let code = stead.wait_exit(LIMIT);
        assert!([9, 128 + libc::SIGHUP].contains(&code), "{code}");
    }
}
