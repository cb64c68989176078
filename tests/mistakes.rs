//! A mistake in the configuration is one line that names its place, exit code 64, and no child.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::process::{Command, Output};

use crate::harness::{Scratch, stead};

/// What no line may repeat.
pub const MARKER: &str = "s3cr3t";

/// Every setting: its key in the file, whether it has a flag, and a value that it has no use for.
pub const SETTINGS: [(&str, bool, &str); 27] = [
    ("grace", true, MARKER),
    ("drain_delay", true, "-5s3cr3t"),
    ("drain_until_idle", true, "80s3cr3t"),
    ("idle_after", true, MARKER),
    ("linger", true, "5 s3cr3t"),
    ("stop_signal", true, "SIGs3cr3t"),
    ("signal_group", true, MARKER),
    ("rewrite", true, "TERM:s3cr3t"),
    ("remap_exit", true, "256:s3cr3t"),
    ("clean_stop_ok", true, MARKER),
    ("wait", true, MARKER),
    ("app_port", true, "80s3cr3t"),
    ("app_url", true, "https://user:s3cr3t@127.0.0.1/s3cr3t"),
    ("app_pid_of", true, "/s3cr3t"),
    ("app_live", true, MARKER),
    ("listen", false, "s3cr3t:9321"),
    ("discover", true, MARKER),
    ("details", true, MARKER),
    ("logs", true, MARKER),
    ("strip_ansi", true, MARKER),
    ("join_traces", true, MARKER),
    ("redact", true, "(s3cr3t"),
    ("redact_secrets", true, MARKER),
    ("log_drop", true, MARKER),
    ("log_format", true, MARKER),
    ("log_schema", true, MARKER),
    ("log_level", true, MARKER),
];

pub fn flag_of(key: &str) -> String {
    format!("--{}", key.replace('_', "-"))
}

pub fn variable_of(key: &str) -> String {
    format!("STEAD_{}", key.to_uppercase())
}

/// `stead run` of a child that leaves a file, and where that file would be.
pub struct Attempt {
    scratch: Scratch,
    command: Command,
}

impl Attempt {
    pub fn new(options: &[&str]) -> Self {
        let scratch = Scratch::new();
        let mut command = stead(["run"]);
        let trace = scratch.path().join("child-was-here");
        command.args(options).args(["--", "touch"]).arg(trace);
        command.env("STEAD_LISTEN", "off");
        Self { scratch, command }
    }

    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.command.env(name, value.into());
        self
    }

    pub fn file(self, text: impl AsRef<[u8]>) -> (Self, PathBuf) {
        let path = self.scratch.file("stead.toml", text, 0o644);
        (self.env("STEAD_CONFIG", &path), path)
    }

    /// Runs it; whether the child was started goes with what it said.
    pub fn run(mut self) -> (Output, bool) {
        let output = self.command.output().expect("stead run");
        let started = self.scratch.path().join("child-was-here").exists();
        (output, started)
    }

    /// Fails unless the child is started.
    pub fn starts(self) {
        let (output, started) = self.run();
        assert!(started && output.status.success(), "{output:?}");
    }

    /// Fails unless it is exit code 64, no child, and one line of this place; gives what follows it.
    fn fails_at(self, place: &str) -> String {
        let (output, started) = self.run();
        assert!(!started, "{place}: the child was started: {output:?}");
        mistake_at(place, &output)
    }
}

pub fn mistake_at(place: &str, output: &Output) -> String {
    let stderr = String::from_utf8(output.stderr.clone()).expect("text");
    assert_eq!(output.status.code(), Some(64), "{place}: {stderr}");
    assert!(output.stdout.is_empty(), "{place}: {output:?}");
    assert!(!stderr.contains(MARKER), "{place}: {stderr}");
    let line = stderr.strip_suffix('\n').unwrap_or_default();
    assert!(!line.contains('\n'), "more than one line: {stderr}");
    let rest = line.strip_prefix(&format!("stead: {place}: "));
    let rest = rest.unwrap_or_else(|| panic!("not at {place}: {stderr}"));
    assert!(rest.len() > 5, "says nothing: {stderr}");
    rest.to_owned()
}

#[test]
fn a_value_that_is_none_is_a_mistake_of_its_flag_its_variable_or_its_line() {
    for (key, has_flag, value) in SETTINGS {
        if has_flag {
            let flag = flag_of(key);
            let joined = format!("{flag}={value}");
            Attempt::new(&[&joined]).fails_at(&flag);
        }
        let variable = variable_of(key);
        Attempt::new(&[]).env(&variable, value).fails_at(&variable);

        let text = format!("# one line above\n\n{key} = \"{value}\"\n");
        let (attempt, path) = Attempt::new(&[]).file(text);
        let mut command = attempt.command;
        // The variable of the harness would be stronger than the file.
        command.env_remove("STEAD_LISTEN");
        let attempt = Attempt { command, ..attempt };
        attempt.fails_at(&format!("{}:3: {key}", path.display()));
    }
}

