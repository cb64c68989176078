//! Tracebacks of Python, as its `traceback` module prints them (docs.python.org, library/traceback), with chained
//! exceptions and exception groups.

use super::{Step, Trace, is_blank, is_indented, is_number, ruby, unmarked};

const HEADER: &[u8] = b"Traceback (most recent call last):";

/// The last line of a traceback.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Python {
    /// The header, or lines of frames.
    Frames,
    /// A line of an exception group, which all begin with `|` or `+`.
    Group,
    /// The exception's name and message, or what may be further lines of the message.
    Exception,
    /// A line that says that another traceback follows.
    Chained,
}

pub(super) fn begin(line: &[u8]) -> Option<Step> {
    if line.ends_with(HEADER) {
        let group = line.trim_ascii_start().starts_with(b"+ ");
        return Step::certain(Trace::Python(if group { Python::Group } else { Python::Frames }));
    }
    // A mistake of syntax has no header.
    if is_place(line) { Step::certain(Trace::Python(Python::Frames)) } else { None }
}

impl Python {
    pub(super) fn next(self, line: &[u8]) -> Option<Step> {
        match self {
            Python::Frames if line.starts_with(b"  ") => {
                Step::certain(Trace::Python(Python::Frames))
            }
            Python::Frames if is_exception(line) => Step::certain(Trace::Python(Python::Exception)),
            // Ruby writes the same header where the last call is last.
            Python::Frames if is_indented(line) => {
                ruby::frame(line).and(Step::certain(Trace::Python(self)))
            }
            Python::Frames => ruby::begin(line),
            Python::Group if is_group(line) => Step::certain(Trace::Python(Python::Group)),
            Python::Group | Python::Exception => after_exception(line),
            Python::Chained if is_blank(line) => Step::certain(Trace::Python(Python::Chained)),
            Python::Chained => begin(line),
        }
    }
}

/// A message may have several lines, and nothing marks its end but what follows.
fn after_exception(line: &[u8]) -> Option<Step> {
    let chained = matches!(
        line,
        b"During handling of the above exception, another exception occurred:"
            | b"The above exception was the direct cause of the following exception:"
    );
    if chained {
        return Step::certain(Trace::Python(Python::Chained));
    }
    unmarked(Trace::Python(Python::Exception), line)
}

/// `  File "/app/main.py", line 7`, with or without the function.
fn is_place(line: &[u8]) -> bool {
    let Some(place) = line.strip_prefix(b"  File \"") else { return false };
    let found = memchr::memmem::rfind(place, b"\", line ");
    let number = found.and_then(|start| place.get(start + 8..)).unwrap_or_default();
    is_number(number.split(|byte| *byte == b',').next().unwrap_or_default())
}

/// `package.Name: message`, or the name alone.
fn is_exception(line: &[u8]) -> bool {
    let fits =
        |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'<' | b'>');
    let length = line.iter().take_while(|byte| fits(byte) || !byte.is_ascii()).count();
    let after = line.get(length..).unwrap_or_default();
    length > 0 && matches!(after, [] | [b':'] | [b':', b' ', ..])
}

fn is_group(line: &[u8]) -> bool {
    is_indented(line) && matches!(line.trim_ascii_start().first(), Some(b'|' | b'+'))
}
