//! The machine under arithmetic: bytes and times that are chosen, events that are compared.

use proptest::prelude::*;

use super::join::WAIT;
use super::{LIMIT, Machine, Options};
use crate::{Line, Part, Read};

/// An event that outlives the machine's buffers.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Event {
    bytes: Vec<u8>,
    read: Read,
    part: Option<Part>,
}

fn at(microseconds: u64) -> Read {
    Read { wall: 1_700_000_000_000_000 + microseconds, monotonic: microseconds }
}

/// A machine, and the events that it has handed out.
struct Bench {
    machine: Machine,
    events: Vec<Event>,
}

impl Bench {
    fn new(limit: usize, join_traces: bool) -> Self {
        Bench { machine: Machine::new(Options { limit, join_traces }), events: Vec::new() }
    }

    fn with<T>(&mut self, act: impl FnOnce(&mut Machine, &mut dyn FnMut(Line<'_>)) -> T) -> T {
        let events = &mut self.events;
        act(&mut self.machine, &mut |Line { bytes, read, part }| {
            events.push(Event { bytes: bytes.to_vec(), read, part });
        })
    }

    fn push(&mut self, bytes: &[u8], microseconds: u64) {
        self.with(|machine, each| machine.push(bytes, at(microseconds), each));
    }

    fn tick(&mut self, microseconds: u64) {
        self.with(|machine, each| machine.tick(microseconds, each));
    }

    fn finish(&mut self) -> Vec<Event> {
        self.with(|machine, each| machine.finish(each));
        std::mem::take(&mut self.events)
    }

    /// The text of the events so far, and none of them any more.
    fn texts(&mut self) -> Vec<String> {
        let text = |event: Event| String::from_utf8(event.bytes).unwrap();
        std::mem::take(&mut self.events).into_iter().map(text).collect()
    }

    fn finish_texts(&mut self, expected: &[&str]) {
        self.with(|machine, each| machine.finish(each));
        assert_eq!(self.texts(), expected);
    }

    fn buffered(&self) -> usize {
        let held = self.machine.joiner.as_ref().map_or(0, |joiner| joiner.capacity());
        self.machine.splitter.capacity() + held
    }
}

/// The bytes that events were made of.
fn joined(events: &[Event]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for event in events {
        bytes.extend_from_slice(&event.bytes);
        if event.part.is_none_or(|part| part.newline) {
            bytes.push(b'\n');
        }
    }
    bytes
}

fn all_at_once(bytes: &[u8], limit: usize) -> Vec<Event> {
    let mut bench = Bench::new(limit, false);
    bench.push(bytes, 0);
    bench.finish()
}

fn part(id: u64, ordinal: u32, last: bool, newline: bool) -> Option<Part> {
    Some(Part { id, ordinal, last, newline })
}

#[test]
fn each_line_is_an_event_without_its_newline() {
    let events = all_at_once(b"one\n\n\r\ntwo\r\n\0\xff\n", LIMIT);
    let bytes: Vec<_> = events.iter().map(|event| event.bytes.as_slice()).collect();
    assert_eq!(bytes, [&b"one"[..], b"", b"\r", b"two\r", b"\0\xff"]);
    assert!(events.iter().all(|event| event.part.is_none()));
}

#[test]
fn a_line_that_is_complete_in_a_chunk_is_not_copied() {
    let chunk = b"rest\nwhole\nalso whole\n";
    for join_traces in [false, true] {
        let mut machine = Machine::new(Options { limit: LIMIT, join_traces });
        let mut whole = 0;
        machine.push(b"begun ", at(0), &mut |_| panic!("nothing is complete"));
        machine.push(chunk, at(1), &mut |line| {
            whole += usize::from(chunk.as_ptr_range().contains(&line.bytes.as_ptr()));
        });
        assert_eq!(whole, 2, "join_traces {join_traces}");
    }
}

#[test]
fn a_line_has_the_time_of_its_first_byte() {
    let mut bench = Bench::new(LIMIT, false);
    bench.push(b"one", 1);
    bench.push(b" line\nand", 2);
    bench.push(b" more\n", 3);
    bench.push(b"third\n", 4);
    let reads: Vec<_> = bench.finish().iter().map(|event| event.read).collect();
    assert_eq!(reads, [at(1), at(2), at(4)]);
}

#[test]
fn a_last_line_without_a_newline_says_so() {
    let events = all_at_once(b"one\ntwo", LIMIT);
    assert_eq!(events[0].part, None);
    assert_eq!(events[1].part, part(1, 1, true, false));
    assert_eq!(events[1].bytes, b"two");
}

#[test]
fn a_stream_that_ends_with_a_newline_has_nothing_left() {
    assert_eq!(all_at_once(b"one\n", LIMIT).len(), 1);
    assert_eq!(all_at_once(b"", LIMIT), []);
}

#[test]
fn a_line_of_exactly_the_limit_is_whole_and_one_byte_more_is_split() {
    let whole = [vec![b'a'; LIMIT], b"\n".to_vec()].concat();
    assert_eq!(all_at_once(&whole, LIMIT)[0].part, None);
    let longer = [vec![b'a'; LIMIT + 1], b"\nnext\n".to_vec()].concat();
    let events = all_at_once(&longer, LIMIT);
    let parts: Vec<_> = events.iter().map(|event| (event.bytes.len(), event.part)).collect();
    let expected = [(LIMIT, part(1, 1, false, false)), (1, part(1, 2, true, true)), (4, None)];
    assert_eq!(parts, expected);
}

#[test]
fn a_line_of_exactly_the_limit_without_a_newline_is_one_piece() {
    assert_eq!(all_at_once(b"12345678", 8)[0].part, part(1, 1, true, false));
}

#[test]
fn each_line_that_was_split_has_an_id_of_its_own() {
    let events = all_at_once(b"123456789\n12345\n1234567890123456789\nend", 8);
    let parts: Vec<_> = events.iter().filter_map(|event| event.part).collect();
    let ids: Vec<_> = parts.iter().map(|part| (part.id, part.ordinal, part.last)).collect();
    let expected =
        [(1, 1, false), (1, 2, true), (2, 1, false), (2, 2, false), (2, 3, true), (3, 1, true)];
    assert_eq!(ids, expected);
}

#[test]
fn a_piece_does_not_end_inside_a_character() {
    // Characters of two, three and four bytes, shifted so that each of their bytes is the limit's.
    for character in ["ä", "€", "🦀"] {
        for shift in 0..8 {
            let line = format!("{}{}\n", "a".repeat(shift), character.repeat(9));
            for event in all_at_once(line.as_bytes(), 8) {
                assert!(std::str::from_utf8(&event.bytes).is_ok(), "{character} {shift} {event:?}");
                assert!(event.bytes.len() <= 8);
            }
        }
    }
}

#[test]
fn bytes_that_cannot_become_a_character_do_not_move_a_cut() {
    for line in [
        &b"1234567\xff9\n"[..],
        b"123456\x80\x809\n",
        b"12345\x80\x80\x809\n",
        b"123456\xc0\x809\n",
    ] {
        assert_eq!(all_at_once(line, 8)[0].bytes.len(), 8, "{line:?}");
    }
}

#[test]
fn the_smallest_limit_still_brings_a_line_forward() {
    for limit in 0..5 {
        let events = all_at_once("🦀🦀\u{e4}\n".as_bytes(), limit);
        assert_eq!(joined(&events), "🦀🦀\u{e4}\n".as_bytes(), "{limit}");
    }
}

#[test]
fn a_giant_line_takes_no_more_than_the_limit_and_its_buffer_is_given_back() {
    for join_traces in [false, true] {
        let mut bench = Bench::new(LIMIT, join_traces);
        let mut most = 0;
        bench.push(b"panic: held while a giant comes\n", 0);
        for _ in 0..100 {
            bench.push(&[0; 64 * 1024], 0);
            most = most.max(bench.buffered());
        }
        assert!(most <= LIMIT + 2 * 64 * 1024, "{most}");
        bench.push(b"\n", 0);
        assert!(bench.buffered() <= 2 * 64 * 1024, "{}", bench.buffered());
    }
}

#[test]
fn a_giant_trace_takes_no_more_than_the_limit_and_its_buffer_is_given_back() {
    let mut bench = Bench::new(LIMIT, true);
    let frame = b"\tat c.e.App.call(App.java:7)\n".repeat(2000);
    bench.push(b"java.lang.StackOverflowError\n", 0);
    let mut most = 0;
    for _ in 0..50 {
        bench.push(&frame, 0);
        most = most.max(bench.buffered());
    }
    assert!(most <= LIMIT + 2 * 64 * 1024, "{most}");
    bench.push(b"the end\n", 0);
    assert!(bench.buffered() <= 2 * 64 * 1024, "{}", bench.buffered());
    let events = bench.finish();
    assert_eq!(events.len(), 4, "2.9 MB are three events, and the last line is one");
    assert!(events.iter().all(|event| event.bytes.len() <= LIMIT && event.part.is_none()));
    assert!(events[1].bytes.starts_with(b"\tat") && events[1].bytes.ends_with(b":7)"));
}

#[test]
fn a_trace_waits_for_its_next_line_as_long_as_the_wait_and_no_longer() {
    let mut bench = Bench::new(LIMIT, true);
    bench.push(b"ordinary\n", 10);
    assert_eq!(bench.machine.deadline(), None);
    bench.push(b"Traceback (most recent call last):\n", 10);
    assert_eq!(bench.machine.deadline(), Some(10 + WAIT));
    bench.push(b"  File \"a.py\", line 7, in run\n    ru", 20);
    assert_eq!(bench.machine.deadline(), Some(20 + WAIT));
    bench.push(b"n()\n", 20 + WAIT - 1);
    bench.tick(20 + WAIT);
    assert_eq!(bench.texts(), ["ordinary"], "a byte has come since");
    bench.tick(20 + 2 * WAIT - 1);
    let trace = "Traceback (most recent call last):\n  File \"a.py\", line 7, in run\n    run()";
    assert_eq!(bench.texts(), [trace]);
    assert_eq!(bench.machine.deadline(), None);
    bench.push(b"KeyError: 'too late'\n", 20 + 2 * WAIT);
    bench.finish();
    assert_eq!(bench.machine.deadline(), None);
}

#[test]
fn a_tick_leaves_the_line_that_is_not_finished() {
    let mut bench = Bench::new(LIMIT, true);
    bench.push(b"panic: gone\n\ngorou", 0);
    bench.tick(WAIT);
    assert_eq!(bench.texts(), ["panic: gone", ""]);
    bench.push(b"tine\n", WAIT + 1);
    assert_eq!(bench.texts(), ["goroutine"]);
}

#[test]
fn lines_that_turned_out_not_to_be_a_traces_keep_their_own_times() {
    let mut bench = Bench::new(LIMIT, true);
    bench.push(b"KeyError: 7\n", 1);
    bench.push(b"one\n", 2);
    bench.push(b"two\n", 3);
    bench.push(b"ERROR next\n", 4);
    let reads: Vec<_> = bench.finish().iter().map(|event| event.read).collect();
    assert_eq!(reads, [at(1), at(2), at(3), at(4)]);
}

#[test]
fn ordinary_lines_behind_an_exceptions_name_do_not_wait_forever() {
    let mut bench = Bench::new(LIMIT, true);
    bench.push(b"KeyError: 7\n", 0);
    for _ in 0..9 {
        bench.push(b"ordinary\n", 0);
    }
    assert_eq!(bench.machine.deadline(), None);
    assert_eq!(bench.texts().len(), 10);
}

#[test]
fn a_doubtful_line_may_begin_the_next_trace() {
    let mut bench = Bench::new(LIMIT, true);
    bench.push(
        b"ERROR one\n  java.lang.Error: x\n\tat a.B.c(B.java:7)\nERROR two\nERROR three\n",
        0,
    );
    bench.finish_texts(&[
        "ERROR one\n  java.lang.Error: x\n\tat a.B.c(B.java:7)",
        "ERROR two",
        "ERROR three",
    ]);
}

#[test]
fn a_trace_whose_last_line_has_no_newline_is_one_event_that_says_so() {
    let mut bench = Bench::new(LIMIT, true);
    bench.push(b"Traceback (most recent call last):\n  File \"a.py\", line 7\nKeyError: 7", 0);
    let events = bench.finish();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].part, part(1, 1, true, false));
}

