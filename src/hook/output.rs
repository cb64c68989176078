//! What a hook prints, as events: one a line, without secrets.

use std::time::Duration;

use tracing::info;

use crate::check::secret::scrub;
use crate::errand::Moment;
use crate::logs::child::redact::{Redactions, Redactor};
use crate::logs::writer;
use crate::sys::pipe::Pipe;

/// A longer line is several events.
const LONGEST: usize = 4096;
/// How much is read at once.
const CHUNK: usize = 4096;
/// How often in a row is read what a pipe holds, which without [`Output::take`] is no more (pipe(7)): who writes without
/// end must not keep the hook's end from being seen.
const TURNS: usize = 32;
/// How long a reader of the log that takes nothing is waited for, once, before events are dropped.
const PATIENCE: Duration = Duration::from_secs(1);

/// Makes events of what comes through a pipe.
pub(super) struct Output {
    moment: Moment,
    redactor: Redactor,
    line: Vec<u8>,
    /// The reader of the log takes what it is given.
    is_read: bool,
}

impl Output {
    pub(super) fn new(moment: Moment, redactions: &Redactions) -> Self {
        let redactor = Redactor::new(redactions.clone());
        Self { moment, redactor, line: Vec::new(), is_read: true }
    }

    /// Takes what the pipe holds; false where nobody will write there any more.
    pub(super) fn take(&mut self, pipe: &Pipe) -> bool {
        let mut chunk = [0; CHUNK];
        for _ in 0..TURNS {
            match pipe.read(&mut chunk) {
                Ok(0) => return false,
                Ok(read) => self.push(chunk.get(..read).unwrap_or_default()),
                // Silence, or a signal that does not concern this thread: it is asked again.
                Err(_) => return true,
            }
        }
        true
    }

    /// Tells the last line, which has no end.
    pub(super) fn finish(&mut self) {
        if !self.line.is_empty() {
            self.tell();
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(part);
            let is_whole = self.line.pop_if(|byte| *byte == b'\n').is_some();
            while self.line.len() > LONGEST {
                let rest = self.line.split_off(whole(&self.line, LONGEST));
                self.tell();
                self.line = rest;
            }
            if is_whole {
                self.line.pop_if(|byte| *byte == b'\r');
                self.tell();
            }
        }
    }

    /// Makes an event of the line, and begins the next one.
    fn tell(&mut self) {
        let limit = if self.is_read { PATIENCE } else { Duration::ZERO };
        self.is_read = writer::await_room(limit);
        let text = String::from_utf8_lossy(&self.line);
        let line = self.redactor.redact(&scrub(&text));
        info!(hook = self.moment.name(), line, "hook output");
        self.line.clear();
    }
}

/// The last place up to `end`, behind which there is more, where no character of UTF-8 is cut in two.
fn whole(bytes: &[u8], end: usize) -> usize {
    let is_inside = |at: &usize| bytes.get(*at).is_some_and(|byte| byte & 0xc0 == 0x80);
    (end.saturating_sub(3)..=end).rfind(|at| !is_inside(at)).unwrap_or(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_cut_between_characters() {
        assert_eq!(whole(b"abcdef", 4), 4);
        assert_eq!(whole("abc\u{e4}f".as_bytes(), 4), 3);
        assert_eq!(whole("\u{1f600}\u{1f600}".as_bytes(), 7), 4);
        assert_eq!(whole(&[0x80; 10], 6), 6);
    }
}
