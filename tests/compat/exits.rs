//! The wrapper's exit code, whatever ends the child or keeps it from starting.

use super::{Both, start};
use crate::harness::{LIMIT, Place, Scratch};

#[test]
fn every_exit_code_is_the_childs() {
    for both in [Both::tini(), Both::dumb_init()] {
        for code in 0..=255 {
            let script = format!("exit {code}");
            assert_eq!(both.code(Place::Subreaper, &["--", "sh", "-c", &script]), code);
        }
        for code in [0, 1, 64, 126, 127, 128, 143, 255] {
            let script = format!("exit {code}");
            assert_eq!(both.code(Place::Pid1, &["--", "sh", "-c", &script]), code);
        }
    }
}

#[test]
fn a_child_that_a_signal_ended_gives_128_and_its_number() {
    for both in [Both::tini(), Both::dumb_init()] {
        for place in Place::BOTH {
            // Without those that stop or do nothing, and those that the C library's posix_spawn ignores.
            for signal in (1..=64).filter(|n| ![18, 19, 20, 21, 22, 32, 33].contains(n)) {
                let script = format!("ulimit -c 0; kill -{signal} $$");
                let code = both.code(place, &["--", "sh", "-c", &script]);
                let is_ignored_unasked =
                    [libc::SIGCHLD, libc::SIGURG, libc::SIGWINCH].contains(&signal);
                assert_eq!(code, if is_ignored_unasked { 0 } else { 128 + signal });
            }
        }
    }
}

#[test]
fn tini_gives_0_for_the_exit_codes_that_are_expected() {
    let tini = Both::tini();
    for (options, code, exit) in [
        (&["-e", "143"][..], "exit 143", 0),
        (&["-e", "143"], "kill -15 $$", 0),
        (&["-e143", "-e", "7"], "exit 7", 0),
        (&["-e", "143"], "exit 7", 7),
        (&["-e", ""], "exit 0", 0),
        (&["-e", " +9"], "exit 9", 0),
        (&["-sge255"], "exit 255", 0),
    ] {
        let line = [options, &["--", "sh", "-c", code]].concat();
        for place in Place::BOTH {
            assert_eq!(tini.code(place, &line), exit, "{line:?}");
        }
    }
}

#[test]
fn a_command_that_cannot_run_gives_each_programs_own_exit_code() {
    let files = Scratch::new();
    let denied = files.file("denied", "#!/bin/sh\n", 0o644);
    let orphaned = files.file("no-interpreter", "#!/nowhere/sh\n", 0o755);
    let script = files.file("script", "exit 9\n", 0o755);
    let behind_a_file = denied.join("x");
    let [denied, orphaned, script, behind_a_file] =
        [&denied, &orphaned, &script, &behind_a_file].map(|path| path.to_str().expect("UTF-8"));
    for place in Place::BOTH {
        for (command, tini, dumb_init) in [
            ("no-such-program", 127, 2),
            ("/no/such/program", 127, 2),
            ("", 127, 2),
            (denied, 126, 2),
            ("/tmp", 126, 2),
            (orphaned, 127, 2),
            (behind_a_file, 1, 2),
            (script, 9, 9),
        ] {
            assert_eq!(Both::tini().code(place, &["--", command]), tini, "{command}");
            assert_eq!(Both::dumb_init().code(place, &["--", command]), dumb_init, "{command}");
        }
    }
}

/// Both programs have a shell read it as if it were a script, and end with whatever comes of that.
#[test]
fn a_program_for_another_processor_is_refused_and_not_read_by_a_shell() {
    let files = Scratch::new();
    let header = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\xff\xff";
    let foreign = files.file("foreign", header, 0o755);
    for (both, code) in [(Both::tini(), 1), (Both::dumb_init(), 2)] {
        let line = ["--", foreign.to_str().expect("UTF-8")];
        let mut run = start(&both.stead, Place::Subreaper, &line);
        assert_eq!(run.wait_exit(LIMIT), code);
        assert!(run.stderr().iter().any(|line| line.ends_with("Exec format error")));
    }
}
