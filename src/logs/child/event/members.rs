//! The members that stead adds to an event, made ready once for all lines of a stream.

use std::io::{self, Write};

use crate::config::{Labels, LogSchema};
use crate::logs::child::level::Level;
use crate::logs::child::own::{self, Keys, Own, Time};
use crate::logs::child::timestamp;
use crate::logs::schema::{Schema, labels};

/// Each has its comma before it, or the brace where it is the first.
#[derive(Debug)]
pub(super) struct Members {
    keys: Keys,
    /// `{"timestamp":"`.
    opening: String,
    /// The wall clock's microseconds, and their text.
    wall: u64,
    time: timestamp::Text,
    /// `,"level":"trace"` to `,"level":"fatal"`.
    levels: [String; 6],
    labels: Vec<String>,
    /// All labels, and the event's end.
    ending: String,
}

impl Members {
    pub(super) fn new(choice: LogSchema, values: &Labels, stream: &'static str) -> Self {
        let schema = Schema::of(choice);
        let labels = labels(choice, values, Some(stream));
        let members: Vec<String> =
            labels.iter().map(|label| format!(",{}", label.member)).collect();
        Self {
            keys: Keys::new(schema, &labels),
            opening: format!("{{\"{}\":\"", schema.timestamp),
            wall: 0,
            time: timestamp::text(0),
            levels: schema.words.map(|word| format!(",\"{}\":\"{word}\"", schema.level)),
            ending: members.concat() + "}\n",
            labels: members,
        }
    }

    /// The keys that a line may have already.
    pub(super) fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The time of the events from now on. It is the same for all lines of one read.
    pub(super) fn set_time(&mut self, wall: u64) {
        if wall != self.wall {
            self.wall = wall;
            self.time = timestamp::text(wall);
        }
    }

    /// Writes a text event up to the beginning of its message.
    pub(super) fn write_opening(&self, level: Level, to: &mut impl Write) -> io::Result<()> {
        to.write_all(self.opening.as_bytes())?;
        to.write_all(&self.time)?;
        to.write_all(b"\"")?;
        to.write_all(self.level(level))?;
        to.write_all(b",\"message\":\"")
    }

    /// Writes what is behind the message of a text event.
    pub(super) fn write_ending(&self, to: &mut impl Write) -> io::Result<()> {
        to.write_all(self.ending.as_bytes())
    }

    /// Writes what a line lacks that is an object, behind its own members.
    pub(super) fn write_missing(
        &self,
        own: &Own<'_>,
        is_empty: bool,
        to: &mut impl Write,
    ) -> io::Result<()> {
        // Until something stands there, a member's own comma is left out.
        let mut left_out = usize::from(is_empty);
        if !own.has(own::TIMESTAMP) {
            to.write_all(if is_empty { b"" } else { b"," })?;
            to.write_all(self.opening.as_bytes().get(1..).unwrap_or_default())?;
            match own.time() {
                Some(Time::Text(text)) => to.write_all(text)?,
                Some(Time::Micros(micros)) => to.write_all(&timestamp::text(micros))?,
                None => to.write_all(&self.time)?,
            }
            to.write_all(b"\"")?;
            left_out = 0;
        }
        let level = self.level(own.level().unwrap_or(Level::Info));
        let level = (!own.has(own::LEVEL)).then_some(level);
        let labels = self.labels.iter().enumerate();
        let labels = labels.filter(|(number, _)| !own.has(own::label(*number)));
        for member in level.into_iter().chain(labels.map(|(_, label)| label.as_bytes())) {
            to.write_all(member.get(left_out..).unwrap_or_default())?;
            left_out = 0;
        }
        Ok(())
    }

    fn level(&self, level: Level) -> &[u8] {
        self.levels.get(level as usize).map(String::as_bytes).unwrap_or_default()
    }
}
