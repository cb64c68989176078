//! Lines to events: the lines of one stack trace become one, on a bounded wait.

use super::split::{KEPT, append};
use crate::trace::{self, Step, Trace};
use crate::{Line, Part, Read};

/// How long a trace waits for its next line, in microseconds after the last byte that was read.
pub(super) const WAIT: u64 = 50_000;

/// So many lines may wait for one that shows whether they belong to the trace before them.
const DOUBTFUL: usize = 8;

/// The trace that is being joined, if any.
#[derive(Debug)]
pub(super) struct Joiner {
    limit: usize,
    trace: Option<Trace>,
    /// The trace's lines with the newlines between, and behind them the doubtful ones.
    held: Vec<u8>,
    /// Where each doubtful line starts in what is held, and when it was read.
    doubtful: Vec<(usize, Read)>,
    /// When the first line was read.
    since: Read,
    /// The place of the last line, which is the stream's last if there is one.
    part: Option<Part>,
    /// When bytes came last, by the monotonic clock.
    heard: u64,
}

impl Joiner {
    pub(super) fn new(limit: usize) -> Self {
        Joiner {
            limit,
            trace: None,
            held: Vec::new(),
            doubtful: Vec::new(),
            since: Read::default(),
            part: None,
            heard: 0,
        }
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.held.capacity()
    }

    /// Bytes came, whether or not they were a whole line.
    pub(super) fn hear(&mut self, monotonic: u64) {
        self.heard = monotonic;
    }

    pub(super) fn deadline(&self) -> Option<u64> {
        self.trace.map(|_| self.heard.saturating_add(WAIT))
    }

    pub(super) fn take(&mut self, line: Line<'_>, each: &mut dyn FnMut(Line<'_>)) {
        // No line of a trace is that long, and a piece of a line is none of its lines.
        let piece = line.part.is_some_and(|part| part.ordinal > 1 || !part.last);
        if piece || line.bytes.len() > KEPT {
            self.flush(each);
            return each(line);
        }
        loop {
            match self.step(line.bytes) {
                Some(step) if self.fits(line.bytes) => return self.hold(line, step),
                // The event is as long as an event may be. What goes on is the next one.
                Some(step) if step.certain && self.doubtful.is_empty() => {
                    self.let_go(each);
                    return self.hold(line, step);
                }
                None if self.trace.is_none() => return each(line),
                Some(_) | None => self.let_go(each),
            }
        }
    }

    /// Hands out all that is held.
    pub(super) fn flush(&mut self, each: &mut dyn FnMut(Line<'_>)) {
        while self.trace.is_some() {
            self.let_go(each);
        }
    }

    fn step(&self, line: &[u8]) -> Option<Step> {
        let Some(trace) = self.trace else { return trace::begin(line) };
        trace.next(line).filter(|step| step.certain || self.doubtful.len() < DOUBTFUL)
    }

    fn fits(&self, line: &[u8]) -> bool {
        self.trace.is_none() || self.held.len() + 1 + line.len() <= self.limit
    }

    fn hold(&mut self, line: Line<'_>, step: Step) {
        if self.trace.is_none() {
            self.since = line.read;
        } else {
            append(&mut self.held, b"\n", self.limit);
            if !step.certain {
                self.doubtful.push((self.held.len(), line.read));
            }
        }
        if step.certain {
            self.doubtful.clear();
        }
        append(&mut self.held, line.bytes, self.limit);
        self.trace = Some(step.trace);
        self.part = line.part;
    }

    /// Hands out the trace as one event. The doubtful lines behind it were none of its own: each is taken anew.
    fn let_go(&mut self, each: &mut dyn FnMut(Line<'_>)) {
        let mut held = std::mem::take(&mut self.held);
        let mut doubtful = std::mem::take(&mut self.doubtful);
        let part = self.part.take();
        self.trace = None;
        let end = |index: usize| doubtful.get(index).map_or(held.len(), |(start, _)| start - 1);
        let last = |index: usize| if index == doubtful.len() { part } else { None };
        let bytes = held.get(..end(0)).unwrap_or_default();
        each(Line { bytes, read: self.since, part: last(0) });
        for (index, (start, read)) in doubtful.iter().enumerate() {
            let bytes = held.get(*start..end(index + 1)).unwrap_or_default();
            self.take(Line { bytes, read: *read, part: last(index + 1) }, each);
        }
        if self.trace.is_none() {
            held.clear();
            held.shrink_to(KEPT);
            doubtful.clear();
            (self.held, self.doubtful) = (held, doubtful);
        }
    }
}
