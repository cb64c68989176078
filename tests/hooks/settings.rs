//! How hooks are given: flags, variables, tables of the file, and the mistakes in each.

use super::{file, script};
use crate::harness::{Scratch, Stead, stead};

/// The rows of `stead config` for hooks: value and origin.
fn rows(args: &[&str], env: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut command = stead(["config", "--json"]);
    let output = command.args(args).envs(env.iter().copied()).output().expect("stead");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let shown: serde_json::Value = serde_json::from_str(&text).unwrap();
    let settings = shown.as_array().expect("settings").clone();
    let hooks = ["pre_start", "post_start", "pre_stop", "post_stop"];
    let row = |key: &str| {
        let row = settings.iter().find(|row| row["key"] == key).expect("a row").clone();
        let text = |name: &str| row[name].as_str().expect("text").to_owned();
        (text("value"), text("from"))
    };
    hooks.iter().map(|key| row(key)).collect()
}

fn row(value: &str, from: &str) -> (String, String) {
    (value.to_owned(), from.to_owned())
}

/// The one line of a mistake, for which stead ends with 64.
fn mistake(text: &str, args: &[&str]) -> String {
    let scratch = Scratch::new();
    let mut command = stead(["run"]);
    command.args(args).args(["--", "true"]).env("STEAD_LISTEN", "off");
    if !text.is_empty() {
        command.env("STEAD_CONFIG", file(&scratch, text));
    }
    let output = command.output().expect("stead");
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), said.lines().count()), (Some(64), 1), "{text} {said}");
    assert!(!said.contains("s3cret"), "{said}");
    said.replace(scratch.path().to_str().unwrap(), "")
}

#[test]
fn a_flag_is_over_a_variable_which_is_over_the_file() {
    let scratch = Scratch::new();
    let path = file(
        &scratch,
        "[hook.pre_start]\ncommand = \"in-file --password s3cret\"\non_failure = \"ignore\"\n\
         [hook.post_start]\ncommand = [\"list\", \"s3cret and more\"]\ntimeout = \"3s\"\non_failure = \"fail\"\n\
         [[hook.pre_stop]]\ncommand = \"one\"\n[[hook.pre_stop]]\ncommand = \"two\"\ntimeout = 2\n",
    );
    let in_file = [("STEAD_CONFIG", path.as_str())];
    let none = row("none", "default");
    assert_eq!(rows(&[], &[]), [none.clone(), none.clone(), none.clone(), none.clone()]);
    let of = |line: u32, key: &str| format!("{path}:{line}: hook.{key}");
    let expected = [
        row("in-file (no limit, ignore)", &of(1, "pre_start")),
        row("list (3s, fail)", &of(4, "post_start")),
        row("one (7s 500ms, ignore), two (2s, ignore)", &of(8, "pre_stop")),
        none.clone(),
    ];
    assert_eq!(rows(&[], &in_file), expected);
    let variable = [in_file[0], ("STEAD_PRE_START", "by, variable"), ("STEAD_POST_STOP", "x")];
    let rows_of_variable = rows(&[], &variable);
    assert_eq!(rows_of_variable[0], row("by, (no limit, fail)", "STEAD_PRE_START"));
    assert_eq!(rows_of_variable[3], row("x (10s, ignore)", "STEAD_POST_STOP"));
    let flags = ["--pre-start", "first 1", "--pre-start=second"];
    let expected = row("first (no limit, fail), second (no limit, fail)", "--pre-start");
    assert_eq!(rows(&flags, &variable)[0], expected);
}

#[test]
fn a_table_without_a_command_has_the_options_of_what_flags_and_variables_name() {
    let scratch = Scratch::new();
    let path = file(&scratch, "[hook.pre_stop]\ntimeout = \"20s\"\n");
    let rows = rows(&["--pre-stop", "deregister"], &[("STEAD_CONFIG", &path)]);
    assert_eq!(rows[2], row("deregister (20s, ignore)", "--pre-stop"));
}

#[test]
fn where_the_grace_is_short_pre_stop_gets_half_of_it_by_default() {
    let rows = rows(&["--grace", "5", "--drain-delay=1", "--pre-stop=a", "--pre-stop=b"], &[]);
    assert_eq!(rows[2], row("a (1s, ignore), b (1s, ignore)", "--pre-stop"));
}

