//! Command lines and environments of tini and dumb-init, with what their own programs made of each.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use super::{Request, Style, Wrapper, parse, style_of};
use crate::exit::Exit;
use crate::signal::Signal;
use crate::supervisor::wrapping::Notice;
use crate::sys::process::Pid;

fn request(style: Style, line: &[&str], env: &[(&str, &str)]) -> Request {
    let args: Vec<OsString> = line.iter().map(OsString::from).collect();
    parse(style, &args, &|name| {
        let found = env.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| OsString::from(value))
    })
}

fn wrapper(style: Style, line: &[&str], env: &[(&str, &str)]) -> Wrapper {
    match request(style, line, env) {
        Request::Run(wrapper) => wrapper,
        Request::Print { text, .. } => panic!("{line:?} was refused: {text}"),
    }
}

fn tini(line: &[&str]) -> Wrapper {
    wrapper(Style::Tini, line, &[])
}

fn dumb_init(line: &[&str]) -> Wrapper {
    wrapper(Style::DumbInit, line, &[])
}

fn printed(style: Style, line: &[&str]) -> (String, bool, u8) {
    match request(style, line, &[]) {
        Request::Print { text, to_stderr, exit } => (text, to_stderr, exit.code()),
        Request::Run(wrapper) => panic!("{line:?} was taken: {wrapper:?}"),
    }
}

fn signal(number: i32) -> Signal {
    Signal::from_number(number).expect("a signal's number")
}

#[test]
fn the_last_part_of_the_name_says_which_program_is_meant() {
    for name in ["tini", "/sbin/tini", "tini-static", "/usr/bin/docker-init"] {
        assert_eq!(style_of(OsStr::new(name)), Some(Style::Tini), "{name}");
    }
    let found = style_of(OsStr::new("./dumb-init"));
    assert_eq!(found, Some(Style::DumbInit));
    for name in ["stead", "", "/", "tini.sh", "xtini", "tini/stead"] {
        assert_eq!(style_of(OsStr::new(name)), None, "{name}");
    }
}

#[test]
fn tini_without_options_warns_and_nothing_more() {
    let plain = tini(&["cat", "-A"]);
    assert_eq!(plain.command, ["cat", "-A"]);
    assert_eq!(plain.verbosity, 1);
    let Wrapper { group, new_session, subreaper, warn_on_reap, .. } = plain;
    assert_eq!((group, new_session, subreaper, warn_on_reap), (false, false, false, false));
}

#[test]
fn tini_takes_its_options_apart_together_and_with_the_value_attached() {
    for line in [
        &["-s", "-g", "-w", "-p", "SIGKILL", "-e", "143", "x"][..],
        &["-sgw", "-pSIGKILL", "-e143", "x"],
        &["-sgwpSIGKILL", "-e", "143", "--", "x"],
        &["-gswe143", "-p", "SIGKILL", "--", "x"],
    ] {
        let all = tini(line);
        assert!(all.subreaper && all.group && all.warn_on_reap, "{line:?}");
        assert_eq!(all.parent_death, Some(Signal::KILL), "{line:?}");
        assert_eq!(all.expected, [143], "{line:?}");
        assert_eq!(all.command, ["x"], "{line:?}");
    }
}

#[test]
fn tini_knows_signals_for_p_by_their_whole_names_in_capitals() {
    let known: Vec<i32> = Signal::all()
        .filter(|signal| {
            let name = format!("SIG{signal}");
            matches!(request(Style::Tini, &["-p", &name, "x"], &[]), Request::Run(_))
        })
        .map(Signal::number)
        .collect();
    let expected: Vec<i32> = (1..32).filter(|n| ![16, 29, 30].contains(n)).collect();
    assert_eq!(known, expected);
    for value in ["TERM", "15", "sigterm", "SIGFOO", "", "SIGPWR", "SIGRTMIN"] {
        let (text, to_stderr, code) = printed(Style::Tini, &["-p", value, "x"]);
        assert!(text.starts_with("[FATAL tini ("), "{text}");
        assert!(text.ends_with(&format!("-p: {value}\n")), "{text}");
        assert_eq!((to_stderr, code), (true, 1), "{value}");
    }
}

