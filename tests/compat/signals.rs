//! Which signals reach whom, and what they do to the wrapper.

use std::path::Path;

use super::{Both, child_of, named, start, wrapped};
use crate::harness::processes::{children_of, is_alive, state, status};
use crate::harness::{LIMIT, Place, Running, Stead, first_real_time_signal, sys, until};

/// The last real-time signal: it comes after all others that wait, so what has not come before it
/// will not come.
const FENCE: i32 = 64;

/// The number in `got 15 from 1`.
fn got(line: &str) -> Option<i32> {
    line.split_once("got ")?.1.split(' ').next()?.parse().ok()
}

/// What has come to a child of this name, without the fence. The fence is sent to the child itself.
fn received_by(run: &Running, name: &str, pid: i32) -> Vec<i32> {
    let prefix = format!("{name} got ");
    sys::kill(pid, FENCE).expect("a child that lives");
    run.wait_for_line(LIMIT, |line| line.starts_with(&format!("{prefix}{FENCE} ")));
    let lines = run.stdout();
    let own = lines.iter().filter(|line| line.starts_with(&prefix));
    own.filter_map(|line| got(line)).filter(|n| *n != FENCE).collect()
}

/// What became of a signal that was sent to a wrapper.
#[derive(Debug, PartialEq)]
enum Fate {
    /// The child got these.
    Came(Vec<i32>),
    /// The wrapper ended with this code.
    Ended(i32),
}

/// Sends a signal to the wrapper, then twice the fence: a handler that was interrupted by the first
/// one has ended when the second one is through.
fn fate(run: &mut Running, signal: i32) -> Fate {
    let before = run.stdout().len();
    run.signal(signal);
    let fences = |run: &Running| {
        let lines = run.stdout();
        let came = lines.iter().skip(before).filter_map(|line| got(line));
        came.filter(|n| *n == FENCE).count()
    };
    let sent = usize::from(signal == FENCE);
    for passed in 1..=2 {
        let taken = until(LIMIT, || !is_pending(run.pid(), signal) || !run.is_running());
        assert!(taken, "signal {signal} is not taken");
        let _ = sys::kill(run.pid(), FENCE);
        let through = until(LIMIT, || fences(run) >= passed + sent || !run.is_running());
        assert!(through, "nothing comes through after signal {signal}");
    }
    if !run.is_running() {
        return Fate::Ended(run.wait_exit(LIMIT));
    }
    let lines = run.stdout();
    let came = lines.iter().skip(before).filter_map(|line| got(line));
    let (fences, mut came): (Vec<i32>, Vec<i32>) = came.partition(|n| *n == FENCE);
    came.extend(fences.iter().skip(2));
    Fate::Came(came)
}

fn is_pending(pid: i32, signal: i32) -> bool {
    let mask = |field| {
        let hex = status(pid, field).unwrap_or_default();
        u64::from_str_radix(&hex, 16).unwrap_or(0)
    };
    (mask("SigPnd") | mask("ShdPnd")) & (1 << (signal - 1)) != 0
}

/// The fate of each of `signals`, with a new wrapper after one that ended.
fn fates(wrapper: &Path, place: Place, line: &[&str], signals: &[i32]) -> Vec<(i32, Fate)> {
    let mut run = None;
    let fates = signals.iter().map(|signal| {
        let mut current = run.take().unwrap_or_else(|| start(wrapper, place, line));
        current.wait_ready();
        let fate = fate(&mut current, *signal);
        if current.is_running() {
            run = Some(current);
        }
        (*signal, fate)
    });
    fates.collect()
}

/// All signals but KILL, STOP, those of the C library, and the ones that stop a process from its
/// terminal, which have a test of their own.
fn signals() -> Vec<i32> {
    let others = [9, 19, 20, 21, 22];
    let kept = 32..first_real_time_signal();
    (1..=64).filter(|n| !others.contains(n) && !kept.contains(n)).collect()
}

#[test]
fn tini_forwards_the_same_signals() {
    for place in Place::BOTH {
        for options in [&["--"][..], &["-g", "--"]] {
            let line = [options, &["print_signals"]].concat();
            let all = [signals(), vec![20, 21, 22]].concat();
            let fates = Both::tini().agree(&format!("{line:?} {place:?}"), |wrapper| {
                fates(wrapper, place, &line, &all)
            });
            assert!(fates.contains(&(15, Fate::Came(vec![15]))));
            assert!(fates.contains(&(17, Fate::Came(vec![]))));
            assert!(fates.contains(&(64, Fate::Came(vec![64]))));
        }
    }
}

#[test]
fn dumb_init_forwards_the_same_signals() {
    for place in Place::BOTH {
        for options in [&["--"][..], &["-c"], &["-r", "15:3", "--rewrite=10:0", "-r2:12"]] {
            let line = [options, &["print_signals"]].concat();
            let fates = Both::dumb_init().agree(&format!("{line:?} {place:?}"), |wrapper| {
                fates(wrapper, place, &line, &signals())
            });
            assert!(fates.contains(&(1, Fate::Came(vec![1]))));
        }
    }
}

