//! Lines that often stand before a trace's frames: a log record that says warn or worse, an exception's name.

use super::frames::{self, Frames};
use super::{Level, Step, Trace, WINDOW, contains, is_blank, is_indented, unmarked};
use super::{go, level, node, python, ruby, rust};

/// What such a line is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Head {
    /// A record of a log, whose text may name anything.
    Record,
    /// It names an exception somewhere.
    Naming,
    /// It is the exception's name and message.
    Exception,
    /// It may be a further line of the message.
    Message,
}

pub(super) fn begin(line: &[u8]) -> Option<Step> {
    let said = level::of_text(line);
    let head = if is_exception(line) {
        Head::Exception
    } else if names_exception(line) || is_go_panic(line) {
        Head::Naming
    } else if said >= Some(Level::Warn) {
        Head::Record
    } else {
        return None;
    };
    // Node writes the fields of an error in braces behind it.
    let trace =
        if line.ends_with(b" {") { Trace::Node(node::Node::Opened) } else { Trace::Head(head) };
    Step::possible(trace)
}

impl Head {
    pub(super) fn next(self, line: &[u8]) -> Option<Step> {
        if let Some(step) = self.confirmed(line) {
            return Some(step);
        }
        let text = line.trim_ascii();
        if text.starts_with(b"---> ") {
            return Step::certain(Trace::Frames(Frames::Message));
        }
        if text == b"Caused by:" && self != Head::Record {
            return Step::certain(Trace::Rust(rust::Rust::Causes));
        }
        // Go says what a deferred function panicked of below the first panic.
        if line.starts_with(b"\tpanic: ") {
            return Step::possible(Trace::Head(Head::Message));
        }
        match self {
            Head::Record | Head::Naming if is_exception(line) => begin(line),
            Head::Record if is_blank(line) || is_indented(line) => {
                unmarked(Trace::Head(self), line)
            }
            Head::Record => None,
            _ => unmarked(Trace::Head(Head::Message), line),
        }
    }

    /// What shows that the lines so far belong to a trace. A traceback of Python's and a panic of Rust's say all
    /// themselves, so only a record right before it goes with Python's.
    fn confirmed(self, line: &[u8]) -> Option<Step> {
        let frames = frames::begin(line).or_else(|| go::begin(line)).or_else(|| ruby::frame(line));
        frames.or_else(|| match self {
            Head::Record => python::begin(line),
            Head::Naming => python::begin(line).or_else(|| rust::backtrace(line)),
            Head::Exception | Head::Message => rust::backtrace(line),
        })
    }
}

/// A line that is an exception's name, or that a runtime begins with when nobody caught one.
fn is_exception(line: &[u8]) -> bool {
    const INTRODUCTIONS: [&[u8]; 4] =
        [b"Exception in thread ", b"Unhandled exception", b"Unhandled Exception", b"Uncaught "];
    let text = line.trim_ascii_start();
    if INTRODUCTIONS.iter().any(|introduction| text.starts_with(introduction)) {
        return true;
    }
    let fits = |byte: &u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'$' | b'[' | b'/')
    };
    let length = text.iter().take_while(|byte| fits(byte)).count();
    let (name, after) = text.split_at(length);
    let ends = matches!(after, [] | [b':'] | [b':', b' ', ..] | [b' ', b'[' | b'{', ..]);
    ends && (is_exception_name(name) || is_java_class(name))
}

fn is_exception_name(name: &[u8]) -> bool {
    [&b"Exception"[..], b"Error", b"Throwable"].iter().any(|end| name.ends_with(end))
}

/// `org.example.Timeout`: packages in lower case, and a class.
fn is_java_class(name: &[u8]) -> bool {
    let lower = |part: &[u8]| part.first().is_some_and(u8::is_ascii_lowercase);
    let mut parts = name.rsplit(|byte| *byte == b'.');
    let class = parts.next().and_then(<[u8]>::first);
    class.is_some_and(u8::is_ascii_uppercase) && parts.clone().next().is_some() && parts.all(lower)
}

/// Whether a line has an exception's name in it, as the end of a word and with what follows such a name.
fn names_exception(line: &[u8]) -> bool {
    let line = line.get(..WINDOW).unwrap_or(line);
    memchr::memchr2_iter(b'E', b'T', line).any(|start| {
        let word = line.get(start..).unwrap_or_default();
        let names = [&b"Exception"[..], b"Error", b"Throwable"];
        let after = names.iter().find_map(|name| word.strip_prefix(*name));
        matches!(after, Some([] | [b':', ..] | [b' ', b'{'] | [b')']))
    })
}

/// `panic: …`, `fatal error: …` and `SIGQUIT: quit` of Go's runtime, and what net/http says of a handler's panic.
fn is_go_panic(line: &[u8]) -> bool {
    let line = line.get(..WINDOW).unwrap_or(line);
    let signal = line.starts_with(b"SIG") && contains(line, b": ");
    signal
        || memchr::memchr_iter(b':', line).any(|colon| {
            let (before, after) = line.split_at_checked(colon).unwrap_or_default();
            let panics = before.ends_with(b"panic") || before == b"fatal error";
            panics && after.starts_with(b": ") || after.starts_with(b": panic serving ")
        })
}
