//! A line of the child's as one JSON object.

use std::io;
use std::os::fd::RawFd;

use stead_lines::level;
use stead_lines::members::{Members, Names};
use stead_lines::output::Output;

use super::redact::{KEPT, Redactions, Redactor};
use super::{Line, ansi};
use crate::config::{Labels, LogSchema};
use crate::logs::schema::{Schema, labels};

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
        let Schema { timestamp, level, words, .. } = *Schema::of(style.schema);
        let labels = labels(style.schema, &style.labels, Some(stream.name()));
        Self {
            members: Members::new(Names { timestamp, level, words }, labels),
            redactor: Redactor::new(style.redactions.clone()),
            stripped: style.strip_ansi.then(Vec::new),
        }
    }

    /// Writes one line as one object and a newline.
    pub fn render(&mut self, line: &Line<'_>, to: &mut Output<'_>) -> io::Result<()> {
        let Self { members, redactor, stripped } = self;
        members.set_time(line.read.wall);
        if let Some(object) = members.read(line) {
            if redactor.is_idle() {
                return members.write_object(&object, line.part, to);
            }
            to.put(b"{")?;
            redactor.write_object(str::from_utf8(object.inside()).unwrap_or_default(), to)?;
            return members.write_missing(&object, line.part, to);
        }
        let mut bytes = line.bytes;
        if let Some(stripped) = stripped {
            // What a giant line needed is given back.
            stripped.clear();
            stripped.shrink_to(KEPT);
            stripped.reserve_exact(bytes.len());
            ansi::strip(bytes, stripped);
            bytes = stripped;
        }
        if redactor.is_idle() {
            return members.write_text(bytes, line.part, to);
        }
        members.write_opening(level::of_event(bytes), to)?;
        let text = str::from_utf8(bytes);
        match text {
            Ok(text) => redactor.write_text(text, to)?,
            Err(_) => redactor.write_bytes(bytes, to)?,
        }
        members.write_ending(text.is_err(), line.part, to)
    }
}

#[cfg(test)]
mod tests;