#[test]
fn a_mistake_in_a_hook_names_its_place() {
    for (text, expected) in [
        (
            "[hook.pre_strat]\ncommand = \"s3cret\"",
            "/stead.toml:1: hook.pre_strat: no such hook; did you mean pre_start?",
        ),
        ("hook = 1", "/stead.toml:1: hook: not a table (write [hook.<name>])"),
        (
            "[hook]\npre_start = \"s3cret\"",
            "/stead.toml:2: hook.pre_start: not a table (write [hook.<name>])",
        ),
        (
            "\n[hook.pre_start]\ntimeout = 1",
            "/stead.toml:2: hook.pre_start: no command, and none by a flag or a variable",
        ),
        (
            "[hook.pre_start]\ncommand = \"a s3cret|b\"",
            "/stead.toml:2: hook.pre_start.command: a shell's character",
        ),
        ("[hook.pre_start]\ncommand = []", "/stead.toml:2: hook.pre_start.command: no command"),
        (
            "[hook.pre_start]\ncommand = \"a\"\ntimout = 1",
            "/stead.toml:3: hook.pre_start.timout: no such key; did you mean timeout?",
        ),
        (
            "[hook.pre_start]\ncommand = \"a\"\ntimeout = \"s3cret\"",
            "/stead.toml:3: hook.pre_start.timeout: not a duration",
        ),
        (
            "[hook.pre_start]\ncommand = \"a\"\ntimeout = 0",
            "/stead.toml:3: hook.pre_start.timeout: not longer than nothing",
        ),
        (
            "[hook.post_stop]\ncommand = \"a\"\ntimeout = \"off\"",
            "/stead.toml:3: hook.post_stop.timeout: only pre_start can do",
        ),
        (
            "[hook.pre_start]\ncommand = \"a\"\non_failure = \"s3cret\"",
            "/stead.toml:3: hook.pre_start.on_failure: neither fail nor ignore",
        ),
        (
            "[hook.pre_stop]\ncommand = \"a\"\non_failure = \"fail\"",
            "/stead.toml:3: hook.pre_stop.on_failure: stead's exit code is",
        ),
        (
            "[hook.pre_stop]\ncommand = \"a\"\ntimeout = \"30s\"",
            "/stead.toml:3: hook.pre_stop.timeout: delay and timeouts together",
        ),
        ("pre_start = \"s3cret\"", "/stead.toml:1: pre_start: no such setting"),
        (
            "drain_delay = 15\n[[hook.pre_stop]]\ncommand = \"a\"\ntimeout = 10\n[[hook.pre_stop]]\ncommand = \"b\"\ntimeout = 5",
            "/stead.toml:4: hook.pre_stop.timeout: delay and timeouts together",
        ),
    ] {
        let said = mistake(text, &[]);
        assert!(said.starts_with(&format!("stead: {expected}")), "{text}: {said}");
    }
    let said = mistake("", &["--grace=0", "--pre-stop", "a s3cret"]);
    assert!(said.starts_with("stead: --pre-stop: delay and timeouts together"), "{said}");
    let said = mistake("", &["--pre-start", "s3cret > x"]);
    assert!(said.contains("--pre-start: a shell's character") && said.contains("sh -c"), "{said}");
    let said = mistake("", &["--post-start", ""]);
    assert!(said.starts_with("stead: --post-start: no command"), "{said}");
}

#[test]
fn what_must_succeed_is_looked_for_before_anything_is_started() {
    let scratch = Scratch::new();
    let plain = scratch.file("plain", "text", 0o644);
    let trace = scratch.path().join("trace");
    let first = script(&format!("touch {}", trace.display()));
    for (program, code) in
        [("/no/such/program".to_owned(), 127), (plain.display().to_string(), 126)]
    {
        let second = format!("{program} s3cret");
        let mut stead = Stead::script("echo started")
            .options(["--pre-start", &first, "--pre-start", &second])
            .start();
        assert_eq!(stead.wait_exit(crate::harness::LIMIT), code);
        assert!(!trace.exists() && stead.stdout().is_empty());
        let said = stead.stderr();
        assert!(
            said.len() == 1 && said[0].starts_with("stead: pre_start: cannot run "),
            "{said:?}"
        );
        assert!(!said[0].contains("s3cret"), "{said:?}");
    }
}
