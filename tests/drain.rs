//! The drain: what the endpoints say, when the stop signal comes, who is waited for, and for how long.

use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{
    LIMIT, Place, Running, Scratch, Stead, binary, example, processes, search_path, sys, until,
};

/// A child of many kinds: leader, one in its group, one in a session of its own, an orphan in its
/// group, and a daemon (an orphan in a session of its own). `of` is what each kind is told.
fn family(leader: &str, others: &str) -> String {
    format!(
        "print_signals --name grouped {others} & \
         setsid print_signals --name session {others} & \
         (print_signals --name orphan {others} &) ; \
         (setsid print_signals --name daemon {others} &) ; \
         exec {leader}"
    )
}

const OTHERS: [&str; 4] = ["grouped", "session", "orphan", "daemon"];

fn wait_for_family(stead: &Running) {
    for name in OTHERS {
        stead.wait_for_line(LIMIT, |line| line.starts_with(&format!("{name} ready")));
    }
}

fn times_got(stead: &Running, name: &str, signal: i32) -> usize {
    let start = format!("{name}got {signal} ");
    stead.stdout().iter().filter(|line| line.starts_with(&start)).count()
}

fn elapsed_s(stead: &Running) -> f64 {
    stead.wait_for_event("drain ended", LIMIT)["elapsed_s"].as_f64().expect("seconds")
}

/// The names of the processes that an event names, sorted.
fn named_in(stead: &Running, message: &str) -> Vec<String> {
    let events = stead.events_of(message);
    let mut names: Vec<_> =
        events.iter().map(|e| e["name"].as_str().expect("a name").to_owned()).collect();
    names.sort();
    names
}

#[test]
fn readiness_ends_at_once_and_liveness_holds_through_the_drain() {
    for place in Place::BOTH {
        let child = Stead::example("print_signals").args(["--exit-on", "10:0"]).place(place);
        let mut stead = child.options(["--grace", "60s"]).listening().start();
        stead.wait_ready();
        assert_eq!(stead.status("/readyz"), 200);
        stead.signal(libc::SIGTERM);
        stead.wait_for_event("drain started", LIMIT);
        for _ in 0..20 {
            let ready = stead.get("/readyz");
            assert_eq!(ready.status, 503);
            assert_eq!(ready.json()["status"], "draining");
            assert_eq!(ready.json()["phase"], "draining");
            assert_eq!(stead.status("/livez"), 200);
            assert_eq!(stead.status("/startupz"), 200);
        }
        stead.signal(libc::SIGUSR1);
        assert_eq!(stead.wait_exit(LIMIT), 0);
    }
}

#[test]
fn readiness_is_gone_before_the_child_gets_the_stop_signal() {
    // The child asks as soon as it has the signal: an answer of 200 would be a lie.
    let port = crate::harness::free_port();
    let script = format!(
        "trap 'exec 3<>/dev/tcp/127.0.0.1/{port}; printf \"GET /readyz HTTP/1.0\\r\\n\\r\\n\" >&3; \
         read -r line <&3; echo \"$line\"; exit 0' TERM; echo ready; while :; do sleep 0.01; done"
    );
    let address = format!("127.0.0.1:{port}");
    let mut stead = Stead::run(["bash", "-c", &script]).env("STEAD_LISTEN", address).start();
    stead.wait_ready();
    stead.signal(libc::SIGTERM);
    assert_eq!(stead.wait_exit(LIMIT), 0);
    assert!(stead.stdout()[1].contains(" 503 "), "{:?}", stead.stdout());
}

#[test]
fn the_delay_holds_the_stop_signal_back_and_the_grace_counts_from_the_first_signal() {
    let child = Stead::example("print_signals");
    let stead = child.options(["--drain-delay", "1s", "--grace", "2s"]).listening();
    let mut stead = stead.start();
    stead.wait_ready();
    let from = Instant::now();
    stead.signal(libc::SIGTERM);
    stead.wait_for("quiescing", LIMIT, |e| e["phase"] == "quiescing");
    assert_eq!(stead.status("/readyz"), 503);
    assert_eq!(stead.status("/livez"), 200);
    stead.wait_for_line(LIMIT, |line| line.starts_with("got 15 "));
    assert!(from.elapsed() >= Duration::from_secs(1), "the stop signal came early");
    assert_eq!(stead.wait_exit(LIMIT), 137);
    let elapsed = elapsed_s(&stead);
    assert!((2.0..2.9).contains(&elapsed), "the drain took {elapsed} s");
}