#[test]
fn a_doubtful_last_line_without_a_newline_is_an_event_of_its_own() {
    let mut bench = Bench::new(LIMIT, true);
    bench.push(b"KeyError: 7\nordinary", 0);
    let parts: Vec<_> = bench.finish().iter().map(|event| event.part).collect();
    assert_eq!(parts, [None, part(1, 1, true, false)]);
}

#[test]
fn a_json_object_ends_a_trace_and_is_never_joined() {
    let object = "{\"level\":\"error\",\"message\":\"x\"}";
    let trace = "java.lang.Error: x\n\tat a.B.c(B.java:7)";
    let mut bench = Bench::new(LIMIT, true);
    bench.push(format!("{trace}\n{object}\n{trace}\n  {object}\r\n").as_bytes(), 0);
    bench.finish_texts(&[trace, object, trace, &format!("  {object}\r")]);
}

#[test]
fn a_machine_that_has_finished_can_begin_again() {
    let mut bench = Bench::new(8, true);
    bench.push(b"a line of pieces", 0);
    bench.finish();
    bench.push(b"next\n", 0);
    assert_eq!(bench.finish()[0].part, None);
}

/// Lines as they come, near the marks of traces, and bytes that are nothing.
fn output() -> impl Strategy<Value = Vec<u8>> {
    let line = proptest::sample::select(vec![
        "",
        "\r",
        "ordinary",
        "  indented",
        "ERROR failed",
        "INFO fine",
        "{\"a\":1}",
        "java.lang.Error: x",
        "\tat a.B.c(B.java:7)",
        "\t... 7 more",
        "Caused by: a.B: x",
        "Traceback (most recent call last):",
        "  File \"a.py\", line 7, in run",
        "KeyError: 7",
        "  + Exception Group Traceback (most recent call last):",
        "The above exception was the direct cause of the following exception:",
        "panic: x",
        "goroutine 1 [running]:",
        "main.main()",
        "\t/a.go:7 +0x1",
        "a.rb:7:in 'a': x (E)",
        "\tfrom a.rb:7:in 'a'",
        "/a.js:7",
        "  ^",
        "Error: x {",
        "  code: 7",
        "}",
        "    at a (/a.js:7:7)",
        "Node.js v20.0.0",
        "thread 'main' panicked at a.rs:7:7:",
        "stack backtrace:",
        "   7: a",
        "note: RUST_BACKTRACE",
        " ---> A.B: x",
        "Caused by:",
        "    0: x",
    ]);
    let line = prop_oneof![
        8 => line.prop_map(|line| line.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..40),
        1 => "[aä€🦀]{0,30}".prop_map(String::into_bytes),
    ];
    let lines = proptest::collection::vec(line, 0..40);
    (lines, any::<bool>()).prop_map(|(lines, newline)| {
        let mut bytes = lines.join(&b'\n');
        bytes.extend(newline.then_some(b'\n'));
        bytes
    })
}

