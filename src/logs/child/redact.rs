//! What must not leave: the matches of the patterns that were given, and the secrets that are known.

use std::fmt;
use std::io::{self, Write};
use std::ops::Range;
use std::str::Chars;

use percent_encoding::percent_decode_str;
use regex_lite::Regex;

use super::escape;

/// What stands in the place of a match.
pub const REDACTED: &[u8] = b"[redacted]";

/// Shorter secrets hide in the words of any text.
const SHORTEST: usize = 6;

/// What is looked for.
#[derive(Clone, Default)]
pub struct Redactions {
    patterns: Vec<Regex>,
    secrets: Vec<String>,
}

impl fmt::Debug for Redactions {
    /// No secret is printed, and a pattern may hold one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { patterns, secrets } = self;
        write!(f, "{} patterns, {} secrets", patterns.len(), secrets.len())
    }
}

impl Redactions {
    /// Matches of these patterns, and these texts where they have at least six bytes.
    pub fn new(patterns: Vec<Regex>, mut secrets: Vec<String>) -> Self {
        secrets.retain(|secret| secret.len() >= SHORTEST);
        secrets.sort_unstable();
        secrets.dedup();
        Self { patterns, secrets }
    }

    /// Whether nothing is looked for.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty() && self.secrets.is_empty()
    }

    /// Where the text has what must not leave: in order, and apart from each other.
    fn find(&self, text: &str, found: &mut Vec<Range<usize>>) {
        found.clear();
        for pattern in &self.patterns {
            matches(pattern, text, found);
        }
        for secret in &self.secrets {
            let length = secret.len();
            found.extend(text.match_indices(secret).map(|(start, _)| start..start + length));
        }
        found.sort_unstable_by_key(|at| at.start);
        found.dedup_by(|later, earlier| {
            let overlap = later.start < earlier.end;
            if overlap {
                earlier.end = earlier.end.max(later.end);
            }
            overlap
        });
    }
}

/// Appends the places of a pattern's matches. (The crate's own iterator allocates for each text.)
fn matches(pattern: &Regex, text: &str, found: &mut Vec<Range<usize>>) {
    let mut start = 0;
    while let Some(at) = pattern.find_at(text, start).map(|one| one.range()) {
        start = at.end;
        if at.is_empty() {
            let Some(next) = text.get(start..).and_then(|rest| rest.chars().next()) else { break };
            start += next.len_utf8();
        } else {
            found.push(at);
        }
    }
}

/// Redacts lines, in buffers that it keeps.
#[derive(Debug, Default)]
pub struct Redactor {
    redactions: Redactions,
    found: Vec<Range<usize>>,
    text: String,
    redacted: Vec<u8>,
}

impl Redactor {
    /// Redacts what is looked for there.
    pub fn new(redactions: Redactions) -> Self {
        Self { redactions, ..Self::default() }
    }

    /// Whether nothing is looked for.
    pub fn is_idle(&self) -> bool {
        self.redactions.is_empty()
    }

    /// The bytes without what must not leave.
    pub fn redact<'a>(&'a mut self, bytes: &'a [u8]) -> &'a [u8] {
        match str::from_utf8(bytes) {
            Ok(text) => self.redactions.find(text, &mut self.found),
            Err(_) => {
                copy_as_text(bytes, &mut self.text);
                self.redactions.find(&self.text, &mut self.found);
            }
        }
        if self.found.is_empty() {
            return bytes;
        }
        replace(bytes, &self.found, &mut self.redacted);
        &self.redacted
    }

    /// Writes the inside of a valid JSON object with its string values redacted. A number is hidden where all of it
    /// matches, and is a string then. Keys stay.
    pub fn write_object(&mut self, inside: &str, to: &mut impl Write) -> io::Result<()> {
        let mut rest = inside;
        while let Some(place) = rest.find(starts_value) {
            let (before, from_value) = rest.split_at(place);
            to.write_all(before.as_bytes())?;
            let (value, behind) = from_value.split_at(length_of_value(from_value));
            let is_key = behind.trim_start().starts_with(':');
            if is_key || !self.matches_value(value) {
                to.write_all(value.as_bytes())?;
            } else {
                to.write_all(b"\"")?;
                match str::from_utf8(&self.redacted) {
                    Ok(text) => escape::write_text(text, to)?,
                    // Whole characters were replaced by whole ones, so this cannot be; all of it is hidden then.
                    Err(_) => to.write_all(REDACTED)?,
                }
                to.write_all(b"\"")?;
            }
            rest = behind;
        }
        to.write_all(rest.as_bytes())
    }

    /// Whether a string or a number has anything to hide; what it is instead is in `redacted` then.
    fn matches_value(&mut self, value: &str) -> bool {
        let inside = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
        let text = match inside {
            Some(inside) if inside.contains('\\') => {
                unescape(inside, &mut self.text);
                &self.text
            }
            other => other.unwrap_or(value),
        };
        self.redactions.find(text, &mut self.found);
        if inside.is_none() {
            self.found.retain(|at| *at == (0..text.len()));
        }
        replace(text.as_bytes(), &self.found, &mut self.redacted);
        !self.found.is_empty()
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
    for chunk in bytes.utf8_chunks() {
        to.push_str(chunk.valid());
        to.extend(chunk.invalid().iter().map(|_| char::from(unseen)));
    }
}

/// Puts into `to` the bytes with each of these places hidden.
fn replace(bytes: &[u8], found: &[Range<usize>], to: &mut Vec<u8>) {
    to.clear();
    let mut done = 0;
    for at in found {
        to.extend_from_slice(bytes.get(done..at.start).unwrap_or_default());
        to.extend_from_slice(REDACTED);
        done = at.end;
    }
    to.extend_from_slice(bytes.get(done..).unwrap_or_default());
}

/// The secrets among the variables of an environment: the values of those that are named like one, and the passwords in
/// URLs, as they stand there and as they are meant.
pub fn secrets_among<'a>(variables: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<String> {
    let mut secrets = Vec::new();
    for (name, value) in variables {
        // A path to a secret is none.
        if is_secret_by(name) && !value.starts_with('/') {
            secrets.push(value.to_owned());
            // Of a key in PEM each line is printed as a line of its own.
            let of_lines = value.lines().filter(|line| *line != value && !line.contains("-----"));
            secrets.extend(of_lines.map(str::to_owned));
        }
        if let Some(password) = password_in(value) {
            secrets.push(password.to_owned());
            secrets.extend(percent_decode_str(password).decode_utf8().map(Into::into));
        }
    }
    secrets
}

/// Whether one of the words of a variable's name says that its value is a secret.
fn is_secret_by(name: &str) -> bool {
    let words = [
        "PASS",
        "PASSWORD",
        "PASSWD",
        "PASSPHRASE",
        "PWD",
        "SECRET",
        "SECRETS",
        "TOKEN",
        "TOKENS",
        "KEY",
        "KEYS",
        "APIKEY",
        "CREDENTIAL",
        "CREDENTIALS",
        "AUTH",
    ];
    // The shell's own are directories.
    let is_directory = ["PWD", "OLDPWD"].contains(&name);
    let name = name.to_ascii_uppercase();
    !is_directory
        && name.split(['_', '-', '.']).any(|word| {
            words.contains(&word) || word.ends_with("PASSWORD") || word.ends_with("SECRET")
        })
}

/// The password in a URL, as it stands there.
fn password_in(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#', ' ']).next()?;
    let (user, _) = authority.rsplit_once('@')?;
    Some(user.split_once(':')?.1)
}

#[cfg(test)]
mod tests;
