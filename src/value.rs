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
