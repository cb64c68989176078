//! A level's word behind what loggers write before it. The walk goes from the line's beginning over times, process ids,
//! threads and names, and stops at the first thing that is none of these: a sentence.

mod shape;
mod word;

use super::{Level, forms, of_word as level_of_word};
use shape::{
    Gap, begins_date, gap, is_month, is_name, is_tag, is_time, is_weekday, is_zone, token,
};
use word::{Case, Mark};

/// As many things stand before a level at most.
const STEPS: usize = 14;

/// The level whose word the line says in a fixed place.
pub(super) fn of_word(head: &[u8]) -> Option<Level> {
    let mut walk = Walk {
        rest: head,
        place: Place::Start,
        dated: false,
        named: false,
        calendar: false,
        gap: Gap::Narrow,
    };
    if head.first() == Some(&b'{') {
        return None;
    }
    for _ in 0..STEPS {
        walk.pass_gap();
        match walk.step() {
            Step::Found(level) => return Some(level),
            Step::Passed => {}
            Step::Stopped => break,
        }
    }
    walk.dated.then(|| of_postgres(head)).flatten()
}

/// Whether a line begins with an ordinary word and a space, as most lines of text do: a quick look that saves the walk.
pub(super) fn is_sentence(line: &[u8]) -> bool {
    let (word, after) = word::split(line);
    let [first, second, ..] = word else { return false };
    if after.first() != Some(&b' ') {
        return false;
    }
    match (first.is_ascii_uppercase(), second.is_ascii_uppercase()) {
        (_, false) => {
            !matches!(word, b"npm" | b"fatal" | b"Fatal") && !is_month(word) && !is_weekday(word)
        }
        // `GET /`: what begins like no level is none.
        (true, true) => !word::begins_level([*first, *second]) && word != b"PHP",
        (false, true) => false,
    }
}

/// What has been passed so far says what a bare word here would be.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Place {
    /// The line's beginning.
    Start,
    /// Behind a time or something in brackets: here loggers write the level.
    Marked,
    /// Behind a program's name and a colon, where only `error: ` and its like are levels.
    Tagged,
    /// Behind a number that is no time. No level is here, but a time may follow.
    Counted,
}

enum Step {
    Found(Level),
    Passed,
    Stopped,
}

struct Walk<'a> {
    rest: &'a [u8],
    place: Place,
    /// A time was passed.
    dated: bool,
    /// A name was passed, of which there is one at most.
    named: bool,
    /// A month's name was passed, as at the beginning of a line for syslog, where a host's name follows the time.
    calendar: bool,
    /// What stands right before the rest.
    gap: Gap,
}

impl<'a> Walk<'a> {
    fn pass_gap(&mut self) {
        let (gap, length) = gap(self.rest);
        self.gap = gap;
        self.pass(length);
    }

    fn pass(&mut self, length: usize) -> Step {
        self.rest = self.rest.get(length..).unwrap_or_default();
        Step::Passed
    }

    fn step(&mut self) -> Step {
        match self.rest.first() {
            Some(b'[') => self.brackets(),
            Some(b'(') => self.group(b')'),
            Some(b'{') if self.dated => self.group(b'}'),
            Some(byte) if byte.is_ascii_digit() || *byte == b'+' => self.number(),
            Some(byte) if byte.is_ascii_alphabetic() || *byte == b'_' => self.word(),
            _ => Step::Stopped,
        }
    }

    /// The length of what is in a pair of brackets with them, where they are closed within the window.
    fn closed(&self, bracket: u8) -> Option<usize> {
        memchr::memchr(bracket, self.rest).map(|end| end + 1)
    }

    fn group(&mut self, bracket: u8) -> Step {
        let Some(length) = self.closed(bracket) else { return Step::Stopped };
        self.place = Place::Marked;
        self.pass(length)
    }

    fn brackets(&mut self) -> Step {
        let Some(length) = self.closed(b']') else { return Step::Stopped };
        let inside = self.rest.get(1..length - 1).unwrap_or_default().trim_ascii();
        if let Some(level) = of_brackets(inside) {
            return Step::Found(level);
        }
        let first = inside.split(|byte| *byte == b' ').next().unwrap_or_default();
        self.dated |= is_time(first) || is_weekday(first);
        self.place = Place::Marked;
        self.pass(length)
    }

    fn number(&mut self) -> Step {
        let token = token(self.rest);
        let unsigned = token.strip_prefix(b"+").unwrap_or(token);
        if is_time(unsigned) {
            self.dated = true;
            self.place = Place::Marked;
        } else if !unsigned.iter().all(u8::is_ascii_digit) {
            return Step::Stopped;
        } else if self.place == Place::Start {
            self.place = Place::Counted;
        }
        self.pass(token.len())
    }