#[test]
fn stead_config_finds_the_same_mistakes_and_starts_nothing() {
    for (key, has_flag, value) in SETTINGS {
        let variable = variable_of(key);
        let output = stead(["config"]).env(&variable, value).output().unwrap();
        mistake_at(&variable, &output);
        if has_flag {
            let flag = flag_of(key);
            let joined = format!("{flag}={value}");
            let output = stead(["config", &joined, "--json"]).output().unwrap();
            mistake_at(&flag, &output);
        }
    }
}

#[test]
fn a_flag_without_its_value_is_a_mistake_of_that_flag() {
    for flag in ["--grace", "--rewrite", "--app-port", "--config"] {
        let output = stead(["run", flag]).output().unwrap();
        mistake_at(flag, &output);
    }
}

#[test]
fn unknown_names_are_mistakes_with_the_nearest_known_one() {
    let said = Attempt::new(&["--grcae", MARKER]).fails_at("--grcae");
    assert!(said.contains("--grace"), "{said}");
    let said = Attempt::new(&["--grase=s3cr3t"]).fails_at("--grase");
    assert!(said.contains("--grace"), "{said}");
    let said = Attempt::new(&[]).env("STEAD_GRCE", MARKER).fails_at("STEAD_GRCE");
    assert!(said.contains("STEAD_GRACE"), "{said}");
    let said = Attempt::new(&[]).env("STEAD_DETAIL", MARKER).fails_at("STEAD_DETAIL");
    assert!(said.contains("STEAD_DETAILS"), "{said}");
    let (attempt, path) = Attempt::new(&[]).file("grace = \"5s\"\nligner = \"s3cr3t\"\n");
    let said = attempt.fails_at(&format!("{}:2: ligner", path.display()));
    assert!(said.contains("linger"), "{said}");
    for far in ["STEAD_NOTHING_LIKE_IT", "STEAD_", "STEAD_grace"] {
        Attempt::new(&[]).env(far, MARKER).fails_at(far);
    }
    Attempt::new(&["-g", MARKER]).fails_at("-g");
    // The place has no flag, so that `stead check` finds it too: the line says what there is instead.
    let said = Attempt::new(&["--listen", MARKER]).fails_at("--listen");
    assert!(said.contains("STEAD_LISTEN"), "{said}");
}

#[test]
fn a_name_with_a_line_break_is_still_one_line() {
    let (output, started) = Attempt::new(&[]).env("STEAD_A\nB", MARKER).run();
    assert!(!started);
    one_line_of_64(&output);
    let (output, started) = Attempt::new(&["--a\nb"]).run();
    assert!(!started);
    one_line_of_64(&output);
    let (attempt, _) = Attempt::new(&[]).file("\"gra\\nce\" = \"s3cr3t\"\n");
    let (output, started) = attempt.run();
    assert!(!started);
    one_line_of_64(&output);
}

fn one_line_of_64(output: &Output) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(64), "{stderr}");
    assert_eq!(stderr.trim_end_matches('\n').lines().count(), 1, "{stderr}");
    assert!(stderr.starts_with("stead: ") && !stderr.contains(MARKER), "{stderr}");
}

#[test]
fn values_that_are_not_utf_8_are_mistakes_without_the_value() {
    let bytes = || OsString::from_vec(b"s3cr3t\xff".to_vec());
    Attempt::new(&[]).env("STEAD_GRACE", bytes()).fails_at("STEAD_GRACE");
    let mut attempt = Attempt::new(&[]);
    let mut flag = OsString::from("--grace=");
    flag.push(bytes());
    attempt.command = stead(["run"]);
    attempt
        .command
        .arg(flag)
        .args(["--", "touch"])
        .arg(attempt.scratch.path().join("child-was-here"));
    attempt.fails_at("--grace");
    // The app's own variables and arguments may be anything.
    Attempt::new(&[]).env("APP_SETTING", bytes()).env("PORT", bytes()).starts();
}

#[test]
fn a_file_that_is_named_must_be_there_and_be_read() {
    let missing = "/nonexistent/stead.toml";
    Attempt::new(&["--config", missing]).fails_at(missing);
    Attempt::new(&[]).env("STEAD_CONFIG", missing).fails_at(missing);
    let directory = Scratch::new();
    let directory = directory.path().to_str().expect("a path").to_owned();
    Attempt::new(&["--config", &directory]).fails_at(&directory);
    let (attempt, path) = Attempt::new(&[]).file(b"grace = \"\xff\"\n");
    let (output, started) = attempt.run();
    assert!(!started);
    one_line_of_64(&output);
    assert!(String::from_utf8_lossy(&output.stderr).contains(&path.display().to_string()));
}

