//! The line machine under any bytes, in any chunks, at any times, with any options: the bytes come back in order.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stead::logs::child::line::{Machine, Options};
use stead::logs::child::{Line, Part, Read, level};

/// The first two bytes are the options. In the rest these three are no output but end a chunk, with so many
/// microseconds until the next; everything else is output, so that a plain file is an input too.
const ENDS: [(u8, u64); 3] = [(1, 0), (2, 20_000), (3, 60_000)];

fuzz_target!(|input: &[u8]| {
    let [size, flags, input @ ..] = input else { return };
    let limit = if flags & 2 == 0 { usize::from(*size) } else { 1024 * 1024 };
    let mut machine = Machine::new(Options { limit, join_traces: flags & 1 == 1 });
    let mut events = Events::new(limit.max(4));
    let mut output = Vec::new();
    let mut now = 0;
    for chunk in input.split_inclusive(|byte| wait(byte).is_some()) {
        let pause = chunk.last().and_then(wait);
        let bytes = &chunk[..chunk.len() - usize::from(pause.is_some())];
        output.extend_from_slice(bytes);
        machine.push(bytes, Read { wall: now, monotonic: now }, &mut |line| events.add(line));
        now += pause.unwrap_or_default();
        machine.tick(now, &mut |line| events.add(line));
        assert!(machine.deadline().is_none_or(|deadline| deadline > now));
    }
    machine.finish(&mut |line| events.add(line));
    assert_eq!(machine.deadline(), None);
    assert_eq!(events.bytes, output);
});

fn wait(byte: &u8) -> Option<u64> {
    ENDS.iter().find(|(end, _)| end == byte).map(|(_, wait)| *wait)
}

/// The bytes that the events were made of, and what holds from one event to the next.
struct Events {
    limit: usize,
    bytes: Vec<u8>,
    since: u64,
    open: Option<Part>,
}

impl Events {
    fn new(limit: usize) -> Self {
        Events { limit, bytes: Vec::new(), since: 0, open: None }
    }

    fn add(&mut self, line: Line<'_>) {
        assert!(line.bytes.len() <= self.limit);
        assert!(line.read.monotonic >= self.since, "an event is older than the one before it");
        self.since = line.read.monotonic;
        let ordinal = self.open.map_or(1, |open| open.ordinal + 1);
        assert!(line.part.is_none_or(|part| part.ordinal == ordinal && (part.last || !part.newline)));
        assert!(self.open.is_none_or(|open| line.part.is_some_and(|part| part.id == open.id)));
        self.open = line.part.filter(|part| !part.last);
        level::of_text(line.bytes);
        self.bytes.extend_from_slice(line.bytes);
        if line.part.is_none_or(|part| part.newline) {
            self.bytes.push(b'\n');
        }
    }
}
