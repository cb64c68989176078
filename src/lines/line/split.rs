//! Bytes to lines. A line that is complete in what was read is handed out where it lies; only a rest is copied.

use memchr::memchr_iter;

use crate::{Line, Part, Read};

/// What a buffer keeps of its size when it is empty: ordinary lines never allocate again, and a giant is given back.
pub(super) const KEPT: usize = 64 * 1024;

/// The unfinished line of one stream.
#[derive(Debug)]
pub(super) struct Splitter {
    limit: usize,
    /// The last line as far as it was read, without its pieces that were handed out. Never longer than the limit.
    rest: Vec<u8>,
    /// When the first byte of the rest was read.
    since: Read,
    /// How many pieces of the last line were handed out.
    pieces: u32,
    /// The id of the next line that does not come whole.
    id: u64,
}

impl Splitter {
    pub(super) fn new(limit: usize) -> Self {
        // A piece ends up to three bytes early, and each has to bring the line forward.
        Splitter { limit: limit.max(4), rest: Vec::new(), since: Read::default(), pieces: 0, id: 1 }
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.rest.capacity()
    }

    /// How much of an unfinished line there is, in bytes.
    pub(super) fn unfinished(&self) -> usize {
        self.rest.len()
    }

    pub(super) fn push(&mut self, bytes: &[u8], read: Read, each: &mut dyn FnMut(Line<'_>)) {
        let mut start = 0;
        for end in memchr_iter(b'\n', bytes) {
            self.line(bytes.get(start..end).unwrap_or_default(), read, each);
            start = end + 1;
        }
        self.keep(bytes.get(start..).unwrap_or_default(), read, each);
    }

    pub(super) fn finish(&mut self, each: &mut dyn FnMut(Line<'_>)) {
        if !self.rest.is_empty() {
            self.end(false, each);
        }
    }

    /// Takes the end of a line, after which its newline stood.
    fn line(&mut self, bytes: &[u8], read: Read, each: &mut dyn FnMut(Line<'_>)) {
        if self.rest.is_empty() && bytes.len() <= self.limit {
            each(Line { bytes, read, part: None });
        } else {
            self.keep(bytes, read, each);
            self.end(true, each);
        }
    }

    /// Adds to the rest. A full one becomes a piece only once another byte of its line has come: the newline could
    /// have been next.
    fn keep(&mut self, mut bytes: &[u8], read: Read, each: &mut dyn FnMut(Line<'_>)) {
        while !bytes.is_empty() {
            if self.rest.len() == self.limit {
                self.cut(read, each);
            }
            if self.rest.is_empty() {
                self.since = read;
            }
            let room = self.limit - self.rest.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            append(&mut self.rest, now, self.limit);
            bytes = later;
        }
    }

    /// Hands out a piece of the rest, up to the last whole character.
    fn cut(&mut self, read: Read, each: &mut dyn FnMut(Line<'_>)) {
        let end = self.rest.len() - begun(&self.rest);
        self.pieces = self.pieces.saturating_add(1);
        let part = Part { id: self.id, ordinal: self.pieces, last: false, newline: false };
        let bytes = self.rest.get(..end).unwrap_or_default();
        each(Line { bytes, read: self.since, part: Some(part) });
        self.rest.drain(..end);
        self.since = read;
    }

    /// Hands out the rest, which is all that is left of its line.
    fn end(&mut self, newline: bool, each: &mut dyn FnMut(Line<'_>)) {
        let part = (self.pieces > 0 || !newline).then(|| {
            let ordinal = self.pieces.saturating_add(1);
            Part { id: self.id, ordinal, last: true, newline }
        });
        if part.is_some() {
            self.id += 1;
            self.pieces = 0;
        }
        each(Line { bytes: &self.rest, read: self.since, part });
        self.rest.clear();
        self.rest.shrink_to(KEPT);
    }
}

/// How many of the last bytes, three at most, begin a UTF-8 sequence that could become whole.
fn begun(bytes: &[u8]) -> usize {
    let begins = |length: &usize| {
        let tail = bytes.len().checked_sub(*length).and_then(|start| bytes.get(start..));
        // No length of an error means that the sequence is right as far as it goes.
        let error = tail.and_then(|tail| std::str::from_utf8(tail).err());
        error.is_some_and(|error| error.valid_up_to() == 0 && error.error_len().is_none())
    };
    (1..=3).find(begins).unwrap_or(0)
}

/// Appends to a buffer that grows by doubling, but never past its limit.
pub(super) fn append(buffer: &mut Vec<u8>, bytes: &[u8], limit: usize) {
    let needed = buffer.len() + bytes.len();
    if needed > buffer.capacity() {
        let capacity = needed.max((buffer.capacity() * 2).min(limit));
        buffer.reserve_exact(capacity - buffer.len());
    }
    buffer.extend_from_slice(bytes);
}
