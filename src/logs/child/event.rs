//! A line of the child's as one JSON object.

mod members;

use std::io::{self, Write};
use std::os::fd::RawFd;

use members::Members;

use super::level::{self, Level};
use super::object::{self, Object};
use super::own::Own;
use super::redact::{KEPT, Redactions, Redactor};
use super::{Line, Part, ansi, escape};
use crate::config::{Labels, LogSchema};

/// How events are written.
#[derive(Clone, Debug, Default)]
pub struct Style {
    /// The names of the fields.
    pub schema: LogSchema,
    /// What each event is labelled with.
    pub labels: Labels,
    /// Terminal control sequences are taken out of text lines.
    pub strip_ansi: bool,
    /// What must not leave.
    pub redactions: Redactions,
}

/// The stream that a line came out of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    /// `stdout` or `stderr`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }

    /// Its descriptor.
    pub const fn fd(self) -> RawFd {
        match self {
            Self::Stdout => libc::STDOUT_FILENO,
            Self::Stderr => libc::STDERR_FILENO,
        }
    }
}

/// Writes the events of one stream. Its buffers are made once, so that no line costs an allocation.
#[derive(Debug)]
pub struct Renderer {
    members: Members,
    redactor: Redactor,
    /// The line without its control sequences, where they are to be taken out.
    stripped: Option<Vec<u8>>,
}

impl Renderer {
    /// For one stream.
    pub fn new(style: &Style, stream: Stream) -> Self {
        Self {
            members: Members::new(style.schema, &style.labels, stream.name()),
            redactor: Redactor::new(style.redactions.clone()),
            stripped: style.strip_ansi.then(Vec::new),
        }
    }

    /// Writes one line as one object and a newline.
    pub fn render(&mut self, line: &Line<'_>, to: &mut impl Write) -> io::Result<()> {
        self.members.set_time(line.read.wall);
        // Of what did not come whole, only a last line without its newline can be an object.
        let is_whole = line.part.is_none_or(|part| part.ordinal == 1 && part.last);
        if is_whole && line.bytes.trim_ascii_start().first() == Some(&b'{') {
            let mut own = Own::default();
            let keys = self.members.keys();
            let read = |text| object::read(text, |key, value| own.take(keys, key, value));
            if let Some(object) = str::from_utf8(line.bytes).ok().and_then(read) {
                self.write_object(&object, to)?;
                self.members.write_missing(&own, object.is_empty, to)?;
                write_part(line.part, to)?;
                return to.write_all(b"}\n");
            }
        }
        self.write_text(line, to)
    }

    fn write_text(&mut self, line: &Line<'_>, to: &mut impl Write) -> io::Result<()> {
        let Self { members, redactor, stripped } = self;
        let mut bytes = line.bytes;
        if let Some(stripped) = stripped {
            // What a giant line needed is given back.
            stripped.clear();
            stripped.shrink_to(KEPT);
            stripped.reserve_exact(bytes.len());
            ansi::strip(bytes, stripped);
            bytes = stripped;
        }
        members.write_opening(level_of(bytes), to)?;
        write_message(bytes, redactor, to)?;
        write_part(line.part, to)?;
        members.write_ending(to)
    }

    /// Writes an object up to its closing brace.
    fn write_object(&mut self, object: &Object<'_>, to: &mut impl Write) -> io::Result<()> {
        to.write_all(b"{")?;
        if self.redactor.is_idle() {
            to.write_all(object.inside.as_bytes())
        } else {
            self.redactor.write_object(object.inside, to)
        }
    }
}

/// Writes a message to the end of its string, and whether its bytes are escaped.
fn write_message(bytes: &[u8], redactor: &mut Redactor, to: &mut impl Write) -> io::Result<()> {
    let text = str::from_utf8(bytes);
    match (text, redactor.is_idle()) {
        (Ok(text), true) => escape::write_text(text, to)?,
        (Ok(text), false) => redactor.write_text(text, to)?,
        (Err(_), true) => escape::write_bytes(bytes, to)?,
        (Err(_), false) => redactor.write_bytes(bytes, to)?,
    }
    to.write_all(if text.is_err() { b"\",\"escaped\":true" } else { b"\"" })
}

/// The level of a text. Where it has a newline it is a stack trace, which is an error unless its first line says
/// something else.
fn level_of(text: &[u8]) -> Level {
    let (first, otherwise) = match memchr::memchr(b'\n', text) {
        Some(end) => (text.get(..end).unwrap_or(text), Level::Error),
        None => (text, Level::Info),
    };
    level::of_text(first).unwrap_or(otherwise)
}

/// How the pieces of a line are joined: the messages of one `partial_id` behind each other, and a newline behind the
/// last, unless it says that there was none.
fn write_part(part: Option<Part>, to: &mut impl Write) -> io::Result<()> {
    let Some(Part { id, ordinal, last, newline }) = part else { return Ok(()) };
    write!(
        to,
        ",\"partial\":true,\"partial_id\":{id},\"partial_ordinal\":{ordinal},\"partial_last\":{last}"
    )?;
    if last && !newline {
        to.write_all(b",\"newline\":false")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
