//! What the shape of a text tells: where a word ends, and whether it is a time, a name, or what stands between words.

/// What stands between two words.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Gap {
    /// Nothing, or one space, as in a sentence.
    Narrow,
    /// A tab, or more than one space.
    Wide,
    /// A sign of its own: `|`, ` - `.
    Sign,
}

/// What is between two words, and its length.
pub(super) fn gap(rest: &[u8]) -> (Gap, usize) {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let blanks = rest.iter().take_while(|byte| is_blank(byte)).count();
    let after = rest.get(blanks..).unwrap_or_default();
    let signs = after.iter().take_while(|byte| matches!(byte, b'|' | b'-' | b':' | b'>')).count();
    let apart = after.get(signs).is_none_or(is_blank) || after.first() == Some(&b'|');
    if signs > 0 && (apart || after.first() == Some(&b':')) {
        let (_, more) = gap(after.get(signs..).unwrap_or_default());
        let sign = if after.starts_with(b":") { Gap::Narrow } else { Gap::Sign };
        return (sign, blanks + signs + more);
    }
    let wide = blanks > 1 || rest.first() == Some(&b'\t');
    (if wide { Gap::Wide } else { Gap::Narrow }, blanks)
}

/// What reaches to the next blank, `|` or opening bracket.
pub(super) fn token(rest: &[u8]) -> &[u8] {
    let ends = |byte: &u8| matches!(byte, b' ' | b'\t' | b'|' | b'[');
    let end = rest.iter().position(ends).unwrap_or(rest.len());
    rest.get(..end).unwrap_or_default()
}

/// The bytes that a time may have: a table, because most lines begin with one.
const TIME: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    while let Some(place) = table.split_at_mut(byte as usize).1.first_mut() {
        *place = byte.is_ascii_alphanumeric()
            || matches!(byte, b':' | b'.' | b',' | b'/' | b'-' | b'+' | b'_');
        if byte == 255 {
            break;
        }
        byte += 1;
    }
    table
};

/// A date, a time, both, seconds since the epoch or since the start: digits with signs between them, or many digits.
pub(super) fn is_time(token: &[u8]) -> bool {
    let digits = token.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let sign = token.get(digits).copied();
    let begins = match sign {
        Some(b':' | b'-' | b'/') => digits > 0,
        Some(b'.') => digits > 8 || token.ends_with(b"s"),
        None => digits > 8,
        _ => false,
    };
    begins && token.iter().all(|byte| TIME.get(usize::from(*byte)) == Some(&true))
}

pub(super) fn is_month(token: &[u8]) -> bool {
    matches!(token, b"Jan" | b"Feb" | b"Mar" | b"Apr" | b"May" | b"Jun")
        || matches!(token, b"Jul" | b"Aug" | b"Sep" | b"Oct" | b"Nov" | b"Dec")
}

pub(super) fn is_weekday(token: &[u8]) -> bool {
    let token = token.strip_suffix(b",").unwrap_or(token);
    matches!(token, b"Mon" | b"Tue" | b"Wed" | b"Thu" | b"Fri" | b"Sat" | b"Sun")
}

/// What follows a weekday or a month: a day, or a month and a day.
pub(super) fn begins_date(text: &[u8]) -> bool {
    let text = if is_month(token(text)) { text.get(3..).unwrap_or_default() } else { text };
    text.trim_ascii_start().first().is_some_and(u8::is_ascii_digit)
}

/// `app:` or `app[7]:`, which syslog writes behind the host's name.
pub(super) fn is_tag(text: &[u8]) -> bool {
    let name = token(text);
    name.ends_with(b":") || text.get(name.len()) == Some(&b'[')
}

/// `UTC`, `CEST`, and the halves of a day.
pub(super) fn is_zone(token: &[u8]) -> bool {
    let named = matches!(token.len(), 3 | 4) && token.ends_with(b"T");
    let upper = token.iter().all(u8::is_ascii_uppercase);
    upper && (named || matches!(token, b"UTC" | b"AM" | b"PM" | b"MSK"))
}

pub(super) fn is_name(token: &[u8]) -> bool {
    let fits = |byte: &u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'$' | b'/')
    };
    !token.is_empty() && token.iter().all(fits)
}
