//! What must not leave: the matches of the patterns that were given, and the secrets that are known.

mod secrets;

use std::fmt;
use std::io;
use std::mem;
use std::ops::Range;
use std::str::Chars;

use regex_lite::Regex;
use stead_lines::escape;
use stead_lines::output::Output;

pub use secrets::secrets_among;

/// What stands in the place of a match.
pub const REDACTED: &[u8] = b"[redacted]";

/// As much room stays for the next line.
pub const KEPT: usize = 64 * 1024;

/// Shorter secrets hide in the words of any text.
const SHORTEST: usize = 6;

/// What is looked for.
#[derive(Clone, Default)]
pub struct Redactions(Vec<Needle>);

#[derive(Clone)]
enum Needle {
    Pattern(Regex),
    Secret(String),
}

impl fmt::Debug for Redactions {
    /// No secret is printed, and a pattern may hold one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redactions({})", self.0.len())
    }
}

impl Redactions {
    /// Matches of these patterns, and these texts where they have at least six bytes.
    pub fn new(patterns: Vec<Regex>, mut secrets: Vec<String>) -> Self {
        secrets.retain(|secret| secret.len() >= SHORTEST);
        secrets.sort_unstable();
        secrets.dedup();
        let secrets = secrets.into_iter().map(Needle::Secret);
        Self(patterns.into_iter().map(Needle::Pattern).chain(secrets).collect())
    }
}

impl Needle {
    /// The first match from a place on. An empty one has nothing to hide.
    fn find(&self, text: &str, mut from: usize) -> Option<Range<usize>> {
        match self {
            Self::Secret(secret) => {
                let start = from + text.get(from..)?.find(secret)?;
                Some(start..start + secret.len())
            }
            Self::Pattern(pattern) => loop {
                let at = pattern.find_at(text, from)?.range();
                if !at.is_empty() {
                    return Some(at);
                }
                from = at.end + text.get(at.end..)?.chars().next()?.len_utf8();
            },
        }
    }
}

/// The places of a text that must not leave, in order and apart from each other. They are found one by one: a text may
/// have more of them than there is memory for.
struct Search<'a> {
    redactions: &'a Redactions,
    text: &'a str,
    /// The next match of each.
    next: &'a mut Vec<Option<Range<usize>>>,
}

impl<'a> Search<'a> {
    fn new(
        redactions: &'a Redactions,
        text: &'a str,
        next: &'a mut Vec<Option<Range<usize>>>,
    ) -> Self {
        next.clear();
        next.extend(redactions.0.iter().map(|needle| needle.find(text, 0)));
        Self { redactions, text, next }
    }
}

impl Iterator for Search<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        let mut hidden = self.next.iter().flatten().min_by_key(|at| at.start)?.clone();
        loop {
            let end = hidden.end;
            for (needle, next) in self.redactions.0.iter().zip(self.next.iter_mut()) {
                // One that begins within what is hidden may hide more.
                while let Some(at) = next.take_if(|at| at.start < hidden.end) {
                    hidden.end = hidden.end.max(at.end);
                    *next = needle.find(self.text, at.end);
                }
            }
            if hidden.end == end {
                return Some(hidden);
            }
        }
    }
}

/// Redacts lines while they are written, in buffers that it keeps.
#[derive(Debug, Default)]
pub struct Redactor {
    redactions: Redactions,
    next: Vec<Option<Range<usize>>>,
    text: String,
}

impl Redactor {
    /// Redacts what is looked for there.
    pub fn new(redactions: Redactions) -> Self {
        Self { redactions, ..Self::default() }
    }

    /// The text, redacted.
    pub fn redact(&mut self, text: &str) -> String {
        let (mut done, mut redacted) = (0, String::new());
        let mut put = |part: Option<&str>| redacted.push_str(part.unwrap_or_default());
        for at in Search::new(&self.redactions, text, &mut self.next) {
            put(text.get(done..at.start));
            put(Some("[redacted]"));
            done = at.end;
        }
        put(text.get(done..));
        redacted
    }

    /// Whether nothing is looked for.
    pub fn is_idle(&self) -> bool {
        self.redactions.0.is_empty()
    }

    /// Writes text as the inside of a JSON string, redacted.
    pub fn write_text(&mut self, text: &str, to: &mut Output<'_>) -> io::Result<()> {
        let mut done = 0;
        for at in Search::new(&self.redactions, text, &mut self.next) {
            escape::write_text(text.get(done..at.start).unwrap_or_default(), to)?;
            to.put(REDACTED)?;
            done = at.end;
        }
        escape::write_text(text.get(done..).unwrap_or_default(), to)
    }

