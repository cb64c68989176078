//! What begins and what continues a stack trace, told from the lines alone. Waiting and holding is left to the machine.
//!
//! Only what has a runtime's own shape belongs to a trace: an indented line after one is an ordinary line.

mod frames;
mod go;
mod head;
mod node;
mod python;
mod ruby;
mod rust;
#[cfg(test)]
mod tests;

use super::level::{self, Level};

/// How far into a line a trace's marks are looked for, in bytes.
const WINDOW: usize = 512;

/// A trace, by what its last line was.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Trace {
    /// A line that often stands before frames.
    Head(head::Head),
    /// Frames that begin with `at`: Java, Node, .NET.
    Frames(frames::Frames),
    /// What Node writes around them.
    Node(node::Node),
    /// Python's, exception groups too.
    Python(python::Python),
    /// A goroutine's.
    Go,
    /// Ruby's.
    Ruby(ruby::Ruby),
    /// A panic of Rust's, or a backtrace.
    Rust(rust::Rust),
}

/// What a line is to the trace before it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Step {
    /// The trace with the line.
    pub trace: Trace,
    /// It belongs to the trace whatever follows. Otherwise only a line that is certain makes it one of the trace's.
    pub certain: bool,
}

impl Step {
    fn certain(trace: Trace) -> Option<Step> {
        Some(Step { trace, certain: true })
    }

    fn possible(trace: Trace) -> Option<Step> {
        Some(Step { trace, certain: false })
    }
}

/// The trace that a line begins, or that begins behind it.
pub fn begin(line: &[u8]) -> Option<Step> {
    let line = without_return(line);
    if is_object(line) {
        return None;
    }
    certain_start(line)
        .or_else(|| ruby::begin(line))
        .or_else(|| node::begin(line))
        .or_else(|| head::begin(line))
}

impl Trace {
    /// What the next line is to the trace; `None` where it is none of its lines.
    pub fn next(self, line: &[u8]) -> Option<Step> {
        let line = without_return(line);
        if is_object(line) {
            return None;
        }
        match self {
            Trace::Head(head) => head.next(line),
            Trace::Frames(frames) => frames.next(line),
            Trace::Node(node) => node.next(line),
            Trace::Python(python) => python.next(line),
            Trace::Go => go::next(line),
            Trace::Ruby(ruby) => ruby.next(line),
            Trace::Rust(rust) => rust.next(line),
        }
    }
}

/// Lines that are part of a trace wherever they stand.
fn certain_start(line: &[u8]) -> Option<Step> {
    python::begin(line)
        .or_else(|| rust::begin(line))
        .or_else(|| go::begin(line))
        .or_else(|| frames::begin(line))
}

/// A line that no runtime marks, such as the second of a message: it is one of the trace's if a marked one follows.
fn unmarked(trace: Trace, line: &[u8]) -> Option<Step> {
    let own = level::of_text(line).is_some() || begin(line).is_some();
    if own { None } else { Step::possible(trace) }
}

/// Whether a line looks like a JSON object, which is an event of its own. A line of Python's source that begins with a
/// brace is none: a key in quotes follows, and the brace is closed.
fn is_object(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    let key = line.strip_prefix(b"{").map(<[u8]>::trim_ascii_start);
    key.is_some_and(|key| matches!(key.first(), Some(b'"' | b'}'))) && line.ends_with(b"}")
}

fn is_blank(line: &[u8]) -> bool {
    line.trim_ascii().is_empty()
}

fn is_indented(line: &[u8]) -> bool {
    matches!(line.first(), Some(b' ' | b'\t'))
}

fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn contains(line: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(line, part).is_some()
}

/// Whether a text is a number of decimal digits.
fn is_number(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(u8::is_ascii_digit)
}

/// `... 12 more`, `... 8 levels...`, `...4 frames elided...`: frames that a runtime left out.
fn is_left_out(line: &[u8]) -> bool {
    let count = line.trim_ascii_start().strip_prefix(b"...").map(<[u8]>::trim_ascii_start);
    count.is_some_and(|count| {
        count.first().is_some_and(u8::is_ascii_digit) || count.starts_with(b"additional ")
    })
}
