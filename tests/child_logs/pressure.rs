//! A reader that stops holds the child back, and nothing else of stead's; one that is gone is gone for the child too.

use std::fs;
use std::io::{PipeReader, Read, Write};
use std::process::Command;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use super::end::PATIENCE;
use super::{json, messages, objects};
use crate::harness::sys::Frozen;
use crate::harness::{LIMIT, Running, Scratch, Stead, processes, until};
use crate::isolation::wait_exit_of_frozen;
use crate::log_events::wrong_with;

/// More than all of a pipe, what stead has taken of it, and what stead could not write: what a child may have written
/// when it is held back.
const BOUND: u64 = 512 * 1024;

/// A child that counts, on a pipe that nobody reads yet.
fn counting(script: &str) -> (Running, PipeReader) {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let stead = Stead::script(script).options(["--logs", "json", "--grace", "1s"]);
    (stead.listening().stdout(writer).start(), reader)
}

/// Whether a thread waits in a write(2), by its number in /proc.
fn waits_in_write(thread: i32) -> bool {
    let call = fs::read_to_string(format!("/proc/{thread}/syscall")).unwrap_or_default();
    call.split(' ').next() == Some(&libc::SYS_write.to_string())
}

/// Waits until the writer of the child's and stead's own both wait for the reader: from then on nothing moves.
fn wait_until_held(stead: &Running, writer: i32) {
    let held = until(LIMIT, || {
        let threads = processes::threads_of(stead.pid());
        waits_in_write(writer) && threads.iter().any(|thread| waits_in_write(*thread))
    });
    assert!(held, "the child is not held back");
}

fn written_by(pid: i32) -> u64 {
    let io = fs::read_to_string(format!("/proc/{pid}/io")).expect("what it has written");
    let wchar = io.lines().find_map(|line| line.strip_prefix("wchar: ")).expect("wchar");
    wchar.parse().expect("a number")
}

/// All that is read from now on, by a thread of its own.
fn read_on(mut reader: PipeReader) -> JoinHandle<Vec<String>> {
    thread::spawn(move || {
        let mut all = String::new();
        reader.read_to_string(&mut all).expect("text");
        all.lines().map(str::to_owned).collect()
    })
}

#[test]
fn a_reader_that_stops_holds_the_child_back_and_gets_everything_when_it_goes_on() {
    let (mut stead, reader) = counting("exec seq 1 300000");
    let child = stead.child_pid();
    wait_until_held(&stead, child);
    let written = written_by(child);
    assert!(written < BOUND, "the child has written {written} bytes");
    for path in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(stead.status(path), 200, "{path}");
    }
    let reading = read_on(reader);
    assert_eq!(stead.wait_exit(LIMIT), 0);
    let objects = objects(&reading.join().expect("the reader"));
    let expected: Vec<_> = (1..=300_000).map(|n| n.to_string()).collect();
    assert!(messages(&objects) == expected, "{} lines", objects.len());
}

#[test]
fn with_a_full_pipe_the_drain_goes_on_and_the_end_is_bounded() {
    let (mut stead, reader) = counting("trap '' TERM; exec seq 1 300000");
    let child = stead.child_pid();
    wait_until_held(&stead, child);
    stead.signal(libc::SIGTERM);
    stead.wait_for_event("drain started", LIMIT);
    assert_eq!(stead.status("/livez"), 200);
    assert_eq!(stead.status("/readyz"), 503);
    let from = Instant::now();
    stead.wait_for_event("child ended", LIMIT);
    assert!(until(LIMIT, || !stead.is_running()), "the end waits for its reader for ever");
    assert!(from.elapsed() < 2 * PATIENCE, "took {:?}", from.elapsed());
    assert_eq!(stead.wait_exit(LIMIT), 137);
    let lost = stead.wait_for_event("lines lost", LIMIT);
    assert_eq!(wrong_with(&lost.to_string()), None);
    assert_eq!((&lost["stream"], &lost["level"]), (&"stdout".into(), &"warn".into()));
    assert!(lost["bytes"].as_u64().is_some_and(|bytes| bytes > 0 && bytes < BOUND), "{lost}");
    assert_eq!(stead.events().last().expect("a last event")["message"], "finished");
    drop(reader);
}

