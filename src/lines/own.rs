//! What a JSON line says of itself: which of the schema's keys it has, and its time and level under the names that the
//! usual loggers give them. Keys are compared as they stand, so that one with an escape is no key that is known.

use std::collections::BTreeMap;

use crate::level::{self, Level};
use crate::members::Label;
use crate::timestamp;

/// The names of a time, the more certain first: pino, bunyan, zerolog, logrus and slog write `time`, zap `ts`, logback
/// `@timestamp`, winston and structlog `timestamp`, serilog `@t`, python-json-logger `asctime`.
const TIMES: [&str; 12] = [
    "time",
    "ts",
    "@timestamp",
    "timestamp",
    "@t",
    "datetime",
    "date",
    "eventTime",
    "event_time",
    "asctime",
    "Timestamp",
    "_timestamp",
];

/// The names of a level, the more certain first. Serilog's compact form leaves `@l` out where it is Information
/// (github.com/serilog/serilog-formatting-compact, "Reified properties"), which is what any line is that says none.
const LEVELS: [&str; 14] = [
    "level",
    "severity",
    "log.level",
    "levelname",
    "lvl",
    "@l",
    "loglevel",
    "log_level",
    "logLevel",
    "Level",
    "LogLevel",
    "level_name",
    "priority",
    "status",
];

/// The first of the names whose numbers are something else: a priority of syslog's, a status of HTTP's.
const WORDS_ONLY_FROM: usize = 12;

/// The bit of the time, among those of the schema's members.
pub const TIMESTAMP: u32 = 1;
/// The bit of the level.
pub const LEVEL: u32 = 2;

/// The bit of the label with this number.
pub const fn label(number: usize) -> u32 {
    4 << number
}

/// What a key says.
#[derive(Clone, Copy, Debug, Default)]
struct Meaning {
    /// The bits of the schema's members that the line has by it.
    has: u32,
    /// How certainly it is a time: the lower, the more.
    time: Option<usize>,
    /// How certainly it is a level.
    level: Option<usize>,
}

/// The keys that are looked for: those of each length.
#[derive(Debug)]
pub struct Keys(Vec<Vec<(&'static [u8], Meaning)>>);

impl Keys {
    /// The keys of the time and the level, and those of the labels.
    pub fn new([timestamp, level]: [&'static str; 2], labels: &[Label]) -> Self {
        let mut keys: BTreeMap<&'static str, Meaning> = BTreeMap::new();
        keys.entry(timestamp).or_default().has |= TIMESTAMP;
        keys.entry(level).or_default().has |= LEVEL;
        for (number, of_label) in labels.iter().enumerate() {
            for key in of_label.keys {
                keys.entry(key).or_default().has |= label(number);
            }
        }
        for (rank, name) in TIMES.iter().enumerate() {
            keys.entry(name).or_default().time = Some(rank);
        }
        for (rank, name) in LEVELS.iter().enumerate() {
            keys.entry(name).or_default().level = Some(rank);
        }
        let longest = keys.keys().map(|key| key.len()).max().unwrap_or_default();
        let of_length = |length| {
            let of_it = keys.iter().filter(|(key, _)| key.len() == length);
            of_it.map(|(key, meaning)| (key.as_bytes(), *meaning)).collect()
        };
        Self((0..=longest).map(of_length).collect())
    }

    #[inline]
    fn meaning(&self, key: &[u8]) -> Option<Meaning> {
        let of_length = self.0.get(key.len())?;
        // Hardly two have their first byte in common, so that nothing else need be compared.
        let is_key = |name: &[u8]| name.first() == key.first() && name == key;
        of_length.iter().find(|(name, _)| is_key(name)).map(|(_, meaning)| *meaning)
    }
}

/// A time as the line has it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Time<'a> {
    /// RFC 3339 text, between its quotes.
    Text(&'a [u8]),
    /// A number, as microseconds since the Unix epoch.
    Micros(u64),
}

/// What a line says of itself.
#[derive(Debug, Default)]
pub struct Own<'a> {
    has: u32,
    time: Option<(usize, Time<'a>)>,
    level: Option<(usize, Level)>,
}

impl<'a> Own<'a> {
    /// Takes in one member of the top level.
    pub fn take(&mut self, keys: &Keys, key: &[u8], value: &'a [u8]) {
        let Some(Meaning { has, time, level }) = keys.meaning(key) else { return };
        self.has |= has;
        if let Some(rank) = time.filter(|rank| self.time.is_none_or(|(best, _)| *rank < best)) {
            self.time = time_of(value).map(|time| (rank, time)).or(self.time);
        }
        if let Some(rank) = level.filter(|rank| self.level.is_none_or(|(best, _)| *rank < best)) {
            self.level = level_of(rank, value).map(|level| (rank, level)).or(self.level);
        }
    }

    /// Whether it has the member of this bit.
    pub fn has(&self, bit: u32) -> bool {
        self.has & bit != 0
    }

    /// Its own time, where it says one that can be understood.
    pub fn time(&self) -> Option<Time<'a>> {
        self.time.map(|(_, time)| time)
    }

    /// Its own level.
    pub fn level(&self) -> Option<Level> {
        self.level.map(|(_, level)| level)
    }
}

/// What is between the quotes of a string.
fn text(value: &[u8]) -> Option<&[u8]> {
    value.strip_prefix(b"\"")?.strip_suffix(b"\"")
}

fn time_of(value: &[u8]) -> Option<Time<'_>> {
    match text(value) {
        Some(text) => timestamp::is_rfc3339(text).then_some(Time::Text(text)),
        None => timestamp::of_number(value).map(Time::Micros),
    }
}

fn level_of(rank: usize, value: &[u8]) -> Option<Level> {
    match text(value) {
        // Some loggers indent their levels, so that the messages stand in one column.
        Some(word) => level::of_word(word.trim_ascii()),
        None if rank < WORDS_ONLY_FROM => {
            level::of_number(str::from_utf8(value).ok()?.parse().ok()?)
        }
        None => None,
    }
}

#[cfg(test)]
mod tests;
