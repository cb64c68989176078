//! What hooks print, in the log.

use super::{ended, file, printed, script};
use crate::harness::{LIMIT, Running, Scratch, Stead};

/// A stead that has run this hook before its command, and has ended.
fn after(options: &[&str], env: &[(&str, &str)], hook: &str) -> Running {
    let mut stead =
        Stead::script("true").options(["--pre-start", hook]).options(options.iter().copied());
    for (name, value) in env {
        stead = stead.env(*name, *value);
    }
    let mut stead = stead.start();
    assert_eq!(stead.wait_exit(LIMIT), 0);
    stead
}

#[test]
fn both_streams_are_one_and_each_line_is_an_event() {
    let stead = after(
        &[],
        &[],
        &script("echo one; echo two >&2; echo; printf \"a\\\\r\\\\n  b\\\\t\\\\n\""),
    );
    assert_eq!(printed(&stead, "pre_start"), ["one", "two", "", "a", "  b\t"]);
    let event = &stead.events_of("hook output")[0];
    assert_eq!((&event["level"], &event["hook"]), (&"info".into(), &"pre_start".into()));
    assert!(stead.stdout().is_empty());
}

#[test]
fn a_last_line_without_an_end_and_bytes_that_are_not_utf_8_come_too() {
    let stead = after(&[], &[], &script("printf \"\\\\377x\\\\303\\\\244\\\\nend\""));
    assert_eq!(printed(&stead, "pre_start"), ["\u{fffd}x\u{e4}", "end"]);
}

#[test]
fn a_long_line_comes_in_pieces() {
    let hook = script(
        "head -c 9000 /dev/zero | tr \"\\\\0\" x; printf \"\\\\303\\\\244%.0s\" $(seq 3000); echo; echo end",
    );
    let stead = after(&[], &[], &hook);
    let pieces = printed(&stead, "pre_start");
    assert_eq!(pieces.last().unwrap(), "end");
    let long = &pieces[..pieces.len() - 1];
    assert!(long.len() >= 4 && long.iter().all(|piece| piece.len() <= 4096));
    assert_eq!(long.concat(), "x".repeat(9000) + &"\u{e4}".repeat(3000));
}

#[test]
fn ten_megabytes_are_all_read_and_none_of_it_is_lost_where_the_log_is_read() {
    let stead = after(&[], &[], &script("seq 1 100000"));
    let lines = printed(&stead, "pre_start");
    assert_eq!(lines.len(), 100_000);
    assert!(lines.iter().zip(1..).all(|(line, number): (_, u32)| *line == number.to_string()));
    assert!(stead.events_of("events dropped").is_empty());
    let stead = after(&[], &[], &script("head -c 10000000 /dev/zero | tr \"\\\\0\" y; echo z"));
    let all = printed(&stead, "pre_start").concat();
    assert_eq!((all.len(), all.matches('y').count()), (10_000_001, 10_000_000));
}

#[test]
fn a_hook_that_closes_its_output_and_one_that_leaves_it_to_a_daemon_hang_nothing() {
    let stead = after(&[], &[], &script("echo said; exec >&- 2>&-; sleep 0.2"));
    assert_eq!(printed(&stead, "pre_start"), ["said"]);
    let end = ended(&stead, "pre_start", LIMIT);
    assert!(end["elapsed_ms"].as_u64().is_some_and(|ms| ms >= 200), "{end}");
    let daemon = "setsid sh -c \"echo daemon; exec sleep 1000\" & sleep 0.3; echo said";
    let stead = after(&["--linger=0"], &[], &script(daemon));
    assert_eq!(printed(&stead, "pre_start"), ["daemon", "said"]);
    let endless = "setsid sh -c \"exec yes\" & sleep 0.2";
    let stead = after(&["--linger=0", "--log-level=warn"], &[], &script(endless));
    assert!(printed(&stead, "pre_start").is_empty());
}

#[test]
fn what_is_secret_is_in_no_event() {
    let url = "redis://:s3cret-of-url@127.0.0.1:1/";
    let hook =
        script("echo $REDIS_URL; echo pw $APP_PASSWORD; echo card 1234-5678; echo with \"$0\"");
    let env = [("REDIS_URL", url), ("APP_PASSWORD", "s3cret-of-app")];
    let stead = after(&["--discover=on"], &env, &hook);
    assert_eq!(printed(&stead, "pre_start")[0], "redis://:***@127.0.0.1:1/");
    let options = ["--redact-secrets", "--redact=[0-9]{4}-[0-9]{4}"];
    let stead = after(&options, &env, &hook);
    let said = printed(&stead, "pre_start");
    assert_eq!(said[1..3], ["pw [redacted]", "card [redacted]"]);
    assert!(!stead.stderr().concat().contains("s3cret"), "{:?}", stead.stderr());
}

#[test]
fn arguments_are_in_no_event_and_in_no_mistake() {
    let scratch = Scratch::new();
    let plain = scratch.file("fails", "exit 5", 0o755);
    let command = format!("{} --password s3cret", plain.display());
    let text = format!("[hook.pre_start]\ncommand = \"{command}\"\non_failure = \"ignore\"\n");
    let stead = Stead::script("true").env("STEAD_CONFIG", file(&scratch, &text));
    let options = ["--post-start", "no-such s3cret", "--post-stop", "sleep s3cret"];
    let mut stead = stead.options(options).start();
    assert_eq!(stead.wait_exit(LIMIT), 0);
    assert_eq!(ended(&stead, "pre_start", LIMIT)["command"], plain.to_str().unwrap());
    let events: Vec<_> = stead.events().iter().map(ToString::to_string).collect();
    // What a program says of itself is its own affair.
    let said = events.iter().filter(|event| !event.contains("hook output"));
    assert!(
        said.clone().count() > 6 && !said.clone().any(|event| event.contains("s3cret")),
        "{events:?}"
    );
}

#[test]
fn hooks_are_in_the_log_in_every_schema_and_as_text() {
    for schema in ["ecs", "gcp", "datadog"] {
        let stead = after(&["--log-schema", schema], &[], "echo x");
        let lines = stead.stderr();
        let line = lines.iter().find(|line| line.contains("hook output")).expect("the event");
        assert!(
            line.contains("\"line\":\"x\"") && line.contains("\"hook\":\"pre_start\""),
            "{line}"
        );
    }
    let stead = after(&["--log-format", "text"], &[], "echo 'two words'");
    let lines = stead.stderr();
    let line = lines.iter().find(|line| line.contains("hook output")).expect("the event");
    assert!(line.ends_with("stead: hook output hook=pre_start line=\"two words\""), "{line}");
}