#[test]
fn the_delay_is_cut_short_when_the_child_ends() {
    let child = Stead::example("print_signals").args(["--exit-on", "10:7"]);
    let mut stead = child.options(["--drain-delay", "60s", "--grace", "90s"]).start();
    stead.wait_ready();
    stead.signal(libc::SIGTERM);
    stead.wait_for("quiescing", LIMIT, |e| e["phase"] == "quiescing");
    stead.signal(libc::SIGUSR1);
    assert_eq!(stead.wait_exit(LIMIT), 7);
    assert_eq!(times_got(&stead, "", libc::SIGTERM), 0);
}

#[test]
fn a_second_term_while_quiescing_reaches_the_child_at_once() {
    let child = Stead::example("print_signals").args(["--exit-on", "15:0"]);
    let mut stead = child.options(["--drain-delay", "60s", "--grace", "90s"]).start();
    stead.wait_ready();
    stead.signal(libc::SIGTERM);
    stead.wait_for("quiescing", LIMIT, |e| e["phase"] == "quiescing");
    stead.signal(libc::SIGTERM);
    assert_eq!(stead.wait_exit(LIMIT), 0);
    assert_eq!(times_got(&stead, "", libc::SIGTERM), 1);
}

#[test]
fn a_second_term_reaches_the_child_and_does_not_move_the_deadline() {
    for place in Place::BOTH {
        let mut stead =
            Stead::example("print_signals").options(["--grace", "2s"]).place(place).start();
        stead.wait_ready();
        stead.signal(libc::SIGTERM);
        stead.wait_for_line(LIMIT, |line| line.starts_with("got 15 "));
        let second = Instant::now() + Duration::from_secs(1);
        assert!(until(LIMIT, || Instant::now() >= second));
        stead.signal(libc::SIGTERM);
        assert_eq!(stead.wait_exit(LIMIT), 137);
        assert_eq!(times_got(&stead, "", libc::SIGTERM), 2);
        let elapsed = elapsed_s(&stead);
        assert!((2.0..2.9).contains(&elapsed), "the drain took {elapsed} s, {place:?}");
    }
}

#[test]
fn a_second_int_kills_now() {
    for place in Place::BOTH {
        let script = family("print_signals --name leader", "");
        let mut stead = Stead::script(&script).options(["--grace", "90s"]).place(place).start();
        wait_for_family(&stead);
        stead.wait_for_line(LIMIT, |line| line.starts_with("leader ready"));
        stead.signal(libc::SIGINT);
        stead.wait_for_line(LIMIT, |line| line.starts_with("leader got 2 "));
        stead.signal(libc::SIGINT);
        assert_eq!(stead.wait_exit(LIMIT), 137);
        assert_eq!(stead.processes(), Vec::<i32>::new(), "{place:?}");
    }
}

#[test]
fn all_that_is_left_behind_the_leader_gets_the_stop_signal_and_the_leaders_code_wins() {
    for place in Place::BOTH {
        let script = family("print_signals --name leader --exit-on 15:3", "--exit-on 15:9");
        let mut stead = Stead::script(&script).options(["--grace", "90s"]).place(place).start();
        wait_for_family(&stead);
        stead.wait_for_line(LIMIT, |line| line.starts_with("leader ready"));
        let from = Instant::now();
        stead.signal(libc::SIGTERM);
        assert_eq!(stead.wait_exit(LIMIT), 3);
        assert!(from.elapsed() < LIMIT);
        for name in OTHERS {
            assert_eq!(
                times_got(&stead, &format!("{name} "), libc::SIGTERM),
                1,
                "{name} {place:?}"
            );
        }
        assert_eq!(named_in(&stead, "straggler signalled"), ["print_signals"; 4]);
        assert_eq!(named_in(&stead, "straggler killed"), [""; 0]);
        assert_eq!(stead.processes(), Vec::<i32>::new(), "{place:?}");
    }
}

