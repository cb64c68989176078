//! Points in time as RFC 3339 text, both ways as far as log lines need it, without an allocation.

/// `2026-11-22T12:00:00.123456Z`.
pub type Text = [u8; 27];

/// The last second that has a year of four digits.
const LAST: u64 = 253_402_300_799;

/// The text of a point in time, given as microseconds since the Unix epoch.
pub fn text(micros: u64) -> Text {
    let seconds = (micros / 1_000_000).min(LAST);
    let [year, month, day] = date(seconds / 86_400);
    let [hour, minute, second] = [seconds / 3600 % 24, seconds / 60 % 60, seconds % 60];
    let fraction = micros % 1_000_000;
    let ([y, e], [a, r]) = (pair(year / 100), pair(year % 100));
    let ([m, o], [d, y2]) = (pair(month), pair(day));
    let ([h, h2], [i, i2], [s, s2]) = (pair(hour), pair(minute), pair(second));
    let [f, f2] = pair(fraction / 10_000);
    let ([f3, f4], [f5, f6]) = (pair(fraction / 100 % 100), pair(fraction % 100));
    [
        y, e, a, r, b'-', m, o, b'-', d, y2, b'T', h, h2, b':', i, i2, b':', s, s2, b'.', f, f2,
        f3, f4, f5, f6, b'Z',
    ]
}

/// The two digits of a number below 100.
#[inline(always)]
fn pair(number: u64) -> [u8; 2] {
    let number = number as u8;
    [b'0' + number / 10, b'0' + number % 10]
}

/// Year, month and day of a day counted from 1970-01-01. Years are counted from a 1st of March on here, so that the leap
/// day is a year's last, and the lengths of the months before it repeat every five months (153 days).
fn date(days: u64) -> [u64; 3] {
    // Days from 0000-03-01 to 1970-01-01, days of 400 years.
    let (days, era) = (days + 719_468, 146_097);
    let (eras, day) = (days / era, days % era);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let is_next = u64::from(month >= 10);
    [400 * eras + year + is_next, month + 3 - 12 * is_next, day]
}

/// Microseconds since the Unix epoch of a JSON number that is surely a time: 10 digits before the point are seconds, 13
/// milliseconds, 16 microseconds, 19 nanoseconds (the years 2001 to 2286).
pub fn of_number(text: &[u8]) -> Option<u64> {
    let point = text.iter().position(|byte| *byte == b'.');
    let (whole, rest) = text.split_at_checked(point.unwrap_or(text.len()))?;
    let fraction = rest.get(1..).unwrap_or_default();
    // What a whole one is in microseconds, and how many digits of the fraction are no less than one.
    let (unit, digits) = match whole.len() {
        10 => (1_000_000, 6),
        13 => (1000, 3),
        16 | 19 => (1, 0),
        _ => return None,
    };
    let less = if whole.len() == 19 { 1000 } else { 1 };
    let is_plain = fraction.iter().all(u8::is_ascii_digit);
    let fraction = fraction.get(..digits).unwrap_or(fraction);
    let fraction = (fraction.len()..digits).fold(number(fraction)?, |number, _| number * 10);
    is_plain.then_some((number(whole)? * unit + fraction) / less)
}

/// The number of no more than 19 digits.
fn number(digits: &[u8]) -> Option<u64> {
    let add =
        |number, byte: &u8| byte.is_ascii_digit().then(|| number * 10 + u64::from(byte - b'0'));
    digits.iter().try_fold(0, add)
}

/// Whether it is a date and time as RFC 3339 has it in section 5.6, with `T` between them and its offset.
pub fn is_rfc3339(text: &[u8]) -> bool {
    let Some((start, rest)) = text.split_at_checked(19) else { return false };
    let fraction = match rest.split_first() {
        Some((b'.', rest)) => 1 + rest.iter().take_while(|byte| byte.is_ascii_digit()).count(),
        _ => 0,
    };
    let offset = rest.get(fraction..).unwrap_or_default();
    fraction != 1
        && has_form(start, b"dddd-dd-ddTdd:dd:dd")
        && (has_form(offset, b"Z") || has_form(offset, b"+dd:dd") || has_form(offset, b"-dd:dd"))
}

/// Whether the text is as the form says, in which `d` is any digit and letters may be small.
fn has_form(text: &[u8], form: &[u8]) -> bool {
    let fits = |(byte, form): (&u8, &u8)| match form {
        b'd' => byte.is_ascii_digit(),
        _ => byte.to_ascii_uppercase() == *form,
    };
    text.len() == form.len() && text.iter().zip(form).all(fits)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_text_of_any_time_is_as_humantime_writes_it(micros in 0..=LAST * 1_000_000 + 999_999) {
            let time = UNIX_EPOCH + Duration::from_micros(micros);
            let expected = humantime::format_rfc3339_micros(time).to_string();
            prop_assert_eq!(&text(micros), expected.as_bytes());
            prop_assert!(is_rfc3339(&text(micros)));
        }
    }

    #[test]
    fn a_time_that_has_no_year_of_four_digits_is_still_a_text() {
        assert_eq!(&text(u64::MAX), b"9999-12-31T23:59:59.551615Z");
    }

    #[test]
    fn a_number_is_a_time_by_the_count_of_its_digits() {
        for (number, expected) in [
            ("1531171074", Some(1_531_171_074_000_000)),
            ("1531171074.631", Some(1_531_171_074_631_000)),
            ("1531171074.6312345678", Some(1_531_171_074_631_234)),
            ("1531171074631", Some(1_531_171_074_631_000)),
            ("1531171074631.25", Some(1_531_171_074_631_250)),
            ("1531171074631234", Some(1_531_171_074_631_234)),
            ("1531171074631234567", Some(1_531_171_074_631_234)),
            ("9999999999999999999", Some(9_999_999_999_999_999)),
            ("12.5", None),
            ("153117107", None),
            ("-1531171074", None),
            ("1.531171074e9", None),
            ("1531171074.6e1", None),
            ("1531171074.12345678e1", None),
            ("1531171074e1", None),
        ] {
            assert_eq!(of_number(number.as_bytes()), expected, "{number}");
        }
    }

    #[test]
    fn a_time_without_its_offset_is_not_rfc_3339() {
        for text in [
            "2026-11-22T12:00:00Z",
            "2026-11-22t12:00:00.1z",
            "2026-11-22T12:00:00.123456789+01:00",
            "2026-11-22T12:00:00-08:00",
        ] {
            assert!(is_rfc3339(text.as_bytes()), "{text}");
        }
        for text in [
            "",
            "2026-11-22 12:00:00,123",
            "2026-11-22T12:00:00",
            "2026-11-22T12:00:00.Z",
            "2026-11-22T12:00:00+0100",
            "2026-11-22T12:00:00Z ",
            "Z",
        ] {
            assert!(!is_rfc3339(text.as_bytes()), "{text}");
        }
    }
}
