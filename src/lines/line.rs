//! The line machine: a pure function of bytes and time to events. What an event looks like is left to the renderer.

mod join;
mod split;
#[cfg(test)]
mod tests;

use super::{Line, Read};
use join::Joiner;
use split::{KEPT, Splitter};

/// The longest line that stays whole, in bytes without its newline.
pub const LIMIT: usize = 1024 * 1024;

/// What the machine does with lines.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Options {
    /// The longest event in bytes; longer lines are split. At least 4, so that each piece holds a whole character.
    pub limit: usize,
    /// Whether the lines of one stack trace become one event.
    pub join_traces: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options { limit: LIMIT, join_traces: false }
    }
}

/// Turns the bytes of one stream into events, in their order.
#[derive(Debug)]
pub struct Machine {
    splitter: Splitter,
    joiner: Option<Joiner>,
}

impl Machine {
    /// A machine at the beginning of a stream.
    pub fn new(options: Options) -> Self {
        let splitter = Splitter::new(options.limit);
        let joiner = options.join_traces.then(|| Joiner::new(splitter.limit()));
        Machine { splitter, joiner }
    }

    /// Takes bytes that were read at `read`; hands out each event that they complete. A line that is complete in them
    /// is handed out where it lies.
    pub fn push(&mut self, bytes: &[u8], read: Read, each: &mut dyn FnMut(Line<'_>)) {
        let Some(joiner) = &mut self.joiner else { return self.splitter.push(bytes, read, each) };
        self.splitter.push(bytes, read, &mut |line| joiner.take(line, each));
        joiner.hear(read.monotonic);
        // A line so long will be none of the trace's, and only one of the two buffers grows at a time.
        if self.splitter.unfinished() > KEPT {
            joiner.flush(each);
        }
    }

    /// When [`tick`](Self::tick) is due, in microseconds of the monotonic clock; `None` while nothing waits. What is
    /// pushed later but before the tick is still joined: a late reader does not tear a trace apart.
    pub fn deadline(&self) -> Option<u64> {
        self.joiner.as_ref().and_then(Joiner::deadline)
    }

    /// Hands out what has waited long enough at `now`, in microseconds of the monotonic clock.
    pub fn tick(&mut self, now: u64, each: &mut dyn FnMut(Line<'_>)) {
        if let Some(joiner) = &mut self.joiner
            && joiner.deadline().is_some_and(|deadline| deadline <= now)
        {
            joiner.flush(each);
        }
    }

    /// Hands out everything that is left: the stream has ended. The machine can begin another one.
    pub fn finish(&mut self, each: &mut dyn FnMut(Line<'_>)) {
        let Some(joiner) = &mut self.joiner else { return self.splitter.finish(each) };
        self.splitter.finish(&mut |line| joiner.take(line, each));
        joiner.flush(each);
    }
}
