//! Ruby's errors: `app.rb:1:in 'call': message (RuntimeError)`, and frames below it (docs.ruby-lang.org,
//! `Exception#full_message`).

use super::{Step, Trace, WINDOW, is_indented, is_left_out, is_number, unmarked};

/// The last line of an error.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ruby {
    /// The place, the message and the class.
    Error,
    /// What may be a further line of the message, or the source that Ruby shows below it.
    Message,
    /// A frame.
    Frames,
}

pub(super) fn begin(line: &[u8]) -> Option<Step> {
    match place(line)? {
        Place::Frame => Step::certain(Trace::Ruby(Ruby::Frames)),
        Place::Error => Step::certain(Trace::Ruby(Ruby::Error)),
    }
}

/// The trace behind a frame that says nothing of the error itself.
pub(super) fn frame(line: &[u8]) -> Option<Step> {
    if place(line)? == Place::Frame { begin(line) } else { None }
}

impl Ruby {
    pub(super) fn next(self, line: &[u8]) -> Option<Step> {
        if is_indented(line) && is_left_out(line) {
            return Step::certain(Trace::Ruby(Ruby::Frames));
        }
        match (self, place(line)) {
            (_, Some(Place::Frame)) => begin(line),
            // Right below the frames is the error that was its cause.
            (Ruby::Frames, Some(Place::Error)) => begin(line),
            (Ruby::Frames, None) => None,
            (Ruby::Error | Ruby::Message, _) => unmarked(Trace::Ruby(Ruby::Message), line),
        }
    }
}

/// What a line with a place in a file is.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Place {
    Frame,
    Error,
}

/// `app.rb:7:in 'call'`, with a backtick before the name until Ruby 3.4, and with `from` before it or not.
fn place(line: &[u8]) -> Option<Place> {
    let line = line.get(..WINDOW).unwrap_or(line);
    let is_call = |colon: &usize| line.get(*colon..).is_some_and(|rest| rest.starts_with(b":in "));
    let (before, after) = line.split_at_checked(memchr::memchr_iter(b':', line).find(is_call)?)?;
    let quoted = after.get(4).is_some_and(|byte| matches!(byte, b'`' | b'\''));
    let mut parts = before.rsplitn(2, |byte| *byte == b':');
    let placed = parts.next().is_some_and(is_number) && parts.next().is_some_and(is_path);
    let place = if after.ends_with(b"'") { Place::Frame } else { Place::Error };
    (quoted && placed).then_some(place)
}

fn is_path(before: &[u8]) -> bool {
    let last = before.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
    last.iter().any(u8::is_ascii_alphabetic)
}