#[test]
fn tini_reads_exit_codes_as_strtol_does() {
    for (value, code) in
        [("0", 0), ("255", 255), ("", 0), (" 1", 1), ("\t+7", 7), ("-0", 0), ("01", 1)]
    {
        assert_eq!(tini(&["-e", value, "x"]).expected, [code], "{value:?}");
    }
    assert_eq!(tini(&["-e5", "-e", "6", "x"]).expected, [5, 6]);
    for value in ["256", "-1", "1x", "0x1", "1 ", "+", " ", "x", "99999999999999999999999"] {
        let (text, to_stderr, code) = printed(Style::Tini, &["-e", value, "x"]);
        assert!(text.contains("for -e: "), "{text}");
        assert_eq!((to_stderr, code), (true, 1), "{value:?}");
    }
}

#[test]
fn tinis_options_end_at_the_program_and_its_usage_lines_dashes_are_dropped() {
    assert_eq!(tini(&["-g", "sh", "-c", "true"]).command, ["sh", "-c", "true"]);
    assert_eq!(tini(&["--", "-x", "--", "a"]).command, ["-x", "--", "a"]);
    assert_eq!(tini(&["echo", "--", "-g", "--"]).command, ["echo", "-g", "--"]);
    assert_eq!(tini(&["echo", "--", "--"]).command, ["echo", "--"]);
    assert_eq!(tini(&["--", "echo", "--"]).command, ["echo", "--"]);
    assert_eq!(tini(&["-", "a"]).command, ["-", "a"]);
    assert_eq!(tini(&[""]).command, [""]);
}

#[test]
fn tinis_mistakes_show_its_usage_on_stderr_and_exit_with_1() {
    for (line, first) in [
        (&[][..], "tini (tini version 0.19.0"),
        (&["-s"], "tini (tini version 0.19.0"),
        (&["--"], "tini (tini version 0.19.0"),
        (&["-x", "y"], "tini: invalid option -- 'x'\n"),
        (&["-sx", "y"], "tini: invalid option -- 'x'\n"),
        (&["--foo", "y"], "tini: invalid option -- '-'\n"),
        (&["--version", "y"], "tini: invalid option -- '-'\n"),
        (&["-p"], "tini: option requires an argument -- 'p'\n"),
        (&["-se"], "tini: option requires an argument -- 'e'\n"),
    ] {
        let (text, to_stderr, code) = printed(Style::Tini, line);
        assert!(text.starts_with(first), "{line:?}: {text}");
        assert!(text.contains("Usage: tini "), "{line:?}: {text}");
        assert_eq!((to_stderr, code), (true, 1), "{line:?}");
    }
}

#[test]
fn tinis_help_version_and_licence_go_to_stdout() {
    for line in [&["-h"][..], &["-h", "-x"], &["-sh"], &["-l"], &["--version"]] {
        let (text, to_stderr, code) = printed(Style::Tini, line);
        assert!(text.ends_with('\n'), "{line:?}");
        assert_eq!((to_stderr, code), (false, 0), "{line:?}");
    }
}

#[test]
fn dockerd_can_read_tinis_version() {
    let (text, _, _) = printed(Style::Tini, &["--version"]);
    let (version, commit) = text.trim_end().split_once(" - ").expect("two parts");
    assert!(version.strip_prefix("tini version ").is_some_and(|rest| rest.starts_with("0.19.0")));
    let words: Vec<&str> = commit.split('.').collect();
    assert_eq!(words, ["git", "stead"]);
}

#[test]
fn tinis_variables_count_by_being_there_and_its_verbosity_overrides_the_flags() {
    let set =
        wrapper(Style::Tini, &["x"], &[("TINI_SUBREAPER", ""), ("TINI_KILL_PROCESS_GROUP", "0")]);
    assert!(set.subreaper && set.group);
    assert_eq!(tini(&["-vvv", "x"]).verbosity, 4);
    for (value, verbosity) in
        [("3", 3), ("0", 0), ("", 0), ("abc", 0), (" 2x", 2), ("-1", u32::MAX)]
    {
        let env = [("TINI_VERBOSITY", value)];
        assert_eq!(wrapper(Style::Tini, &["-vv", "x"], &env).verbosity, verbosity, "{value:?}");
    }
}