    fn word(&mut self) -> Step {
        if let Some(key) = word::key(self.rest) {
            return self.pair(key);
        }
        if let Some(level) = self.level() {
            return Step::Found(level);
        }
        let token = token(self.rest);
        if let Some(level) = word::of_channel(token).filter(|_| self.place == Place::Marked) {
            return Step::Found(level);
        }
        if self.is_prefix(token) { self.pass(token.len()) } else { Step::Stopped }
    }

    /// `key=value`, as in logfmt: either the level's, or one to be passed.
    fn pair(&mut self, key: &[u8]) -> Step {
        let Some((value, length)) = word::value(self.rest, key.len() + 1) else {
            return Step::Stopped;
        };
        if !matches!(key, b"level" | b"lvl" | b"severity" | b"log.level") {
            return self.pass(length);
        }
        level_of_word(value).map_or(Step::Stopped, Step::Found)
    }

    fn level(&self) -> Option<Level> {
        let (word, after) = word::split(self.rest);
        if let [letter, b'!', b' ', ..] = self.rest
            && self.dated
        {
            return forms::of_initial(*letter);
        }
        let level = word::level(word)?;
        let marked = match (word::mark(word, after), Case::of(word)) {
            (Mark::Colon, _) => matches!(self.place, Place::Start | Place::Marked | Place::Tagged),
            (Mark::End, Case::Upper) => match self.place {
                Place::Start => {
                    word::is_unmistakable(word) || matches!(after, [b'[', b'0'..=b'9', ..])
                }
                Place::Marked => true,
                Place::Tagged | Place::Counted => false,
            },
            // In lower case it takes more than a space on both sides, or a name in brackets behind it.
            (Mark::End, Case::Other) => {
                let apart = self.gap != Gap::Narrow && gap(after).0 != Gap::Narrow;
                self.dated && (apart || after.starts_with(b" ["))
            }
            (Mark::None, _) => false,
        };
        marked.then_some(level)
    }

    /// Whether a word is one of those that stand before a level; what it changes in the walk is changed.
    fn is_prefix(&mut self, token: &[u8]) -> bool {
        let after = self.rest.get(token.len()..).unwrap_or_default();
        if is_month(token) || is_weekday(token) {
            self.calendar |= is_month(token);
            return begins_date(after.trim_ascii_start());
        }
        if matches!(token, b"npm" | b"PHP") && matches!(self.place, Place::Start | Place::Marked) {
            self.place = Place::Marked;
            return true;
        }
        if self.dated && (is_zone(token) || token == b"main") {
            return true;
        }
        if let [name @ .., b':'] = token
            && is_name(name)
        {
            self.place = if self.dated { Place::Marked } else { Place::Tagged };
            return true;
        }
        // A logger's name: the Python way (` - name - `), with dots, or with a process id behind it.
        let between = self.gap == Gap::Sign && gap(after).0 == Gap::Sign;
        let logger = between || token.contains(&b'.') || after.starts_with(b"[");
        let host = std::mem::take(&mut self.calendar) && is_tag(after.trim_ascii_start());
        self.dated
            && is_name(token)
            && (host || logger && !std::mem::replace(&mut self.named, true))
    }
}

/// Postgres writes its severity behind a prefix of the user's choice (log_line_prefix), with a colon and two spaces
/// after it. DETAIL, HINT, STATEMENT and the others that go with a message are no severities.
fn of_postgres(head: &[u8]) -> Option<Level> {
    let end = memchr::memmem::find(head, b":  ")?;
    let before = head.get(..end)?;
    let start = before.iter().rposition(|byte| !byte.is_ascii_alphanumeric())?;
    let severity = before.get(start + 1..)?;
    let placed = matches!(before.get(start), Some(b' ' | b':'));
    let upper = severity.first().is_some_and(u8::is_ascii_uppercase) && severity.len() > 2;
    (placed && upper && Case::of(severity) == Case::Upper)
        .then(|| level_of_word(severity))
        .flatten()
}

/// `[error]`, `[core:error]`, `[12:00:00 INF]`, `[2026-11-22 12:00:00,123: ERROR/MainProcess]`, `[WARN  target]`,
/// `[E 261122 12:00:00 web:7]`.
fn of_brackets(inside: &[u8]) -> Option<Level> {
    if let [letter, b' ', b'0'..=b'9', ..] = inside {
        return forms::of_initial(*letter);
    }
    let alone = inside.rsplit(|byte| *byte == b':').next().unwrap_or(inside);
    let module = inside.get(..inside.len() - alone.len()).unwrap_or_default();
    let in_module =
        module.iter().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'_' | b':'));
    if in_module && let Some(level) = word::level(alone) {
        return Some(level);
    }
    let mut words = inside.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    let first = words.find(|word| !is_time(word.strip_suffix(b":").unwrap_or(word)))?;
    let (word, after) = word::split(first);
    let ends = matches!(after.first(), None | Some(b'/'));
    (ends && Case::of(word) == Case::Upper).then(|| word::level(word)).flatten()
}
