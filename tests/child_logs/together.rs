//! What shares a file shares it by whole lines.

use std::collections::BTreeMap;

use super::{emit, objects};
use crate::harness::{LIMIT, Scratch, until};

/// Standard error becomes standard output.
const AS_ONE: [&str; 3] = ["/bin/sh", "-c", "exec \"$0\" \"$@\" 2>&1"];

#[test]
fn both_streams_and_stead_s_events_in_one_pipe_stand_in_no_line_of_each_other() {
    // Long lines, so that each takes several writes.
    let lines = |name: &str| {
        (0..400)
            .map(|n| format!("{name} {n} {}\n", "x".repeat(n * 131 % 90_000)))
            .collect::<String>()
    };
    let (out, err) = (lines("out"), lines("err"));
    let scratch = Scratch::new();
    let stead = emit(&scratch, out.as_bytes(), err.as_bytes(), 3);
    let options = ["--logs", "json", "--log-level", "debug", "--rewrite", "URG:0"];
    let mut stead = stead.options(options).under(AS_ONE).start();
    stead.wait_for_line(LIMIT, |line| line.contains("\"child started\""));
    let mut signals = 0;
    let ended = until(LIMIT, || {
        signals += 1;
        stead.signal(libc::SIGURG);
        !stead.is_running()
    });
    assert!(ended, "it has not come to its end");
    assert_eq!(stead.wait_exit(LIMIT), 0);
    let mut by_stream: BTreeMap<String, String> = BTreeMap::new();
    let mut events = 0;
    for object in objects(&stead.stdout()) {
        match object["stream"].as_str() {
            Some(stream) => {
                let message = object["message"].as_str().expect("a message");
                *by_stream.entry(stream.to_owned()).or_default() += &format!("{message}\n");
            }
            None => events += usize::from(object["message"] == "signal dropped"),
        }
    }
    assert!(by_stream["stdout"] == out && by_stream["stderr"] == err, "lines are missing");
    assert!(events > 0, "none of {signals} signals is told");
}

#[test]
fn stead_s_events_stand_between_the_child_s_lines_on_standard_error() {
    let err: String = (0..300).map(|n| format!("{n} {}\n", "y".repeat(n * 211 % 70_000))).collect();
    let scratch = Scratch::new();
    let options = ["--logs", "json", "--log-level", "debug", "--rewrite", "URG:0"];
    let mut stead = emit(&scratch, b"", err.as_bytes(), 5).options(options).start();
    stead.wait_for_event("child started", LIMIT);
    let ended = until(LIMIT, || {
        stead.signal(libc::SIGURG);
        !stead.is_running()
    });
    assert!(ended, "it has not come to its end");
    assert_eq!(stead.wait_exit(LIMIT), 0);
    let objects = objects(&stead.stderr());
    let lines = objects.iter().filter(|object| object["stream"] == "stderr");
    let came: String =
        lines.map(|line| format!("{}\n", line["message"].as_str().expect("a message"))).collect();
    assert!(came == err, "lines are missing");
    assert!(objects.iter().any(|object| object["message"] == "signal dropped"));
}
