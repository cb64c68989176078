//! The members of an event, made ready once for all lines of a stream, and the events that are made of them.

use std::io::{self, Write};

use crate::level::{self, Level};
use crate::object::{self, Object};
use crate::output::Output;
use crate::own::{self, Keys, Own, Time};
use crate::{Line, Part, escape, plain, timestamp};

/// What the members are called that stead adds to an event.
#[derive(Clone, Copy, Debug)]
pub struct Names {
    /// The key of the time.
    pub timestamp: &'static str,
    /// The key of the level.
    pub level: &'static str,
    /// The words for trace, debug, info, warn, error and fatal.
    pub words: [&'static str; 6],
}

/// A member that is the same in every event of one stream.
#[derive(Debug, Eq, PartialEq)]
pub struct Label {
    /// The keys that say it. The first is its own.
    pub keys: &'static [&'static str],
    /// The whole member: `"service":"api"`.
    pub member: String,
}

/// Each has its comma before it, or the brace where it is the first.
#[derive(Debug)]
pub struct Members {
    keys: Keys,
    /// `,"timestamp":"`.
    key: String,
    /// The wall clock's microseconds, and their text.
    wall: u64,
    time: timestamp::Text,
    /// `{"timestamp":"2026-11-22T12:00:00.123456Z","level":"trace","message":"` to the one of fatal.
    openings: [Vec<u8>; 6],
    /// `,"level":"trace"` to `,"level":"fatal"`.
    levels: [String; 6],
    labels: Vec<String>,
    /// The bits of all labels.
    all_labels: u32,
    /// The quote behind a message, all labels, and the event's end.
    ending: String,
}

/// A line that is an object, and what it says of itself.
#[derive(Debug)]
pub struct Found<'a> {
    object: Object<'a>,
    own: Own<'a>,
}

impl<'a> Found<'a> {
    /// What is between its braces, which is UTF-8.
    pub fn inside(&self) -> &'a [u8] {
        self.object.inside
    }
}

impl Members {
    /// Those of a stream with these labels.
    pub fn new(names: Names, labels: Vec<Label>) -> Self {
        let Names { timestamp: time, level, words } = names;
        let levels = words.map(|word| format!(",\"{level}\":\"{word}\""));
        let opening = |level: &String| {
            let text = "0000-00-00T00:00:00.000000Z";
            format!("{{\"{time}\":\"{text}\"{level},\"message\":\"").into_bytes()
        };
        let all_labels = (0..labels.len()).fold(0, |all, number| all | own::label(number));
        let keys = Keys::new([time, level], &labels);
        let labels: Vec<String> =
            labels.into_iter().map(|label| format!(",{}", label.member)).collect();
        let mut members = Self {
            keys,
            key: format!(",\"{time}\":\""),
            wall: 0,
            time: timestamp::text(0),
            openings: levels.each_ref().map(opening),
            levels,
            ending: format!("\"{}}}\n", labels.concat()),
            labels,
            all_labels,
        };
        members.write_time();
        members
    }

    /// The time of the events from now on. It is the same for all lines of one read.
    #[inline]
    pub fn set_time(&mut self, wall: u64) {
        if wall != self.wall {
            self.wall = wall;
            self.write_time();
        }
    }

    #[cold]
    fn write_time(&mut self) {
        self.time = timestamp::text(self.wall);
        let place = self.key.len()..self.key.len() + self.time.len();
        for opening in &mut self.openings {
            if let Some(text) = opening.get_mut(place.clone()) {
                text.copy_from_slice(&self.time);
            }
        }
    }