#[test]
fn a_reader_that_goes_on_only_after_the_child_s_end_still_gets_everything() {
    // What the child says fits into its own pipe, and what becomes of it does not fit into the reader's.
    let (mut stead, reader) = counting("exec seq 1 6000");
    stead.wait_for_event("child ended", LIMIT);
    assert!(stead.is_running(), "it has not waited for its reader");
    let reading = read_on(reader);
    assert_eq!(stead.wait_exit(LIMIT), 0);
    assert_eq!(objects(&reading.join().expect("the reader")).len(), 6000);
    assert!(stead.events_of("lines lost").is_empty());
}

#[test]
fn a_child_whose_reader_is_gone_is_told_so_as_without_stead() {
    for (script, code) in [
        // Nothing of its own: the signal ends it.
        ("yes", 141),
        ("trap '' PIPE; while echo x; do :; done 2>/dev/null; exit 7", 7),
    ] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut stead = json(Stead::script(script)).stdout(writer).start();
        assert_eq!(stead.wait_exit(LIMIT), code, "{script}");
    }
}

#[test]
fn a_stream_whose_reader_is_gone_does_not_end_the_other() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let script = "trap '' PIPE; while echo x; do :; done 2>/dev/null; echo still here >&2";
    let mut stead = json(Stead::script(script)).stdout(writer).start();
    assert_eq!(stead.wait_exit(LIMIT), 0);
    assert_eq!(messages(&objects(&stead.stderr())), ["still here"]);
}

#[test]
fn a_full_disk_loses_lines_and_not_the_child() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
    let stead = Stead::script("seq 1 1000; exit 5").options(["--logs", "json"]).stdout(full);
    let mut stead = stead.start();
    assert_eq!(stead.wait_exit(LIMIT), 5);
    let lost: u64 = stead.events_of("lines lost").iter().filter_map(|e| e["bytes"].as_u64()).sum();
    let sent: usize = (1..=1000).map(|n: u32| n.to_string().len() + 1).sum();
    assert_eq!(lost, sent as u64);
}

#[test]
fn signals_reaping_and_the_end_go_on_while_every_other_thread_is_held() {
    for options in [&[][..], &["--log-drop"]] {
        let script = "trap 'exit 6' TERM; echo ready; while :; do sleep 0.01; done";
        let stead = Stead::script(script).options(["--logs", "json"]).options(options);
        let mut stead = stead.start();
        stead.wait_for_line(LIMIT, |line| line.contains("ready"));
        let mut frozen = Frozen::all_but_main(stead.pid());
        assert!(frozen.count() > 2, "no threads for the streams");
        stead.signal(libc::SIGTERM);
        assert_eq!(wait_exit_of_frozen(&mut stead, &mut frozen), 6, "{options:?}");
    }
}

#[test]
fn a_file_that_was_full_goes_on_with_whole_lines() {
    const SIZE: u64 = 10_000;
    let scratch = Scratch::new();
    let path = scratch.file("out", "", 0o644);
    let file = fs::OpenOptions::new().append(true).open(&path).expect("a file");
    let (go, gone) = std::io::pipe().expect("a pipe");
    let stead = Stead::script("seq 1 300; read go; echo more").options(["--logs", "json"]);
    let stead = stead.under(["prlimit", &format!("--fsize={SIZE}:unlimited")]).stdin(go);
    let mut stead = stead.stdout(file).start();
    let is_full = || fs::metadata(&path).is_ok_and(|file| file.len() == SIZE);
    assert!(until(LIMIT, is_full), "the file is not full");
    let pid = stead.pid().to_string();
    let raised = Command::new("prlimit").args(["--pid", &pid, "--fsize=unlimited"]).status();
    assert!(raised.expect("prlimit").success());
    (&gone).write_all(b"go\n").expect("a line");
    assert_eq!(stead.wait_exit(LIMIT), 0);
    let text = fs::read_to_string(&path).expect("what came");
    let (torn, lines): (Vec<&str>, Vec<&str>) =
        text.lines().partition(|line| serde_json::from_str::<serde_json::Value>(line).is_err());
    assert!(torn.len() <= 1 && lines.last().is_some_and(|line| line.contains("more")), "{text}");
    assert!(stead.wait_for_event("lines lost", LIMIT)["bytes"].as_u64() > Some(0));
}
