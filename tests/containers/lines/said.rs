//! What a program has said in a container, as jq reads it, and what holds for each of its lines.

use std::fs::File;
use std::process::Command;

use serde_json::{Map, Value};

use super::JSON;
use crate::harness::engine::{Container, run_to_end};
use crate::harness::{LIMIT, Scratch};
use crate::log_events::wrong_with;

const JOINED: &str = "--env=STEAD_JOIN_TRACES=on";
/// The program's output as it is, and nothing of stead's in it.
const RAW: [&str; 2] = ["--env=STEAD_LOGS=raw", "--env=STEAD_LOG_LEVEL=off"];

/// The levels of lines that are text.
const LEVELS: [&str; 6] = ["trace", "debug", "info", "warn", "error", "fatal"];

/// What a program has said through stead.
pub struct Said {
    /// All that the engine has of both streams, stead's own events too.
    pub text: String,
    /// The program's lines on standard output.
    pub stdout: Vec<Value>,
    /// The program's lines on standard error.
    pub stderr: Vec<Value>,
}

impl Said {
    /// What a container has said so far; each line is whole, and on its side.
    pub fn by(container: &Container) -> Self {
        let logs = container.logs();
        let text = logs.stdout.clone() + &logs.stderr;
        let mut stdout = jq(&text);
        let stderr = stdout.split_off(logs.stdout.lines().count());
        let (stderr, own): (Vec<_>, Vec<_>) =
            stderr.into_iter().partition(|line| line.get("stream").is_some());
        assert!(own.iter().all(|event| wrong_with(&event.to_string()).is_none()), "{text}");
        for (lines, stream) in [(&stdout, "stdout"), (&stderr, "stderr")] {
            for line in lines {
                assert_eq!(line["stream"], stream, "{line}");
                assert_fields(line);
            }
        }
        Self { text, stdout, stderr }
    }

    /// What an app says until it dies: with JSON the same as without.
    pub fn to_the_end(image: &str, code: i32) -> Self {
        let raw = run_to_end(image, &RAW, &[]);
        let container = Container::run(image, &[JSON, JOINED], &[]);
        assert_eq!((container.wait_exit(LIMIT), raw.code), (code, code));
        let said = Self::by(&container);
        assert_same(&said.stdout, &raw.stdout);
        assert_same(&said.stderr, &raw.stderr);
        said
    }

    /// The level of the one line with this text.
    pub fn level(&self, text: &str) -> &str {
        let lines = self.stdout.iter().chain(&self.stderr);
        let found = |line: &&Value| line["message"].as_str().is_some_and(|m| m.contains(text));
        let found: Vec<_> = lines.filter(found).collect();
        assert_eq!(found.len(), 1, "{text:?} in {}", self.text);
        found[0]["level"].as_str().expect("a level")
    }
}

/// What jq reads, which must be one object a line.
fn jq(text: &str) -> Vec<Value> {
    let scratch = Scratch::new();
    let lines = File::open(scratch.file("lines", text, 0o644)).expect("the lines");
    let jq = Command::new("jq").args(["-e", "-c", "."]).stdin(lines).output().expect("jq");
    assert!(jq.status.success(), "{}: {text}", String::from_utf8_lossy(&jq.stderr));
    let read = String::from_utf8(jq.stdout).expect("text");
    assert_eq!(read.lines().count(), text.lines().count(), "{text}");
    read.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn assert_fields(line: &Value) {
    let time = line["timestamp"].as_str().unwrap_or_default();
    assert!(humantime::parse_rfc3339(time).is_ok(), "{line}");
    match line.get("message") {
        Some(message) => {
            let level = line["level"].as_str().unwrap_or_default();
            assert!(message.is_string() && LEVELS.contains(&level), "{line}");
        }
        // A line that was JSON already has the names of its own.
        None => assert!(line.get("level").is_some(), "{line}"),
    }
}

/// Put together, the messages are the bytes that the app writes by itself, and its JSON lines have their fields.
fn assert_same(lines: &[Value], raw: &str) {
    let mut rest = raw;
    for line in lines {
        rest = match line["message"].as_str() {
            Some(message) => {
                let behind = rest.strip_prefix(message).and_then(|rest| rest.strip_prefix('\n'));
                behind.unwrap_or_else(|| panic!("{line} is not what begins here: {rest}"))
            }
            None => {
                let (own, behind) = rest.split_once('\n').expect("a line");
                let own: Map<String, Value> = serde_json::from_str(own).expect("an object");
                assert!(own.iter().all(|(name, value)| line[name] == *value), "{line}");
                behind
            }
        };
    }
    assert_eq!(rest, "", "it is missing");
}
