//! What the child starts with, whose orphans come to the wrapper, and who has the terminal.

use std::path::Path;

use super::{Both, child_of, start, wrapped};
use crate::harness::processes::{children_of, state, status};
use crate::harness::terminal::Terminal;
use crate::harness::{LIMIT, Place, Running, Scratch, sys, until};

/// A script that makes an orphan, tells its pid and goes on.
const ORPHAN: &str =
    "sh -c 'sleep 1000 & echo orphan $!'; echo its maker has ended; exec sleep 1000";

#[test]
fn orphans_come_to_tini_as_a_subreaper_or_as_pid_1_and_are_reaped() {
    for (place, options, variable, adopts) in [
        (Place::Subreaper, &["-s", "--"][..], None, true),
        (Place::Subreaper, &["--"], Some("TINI_SUBREAPER"), true),
        (Place::Subreaper, &["--"], None, false),
        (Place::Pid1, &["--"], None, true),
    ] {
        let line = [options, &["sh", "-c", ORPHAN]].concat();
        let adopted =
            Both::tini().agree(&format!("{options:?} {variable:?} {place:?}"), |wrapper| {
                let mut start = wrapped(wrapper, place, &line);
                if let Some(name) = variable {
                    start = start.env(name, "");
                }
                orphan_is_adopted_and_reaped(&start.start())
            });
        assert_eq!(adopted, adopts, "{options:?}");
    }
}

#[test]
fn orphans_come_to_dumb_init_as_pid_1_alone_and_are_reaped() {
    for (place, adopts) in [(Place::Subreaper, false), (Place::Pid1, true)] {
        let line = ["sh", "-c", ORPHAN];
        let adopted = Both::dumb_init().agree(&format!("{place:?}"), |wrapper| {
            orphan_is_adopted_and_reaped(&start(wrapper, place, &line))
        });
        assert_eq!(adopted, adopts, "{place:?}");
    }
}

#[test]
fn tini_warns_of_each_reaped_orphan_when_asked_to() {
    for (options, warned) in [(&["-s", "--"][..], false), (&["-sw", "--"], true)] {
        let line = [options, &["sh", "-c", ORPHAN]].concat();
        let said = Both::tini().agree(&format!("{options:?}"), |wrapper| {
            let mut run = start(wrapper, Place::Subreaper, &line);
            assert!(orphan_is_adopted_and_reaped(&run));
            run.signal(libc::SIGTERM);
            run.wait_exit(LIMIT);
            let said = run.stderr();
            said.iter().any(|line| line.starts_with("[WARN  tini (") && line.contains("pid="))
        });
        assert_eq!(said, warned, "{options:?}");
    }
}

fn orphan_is_adopted_and_reaped(run: &Running) -> bool {
    let line = run.wait_for_line(LIMIT, |line| line.starts_with("orphan "));
    let inside = line.trim_start_matches("orphan ").parse().expect("a pid");
    let orphan = run.pid_outside(inside);
    run.wait_for_line(LIMIT, |line| line == "its maker has ended");
    let is_adopted = status(orphan, "PPid") == Some(run.pid().to_string());
    sys::kill(orphan, libc::SIGKILL).expect("the orphan");
    if is_adopted {
        let reaped = until(LIMIT, || state(orphan).is_none());
        assert!(reaped, "the orphan is not reaped");
    }
    is_adopted
}

/// The lines of `report` that say how a process was started.
fn start_of(wrapper: &Path, place: Place, options: &[&str], under: &[&str]) -> Vec<String> {
    let line = [options, &["report"]].concat();
    let mut run = wrapped(wrapper, place, &line).under(under.iter().copied()).start();
    assert_eq!(run.wait_exit(LIMIT), 0);
    let mut lines = run.stdout();
    let varies = ["pid ", "variable \"STEADS_TEST_RUN\"", "variable \"_\""];
    lines.retain(|line| !varies.iter().any(|start| line.starts_with(start)));
    lines
}

#[test]
fn the_child_starts_as_the_peers_child_does() {
    for place in Place::BOTH {
        for under in [
            &[][..],
            &["env", "--block-signal=USR1", "--ignore-signal=HUP,PIPE,TTIN"],
            &["sh", "-c", "umask 27; exec \"$@\" 5</dev/null 9>/dev/null", "sh"],
            &["nice", "-n", "3"],
        ] {
            for options in [&["--"][..], &["-g", "--"], &["-s", "--"]] {
                Both::tini().agree(&format!("{options:?} {under:?} {place:?}"), |wrapper| {
                    start_of(wrapper, place, options, under)
                });
            }
            for options in [&["--"][..], &["-c"]] {
                Both::dumb_init().agree(&format!("{options:?} {under:?} {place:?}"), |wrapper| {
                    start_of(wrapper, place, options, under)
                });
            }
        }
    }
}

/// tini itself refuses to run then: it wants to hand on a terminal and does not expect to have nothing.
#[test]
fn a_closed_stdin_is_closed_for_the_child_too() {
    let closed = ["sh", "-c", "exec \"$@\" <&-", "sh"];
    Both::dumb_init()
        .agree("closed", |wrapper| start_of(wrapper, Place::Subreaper, &["--"], &closed));
    let lines = start_of(&Both::tini().stead, Place::Subreaper, &["--"], &closed);
    assert!(!lines.iter().any(|line| line.starts_with("descriptor \"0\"")), "{lines:?}");
}

#[test]
fn dumb_init_leaves_the_directory_that_its_child_stays_in() {
    let place = Scratch::new();
    for (both, leaves) in [(Both::tini(), false), (Both::dumb_init(), true)] {
        let left = both.agree("directory", |wrapper| {
            let run =
                wrapped(wrapper, Place::Subreaper, &["print_signals"]).cwd(place.path()).start();
            let child = child_of(&run);
            let cwd =
                |pid: i32| std::fs::read_link(format!("/proc/{pid}/cwd")).expect("a directory");
            assert_eq!(cwd(child), place.path());
            let _ = until(LIMIT, || cwd(run.pid()) == Path::new("/") || !leaves);
            cwd(run.pid()) == Path::new("/")
        });
        assert_eq!(left, leaves);
    }
}

#[test]
fn the_child_gets_the_terminal_and_what_is_typed_there() {
    for (both, options) in [
        (Both::tini(), &["--"][..]),
        (Both::dumb_init(), &["--"]),
        (Both::dumb_init(), &["-c", "--"]),
    ] {
        let line = [options, &["print_signals"]].concat();
        both.agree(&format!("{options:?}"), |wrapper| {
            let terminal = Terminal::open();
            let run = wrapped(wrapper, Place::Subreaper, &line).on_terminal(&terminal).start();
            terminal.wait_for("ready ", LIMIT);
            let child = children_of(run.pid())[0];
            let field = |at: usize| {
                let stat =
                    std::fs::read_to_string(format!("/proc/{child}/stat")).expect("its stat");
                let fields = stat.rsplit_once(')').expect("a name").1.to_owned();
                fields.split_whitespace().nth(at - 3).expect("a field").to_owned()
            };
            // proc(5): 5 the group, 6 the session, 8 the terminal's foreground group.
            let child = child.to_string();
            let leads = [5, 6, 8].map(|at| field(at) == child);
            terminal.type_text("\x03");
            terminal.wait_for("got 2 ", LIMIT);
            terminal.type_text("\x1c");
            terminal.wait_for("got 3 ", LIMIT);
            run.signal(libc::SIGTERM);
            terminal.wait_for("got 15 ", LIMIT);
            let hung_up = terminal.seen().contains("got 1 ");
            (leads, hung_up)
        });
    }
}
