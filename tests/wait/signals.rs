//! Signals during a wait: TERM and INT end it, whenever they come, and the command never starts.

use std::time::{Duration, Instant};

use super::{Later, wait};
use crate::app::App;
use crate::harness::{LIMIT, Place, Scratch, first_real_time_signal, processes, sys, until};

const ENDS: [(i32, i32); 2] = [(libc::SIGTERM, 143), (libc::SIGINT, 130)];

/// For so long without doing anything that the scheduler could take for a pause.
fn spin(time: Duration) {
    let from = Instant::now();
    while from.elapsed() < time {
        std::hint::spin_loop();
    }
}

#[test]
fn term_and_int_end_the_wait_at_once() {
    let (later, scratch) = (Later::new(), Scratch::new());
    let trace = scratch.path().join("command-was-here");
    for place in Place::BOTH {
        for (signal, code) in ENDS {
            let trace = trace.to_str().expect("a path that is text");
            let url = later.url();
            let mut stead =
                wait([&url, "--timeout", "1h", "--", "touch", trace]).place(place).start();
            stead.wait_for_event("waiting", LIMIT);
            stead.signal(signal);
            assert_eq!(stead.wait_exit(LIMIT), code);
            let ended = stead.wait_for_event("ended before the child was started", LIMIT);
            assert_eq!(ended["code"], code);
        }
    }
    assert!(!trace.exists());
}

#[test]
fn a_term_at_any_moment_of_a_wait_ends_it() {
    let (later, scratch) = (Later::new(), Scratch::new());
    let trace = scratch.path().join("command-was-here");
    for delay in 0..30 {
        let (url, trace) = (later.url(), trace.to_str().expect("a path that is text"));
        let mut stead = wait([&url, "--", "touch", trace]).start();
        spin(Duration::from_micros(delay * 300));
        stead.signal(libc::SIGTERM);
        assert_eq!(stead.wait_exit(LIMIT), 143, "TERM {} us after the start", delay * 300);
    }
    assert!(!trace.exists());
}

#[test]
fn a_term_at_any_moment_of_its_end_reaches_stead_or_the_command() {
    let app = App::new();
    for delay in 0..40 {
        let mut stead = wait([&app.url("/"), "--", "sleep", "1000"]).start();
        spin(Duration::from_micros(delay * 1000));
        stead.signal(libc::SIGTERM);
        assert_eq!(stead.wait_exit(LIMIT), 143, "TERM {delay} ms after the start");
        assert_eq!(stead.processes(), Vec::<i32>::new());
    }
}

#[test]
fn a_term_that_waits_at_the_start_ends_it_though_all_is_up() {
    let app = App::new();
    for (signal, code) in ENDS {
        let stead = wait([&app.url("/"), "--", "echo", "started"]).before_exec(move || {
            sys::block_only(&[signal])?;
            sys::raise(signal)
        });
        let mut stead = stead.start();
        assert_eq!(stead.wait_exit(LIMIT), code);
        assert_eq!(stead.stdout(), Vec::<String>::new());
    }
}

#[test]
fn other_signals_do_what_they_do_to_any_process() {
    let later = Later::new();
    for (signal, code) in [(libc::SIGHUP, 129), (libc::SIGQUIT, 131), (libc::SIGUSR1, 138)] {
        let mut stead = wait([&later.url()]).start();
        stead.wait_for_event("waiting", LIMIT);
        stead.signal(signal);
        assert_eq!(stead.wait_exit(LIMIT), code);
    }
    let mut stead = wait([&later.url(), "--", "echo", "started"]).under(["nohup"]).start();
    stead.wait_for_event("waiting", LIMIT);
    for signal in [libc::SIGHUP, libc::SIGWINCH, libc::SIGCHLD, libc::SIGURG] {
        stead.signal(signal);
    }
    stead.signal(libc::SIGTSTP);
    assert!(until(LIMIT, || processes::state(stead.pid()) == Some('T')), "Ctrl-Z stops it not");
    stead.signal(libc::SIGCONT);
    let _up = later.up();
    assert_eq!(stead.wait_exit(LIMIT), 0);
    assert_eq!(stead.stdout(), ["started"]);
}

#[test]
fn pid_1_ends_by_term_and_int_alone() {
    let later = Later::new();
    let mut stead = wait([&later.url(), "--", "echo", "started"]).place(Place::Pid1).start();
    stead.wait_for_event("waiting", LIMIT);
    for signal in [libc::SIGHUP, libc::SIGUSR1, libc::SIGTSTP, first_real_time_signal()] {
        stead.signal(signal);
    }
    let _up = later.up();
    assert_eq!(stead.wait_exit(LIMIT), 0);
    assert_eq!(stead.stdout(), ["started"]);
}
