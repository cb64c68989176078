//! The child's lines: bytes become lines, and lines become JSON. All of it is computed from bytes alone; what is read and
//! written when is stead's. A crate of its own only so that it is built for speed, while all else is built for size: what
//! each line passes through is not generic, because a generic function is built where it is used.

pub mod escape;
pub mod level;
pub mod line;
pub mod members;
pub mod object;
pub mod output;
pub mod own;
mod plain;
pub mod timestamp;
mod trace;

/// When bytes were read.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Read {
    /// Microseconds since the Unix epoch, by the wall clock: what is written.
    pub wall: u64,
    /// Microseconds by the monotonic clock, from any origin: what is waited by.
    pub monotonic: u64,
}

/// One event of the child's: a line without its newline, or lines of one stack trace with the newlines between them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Line<'a> {
    /// Its bytes, whatever they are.
    pub bytes: &'a [u8],
    /// When its first byte was read.
    pub read: Read,
    /// Its place in a line that was split or that no newline ended; `None` for a whole line.
    pub part: Option<Part>,
}

/// A piece of a line that did not come whole.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Part {
    /// The same for all pieces of one line; unique in one stream of one run.
    pub id: u64,
    /// Its place, from 1 on.
    pub ordinal: u32,
    /// Nothing follows it: the line's newline came after it, or the stream ended.
    pub last: bool,
    /// A newline came after it. Only a last piece has one.
    pub newline: bool,
}
