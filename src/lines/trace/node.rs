//! What Node writes around an error's frames: the source line that threw it, the error's fields, its own version.

use super::frames::{Frames, after_frame, is_frame};
use super::{Step, Trace, is_blank, is_indented, is_number};

/// The last line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Node {
    /// The file and line that threw.
    Place,
    /// That line's text.
    Source,
    /// The carets below it, and then the message.
    Thrown,
    /// An error without frames that ends with an open brace.
    Opened,
    /// An error's fields, in braces.
    Fields,
    /// A blank line behind everything else.
    Closing,
    /// Node's version, which is the end.
    Closed,
}

/// `/app/server.js:7`, alone on a line.
pub(super) fn begin(line: &[u8]) -> Option<Step> {
    const PLACES: [&[u8]; 5] = [b"/", b"file://", b"node:", b"[eval]", b"[stdin]"];
    let number = line.rsplit(|byte| *byte == b':').next()?;
    let placed = PLACES.iter().any(|place| line.starts_with(place)) && number.len() < line.len();
    if placed && is_number(number) { Step::possible(Trace::Node(Node::Place)) } else { None }
}

/// Node's last line after an error that nobody caught.
pub(super) fn closing(line: &[u8]) -> Option<Step> {
    if line.starts_with(b"Node.js v") { Step::certain(Trace::Node(Node::Closed)) } else { None }
}

impl Node {
    pub(super) fn next(self, line: &[u8]) -> Option<Step> {
        match self {
            Node::Place => Step::possible(Trace::Node(Node::Source)),
            Node::Source => {
                let carets = line.trim_ascii();
                let below = !carets.is_empty() && carets.iter().all(|byte| *byte == b'^');
                if below { Step::certain(Trace::Node(Node::Thrown)) } else { None }
            }
            Node::Thrown => thrown(line),
            Node::Opened if is_field(line) => Step::certain(Trace::Node(Node::Fields)),
            Node::Fields if line == b"}" => Step::certain(Trace::Frames(Frames::At)),
            Node::Fields if is_indented(line) => Step::certain(Trace::Node(Node::Fields)),
            Node::Closing => closing(line),
            Node::Opened | Node::Fields | Node::Closed => None,
        }
    }
}

fn thrown(line: &[u8]) -> Option<Step> {
    if is_frame(line) {
        return after_frame(line);
    }
    if line.ends_with(b" {") {
        return Step::certain(Trace::Node(Node::Fields));
    }
    closing(line).or_else(|| Step::possible(Trace::Node(Node::Thrown)))
}

/// `  code: 'ENOENT',`
fn is_field(line: &[u8]) -> bool {
    let name = |byte: &u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | b'[' | b']' | b'\'' | b'-')
    };
    let field = line.strip_prefix(b"  ").unwrap_or_default();
    let length = field.iter().take_while(|byte| name(byte)).count();
    length > 0
        && field.get(length..).is_some_and(|after| after.starts_with(b": "))
        && !is_blank(line)
}