#[test]
fn stragglers_are_killed_at_the_deadline_of_the_drain_by_name_and_pid() {
    for place in Place::BOTH {
        let script = family("print_signals --name leader --exit-on 15:3", "");
        let mut stead = Stead::script(&script).options(["--grace", "2s"]).place(place).start();
        wait_for_family(&stead);
        stead.wait_for_line(LIMIT, |line| line.starts_with("leader ready"));
        stead.signal(libc::SIGTERM);
        assert_eq!(stead.wait_exit(LIMIT), 3);
        let elapsed = elapsed_s(&stead);
        assert!((2.0..2.9).contains(&elapsed), "the drain took {elapsed} s, {place:?}");
        assert_eq!(named_in(&stead, "straggler killed"), ["print_signals"; 4]);
        let mut killed: Vec<_> =
            stead.events_of("straggler killed").iter().map(|e| e["pid"].to_string()).collect();
        let mut ready: Vec<_> = stead
            .stdout()
            .iter()
            .filter(|line| !line.starts_with("leader"))
            .filter_map(|line| Some(line.split_once(" ready ")?.1.to_owned()))
            .collect();
        killed.sort();
        ready.sort();
        assert_eq!(killed, ready, "{place:?}");
        assert_eq!(stead.wait_for_event("drain ended", LIMIT)["killed"], 4);
        assert_eq!(stead.processes(), Vec::<i32>::new(), "{place:?}");
    }
}

#[test]
fn a_leader_that_ends_by_itself_leaves_the_others_the_stop_signal_and_the_linger() {
    for place in Place::BOTH {
        let script = family("print_signals --name leader --exit-on 10:5", "");
        let options = ["--linger", "1s", "--grace", "90s", "--stop-signal", "QUIT"];
        let mut stead = Stead::script(&script).options(options).place(place).start();
        wait_for_family(&stead);
        stead.wait_for_line(LIMIT, |line| line.starts_with("leader ready"));
        let from = Instant::now();
        stead.signal(libc::SIGUSR1);
        assert_eq!(stead.wait_exit(LIMIT), 5);
        assert!(from.elapsed() >= Duration::from_secs(1), "killed after {:?}", from.elapsed());
        for name in OTHERS {
            assert_eq!(
                times_got(&stead, &format!("{name} "), libc::SIGQUIT),
                1,
                "{name} {place:?}"
            );
        }
        assert_eq!(named_in(&stead, "straggler killed"), ["print_signals"; 4]);
        assert_eq!(stead.processes(), Vec::<i32>::new(), "{place:?}");
    }
}

#[test]
fn stead_ends_the_moment_the_last_straggler_is_gone() {
    for place in Place::BOTH {
        let script = family("sh -c 'read line; exit 5'", "--exit-on 15:0 --after-ms 300");
        let (input, typed) = std::io::pipe().expect("a pipe");
        let options = ["--linger", "60s", "--grace", "90s"];
        let stead = Stead::script(&script).stdin(input).options(options).place(place);
        let mut stead = stead.start();
        wait_for_family(&stead);
        let from = Instant::now();
        drop(typed);
        assert_eq!(stead.wait_exit(LIMIT), 5, "{place:?}");
        let took = from.elapsed();
        assert!(took >= Duration::from_millis(300), "did not wait for them: {took:?}");
        assert_eq!(named_in(&stead, "straggler killed"), [""; 0]);
        assert_eq!(stead.processes(), Vec::<i32>::new());
    }
}

#[test]
fn stragglers_that_appear_during_the_drain_are_ended_too() {
    // Each generation, at TERM, starts the next in a session of its own: a moving target.
    let scratch = Scratch::new();
    let script = "#!/bin/sh\n\
        trap '[ $1 -lt 5 ] && setsid \"$0\" $(($1 + 1)) & exit 0' TERM\n\
        echo generation $1\n\
        while :; do sleep 0.02; done\n";
    let hydra = scratch.file("hydra", script, 0o755);
    for place in Place::BOTH {
        let stead = Stead::run([hydra.as_os_str(), "1".as_ref()]).place(place);
        let mut stead = stead.options(["--grace", "2s"]).start();
        stead.wait_for_line(LIMIT, |line| line == "generation 1");
        stead.signal(libc::SIGTERM);
        assert_eq!(stead.wait_exit(LIMIT), 0, "{place:?}");
        assert_eq!(stead.processes(), Vec::<i32>::new(), "{place:?}");
    }
}