#[test]
fn dumb_init_stops_the_child_and_itself_and_both_go_on_with_cont() {
    for line in [
        &["print_signals"][..],
        &["-c", "print_signals"],
        &["-r", "20:10", "-r", "21:21", "print_signals"],
    ] {
        for signal in [libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU] {
            let case = format!("{line:?} {signal}");
            Both::dumb_init().agree(&case, |wrapper| {
                let run = start(wrapper, Place::Subreaper, line);
                let child = child_of(&run);
                run.signal(signal);
                assert!(
                    until(LIMIT, || state(run.pid()) == Some('T')),
                    "{wrapper:?} does not stop"
                );
                // CONT takes away what would stop the child and has not reached it: signal(7).
                let reached = || run.stdout().iter().any(|line| got(line).is_some());
                assert!(until(LIMIT, || state(child) == Some('T') || reached()));
                let is_stopped = state(child) == Some('T');
                run.signal(libc::SIGCONT);
                run.wait_for_line(LIMIT, |line| got(line) == Some(libc::SIGCONT));
                assert!(until(LIMIT, || state(child) != Some('T')), "{child} does not go on");
                assert!(
                    until(LIMIT, || state(run.pid()) != Some('T')),
                    "{wrapper:?} stays stopped"
                );
                let told: Vec<i32> = run.stdout().iter().filter_map(|line| got(line)).collect();
                (is_stopped, told)
            });
        }
    }
}

#[test]
fn a_signal_reaches_grandchildren_only_where_the_group_is_meant() {
    let script = "print_signals --name below & exec print_signals --name child";
    for (both, options, reaches) in [
        (Both::tini(), &["--"][..], false),
        (Both::tini(), &["-g", "--"], true),
        (Both::dumb_init(), &["--"], true),
        (Both::dumb_init(), &["-c", "--"], false),
        (Both::dumb_init(), &["-r", "15:15", "-c", "--"], false),
    ] {
        for place in Place::BOTH {
            let line = [options, &["sh", "-c", script]].concat();
            let came = both.agree(&format!("{options:?} {place:?}"), |wrapper| {
                let run = start(wrapper, place, &line);
                let pids = ["child", "below"].map(|name| named(&run, name));
                run.signal(libc::SIGTERM);
                run.wait_for_line(LIMIT, |line| line.starts_with("child got 15 "));
                ["child", "below"]
                    .map(|name| received_by(&run, name, pids[usize::from(name == "below")]))
            });
            let below = if reaches { vec![15] } else { vec![] };
            assert_eq!(came, [vec![15], below], "{options:?}");
        }
    }
}

#[test]
fn the_group_is_also_asked_for_by_variables() {
    let script = "print_signals --name below & exec print_signals --name child";
    for (both, variable, value, reaches) in [
        (Both::tini(), "TINI_KILL_PROCESS_GROUP", "", true),
        (Both::tini(), "TINI_KILL_PROCESS_GROUP", "0", true),
        (Both::dumb_init(), "DUMB_INIT_SETSID", "0", false),
        (Both::dumb_init(), "DUMB_INIT_SETSID", "1", true),
        (Both::dumb_init(), "DUMB_INIT_SETSID", "", true),
    ] {
        let came = both.agree(&format!("{variable}={value}"), |wrapper| {
            let line = ["--", "sh", "-c", script];
            let run = wrapped(wrapper, Place::Subreaper, &line).env(variable, value).start();
            let pids = ["child", "below"].map(|name| (name, named(&run, name)));
            run.signal(libc::SIGTERM);
            run.wait_for_line(LIMIT, |line| line.starts_with("child got 15 "));
            pids.map(|(name, pid)| received_by(&run, name, pid))
        });
        let below = if reaches { vec![15] } else { vec![] };
        assert_eq!(came, [vec![15], below], "{variable}={value}");
    }
}

#[test]
fn tini_gets_the_signal_of_p_when_its_parent_ends() {
    for (signal, ends) in [("SIGKILL", true), ("SIGTERM", false), ("SIGUSR1", false)] {
        let came = Both::tini().agree(signal, |wrapper| {
            let line = format!("{} -p {signal} -- print_signals & wait", wrapper.display());
            let run = Stead::invoked(["-c", &line]).program("/bin/sh").start();
            let child = child_of(&run);
            let tini = children_of(run.pid())[0];
            run.signal(libc::SIGKILL);
            if ends {
                assert!(until(LIMIT, || !is_alive(tini)), "{wrapper:?} outlives its parent");
                return None;
            }
            assert!(is_alive(child));
            let line = run.wait_for_line(LIMIT, |line| got(line).is_some());
            got(&line)
        });
        assert_eq!(came.is_none(), ends, "{signal}");
    }
}

#[test]
fn the_wrapper_ends_with_its_child_whoever_is_left() {
    // The child goes on its own account when it has told; the other one outlives it.
    let script = "print_signals --name left & exec print_signals --name child --exit-on 10:5";
    for (both, options, told) in [
        (Both::tini(), &["--"][..], vec![]),
        (Both::tini(), &["-g", "--"], vec![]),
        (Both::dumb_init(), &["--"], vec![15]),
        (Both::dumb_init(), &["-r", "15:3", "--"], vec![3]),
        (Both::dumb_init(), &["-r", "15:0", "--"], vec![]),
        (Both::dumb_init(), &["-c", "--"], vec![]),
    ] {
        let line = [options, &["sh", "-c", script]].concat();
        let (code, came) = both.agree(&format!("{options:?}"), |wrapper| {
            let mut run = start(wrapper, Place::Subreaper, &line);
            let [child, left] = ["child", "left"].map(|name| named(&run, name));
            sys::kill(child, libc::SIGUSR1).expect("the child");
            let code = run.wait_exit(LIMIT);
            assert!(is_alive(left), "{wrapper:?} ended what was left");
            (code, received_by(&run, "left", left))
        });
        assert_eq!((code, came), (5, told), "{options:?}");
    }
}
