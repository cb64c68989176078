//! Forms of values that settings and the options of checks share: each parser says what would have been right, and never
//! repeats what was given.

use std::time::Duration;

/// What is wrong with a value, fit to follow `NAME: `.
pub type Wrong = String;

/// `30s`, `1500ms`, `1m 30s`; a bare number is seconds.
pub fn duration(text: &str) -> Result<Duration, Wrong> {
    let seconds = text.trim().parse().map(Duration::from_secs).ok();
    seconds
        .or_else(|| humantime::parse_duration(text.trim()).ok())
        .filter(|duration| *duration <= Duration::from_secs(366 * 24 * 3600))
        .ok_or_else(|| "not a duration (write 30s, 1500ms or 2m)".to_owned())
}

/// `on`, `true`, `yes`, `1`, and their opposites.
pub fn switch(text: &str) -> Result<bool, Wrong> {
    match text.trim().to_ascii_lowercase().as_str() {
        "on" | "true" | "yes" | "1" => Ok(true),
        "off" | "false" | "no" | "0" => Ok(false),
        _ => Err("neither on nor off".to_owned()),
    }
}

/// A port, 1 to 65535.
pub fn port(text: &str) -> Result<u16, Wrong> {
    let port = text.trim().parse().ok().filter(|port| *port != 0);
    port.ok_or_else(|| "not a port (a number from 1 to 65535)".to_owned())
}

/// How long something may be waited for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Patience {
    /// Not at all.
    #[default]
    None,
    /// So long.
    For(Duration),
    /// For ever.
    Endless,
}

impl Patience {
    /// The wait where nobody says how long.
    pub const USUAL: Self = Self::For(Duration::from_secs(60));
}

/// A duration; `0` and `forever` are for ever.
pub fn timeout(text: &str) -> Result<Patience, Wrong> {
    match text.trim() {
        "forever" => Ok(Patience::Endless),
        text => match duration(text)? {
            Duration::ZERO => Ok(Patience::Endless),
            limit => Ok(Patience::For(limit)),
        },
    }
}

/// `on`, `off`, `forever` or a duration. A bare `0` or `1` could mean a switch as well as a time.
pub fn wait(text: &str) -> Result<Patience, Wrong> {
    let wrong = || "neither on, off, forever nor a duration (write 60s)".to_owned();
    match text.trim() {
        "0" | "1" => Err(wrong()),
        text => match switch(text) {
            Ok(true) => Ok(Patience::USUAL),
            Ok(false) => Ok(Patience::None),
            Err(_) => timeout(text).map_err(|_| wrong()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_a_switch_or_a_time_and_never_a_number_that_could_be_both() {
        let seconds = |n| Ok(Patience::For(Duration::from_secs(n)));
        assert_eq!(wait("on"), seconds(60));
        assert_eq!(wait("90"), seconds(90));
        assert_eq!(wait("off"), Ok(Patience::None));
        assert_eq!(wait("0s"), Ok(Patience::Endless));
        assert_eq!(wait("forever"), Ok(Patience::Endless));
        for text in ["0", "1", "", "soon"] {
            assert!(wait(text).is_err(), "{text}");
        }
        assert_eq!(timeout("0"), Ok(Patience::Endless));
        assert_eq!(timeout("1"), seconds(1));
        assert!(timeout("on").is_err());
    }
}
