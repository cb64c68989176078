//! Command lines, variables and what is said, in their good and bad forms.

use std::os::unix::fs::symlink;
use std::path::Path;

use super::{Both, start, wrapped};
use crate::harness::{self, LIMIT, Place, Scratch, Stead};

/// The exit code, and whether anything was said on stdout and on stderr.
fn answer(wrapper: &Path, line: &[&str]) -> (i32, bool, bool) {
    let mut run = start(wrapper, Place::Subreaper, line);
    let code = run.wait_exit(LIMIT);
    (code, !run.stdout().is_empty(), !run.stderr().is_empty())
}

#[test]
fn tinis_questions_and_mistakes_are_answered_alike() {
    for line in [
        &[][..],
        &["--version"],
        &["--version", "true"],
        &["-h"],
        &["-h", "-x"],
        &["-x", "-h"],
        &["-l"],
        &["-sl"],
        &["-x", "true"],
        &["-sx", "true"],
        &["--foo", "true"],
        &["--help"],
        &["-s"],
        &["-s", "--"],
        &["--"],
        &["-p"],
        &["-p", "TERM", "true"],
        &["-p", "15", "true"],
        &["-pSIGPWR", "true"],
        &["-e"],
        &["-e", "256", "true"],
        &["-e", "-1", "true"],
        &["-e", "1x", "true"],
        &["-es", "true"],
        &["-s", "true"],
        &["-sgw", "-pSIGTERM", "-e1", "false"],
        &["-s", "--", "-x"],
        &["-s", "-"],
        &["-s", ""],
        &["-s", "echo", "--", "a", "b"],
        &["-s", "echo", "--", "-g", "--"],
        &["-s", "--", "echo", "--", "a"],
        &["true"],
        &["-w", "true"],
        &["-v", "true"],
        &["-vvv", "true"],
    ] {
        Both::tini().agree(&format!("{line:?}"), |wrapper| answer(wrapper, line));
    }
}

#[test]
fn dumb_inits_questions_and_mistakes_are_answered_alike() {
    for line in [
        &[][..],
        &["-V"],
        &["--version"],
        &["--vers"],
        &["-h"],
        &["--help"],
        &["--help=3"],
        &["--ver"],
        &["--v", "true"],
        &["--verb", "true"],
        &["-v", "true"],
        &["-x", "true"],
        &["-cx", "true"],
        &["--foo", "true"],
        &["--single-child=x", "true"],
        &["-c"],
        &["--"],
        &["-r"],
        &["--rewrite"],
        &["-r", "15", "true"],
        &["-r", "0:1", "true"],
        &["-r", "32:1", "true"],
        &["-r", "15:32", "true"],
        &["-r", "15:-1", "true"],
        &["-r", "TERM:QUIT", "true"],
        &["-r", " 15: 3x", "true"],
        &["--rew=15:3", "true"],
        &["--s", "true"],
        &["--", "-x"],
        &["-"],
        &[""],
        &["echo", "-c", "--", "a"],
    ] {
        Both::dumb_init().agree(&format!("{line:?}"), |wrapper| answer(wrapper, line));
    }
}

#[test]
fn arguments_reach_the_command_as_they_are() {
    let tail = ["printf", "<%s>\n", "a b", "", "--", "-c", "*"];
    assert_eq!(
        Both::tini().outcome(Place::Subreaper, &[&["-s", "--"], &tail[..]].concat()).1.len(),
        5
    );
    assert_eq!(Both::dumb_init().outcome(Place::Pid1, &[&["-c"], &tail[..]].concat()).1.len(), 5);
    let both = Both::tini();
    assert_eq!(both.outcome(Place::Pid1, &["echo", "--", "a"]).1, ["a"]);
}

/// A build with musl runs it, one with glibc (Debian's) takes `-c` for its own and refuses the line:
/// a line that works with either works here.
#[test]
fn a_command_for_tini_needs_no_dashes_before_its_own_options() {
    let both = Both::tini();
    let mut run = start(&both.stead, Place::Subreaper, &["sh", "-c", "exit 3"]);
    assert_eq!(run.wait_exit(LIMIT), 3);
}