/// Cuts bytes into chunks of these lengths, again and again.
fn chunks<'a>(mut bytes: &'a [u8], lengths: &[usize]) -> Vec<&'a [u8]> {
    let mut chunks = Vec::new();
    for length in lengths.iter().cycle() {
        let (chunk, rest) = bytes.split_at((*length).min(bytes.len()));
        chunks.push(chunk);
        bytes = rest;
        if bytes.is_empty() {
            return chunks;
        }
    }
    chunks
}

fn lengths() -> impl Strategy<Value = Vec<usize>> {
    proptest::collection::vec(1..50_usize, 1..8)
}

proptest! {
    #[test]
    fn where_chunks_end_changes_no_event(bytes in output(), lengths in lengths(), limit in 1..64_usize) {
        let mut bench = Bench::new(limit, false);
        for chunk in chunks(&bytes, &lengths) {
            bench.push(chunk, 0);
        }
        prop_assert_eq!(bench.finish(), all_at_once(&bytes, limit));
    }

    #[test]
    fn where_chunks_end_changes_no_joined_event(bytes in output(), lengths in lengths()) {
        let mut whole = Bench::new(LIMIT, true);
        whole.push(&bytes, 0);
        let mut bench = Bench::new(LIMIT, true);
        for chunk in chunks(&bytes, &lengths) {
            bench.push(chunk, 0);
        }
        prop_assert_eq!(bench.finish(), whole.finish());
    }

    #[test]
    fn the_bytes_come_back_whatever_the_time_and_the_limit(
        bytes in output(),
        lengths in lengths(),
        waits in proptest::collection::vec(0..2 * WAIT, 1..8),
        limit in 1..200_usize,
        join_traces: bool,
    ) {
        let mut bench = Bench::new(limit, join_traces);
        let mut now = 0;
        for (chunk, wait) in chunks(&bytes, &lengths).into_iter().zip(waits.iter().cycle()) {
            bench.push(chunk, now);
            now += wait;
            bench.tick(now);
            prop_assert!(bench.machine.deadline().is_none_or(|deadline| deadline > now));
            prop_assert!(bench.buffered() <= 2 * limit.max(4));
        }
        let events = bench.finish();
        // An empty chunk is no line, and the last line's newline is its own.
        prop_assert_eq!(joined(&events), bytes);
        prop_assert!(events.iter().all(|event| event.bytes.len() <= limit.max(4)));
    }

    #[test]
    fn pieces_of_a_line_are_numbered_in_order(bytes in output(), limit in 1..32_usize) {
        let mut before: Option<Part> = None;
        for event in all_at_once(&bytes, limit) {
            let open = before.filter(|before| !before.last);
            if let Some(part) = event.part {
                let ordinal = open.map_or(1, |open| open.ordinal + 1);
                prop_assert_eq!(part.ordinal, ordinal);
                prop_assert!(open.is_none_or(|open| open.id == part.id));
                prop_assert!(part.last || !part.newline);
                prop_assert!(!event.bytes.is_empty());
            } else {
                prop_assert_eq!(open, None);
            }
            before = event.part;
        }
    }
}