#[test]
fn tini_tells_on_stderr_what_went_wrong_and_on_stdout_what_it_was_asked_to_tell() {
    let missing = io::Error::from_raw_os_error(libc::ENOENT);
    let cannot_run = Notice::CannotRun(OsStr::new("x"), &missing);
    let said = |line: &[&str], event: &Notice<'_>| {
        let line = tini(line).line(7, event)?;
        Some((line.text, line.to_stderr))
    };
    let fatal = "[FATAL tini (7)] exec x failed: No such file or directory\n".to_owned();
    assert_eq!(said(&["x"], &cannot_run), Some((fatal, true)));
    assert!(said(&["x"], &Notice::CannotReap).is_some_and(|(text, to_stderr)| {
        to_stderr && text.starts_with("[WARN  tini (7)] ") && text.ends_with('\n')
    }));
    assert_eq!(said(&["x"], &Notice::Reaped(Pid::new(9))), None);
    assert!(
        said(&["-w", "x"], &Notice::Reaped(Pid::new(9)))
            .is_some_and(|(text, to_stderr)| { to_stderr && text.ends_with("pid=9\n") })
    );
    assert_eq!(said(&["x"], &Notice::Exited(Pid::new(9), Exit::OK)), None);
    assert!(
        said(&["-v", "x"], &Notice::Exited(Pid::new(9), Exit::OK))
            .is_some_and(|(_, to_stderr)| !to_stderr)
    );
    let silent = wrapper(Style::Tini, &["x"], &[("TINI_VERBOSITY", "0")]);
    assert_eq!(silent.line(7, &Notice::CannotReap), None);
    assert!(silent.line(7, &cannot_run).is_some());
}

#[test]
fn each_program_has_its_own_exit_code_for_a_command_that_cannot_run() {
    for (errno, code) in
        [(libc::ENOENT, 127), (libc::EACCES, 126), (libc::ENOEXEC, 1), (libc::ENOTDIR, 1)]
    {
        let error = io::Error::from_raw_os_error(errno);
        assert_eq!(Style::Tini.cannot_run(&error), Exit::new(code), "{error}");
        assert_eq!(Style::DumbInit.cannot_run(&error), Exit::new(2), "{error}");
    }
}

#[test]
fn every_expected_code_is_kept() {
    let expecting = tini(&["-e", "143", "-e", "7", "x"]);
    assert_eq!(expecting.expected, [143, 7]);
}

/// What is sent to the child when `signal` came.
fn sent(wrapper: &Wrapper, signal: Signal) -> Option<Signal> {
    let rewrite = wrapper.rewrites.iter().find(|(from, _)| *from == signal);
    rewrite.map_or(Some(signal), |(_, to)| *to)
}

#[test]
fn dumb_init_gives_the_child_a_session_and_stops_it_with_stop() {
    let plain = dumb_init(&["cat", "-A"]);
    assert_eq!(plain.command, ["cat", "-A"]);
    assert!(plain.group && plain.new_session && !plain.subreaper);
    assert_eq!(plain.verbosity, 0);
    for number in 1..=64 {
        let stops = [libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU].contains(&number);
        let expected = if stops { Signal::STOP } else { signal(number) };
        assert_eq!(sent(&plain, signal(number)), Some(expected));
    }
}

#[test]
fn dumb_init_in_single_child_mode_changes_nothing_about_the_child() {
    for (line, value) in
        [(&["-c", "x"][..], None), (&["--single-child", "x"], None), (&["x"], Some("0"))]
    {
        let env: Vec<(&str, &str)> = value.map(|v| ("DUMB_INIT_SETSID", v)).into_iter().collect();
        let single = wrapper(Style::DumbInit, line, &env);
        assert!(!single.group && !single.new_session, "{line:?}");
        assert_eq!(sent(&single, Signal::TSTP), Some(Signal::TSTP), "{line:?}");
    }
    for value in ["1", "", "01", "no"] {
        let env = [("DUMB_INIT_SETSID", value)];
        assert!(wrapper(Style::DumbInit, &["x"], &env).new_session, "{value:?}");
    }
}

#[test]
fn dumb_init_rewrites_as_scanf_reads_and_the_last_one_counts() {
    for (value, expected) in [
        ("15:3", Some(3)),
        ("15:0", None),
        (" 15: 3x", Some(3)),
        ("+15:+03:9", Some(3)),
        ("15:31", Some(31)),
    ] {
        for line in
            [&["-r", value, "x"][..], &["--rewrite", value, "x"], &[&format!("-r{value}"), "x"]]
        {
            let expected = expected.map(signal);
            assert_eq!(sent(&dumb_init(line), Signal::TERM), expected, "{line:?}");
        }
    }
    let twice = dumb_init(&["-r", "15:3", "-r", "15:2", "-r", "20:20", "x"]);
    assert_eq!(sent(&twice, Signal::TERM), Some(Signal::INT));
    assert_eq!(sent(&twice, Signal::TSTP), Some(Signal::TSTP));
    assert_eq!(sent(&twice, Signal::TTIN), Some(Signal::STOP));
    for value in
        ["15", "15:", ":3", "15 :3", "0:1", "32:1", "15:32", "15:-1", "-1:3", "TERM:QUIT", ""]
    {
        let (_, to_stderr, code) = printed(Style::DumbInit, &["-r", value, "x"]);
        assert_eq!((to_stderr, code), (true, 1), "{value:?}");
    }
}