#[test]
fn tinis_verbosity_decides_what_is_said_where() {
    for place in Place::BOTH {
        for (options, variable) in [
            (&[][..], None),
            (&["-s"], None),
            (&["-v"], None),
            (&["-vvv"], None),
            (&["-vvv"], Some("0")),
            (&[], Some("2x")),
            (&["-v"], Some("")),
            (&["-v"], Some("-1")),
        ] {
            let line = [options, &["--", "true"]].concat();
            Both::tini().agree(&format!("{line:?} {variable:?} {place:?}"), |wrapper| {
                let mut start = wrapped(wrapper, place, &line);
                if let Some(value) = variable {
                    start = start.env("TINI_VERBOSITY", value);
                }
                let mut run = start.start();
                assert_eq!(run.wait_exit(LIMIT), 0);
                (!run.stdout().is_empty(), !run.stderr().is_empty())
            });
        }
    }
}

#[test]
fn dumb_init_tells_what_it_does_only_when_asked_to() {
    for (options, variable) in [
        (&[][..], None),
        (&["-v"], None),
        (&["-c", "--verbose"], None),
        (&[], Some("1")),
        (&[], Some("0")),
        (&[], Some("yes")),
    ] {
        let line = [options, &["--", "true"]].concat();
        Both::dumb_init().agree(&format!("{line:?} {variable:?}"), |wrapper| {
            let mut start = wrapped(wrapper, Place::Subreaper, &line);
            if let Some(value) = variable {
                start = start.env("DUMB_INIT_DEBUG", value);
            }
            let mut run = start.start();
            assert_eq!(run.wait_exit(LIMIT), 0);
            let said = run.stderr();
            assert!(said.iter().all(|line| line.starts_with("[dumb-init] ")), "{said:?}");
            (run.stdout(), said.is_empty())
        });
    }
}

#[test]
fn what_the_program_says_of_a_command_that_cannot_run_is_the_same() {
    for (both, beginning) in [(Both::tini(), "[FATAL tini ("), (Both::dumb_init(), "[dumb-init] ")]
    {
        for command in ["no-such-program", "/tmp"] {
            both.agree(command, |wrapper| {
                let line = ["--", command];
                // Quiet but for what is fatal, as the warnings are in words of our own.
                let mut run =
                    wrapped(wrapper, Place::Subreaper, &line).env("TINI_VERBOSITY", "0").start();
                run.wait_exit(LIMIT);
                let said = run.stderr();
                assert_eq!(said.len(), 1, "{wrapper:?}: {said:?}");
                assert!(said[0].starts_with(beginning), "{wrapper:?}: {said:?}");
                said[0].split_once("] ").map(|(_, text)| text.to_owned())
            });
        }
    }
}

#[test]
fn steads_own_variables_and_file_mean_nothing_under_another_name() {
    for name in ["tini", "dumb-init"] {
        let both = Both::of(name);
        let line = ["--", "sh", "-c", "echo said; exit 4"];
        let under = ["env", "STEAD_LISTEN=nonsense", "STEAD_GRACE=x", "STEAD_NO_SUCH=1", "PORT=x"];
        let mut run = wrapped(&both.stead, Place::Subreaper, &line)
            .under(under)
            .env("TINI_VERBOSITY", "0")
            .start();
        assert_eq!(run.wait_exit(LIMIT), 4);
        assert_eq!(run.stdout(), ["said"]);
        assert_eq!(run.stderr(), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn the_other_names_of_tini_are_tini_too() {
    for name in ["tini-static", "docker-init"] {
        let links = Scratch::new();
        let link = links.path().join(name);
        symlink(harness::binary(), &link).expect("a link to stead");
        let mut version = start(&link, Place::Subreaper, &["--version"]);
        assert_eq!(version.wait_exit(LIMIT), 0);
        assert!(version.stdout()[0].starts_with("tini version 0.19.0"), "{name}");
        let mut run = start(&link, Place::Pid1, &["-e", "3", "--", "sh", "-c", "exit 3"]);
        assert_eq!(run.wait_exit(LIMIT), 0, "{name}");
        let mut started =
            Stead::invoked(["-e", "3", "--", "sh", "-c", "exit 3"]).name(name).start();
        assert_eq!(started.wait_exit(LIMIT), 0, "{name} as argv[0] alone");
    }
}