    /// Writes bytes that are not all UTF-8 as the inside of a JSON string, redacted.
    pub fn write_bytes(&mut self, bytes: &[u8], to: &mut Output<'_>) -> io::Result<()> {
        copy_as_text(bytes, &mut self.text);
        let mut done = 0;
        for at in Search::new(&self.redactions, &self.text, &mut self.next) {
            escape::write_bytes(bytes.get(done..at.start).unwrap_or_default(), to)?;
            to.put(REDACTED)?;
            done = at.end;
        }
        escape::write_bytes(bytes.get(done..).unwrap_or_default(), to)?;
        self.text.clear();
        self.text.shrink_to(KEPT);
        Ok(())
    }

    /// Writes the inside of a valid JSON object with its string values redacted. A number is hidden where all of it
    /// matches, and is a string then. Keys stay.
    pub fn write_object(&mut self, inside: &str, to: &mut Output<'_>) -> io::Result<()> {
        let mut rest = inside;
        while let Some(place) = rest.find(starts_value) {
            let (before, from_value) = rest.split_at(place);
            to.put(before.as_bytes())?;
            let (value, behind) = from_value.split_at(length_of_value(from_value));
            if behind.trim_start().starts_with(':') {
                to.put(value.as_bytes())?;
            } else {
                self.write_value(value, to)?;
            }
            rest = behind;
        }
        to.put(rest.as_bytes())
    }

    /// Writes a string or a number, as it stands there where it has nothing to hide.
    fn write_value(&mut self, value: &str, to: &mut Output<'_>) -> io::Result<()> {
        let inside = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
        let mut buffer = mem::take(&mut self.text);
        let text = match inside {
            Some(inside) if inside.contains('\\') => {
                unescape(inside, &mut buffer);
                &buffer
            }
            other => other.unwrap_or(value),
        };
        let first = Search::new(&self.redactions, text, &mut self.next).next();
        let whole = 0..text.len();
        if first.is_some_and(|first| inside.is_some() || first == whole) {
            to.put(b"\"")?;
            self.write_text(text, to)?;
            to.put(b"\"")?;
        } else {
            to.put(value.as_bytes())?;
        }
        buffer.clear();
        buffer.shrink_to(KEPT);
        self.text = buffer;
        Ok(())
    }
}

/// Whether a string or a number begins here, between the other parts of valid JSON.
fn starts_value(c: char) -> bool {
    matches!(c, '"' | '-' | '0'..='9')
}

/// The length of the string or the number at the beginning.
fn length_of_value(text: &str) -> usize {
    let mut is_escaped = false;
    let end = if text.starts_with('"') {
        let closing = text.bytes().skip(1).position(|byte| {
            let is_end = byte == b'"' && !is_escaped;
            is_escaped = byte == b'\\' && !is_escaped;
            is_end
        });
        closing.map(|place| place + 2)
    } else {
        text.find([',', '}', ']', ' ', '\t', '\n', '\r'])
    };
    end.unwrap_or(text.len())
}

/// The text that the inside of a valid JSON string stands for.
fn unescape(mut inside: &str, to: &mut String) {
    to.clear();
    to.reserve_exact(inside.len());
    while let Some((before, escape)) = inside.split_once('\\') {
        to.push_str(before);
        let mut chars = escape.chars();
        to.extend(chars.next().map(|kind| match kind {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => code_point(&mut chars),
            itself => itself,
        }));
        inside = chars.as_str();
    }
    to.push_str(inside);
}

/// The character of four digits, or of two times four with `\u` between them.
fn code_point(chars: &mut Chars<'_>) -> char {
    let mut code = four_digits(chars);
    if (0xd800..0xdc00).contains(&code) {
        chars.nth(1);
        code = 0x10000 + ((code & 0x3ff) << 10 | four_digits(chars) & 0x3ff);
    }
    char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn four_digits(chars: &mut Chars<'_>) -> u32 {
    let digits = chars.by_ref().take(4).filter_map(|digit| digit.to_digit(16));
    digits.fold(0, |number, digit| number * 16 + digit)
}

/// Bytes as text of the same length: in the place of each that is no UTF-8 stands one that is nowhere else in them, so
/// that it neither hides a match nor makes one up.
fn copy_as_text(bytes: &[u8], to: &mut String) {
    // A newline is more than a byte to a pattern.
    let newline = 1 << b'\n';
    let seen = bytes.iter().filter(|byte| byte.is_ascii());
    let seen = seen.fold(newline, |seen: u128, byte| seen | 1 << byte);
    let unseen = u8::try_from(seen.trailing_ones()).ok().filter(u8::is_ascii).unwrap_or(0x1a);
    to.clear();
    to.reserve_exact(bytes.len());
    for chunk in bytes.utf8_chunks() {
        to.push_str(chunk.valid());
        to.extend(chunk.invalid().iter().map(|_| char::from(unseen)));
    }
}

#[cfg(test)]
mod tests;
