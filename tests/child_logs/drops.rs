//! `log_drop`: a reader that stalls loses lines, whole ones, and is told how many and where.

use std::io::{PipeReader, Read};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;

use super::objects;
use crate::harness::{LIMIT, Running, Stead, until};
use crate::log_events::wrong_with;

/// A child that counts to here, then waits to be stopped.
const LAST: u64 = 200_000;

fn started(options: &[&str]) -> (Running, PipeReader) {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let script = format!(
        "trap 'echo the end; exit 0' TERM; seq 1 {LAST}; echo counted >&2; while :; do sleep 0.01; done"
    );
    let stead = Stead::script(&script).options(["--logs", "json"]);
    (stead.options(options).stdout(writer).start(), reader)
}

fn wait_counted(stead: &Running) {
    let counted = || stead.events_of("counted").len() == 1;
    assert!(until(LIMIT, counted), "the child is held back");
}

#[test]
fn whole_lines_are_dropped_counted_and_told_where_they_are_missing() {
    let (mut stead, mut reader) = started(&["--log-drop"]);
    wait_counted(&stead);
    let read = Arc::<Mutex<Vec<u8>>>::default();
    let into = read.clone();
    let reading = thread::spawn(move || {
        let mut chunk = [0; 65536];
        while let count @ 1.. = reader.read(&mut chunk).expect("the output") {
            into.lock().unwrap().extend_from_slice(&chunk[..count]);
        }
    });
    let text = || String::from_utf8(read.lock().unwrap().clone()).expect("text");
    assert!(until(LIMIT, || text().contains("lines dropped")), "nothing is said to be missing");
    stead.signal(libc::SIGTERM);
    assert_eq!(stead.wait_exit(LIMIT), 0);
    reading.join().expect("the reader");
    let objects = objects(&text().lines().map(str::to_owned).collect::<Vec<_>>());
    let (mut next, mut gaps) = (1, 0);
    for object in &objects {
        match object["message"].as_str().expect("a message") {
            "lines dropped" => {
                assert_eq!(
                    (&object["level"], &object["stream"]),
                    (&"warn".into(), &"stdout".into())
                );
                assert!(object.get("timestamp").is_some() && object.get("instance").is_some());
                assert_eq!(wrong_with(&object.to_string()), None);
                let count = object["count"].as_u64().expect("a count");
                let bytes: u64 = (next..next + count).map(|n| n.to_string().len() as u64).sum();
                assert_eq!(object["bytes"], bytes, "of {count} lines from {next} on");
                next += count;
                gaps += 1;
            }
            "the end" => assert_eq!(next, LAST + 1),
            number => {
                assert_eq!(number, next.to_string());
                next += 1;
            }
        }
    }
    assert!(gaps > 0, "nothing was dropped of what nobody read");
    assert_eq!(objects.last().expect("a last line")["message"], "the end");
}

#[test]
fn a_reader_that_keeps_up_loses_nothing() {
    let options = ["--logs", "json", "--log-drop", "--log-level", "off"];
    let mut stead = Stead::run(["seq", "1", "2000"]).options(options).start();
    assert_eq!(stead.wait_exit(LIMIT), 0);
    let objects: Vec<Value> = objects(&stead.stdout());
    assert_eq!(objects.len(), 2000);
}

#[test]
fn a_reader_that_never_comes_back_delays_the_end_no_longer_than_without_drops() {
    let (mut stead, reader) = started(&["--log-drop"]);
    wait_counted(&stead);
    stead.signal(libc::SIGTERM);
    assert_eq!(stead.wait_exit(LIMIT), 0);
    assert_eq!(stead.wait_for_event("lines lost", LIMIT)["stream"], "stdout");
    drop(reader);
}
