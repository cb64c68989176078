//! Each setting of the command's output, from each place, and what is said of a mistake.

use super::{json, messages, objects, said_by};
use crate::harness::{LIMIT, Scratch, Stead, stead};
use crate::mistakes::{Attempt, MARKER};

/// What a script says on standard output with these options.
pub fn with(options: &[&str], script: &str) -> Vec<serde_json::Value> {
    let [out, _] = said_by(json(Stead::script(script)).options(options).start());
    out
}

#[test]
fn json_can_be_asked_for_by_flag_variable_and_file() {
    let scratch = Scratch::new();
    let file = scratch.file("stead.toml", "logs = \"json\"\n", 0o644);
    for stead in [
        Stead::script("echo x").options(["--logs", "json"]),
        Stead::script("echo x").options(["--logs=json"]),
        Stead::script("echo x").env("STEAD_LOGS", "json"),
        Stead::script("echo x").env("STEAD_CONFIG", file),
    ] {
        let mut stead = stead.start();
        assert_eq!(stead.wait_exit(LIMIT), 0);
        assert_eq!(messages(&objects(&stead.stdout())), ["x"]);
    }
}

#[test]
fn colours_are_kept_unless_they_are_to_be_stripped() {
    let script = r"printf '\033[31mred\033[0m\n\033[1;33mWARN\033[0m yellow\n'";
    let kept = with(&[], script);
    assert_eq!(messages(&kept), ["\x1b[31mred\x1b[0m", "\x1b[1;33mWARN\x1b[0m yellow"]);
    let stripped = with(&["--strip-ansi"], script);
    assert_eq!(messages(&stripped), ["red", "WARN yellow"]);
    assert_eq!((&kept[1]["level"], &stripped[1]["level"]), (&"warn".into(), &"warn".into()));
}

#[test]
fn what_fits_an_expression_is_redacted() {
    let script =
        "echo 'card 4111-1111 of bob@example.org'; echo '{\"user\":\"bob@example.org\",\"n\":1}'";
    let both = ["--redact", r"\d{4}-\d{4}", "--redact=[a-z]+@[a-z.]+"];
    let out = with(&both, script);
    assert_eq!(out[0]["message"], "card [redacted] of [redacted]");
    assert_eq!((&out[1]["user"], &out[1]["n"]), (&"[redacted]".into(), &1.into()));
    // One expression in a variable, with its commas and blanks.
    let [out, _] =
        said_by(json(Stead::script(script)).env("STEAD_REDACT", r"card \d{1,4}").start());
    assert_eq!(out[0]["message"], "[redacted]-1111 of bob@example.org");
    let scratch = Scratch::new();
    let file = scratch.file("stead.toml", "redact = ['\\d{4}-', 'bob']\n", 0o644);
    let [out, _] = said_by(json(Stead::script(script)).env("STEAD_CONFIG", file).start());
    assert_eq!(out[0]["message"], "card [redacted]1111 of [redacted]@example.org");
}

#[test]
fn the_secrets_of_the_environment_are_redacted_where_that_is_asked_for() {
    let script = "echo \"$DB_PASSWORD, $API_KEY, $DATABASE_URL, $USUAL, $SHORT_TOKEN\"";
    let stead = |options: &[&str]| {
        let stead = json(Stead::script(script)).options(options).options(["--discover", "off"]);
        let stead = stead.env("DB_PASSWORD", "pass-of-db").env("API_KEY", "key-of-api");
        let stead =
            stead.env("DATABASE_URL", "postgres://u:in-the-url@h/d").env("USUAL", "usual-text");
        let [out, _] = said_by(stead.env("SHORT_TOKEN", "abc").start());
        out[0]["message"].as_str().expect("a message").to_owned()
    };
    let redacted = stead(&["--redact-secrets"]);
    for secret in ["pass-of-db", "key-of-api", "in-the-url"] {
        assert!(!redacted.contains(secret), "{redacted}");
    }
    assert!(redacted.contains("usual-text") && redacted.contains("abc"), "{redacted}");
    assert!(stead(&[]).contains("pass-of-db"));
}

#[test]
fn a_mistaken_expression_is_one_line_without_it() {
    for (expression, wrong) in [
        (format!("({MARKER}"), "not a regular expression"),
        (format!("[{MARKER}"), "not a regular expression"),
        (format!("({MARKER})?"), "fits nothing"),
    ] {
        let flag = Attempt::new(&["--redact", &expression]).run();
        let variable = Attempt::new(&[]).env("STEAD_REDACT", expression.clone()).run();
        for ((output, started), place) in [(flag, "--redact: "), (variable, "STEAD_REDACT: ")] {
            let said = String::from_utf8(output.stderr).expect("text");
            assert_eq!((output.status.code(), started), (Some(64), false), "{said}");
            assert!(
                said.lines().count() == 1 && said.contains(place) && said.contains(wrong),
                "{said}"
            );
            assert!(!said.contains(MARKER), "{said}");
        }
    }
}

#[test]
fn config_shows_how_many_expressions_there_are_and_none_of_them() {
    let output = stead(["config", "--redact", "s3cr3t", "--redact=two", "--logs", "auto"])
        .output()
        .expect("stead");
    let said = String::from_utf8(output.stdout).expect("text");
    let row =
        |key: &str| said.lines().find(|line| line.split(' ').next() == Some(key)).expect("a row");
    assert!(
        row("redact").contains("2 expressions") && row("redact").contains("--redact"),
        "{said}"
    );
    assert!(row("logs").contains("auto"), "{said}");
    assert!(!said.contains("s3cr3t"), "{said}");
}