    /// Reads a line that is an object. Of what did not come whole, only a last line without its newline can be one.
    #[inline(never)]
    pub fn read<'a>(&self, line: &Line<'a>) -> Option<Found<'a>> {
        let is_whole = line.part.is_none_or(|part| part.ordinal == 1 && part.last);
        if !is_whole || line.bytes.trim_ascii_start().first() != Some(&b'{') {
            return None;
        }
        let mut own = Own::default();
        let object = object::read(line.bytes, |key, value| own.take(&self.keys, key, value))?;
        Some(Found { object, own })
    }

    /// Writes the event of such a line.
    #[inline(never)]
    pub fn write_object(
        &self,
        found: &Found<'_>,
        part: Option<Part>,
        to: &mut Output<'_>,
    ) -> io::Result<()> {
        to.put(b"{")?;
        to.put(found.object.inside)?;
        self.write_missing(found, part, to)
    }

    /// Writes what an object lacks behind its own members, and its end.
    pub fn write_missing(
        &self,
        found: &Found<'_>,
        part: Option<Part>,
        to: &mut Output<'_>,
    ) -> io::Result<()> {
        let own = &found.own;
        // Until something stands there, a member's own comma is left out.
        let mut left_out = usize::from(found.object.is_empty);
        if !own.has(own::TIMESTAMP) {
            to.put(self.key.as_bytes().get(left_out..).unwrap_or_default())?;
            match own.time() {
                Some(Time::Text(text)) => to.put(text)?,
                Some(Time::Micros(micros)) => to.put(&timestamp::text(micros))?,
                None => to.put(&self.time)?,
            }
            to.put(b"\"")?;
            left_out = 0;
        }
        if !own.has(own::LEVEL) {
            let level = own.level().unwrap_or(Level::Info) as usize;
            let level = self.levels.get(level).map(String::as_bytes).unwrap_or_default();
            to.put(level.get(left_out..).unwrap_or_default())?;
            left_out = 0;
        }
        if left_out == 0 && part.is_none() && !own.has(self.all_labels) {
            return to.put(self.ending.as_bytes().get(1..).unwrap_or_default());
        }
        for (number, label) in self.labels.iter().enumerate() {
            if !own.has(own::label(number)) {
                to.put(label.as_bytes().get(left_out..).unwrap_or_default())?;
                left_out = 0;
            }
        }
        write_part(part, to)?;
        to.put(b"}\n")
    }

    /// Writes the event of a line of text.
    #[inline(never)]
    pub fn write_text(
        &self,
        text: &[u8],
        part: Option<Part>,
        to: &mut Output<'_>,
    ) -> io::Result<()> {
        // Where no byte of the line needs a second look, it is its own message.
        if plain::is_plain::<true>(text) {
            self.write_opening(level::of_plain(text).unwrap_or(Level::Info), to)?;
            to.put(text)?;
            return self.write_ending(false, part, to);
        }
        self.write_opening(level::of_event(text), to)?;
        let is_escaped = escape::write_any(text, to)?;
        self.write_ending(is_escaped, part, to)
    }

    /// Writes a text event up to the beginning of its message.
    pub fn write_opening(&self, level: Level, to: &mut Output<'_>) -> io::Result<()> {
        to.put(self.openings.get(level as usize).map(Vec::as_slice).unwrap_or_default())
    }

    /// Writes what is behind the message of a text event: whether bytes of it are escaped, its part, and the labels.
    pub fn write_ending(
        &self,
        is_escaped: bool,
        part: Option<Part>,
        to: &mut Output<'_>,
    ) -> io::Result<()> {
        if !is_escaped && part.is_none() {
            return to.put(self.ending.as_bytes());
        }
        to.put(if is_escaped { b"\",\"escaped\":true" } else { b"\"" })?;
        write_part(part, to)?;
        to.put(self.ending.as_bytes().get(1..).unwrap_or_default())
    }
}

/// How the pieces of a line are joined: the messages of one `partial_id` behind each other, and a newline behind the
/// last, unless it says that there was none.
fn write_part(part: Option<Part>, to: &mut Output<'_>) -> io::Result<()> {
    let Some(Part { id, ordinal, last, newline }) = part else { return Ok(()) };
    write!(
        to,
        ",\"partial\":true,\"partial_id\":{id},\"partial_ordinal\":{ordinal},\"partial_last\":{last}"
    )?;
    if last && !newline {
        to.put(b",\"newline\":false")?;
    }
    Ok(())
}