#[test]
fn what_is_not_toml_is_a_mistake_of_its_line() {
    for (text, line) in [
        ("grace = s3cr3t\n", 1),
        ("grace = \"5s\"\nlinger s3cr3t\n", 2),
        ("\n\n= \"s3cr3t\"\n", 3),
        ("grace = \"5s\"\ngrace = \"s3cr3t\"\n", 2),
        ("grace = \"5s\" s3cr3t\n", 1),
        ("linger = \"1s\"\ngrace = \"s3cr3t\n", 2),
    ] {
        let (attempt, path) = Attempt::new(&[]).file(text);
        let (output, started) = attempt.run();
        assert!(!started, "{text}");
        one_line_of_64(&output);
        let place = format!("stead: {}:{line}: ", path.display());
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(stderr.starts_with(&place), "{text}: {stderr}");
    }
}

#[test]
fn a_value_of_another_type_is_a_mistake_of_its_line() {
    for (key, value) in [
        ("grace", "1.5"),
        ("grace", "true"),
        ("grace", "[\"5s\"]"),
        ("grace", "{ s3cr3t = 1 }"),
        ("grace", "1979-05-27"),
        ("rewrite", "[[\"s3cr3t\"]]"),
        ("rewrite", "[1, 2.5]"),
        ("app_live", "\"s3cr3t\""),
        ("app_live", "2"),
        ("app_port", "65536"),
        ("app_port", "-1"),
        ("app_port", "0"),
    ] {
        let (attempt, path) = Attempt::new(&[]).file(format!("{key} = {value}\n"));
        attempt.fails_at(&format!("{}:1: {key}", path.display()));
    }
    let (attempt, path) = Attempt::new(&[]).file("[grace]\nvalue = \"s3cr3t\"\n");
    let (output, started) = attempt.run();
    assert!(!started);
    one_line_of_64(&output);
    assert!(String::from_utf8_lossy(&output.stderr).contains(&format!("{}:1", path.display())));
}

#[test]
fn there_must_be_a_port_whose_connections_are_waited_for() {
    let flag = "--drain-until-idle";
    Attempt::new(&[flag, "on"]).fails_at(flag);
    Attempt::new(&[flag, "on", "--app-port", "off"]).env("PORT", "8080").fails_at(flag);
    Attempt::new(&[flag, "on", "--app-url", "http://app:80/"]).fails_at(flag);
    Attempt::new(&[flag, "9321"]).env("STEAD_LISTEN", "9321").fails_at(flag);
    Attempt::new(&[flag, "on"]).env("PORT", "8080").starts();
    Attempt::new(&[flag, "on", "--app-url", "http://127.0.0.1:8080/"]).starts();
    Attempt::new(&[flag, "8080", "--idle-after", "0"]).starts();
    Attempt::new(&[flag, "off"]).starts();
}

#[test]
fn a_drain_delay_must_leave_time_to_stop_in() {
    let delay = "--drain-delay";
    for (grace, drain) in [("5s", "5s"), ("5s", "6s")] {
        Attempt::new(&["--grace", grace, delay, drain]).fails_at(delay);
    }
    Attempt::new(&[]).env("STEAD_DRAIN_DELAY", "30s").fails_at("STEAD_DRAIN_DELAY");
    Attempt::new(&["--grace", "5s", delay, "4999ms"]).starts();
    Attempt::new(&["--grace", "0s"]).starts();
}

#[test]
fn app_live_without_a_check_of_the_app_is_a_mistake() {
    Attempt::new(&["--app-live"]).fails_at("--app-live");
    Attempt::new(&[]).env("STEAD_APP_LIVE", "on").fails_at("STEAD_APP_LIVE");
    Attempt::new(&["--app-live"]).env("PORT", "4000").starts();
    Attempt::new(&["--app-live", "--app-url", "http://127.0.0.1:1/"]).starts();
    Attempt::new(&["--app-live=off"]).starts();
}

#[test]
fn a_missing_command_is_explained_with_the_rule_of_entrypoint() {
    for args in
        [&["run"][..], &["run", "--"], &["run", "--grace", "5s"], &["run", "--grace=5s", "--"]]
    {
        let output = stead(args).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(64), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(stderr.contains("ENTRYPOINT") && stderr.contains("CMD"), "{stderr}");
    }
}

#[test]
fn unknown_commands_and_none_are_mistakes() {
    for args in
        [&[][..], &["rnu", "--", "true"], &["--nonsense"], &["--", "true"], &["config", "-x"]]
    {
        let output = stead(args).output().unwrap();
        one_line_of_64(&output);
    }
}
