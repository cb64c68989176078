//! Whole outputs of programs, as events. In each file a line of two percent signs stands between the events. Those of
//! Java, Node, Python and Rust are real ones; the others have the form that the modules cite.

use crate::Read;
use crate::line::{Machine, Options};

/// The events of an output whose lines come at once, or one after another.
fn events(output: &str, chunk: usize) -> Vec<String> {
    let mut machine = Machine::new(Options { join_traces: true, ..Options::default() });
    let mut events = Vec::new();
    let mut each = |line: super::super::Line<'_>| {
        events.push(String::from_utf8(line.bytes.to_vec()).unwrap());
    };
    for bytes in output.as_bytes().chunks(chunk) {
        machine.push(bytes, Read::default(), &mut each);
    }
    machine.finish(&mut each);
    events
}

fn assert_joined(marked: &str) {
    let output = marked.replace("\n%%\n", "\n");
    // The last line ends with a newline or without one.
    for end in ["", "\n"] {
        for chunk in [1, 7, usize::MAX] {
            let events = events(&format!("{output}{end}"), chunk);
            assert_eq!(events.join("\n%%\n"), marked, "{chunk} {end:?}");
        }
    }
}

#[test]
fn javas_traces_are_joined_with_their_causes() {
    assert_joined(include_str!("tests/java.txt"));
}

#[test]
fn pythons_tracebacks_are_joined_with_chained_ones_and_groups() {
    assert_joined(include_str!("tests/python.txt"));
}

#[test]
fn nodes_errors_are_joined_with_their_fields_and_causes() {
    assert_joined(include_str!("tests/node.txt"));
}

#[test]
fn gos_panics_are_joined_with_their_goroutines() {
    assert_joined(include_str!("tests/go.txt"));
}

#[test]
fn rubys_errors_are_joined_with_their_frames() {
    assert_joined(include_str!("tests/ruby.txt"));
}

#[test]
fn dotnets_exceptions_are_joined_with_inner_ones() {
    assert_joined(include_str!("tests/dotnet.txt"));
}

#[test]
fn rusts_panics_are_joined_with_their_backtraces() {
    assert_joined(include_str!("tests/rust.txt"));
}

#[test]
fn a_trace_with_carriage_returns_is_joined_and_keeps_them() {
    let output = include_str!("tests/java.txt").replace("\n%%\n", "\n").replace('\n', "\r\n");
    let marked =
        include_str!("tests/java.txt").replace('\n', "\r\n").replace("\r\n%%\r\n", "\r\n%%\n");
    assert_eq!(events(&output, usize::MAX).join("\n%%\n"), marked);
}
