//! One word of a line: whether it could be a level, and what marks it as one.

use crate::level::{Level, of_word};

/// How a word is written.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Case {
    Upper,
    Other,
}

impl Case {
    pub(super) fn of(word: &[u8]) -> Case {
        if word.iter().any(u8::is_ascii_lowercase) { Case::Other } else { Case::Upper }
    }
}

/// What follows a word.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Mark {
    /// A colon in one of the known forms.
    Colon,
    /// A blank or a sign that ends the word.
    End,
    /// Anything else: the word is part of something.
    None,
}

/// The letters that a text begins with, and what follows them.
pub(super) fn split(text: &[u8]) -> (&[u8], &[u8]) {
    let letters = text.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    text.split_at(letters)
}

/// The level of a word that stands in text. What loggers write only into fields is no level there: it is more often
/// an ordinary word.
pub(super) fn level(word: &[u8]) -> Option<Level> {
    let ordinary = matches!(
        word,
        b"http" | b"Http" | b"HTTP" | b"config" | b"Config" | b"fine" | b"Fine" | b"Fail" | b"FAIL"
    );
    (word.len() > 2 && !ordinary).then(|| of_word(word)).flatten()
}

/// Whether any level's word in upper case begins with these letters; see [`of_word`].
#[rustfmt::skip]
pub(super) fn begins_level(letters: [u8; 2]) -> bool {
    matches!(
        &letters,
        b"TR" | b"FI" | b"SI" | b"DE" | b"DB" | b"VE" | b"HT" | b"CO" | b"IN" | b"NO" | b"LO" | b"SU" | b"WA" | b"WR"
            | b"ER" | b"EM" | b"SE" | b"FA" | b"FT" | b"CR" | b"AL" | b"PA" | b"PN" | b"DP"
    )
}

/// Whether a word in upper case is a level even at a line's beginning with one space behind it.
pub(super) fn is_unmistakable(word: &[u8]) -> bool {
    matches!(
        word,
        b"TRACE"
            | b"DEBUG"
            | b"VERBOSE"
            | b"INFO"
            | b"NOTICE"
            | b"WARN"
            | b"WARNING"
            | b"ERROR"
            | b"ERR"
    ) || matches!(
        word,
        b"SEVERE"
            | b"CRITICAL"
            | b"CRIT"
            | b"FATAL"
            | b"ALERT"
            | b"EMERG"
            | b"EMERGENCY"
            | b"PANIC"
    )
}

pub(super) fn mark(word: &[u8], after: &[u8]) -> Mark {
    match (after, Case::of(word)) {
        ([b':', rest @ ..], Case::Upper) => {
            if matches!(rest, [b':' | b'/', ..]) {
                Mark::None
            } else {
                Mark::Colon
            }
        }
        ([b':', rest @ ..], Case::Other) if colon_marks(word, rest) => Mark::Colon,
        // PHP's only level of two words.
        ([b' ', b'e', b'r', b'r', b'o', b'r', b':', b' ', ..], _)
            if word.eq_ignore_ascii_case(b"fatal") =>
        {
            Mark::Colon
        }
        ([] | [b' ' | b'\t' | b'\r' | b'|' | b'[' | b']' | b'!', ..], _) => Mark::End,
        _ => Mark::None,
    }
}

/// Whether a colon makes a word that is not in upper case a level: `error: …`, `Warning: …`, and .NET's `fail: Name[7]`.
fn colon_marks(word: &[u8], rest: &[u8]) -> bool {
    if rest.first().is_some_and(|byte| !byte.is_ascii_whitespace()) {
        return false;
    }
    let text = rest.trim_ascii();
    // A sum at a program's end: `error: 0, warning: 2`.
    let counts = text.split(|byte| *byte == b',').next().unwrap_or_default();
    if !counts.is_empty() && counts.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let mut lower = [0; 8];
    let Some(lower) = lower.get_mut(..word.len()) else { return false };
    lower.copy_from_slice(word);
    lower.make_ascii_lowercase();
    match &*lower {
        b"trace" | b"debug" | b"verbose" | b"info" | b"warn" | b"warning" | b"error" | b"fatal"
        | b"critical" | b"panic" => true,
        b"trce" | b"dbug" | b"fail" | b"crit" => {
            let category = text.split(|byte| *byte == b' ').next().unwrap_or_default();
            category.ends_with(b"]")
        }
        _ => false,
    }
}

/// The key that a text begins with, where `=` follows it.
pub(super) fn key(text: &[u8]) -> Option<&[u8]> {
    let fits = |byte: &u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'@' | b'/')
    };
    let length = text.iter().take_while(|byte| fits(byte)).count();
    (text.get(length) == Some(&b'=')).then(|| text.get(..length)).flatten()
}

/// A value of logfmt at `start`, without its quotes, and where it ends; `None` where its quotes are not closed.
pub(super) fn value(text: &[u8], start: usize) -> Option<(&[u8], usize)> {
    let rest = text.get(start..)?;
    let Some(quoted) = rest.strip_prefix(b"\"") else {
        let length = rest.iter().position(u8::is_ascii_whitespace).unwrap_or(rest.len());
        return Some((rest.get(..length)?, start + length));
    };
    let mut escaped = false;
    let length = quoted.iter().position(|byte| {
        let ends = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    })?;
    Some((quoted.get(..length)?, start + length + 2))
}

/// `app.ERROR:`: Monolog's channel and level (Laravel, Symfony).
pub(super) fn of_channel(token: &[u8]) -> Option<Level> {
    let token = token.strip_suffix(b":")?;
    let dot = memchr::memrchr(b'.', token)?;
    let word = token.get(dot + 1..)?;
    (Case::of(word) == Case::Upper).then(|| level(word)).flatten()
}