#[test]
fn liveness_ends_when_the_leader_has_ended_though_stragglers_are_waited_for() {
    let script = family("print_signals --name leader --exit-on 10:5", "");
    let stead = Stead::script(&script).options(["--linger", "30s"]).listening();
    let mut stead = stead.start();
    wait_for_family(&stead);
    stead.wait_for_line(LIMIT, |line| line.starts_with("leader ready"));
    assert_eq!(stead.status("/livez"), 200);
    stead.signal(libc::SIGUSR1);
    stead.wait_for("finished", LIMIT, |e| e["phase"] == "finished");
    let live = stead.get("/livez");
    assert_eq!(live.status, 503);
    assert_eq!(live.json()["status"], "unavailable");
    assert_eq!(live.json()["phase"], "finished");
    assert_eq!(stead.status("/readyz"), 503);
    assert!(stead.is_running());
}

#[test]
fn a_stopped_child_still_drains() {
    for place in Place::BOTH {
        // Many times: TERM may be seen before the stop is.
        for _ in 0..20 {
            let mut stead = Stead::run(["sleep", "1000"]).place(place).start();
            let child = stead.child_pid();
            sys::kill(child, libc::SIGSTOP).expect("stopping the child");
            assert!(until(LIMIT, || processes::state(child) == Some('T')));
            assert!(stead.is_running(), "a stopped child is not an ended one");
            stead.signal(libc::SIGTERM);
            assert_eq!(stead.wait_exit(LIMIT), 143, "{place:?}");
        }
    }
}

#[test]
fn a_stopped_straggler_still_drains() {
    for place in Place::BOTH {
        let script = "sleep 1000 & echo ready $!; read line; exit 2";
        let (input, typed) = std::io::pipe().expect("a pipe");
        let stead = Stead::script(script).stdin(input).options(["--linger", "60s"]).place(place);
        let mut stead = stead.start();
        stead.wait_ready();
        let inside =
            stead.stdout()[0].split(' ').nth(1).and_then(|p| p.parse().ok()).expect("a pid");
        let straggler = stead.pid_outside(inside);
        sys::kill(straggler, libc::SIGSTOP).expect("stopping the straggler");
        assert!(until(LIMIT, || processes::state(straggler) == Some('T')));
        drop(typed);
        assert_eq!(stead.wait_exit(LIMIT), 2, "{place:?}");
        assert_eq!(named_in(&stead, "straggler killed"), [""; 0], "{place:?}");
    }
}

/// Puts a process into stead's namespace from outside, as `docker exec` does: its parent there is 0.
fn inject(stead: &Running) -> std::process::Child {
    let mut nsenter = Command::new("nsenter")
        .args(["-t", &stead.pid().to_string(), "-p", "-m", "--", "sleep", "1000"])
        .env_clear()
        .env("PATH", search_path())
        .stdin(Stdio::null())
        .spawn()
        .expect("nsenter is installed");
    let outer = nsenter.id() as i32;
    let entered = until(LIMIT, || {
        let inner = processes::children_of(outer).first().copied();
        let name = inner.and_then(|pid| processes::status(pid, "Name"));
        name.as_deref() == Some("sleep")
    });
    if !entered {
        let _ = nsenter.kill();
        panic!("nsenter has started nothing");
    }
    nsenter
}

#[test]
fn what_the_engine_put_into_the_namespace_delays_nothing_and_is_swept() {
    // Once with a drain, once with a leader that ends by itself.
    for signal in [libc::SIGTERM, libc::SIGUSR1] {
        let child =
            Stead::example("print_signals").args(["--exit-on", "15:3", "--exit-on", "10:3"]);
        let stead = child.options(["--grace", "90s", "--linger", "80s"]).place(Place::Pid1);
        let mut stead = stead.start();
        stead.wait_ready();
        let mut injected = inject(&stead);
        stead.signal(signal);
        assert_eq!(stead.wait_exit(LIMIT), 3, "signal {signal}");
        let swept = until(LIMIT, || matches!(injected.try_wait(), Ok(Some(_))));
        let _ = injected.kill();
        let _ = injected.wait();
        assert!(swept, "the injected process is still there");
    }
}

