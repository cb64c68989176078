//! The line machine: a pure function of bytes and time to events. What an event looks like is left to the renderer.

mod split;

use super::{Line, Read};
use split::Splitter;

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
}

impl Machine {
    /// A machine at the beginning of a stream.
    pub fn new(options: Options) -> Self {
        Machine { splitter: Splitter::new(options.limit) }
    }

    /// Takes bytes that were read at `read`; hands out each event that they complete.
    pub fn push(&mut self, bytes: &[u8], read: Read, each: &mut dyn FnMut(Line<'_>)) {
        self.splitter.push(bytes, read, each);
    }

    /// When [`tick`](Self::tick) is due at the latest, in microseconds of the monotonic clock; `None` while nothing waits.
    pub fn deadline(&self) -> Option<u64> {
        None
    }

    /// Hands out what has waited long enough at `now`, in microseconds of the monotonic clock.
    pub fn tick(&mut self, _now: u64, _each: &mut dyn FnMut(Line<'_>)) {}

    /// Hands out everything that is left: the stream has ended. The machine can begin another one.
    pub fn finish(&mut self, each: &mut dyn FnMut(Line<'_>)) {
        self.splitter.finish(each);
    }
}