#[test]
fn dumb_inits_long_options_can_be_shortened_while_they_are_clear() {
    assert!(!dumb_init(&["--s", "x"]).new_session);
    assert_eq!(sent(&dumb_init(&["--rew=15:3", "x"]), Signal::TERM), Some(signal(3)));
    assert_eq!(dumb_init(&["--verb", "x"]).verbosity, 1);
    assert_eq!(sent(&dumb_init(&["-vcr15:3", "x"]), Signal::TERM), Some(signal(3)));
    assert_eq!(dumb_init(&["--", "x", "--", "-c"]).command, ["x", "--", "-c"]);
    assert_eq!(wrapper(Style::DumbInit, &["x"], &[("DUMB_INIT_DEBUG", "1")]).verbosity, 1);
    assert_eq!(wrapper(Style::DumbInit, &["x"], &[("DUMB_INIT_DEBUG", "2")]).verbosity, 0);
}

#[test]
fn dumb_inits_mistakes_are_one_line_on_stderr_and_exit_with_1() {
    for (line, text) in [
        (&["-x"][..], "dumb-init: invalid option -- 'x'\n"),
        (&["-cx", "y"], "dumb-init: invalid option -- 'x'\n"),
        (&["--foo"], "dumb-init: unrecognized option '--foo'\n"),
        (&["--foo=1"], "dumb-init: unrecognized option '--foo'\n"),
        (&["-r"], "dumb-init: option requires an argument -- 'r'\n"),
        (&["--rew"], "dumb-init: option '--rewrite' requires an argument\n"),
        (&["--help=3"], "dumb-init: option '--help' doesn't allow an argument\n"),
        (
            &["--v"],
            "dumb-init: option '--v' is ambiguous; possibilities: '--verbose' '--version'\n",
        ),
    ] {
        assert_eq!(printed(Style::DumbInit, line), (text.to_owned(), true, 1), "{line:?}");
    }
    for line in [&[][..], &["-c"], &["--"], &["-r", "15:3"]] {
        let (text, to_stderr, code) = printed(Style::DumbInit, line);
        assert!(text.starts_with("Usage: dumb-init "), "{text}");
        assert_eq!((to_stderr, code), (true, 1), "{line:?}");
    }
}

#[test]
fn dumb_inits_help_and_version_go_to_stderr() {
    for line in [&["-h"][..], &["--help"], &["-V"], &["--vers"], &["-cV"]] {
        let (text, to_stderr, code) = printed(Style::DumbInit, line);
        assert!(text.starts_with("dumb-init v1.2.5"), "{text}");
        assert_eq!((to_stderr, code), (true, 0), "{line:?}");
    }
}

#[test]
fn dumb_init_tells_what_happens_only_when_asked_to() {
    let denied = io::Error::from_raw_os_error(libc::EACCES);
    let failed = dumb_init(&["x"]).line(7, &Notice::CannotRun(OsStr::new("x"), &denied));
    assert_eq!(failed.map(|line| line.text), Some("[dumb-init] x: Permission denied\n".to_owned()));
    let came = Notice::Received(Signal::TERM);
    assert_eq!(dumb_init(&["x"]).line(7, &came), None);
    let told = dumb_init(&["-v", "x"]).line(7, &came);
    assert!(told.is_some_and(|line| line.to_stderr && line.text.starts_with("[dumb-init] ")));
}

#[test]
fn arguments_that_are_not_utf_8_reach_the_command_as_they_are() {
    let odd = OsString::from_vec(vec![b'a', 0xff]);
    for style in [Style::Tini, Style::DumbInit] {
        let Request::Run(wrapper) = parse(style, &["x".into(), odd.clone()], &|_| None) else {
            panic!("{style:?} refused the line");
        };
        assert_eq!(wrapper.command.last(), Some(&odd));
        let flag = OsStr::from_bytes(&[b'-', 0xff]).to_owned();
        assert!(matches!(parse(style, &[flag], &|_| None), Request::Print { .. }));
    }
}
