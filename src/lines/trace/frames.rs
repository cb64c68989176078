//! Frames that begin with `at`, which Java, Node and .NET have in common, and what stands between them.
//!
//! Java: `Throwable.printStackTrace` of the Java API documentation. .NET: `Exception.ToString` and
//! `Environment.StackTrace` of the .NET API documentation. Node: "Error: stack" of its documentation, and V8's
//! "Stack trace API".

use super::node::{self, Node};
use super::{Step, Trace, contains, is_blank, is_indented, is_left_out, is_number, unmarked};

/// The last line of such a trace.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Frames {
    /// A frame, or frames left out.
    At,
    /// The name of a cause, whose message may have further lines.
    Message,
}

pub(super) fn begin(line: &[u8]) -> Option<Step> {
    is_frame(line).then(|| after_frame(line)).flatten()
}

/// The trace behind a frame. Node opens a brace there for an error's fields.
pub(super) fn after_frame(line: &[u8]) -> Option<Step> {
    let opens = line.ends_with(b" {");
    Step::certain(if opens { Trace::Node(Node::Fields) } else { Trace::Frames(Frames::At) })
}

impl Frames {
    pub(super) fn next(self, line: &[u8]) -> Option<Step> {
        if is_frame(line) {
            return after_frame(line);
        }
        let text = line.trim_ascii_start();
        let separates =
            text.starts_with(b"--- End of ") || text.starts_with(b"[CIRCULAR REFERENCE");
        if is_left_out(line) && is_indented(line) || separates {
            return after_frame(line);
        }
        const CAUSES: [&[u8]; 4] = [b"Caused by: ", b"Suppressed: ", b"Wrapped by: ", b"---> "];
        if CAUSES.iter().any(|cause| text.starts_with(cause)) {
            return Step::certain(Trace::Frames(Frames::Message));
        }
        match self {
            Frames::Message => unmarked(Trace::Frames(Frames::Message), line),
            Frames::At if is_blank(line) => Step::possible(Trace::Node(Node::Closing)),
            Frames::At => node::closing(line),
        }
    }
}

/// Whether a line is a frame: indented, `at`, and a call or a place in a file.
pub(super) fn is_frame(line: &[u8]) -> bool {
    let Some(frame) = line.trim_ascii_start().strip_prefix(b"at ") else { return false };
    let frame = frame.strip_suffix(b" {").unwrap_or(frame);
    // An error in a list of Node's, and the end of .NET's inner exception.
    let frame = frame.strip_suffix(b",").or_else(|| frame.strip_suffix(b"<---")).unwrap_or(frame);
    is_indented(line) && (is_call(frame) || is_place(frame))
}

/// `a.b.C.call(File.java:7)`, with or without `~[file.jar:1.0]`; `A.B.Call(String x) in /app/A.cs:line 7`;
/// `async call (file:///app.js:1:2)`.
fn is_call(frame: &[u8]) -> bool {
    let Some(open) = memchr::memchr(b'(', frame) else { return frame == b"<anonymous>" };
    let (call, arguments) = frame.split_at(open);
    match call.split_last() {
        None => false,
        Some((b' ', _)) => {
            let file = [&b":"[..], b"<anonymous>", b"native", b"index "];
            let placed = file.iter().any(|file| contains(arguments, file));
            placed && arguments.ends_with(b")")
        }
        Some(_) => {
            let name =
                call.strip_prefix(b"new ").or_else(|| call.strip_prefix(b"async ")).unwrap_or(call);
            let ends =
                arguments.ends_with(b")") || arguments.ends_with(b"]") || has_line(arguments);
            ends && !name.contains(&b' ')
        }
    }
}

/// `.NET`'s end of a frame: `:line 7`.
fn has_line(frame: &[u8]) -> bool {
    let found = memchr::memmem::rfind(frame, b":line ");
    found.and_then(|start| frame.get(start + 6..)).is_some_and(is_number)
}

/// A frame of Node's that is a place alone: `node:internal/main:28:49`, `async file:///app.mjs:1:2`.
fn is_place(frame: &[u8]) -> bool {
    let place = frame.strip_prefix(b"async ").unwrap_or(frame);
    let mut parts = place.rsplitn(3, |byte| *byte == b':');
    let numbers = parts.next().is_some_and(is_number) && parts.next().is_some_and(is_number);
    numbers && parts.next().is_some() && !place.contains(&b' ')
}
