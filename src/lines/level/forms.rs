//! The forms that say the level by one letter, sign or digit.

use super::Level;

/// The level of a line that begins in one of these forms.
pub(super) fn of_letter(head: &[u8]) -> Option<Level> {
    match head {
        [b'<', digit, b'>', ..] => of_syslog(*digit),
        [b'0'..=b'9', ..] => of_redis(head),
        [letter, b',', b' ', b'[', b'0'..=b'9', ..] => of_initial(*letter),
        [letter @ (b'I' | b'W' | b'E' | b'F'), rest @ ..] if is_klog(rest) => of_initial(*letter),
        _ => None,
    }
}

/// The first letter of a level's name, as klog, Ruby's Logger, Tornado and Telegraf write it.
pub(super) fn of_initial(letter: u8) -> Option<Level> {
    Some(match letter {
        b'T' => Level::Trace,
        b'D' => Level::Debug,
        b'I' => Level::Info,
        b'W' => Level::Warn,
        b'E' => Level::Error,
        b'F' | b'C' => Level::Fatal,
        _ => return None,
    })
}

/// `<3>`: a severity of syslog before a line, as sd-daemon(3) describes it.
fn of_syslog(digit: u8) -> Option<Level> {
    Some(match digit {
        b'0'..=b'2' => Level::Fatal,
        b'3' => Level::Error,
        b'4' => Level::Warn,
        b'5' | b'6' => Level::Info,
        b'7' => Level::Debug,
        _ => return None,
    })
}

/// `E1122 12:00:00.123456`: what follows the letter in klog, and with the year before the month in glog.
fn is_klog(rest: &[u8]) -> bool {
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let time = rest.get(digits..).unwrap_or_default();
    matches!(digits, 4 | 8)
        && matches!(time, [b' ', h, _, b':', m, _, b':', s, ..] if [h, m, s].iter().all(|byte| byte.is_ascii_digit()))
}

/// `7:M 22 Nov 2026 12:00:00.123 # …`: process, role, date, time, and a sign that is the level (redis.conf, loglevel).
fn of_redis(head: &[u8]) -> Option<Level> {
    let mut words = head.split(|byte| *byte == b' ');
    if !matches!(words.next()?, [.., b':', b'X' | b'C' | b'S' | b'M']) {
        return None;
    }
    if !words.nth(3)?.contains(&b':') {
        return None;
    }
    Some(match words.next()? {
        b"." | b"-" => Level::Debug,
        b"*" => Level::Info,
        b"#" => Level::Warn,
        _ => return None,
    })
}
