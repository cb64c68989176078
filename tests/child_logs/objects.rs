//! Lines that are JSON already stay what they are; every schema is JSON to others too.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::{json, objects, said, through};
use crate::harness::{LIMIT, Scratch, Stead};

/// The lines as they come out, for these.
fn lines_of(text: &str, options: &[&str]) -> Vec<String> {
    let scratch = Scratch::new();
    let file = scratch.file("lines", text, 0o644);
    let stead = json(Stead::run(["cat".into(), file])).options(options).env("SERVICE_NAME", "api");
    let mut stead = stead.env("INSTANCE_ID", "api-1").env("NODE_ENV", "production").start();
    assert_eq!(stead.wait_exit(LIMIT), 0);
    stead.stdout()
}

#[test]
fn an_object_stays_one_with_its_bytes_and_gains_what_it_lacks() {
    for line in [
        r#"{"b" : 1,  "a":"\u00e9\/","msg":"hello"}"#,
        r#"  {"level":"error","timestamp":"2020-01-02T03:04:05Z","message":"m","stream":"mine"}  "#,
        r#"{"nested":{"level":"debug"},"list":[1,2.5e3,null,true],"message":"m"}"#,
    ] {
        let out = lines_of(&format!("{line}\n"), &[]);
        let [out] = out.as_slice() else { panic!("{out:?}") };
        let own = line.trim().strip_prefix('{').and_then(|own| own.strip_suffix('}')).unwrap();
        assert!(out.contains(own), "{out} has not kept {own}");
        let object: Value = serde_json::from_str(out).unwrap();
        for name in ["timestamp", "level", "stream", "service", "instance", "environment"] {
            assert_eq!(
                out.matches(&format!("\"{name}\":")).count(),
                1 + line.matches("nested").count() * usize::from(name == "level"),
                "{out}"
            );
            assert!(object.get(name).is_some(), "{out}");
        }
    }
}

#[test]
fn an_object_s_own_time_and_level_are_respected() {
    let out = lines_of(
        "{\"time\":1577934245000,\"level\":50,\"msg\":\"x\"}\n{\"@t\":\"2020-01-02T03:04:05Z\",\"@l\":\"Warning\",\"@m\":\"x\"}\n",
        &[],
    );
    let objects = objects(&out);
    assert!(
        objects[0]["timestamp"].as_str().unwrap().starts_with("2020-01-02T03:04:05"),
        "{}",
        out[0]
    );
    assert_eq!(objects[0]["level"], 50);
    assert_eq!(objects[1]["timestamp"], "2020-01-02T03:04:05Z");
    assert_eq!(objects[1]["level"], "warn");
}

#[test]
fn what_is_not_exactly_one_object_is_text() {
    let lines = [
        "{\"a\":1",
        "{\"a\":1}{\"b\":2}",
        "[1,2]",
        "\"text\"",
        "17",
        "{\"a\":1} x",
        "{a:1}",
        "{\"a\":\"\\q\"}",
    ];
    let objects = through(lines.join("\n") + "\n");
    assert_eq!(super::messages(&objects), lines);
    assert!(objects.iter().all(|object| object["level"] == "info" && object.get("a").is_none()));
}

#[test]
fn a_text_line_has_its_fields_in_the_promised_order() {
    let out = lines_of("WARN  c.e.App - slow\n", &[]);
    let order = ["timestamp", "level", "message", "stream", "service", "instance", "environment"];
    let places: Vec<_> =
        order.iter().map(|name| out[0].find(&format!("\"{name}\":")).unwrap()).collect();
    assert!(places.is_sorted(), "{}", out[0]);
    let object = &objects(&out)[0];
    assert_eq!(object["level"], "warn");
    assert_eq!(object["environment"], "production");
    let time = object["timestamp"].as_str().unwrap();
    assert!(
        humantime::parse_rfc3339(time).is_ok() && time.len() == "2026-11-22T12:00:00.123456Z".len(),
        "{time}"
    );
}

#[test]
fn the_level_is_taken_where_the_line_says_it_and_is_the_same_on_both_streams() {
    let objects = said("echo '[ERROR] x'; echo 'level=debug x'; echo 'no error here'");
    let levels: Vec<_> = objects.iter().map(|object| object["level"].clone()).collect();
    assert_eq!(levels, ["error", "debug", "info"]);
    let [_, err] = super::said_by(json(Stead::script("echo plain >&2")).start());
    assert_eq!((&err[0]["level"], &err[0]["stream"]), (&"info".into(), &"stderr".into()));
}

#[test]
fn every_schema_is_json_to_jq() {
    let text = "plain\n\u{1b}[31mred\u{1b}[0m \\ \"q\" \u{e9}\n\n{\"a\":1}\n{}\n{\"level\":30,\"time\":1,\"msg\":\"m\"}\nno newline";
    for schema in ["stead", "ecs", "gcp", "datadog"] {
        let out = lines_of(text, &["--log-schema", schema]);
        assert_eq!(out.len(), text.lines().count(), "{schema}");
        let counted = jq(&["-c", "select(type == \"object\") | keys | length"], &out);
        let counts: Vec<usize> = counted.lines().map(|n| n.parse().unwrap()).collect();
        assert!(counts.len() == out.len() && counts.iter().all(|n| *n >= 4), "{schema}: {out:?}");
    }
}

/// What jq says of these lines.
fn jq(args: &[&str], lines: &[String]) -> String {
    let mut jq = Command::new("jq");
    jq.args(args).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut jq = jq.spawn().expect("jq, a Debian package");
    let mut stdin = jq.stdin.take().expect("its input");
    stdin.write_all((lines.join("\n") + "\n").as_bytes()).expect("lines to it");
    drop(stdin);
    let output = jq.wait_with_output().expect("its answer");
    assert!(output.status.success(), "{lines:?}");
    String::from_utf8(output.stdout).expect("text")
}