#[test]
fn orphans_are_waited_for_beside_what_the_engine_put_there() {
    let script = "(setsid print_signals --name daemon --exit-on 15:0 --after-ms 400 &); \
                  exec print_signals --name leader --exit-on 15:3";
    let mut stead = Stead::script(script).options(["--grace", "90s"]).place(Place::Pid1).start();
    for name in ["daemon", "leader"] {
        stead.wait_for_line(LIMIT, |line| line.starts_with(&format!("{name} ready")));
    }
    let mut injected = inject(&stead);
    stead.signal(libc::SIGTERM);
    assert_eq!(stead.wait_exit(LIMIT), 3);
    let _ = injected.wait();
    assert_eq!(times_got(&stead, "daemon ", libc::SIGTERM), 1);
    assert_eq!(named_in(&stead, "straggler killed"), [""; 0]);
}

#[test]
fn the_phases_follow_one_another_as_promised() {
    let child = Stead::example("print_signals");
    let mut stead = child.options(["--drain-delay", "300ms", "--grace", "1s"]).start();
    stead.wait_ready();
    stead.signal(libc::SIGTERM);
    assert_eq!(stead.wait_exit(LIMIT), 137);
    let phases: Vec<_> = stead
        .events_of("phase changed")
        .iter()
        .map(|e| [&e["from"], &e["phase"]].map(|p| p.as_str().unwrap_or_default().to_owned()))
        .collect();
    let expected = ["starting", "running", "quiescing", "draining", "killing", "finished"];
    let pairs: Vec<_> = expected.windows(2).map(|p| [p[0].to_owned(), p[1].to_owned()]).collect();
    assert_eq!(phases, pairs);
}

#[test]
fn a_drain_without_delay_has_no_quiescing_and_one_that_works_no_killing() {
    let mut stead = Stead::example("print_signals").args(["--exit-on", "15:0"]).start();
    stead.wait_ready();
    stead.signal(libc::SIGTERM);
    assert_eq!(stead.wait_exit(LIMIT), 0);
    let phases: Vec<_> =
        stead.events_of("phase changed").iter().map(|e| e["phase"].clone()).collect();
    assert_eq!(phases, ["running", "draining", "finished"]);
    let started = stead.wait_for_event("drain started", LIMIT);
    assert_eq!(started["signal"], "TERM");
    assert_eq!(started["grace_s"].as_f64(), Some(30.0));
    assert_eq!(started["drain_delay_s"].as_f64(), Some(0.0));
    assert_eq!(stead.wait_for_event("stop signal sent", LIMIT)["signal"], "TERM");
    assert_eq!(stead.wait_for_event("drain ended", LIMIT)["killed"], 0);
}

#[test]
fn a_process_that_may_not_be_killed_does_not_hold_stead_for_ever_nor_make_it_spin() {
    // kill(2): one whose real user is root may not be signalled by a stead that runs as nobody.
    let scratch = Scratch::new();
    let copy = |program: &Path, name: &str, mode: u32| {
        scratch.file(name, std::fs::read(program).expect("a program"), mode)
    };
    let app = copy(&example("print_signals"), "app", 0o4755);
    let script = "\"$0\" --root --name root & exec \"$0\" --name leader --exit-on 15:3";
    let nobody = "setpriv --reuid 65534 --regid 65534 --clear-groups --";
    let stead = Stead::invoked(["run", "--grace", "1s", "--", "/bin/sh", "-c", script]);
    let stead = stead.args([app]).program(copy(&binary(), "stead", 0o755));
    let mut stead = stead.under(nobody.split(' ')).start();
    for name in ["root", "leader"] {
        stead.wait_for_line(LIMIT, |line| line.starts_with(&format!("{name} ready")));
    }
    let stat = format!("/proc/{}/stat", stead.pid());
    stead.signal(libc::SIGTERM);
    let mut ticks = 0;
    // The grace and the patience of killing are 6 s together.
    let ended = until(Duration::from_secs(9), || {
        if let Ok(text) = std::fs::read_to_string(&stat) {
            // Fields 14 and 15 of proc_pid_stat(5), in ticks of 10 ms; the name has no blank.
            let fields: Vec<_> = text.split(' ').collect();
            ticks =
                fields[13..15].iter().filter_map(|n| n.parse::<u64>().ok()).sum::<u64>().max(ticks);
        }
        thread::sleep(Duration::from_millis(20));
        !stead.is_running()
    });
    assert!(ticks < 50, "stead used {ticks} ticks of processor time");
    assert!(ended, "stead waits for ever for what it may not kill");
    assert_eq!(stead.wait_exit(LIMIT), 3);
}
