//! The exit code: the child's whatever it is, 128 + n for a signal, and what the options make of it.

use crate::harness::{LIMIT, Place, Running, Stead, sys};

fn code_of(script: &str, options: &[&str]) -> i32 {
    Stead::script(script).options(options).start().wait_exit(LIMIT)
}

/// The signals whose default action ends a process: all but these eight, signal(7).
fn deadly() -> impl Iterator<Item = i32> {
    let harmless = [
        libc::SIGCHLD,
        libc::SIGCONT,
        libc::SIGURG,
        libc::SIGWINCH,
        libc::SIGSTOP,
        libc::SIGTSTP,
        libc::SIGTTIN,
        libc::SIGTTOU,
    ];
    (1..=64).filter(move |n| !harmless.contains(n))
}

#[test]
fn every_exit_code_of_the_child_is_stead_s() {
    for code in 0..=255 {
        assert_eq!(code_of(&format!("exit {code}"), &[]), code);
    }
}

#[test]
fn every_death_by_a_signal_is_128_and_its_number() {
    for signal in deadly() {
        let code = code_of(&format!("ulimit -c 0; kill -{signal} $$"), &[]);
        assert_eq!(code, 128 + signal, "signal {signal}");
    }
}

#[test]
fn exit_codes_are_the_same_as_pid_1() {
    for (script, code) in [
        ("exit 0", 0),
        ("exit 255", 255),
        ("exit 143", 143),
        ("kill -TERM $$", 143),
        ("kill -KILL $$", 137),
        ("ulimit -c 0; kill -SEGV $$", 139),
    ] {
        assert_eq!(
            Stead::script(script).place(Place::Pid1).start().wait_exit(LIMIT),
            code,
            "{script}"
        );
    }
}

#[test]
fn the_log_tells_code_and_signal_apart() {
    let mut by_code = Stead::script("exit 143").start();
    assert_eq!(by_code.wait_exit(LIMIT), 143);
    let event = by_code.wait_for_event("child ended", LIMIT);
    assert_eq!(event["code"], 143);
    assert!(event.get("signal").is_none(), "{event}");

    let mut by_signal = Stead::script("kill -TERM $$").start();
    assert_eq!(by_signal.wait_exit(LIMIT), 143);
    let event = by_signal.wait_for_event("child ended", LIMIT);
    assert_eq!(event["signal"], "TERM");
    assert_eq!(event["code"], 143);
    assert_eq!(by_signal.wait_for_event("finished", LIMIT)["code"], 143);
}

#[test]
fn a_child_that_stead_killed_is_137() {
    for place in Place::BOTH {
        let stead = Stead::example("print_signals").options(["--grace", "300ms"]).place(place);
        let mut stead = stead.start();
        stead.wait_ready();
        stead.signal(libc::SIGTERM);
        assert_eq!(stead.wait_exit(LIMIT), 137);
        assert_eq!(stead.wait_for_event("drain ended", LIMIT)["killed"], 1);
    }
}

#[test]
fn exit_codes_are_remapped_as_asked() {
    let options = ["--remap-exit", "143:0", "--remap-exit=3:4", "--remap-exit", "0:200"];
    for (script, code) in [
        ("kill -TERM $$", 0),
        ("exit 143", 0),
        ("exit 3", 4),
        ("exit 0", 200),
        ("exit 4", 4),
        ("exit 5", 5),
    ] {
        assert_eq!(code_of(script, &options), code, "{script}");
    }
    for (from, to) in [(0, 255), (255, 0), (1, 1), (127, 1)] {
        let option = format!("{from}:{to}");
        assert_eq!(code_of(&format!("exit {from}"), &["--remap-exit", &option]), to);
    }
}

/// A child that TERM ends by the signal, or by `exit 143` where `by_code`; ended as `end` says.
fn clean_stop(by_code: bool, options: &[&str], end: impl Fn(&Running)) -> i32 {
    let stead = if by_code {
        Stead::example("print_signals").args(["--exit-on", "15:143", "--exit-on", "1:129"])
    } else {
        Stead::script("echo ready; exec sleep 1000")
    };
    let mut stead = stead.options(["--clean-stop-ok"]).options(options).start();
    stead.wait_ready();
    end(&stead);
    stead.wait_exit(LIMIT)
}

#[test]
fn a_clean_stop_is_0_when_stead_sent_the_signal() {
    for by_code in [false, true] {
        let code = clean_stop(by_code, &[], |stead| stead.signal(libc::SIGTERM));
        assert_eq!(code, 0, "by code: {by_code}");
        // Any signal that stead sent counts, not only those that drain.
        let code = clean_stop(by_code, &[], |stead| stead.signal(libc::SIGHUP));
        assert_eq!(code, 0, "by code: {by_code}");
    }
}

#[test]
fn a_clean_stop_is_not_0_when_somebody_else_sent_the_signal() {
    for by_code in [false, true] {
        let code = clean_stop(by_code, &[], |stead| {
            sys::kill(stead.child_pid(), libc::SIGTERM).expect("signalling the child");
        });
        assert_eq!(code, 143, "by code: {by_code}");
    }
}

#[test]
fn a_kill_is_never_a_clean_stop() {
    let stead = Stead::example("print_signals").options(["--clean-stop-ok", "--grace", "200ms"]);
    let mut stead = stead.start();
    stead.wait_ready();
    stead.signal(libc::SIGTERM);
    assert_eq!(stead.wait_exit(LIMIT), 137);
}

#[test]
fn a_clean_stop_is_judged_by_what_the_child_got_and_remapped_afterwards() {
    // TERM became HUP: it is HUP's 129 that counts, and TERM's 143 does not.
    let rewritten = ["--rewrite", "TERM:HUP"];
    let code = clean_stop(true, &rewritten, |stead| stead.signal(libc::SIGTERM));
    assert_eq!(code, 0);
    let code = clean_stop(false, &["--remap-exit", "0:9"], |stead| stead.signal(libc::SIGTERM));
    assert_eq!(code, 9);
}
