//! Signals as a type: their numbers, their names, and which of them can be forwarded. Delivery is `sys`'s.

use std::fmt;
use std::str::FromStr;

use signal_hook::low_level::signal_name;

/// The first and the last real-time signal as programs with glibc, Docker and the shells count them; signal(7). musl's
/// own `SIGRTMIN` is one more, yet it is the child and the image's `STOPSIGNAL` that stead has to agree with.
const RTMIN: i32 = 34;
const RTMAX: i32 = LAST;
/// The highest signal number on Linux, `_NSIG`; signal(7).
const LAST: i32 = 64;

/// A signal of Linux by its number, 1 to 64.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Signal(i32);

/// The text is not the name or the number of a signal.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a signal (write TERM, SIGTERM, 15 or RTMIN+3)")]
pub struct NotASignal;

impl Signal {
    /// A child has stopped, gone on or ended: what the reaper wakes for.
    pub const CHLD: Self = Self(libc::SIGCHLD);
    /// Go on after a stop.
    pub const CONT: Self = Self(libc::SIGCONT);
    /// The terminal is gone, by convention "read the configuration again".
    pub const HUP: Self = Self(libc::SIGHUP);
    /// Ctrl-C.
    pub const INT: Self = Self(libc::SIGINT);
    /// The end that nothing can refuse.
    pub const KILL: Self = Self(libc::SIGKILL);
    /// A write to a pipe that nobody reads.
    pub const PIPE: Self = Self(libc::SIGPIPE);
    /// The stop that nothing can refuse.
    pub const STOP: Self = Self(libc::SIGSTOP);
    /// The polite request to end: what every orchestrator sends first.
    pub const TERM: Self = Self(libc::SIGTERM);
    /// Ctrl-Z.
    pub const TSTP: Self = Self(libc::SIGTSTP);
    /// A background process read from the terminal.
    pub const TTIN: Self = Self(libc::SIGTTIN);
    /// A background process wrote to the terminal.
    pub const TTOU: Self = Self(libc::SIGTTOU);
    /// Urgent data on a socket; Go's runtime sends it to itself.
    pub const URG: Self = Self(libc::SIGURG);
    /// The terminal's size changed.
    pub const WINCH: Self = Self(libc::SIGWINCH);

    /// The signal with this number, if there is one.
    pub const fn from_number(number: i32) -> Option<Self> {
        if number >= 1 && number <= LAST { Some(Self(number)) } else { None }
    }

    /// The number, 1 to 64.
    pub const fn number(self) -> i32 {
        self.0
    }

    /// Every signal, in order of number.
    pub fn all() -> impl Iterator<Item = Self> {
        (1..=LAST).map(Self)
    }

    /// Whether it can be caught, and so forwarded: all but KILL, STOP and those that the C library
    /// keeps for its threads (32 and 33, and 34 with musl).
    pub fn is_catchable(self) -> bool {
        self != Self::KILL && self != Self::STOP && !(32..libc::SIGRTMIN()).contains(&self.0)
    }
}

/// The names that signal-hook has none for; `RTMIN+n` is made in `Display`.
const FURTHER_NAMES: [(i32, &str); 2] = [(libc::SIGPWR, "SIGPWR"), (libc::SIGSTKFLT, "SIGSTKFLT")];

/// The name with its `SIG`, of the signals that have one.
fn name(number: i32) -> Option<&'static str> {
    let further = FURTHER_NAMES.iter().find(|(n, _)| *n == number).map(|(_, name)| *name);
    signal_name(number).or(further)
}

impl fmt::Display for Signal {
    /// Without `SIG`: `TERM`, `RTMIN+3`; the number where there is no name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match name(self.0) {
            Some(name) => f.write_str(name.trim_start_matches("SIG")),
            None if self.0 == RTMIN => f.write_str("RTMIN"),
            None if self.0 > RTMIN => write!(f, "RTMIN+{}", self.0 - RTMIN),
            None => self.0.fmt(f),
        }
    }
}

impl FromStr for Signal {
    type Err = NotASignal;

    /// A name with or without `SIG` in any case, a number, `RTMIN+n` or `RTMAX-n`.
    fn from_str(text: &str) -> Result<Self, NotASignal> {
        let upper = text.trim().to_ascii_uppercase();
        if let Ok(number) = upper.parse() {
            return Self::from_number(number).ok_or(NotASignal);
        }
        let bare = upper.strip_prefix("SIG").unwrap_or(&upper);
        let number = match bare {
            "IOT" => libc::SIGABRT,
            "CLD" => libc::SIGCHLD,
            "POLL" => libc::SIGIO,
            "RTMIN" => RTMIN,
            "RTMAX" => RTMAX,
            _ => match (bare.strip_prefix("RTMIN+"), bare.strip_prefix("RTMAX-")) {
                (Some(n), _) => RTMIN + real_time_offset(n)?,
                (_, Some(n)) => RTMAX - real_time_offset(n)?,
                _ => (1..32)
                    .find(|n| name(*n).is_some_and(|name| name.strip_prefix("SIG") == Some(bare)))
                    .ok_or(NotASignal)?,
            },
        };
        Self::from_number(number).ok_or(NotASignal)
    }
}

/// The `n` of `RTMIN+n`: no further than the other end of the real-time signals.
fn real_time_offset(text: &str) -> Result<i32, NotASignal> {
    let offset = text.parse().map_err(|_| NotASignal)?;
    let range = 0..=RTMAX - RTMIN;
    if range.contains(&offset) { Ok(offset) } else { Err(NotASignal) }
}

/// A set of signals, for instance those that stead has sent to the child.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SignalSet(u64);

impl SignalSet {
    /// Adds a signal.
    pub fn insert(&mut self, signal: Signal) {
        self.0 |= 1 << (signal.number() - 1);
    }

    /// Whether the signal is in the set.
    pub fn contains(self, signal: Signal) -> bool {
        self.0 & (1 << (signal.number() - 1)) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signal_reads_back_from_its_own_name_and_number() {
        for signal in Signal::all() {
            assert_eq!(signal.to_string().parse(), Ok(signal));
            assert_eq!(signal.number().to_string().parse(), Ok(signal));
        }
    }

    #[test]
    fn names_are_taken_with_and_without_sig_in_any_case() {
        for text in ["TERM", "SIGTERM", "sigterm", "term", "15", " TERM "] {
            assert_eq!(text.parse(), Ok(Signal::TERM), "{text}");
        }
        assert_eq!("RTMIN+3".parse::<Signal>().map(Signal::number), Ok(37));
        assert_eq!("SIGRTMAX-0".parse::<Signal>().map(Signal::number), Ok(64));
    }

    #[test]
    fn what_is_no_signal_is_refused() {
        for text in ["", "SIG", "SIGSIGTERM", "0", "65", "-1", "RTMIN+99", "RTMIN+-1", "TERMINATE"]
        {
            assert_eq!(text.parse::<Signal>(), Err(NotASignal), "{text}");
        }
    }

    #[test]
    fn all_but_kill_stop_and_the_c_librarys_own_can_be_caught() {
        let not: Vec<i32> =
            Signal::all().filter(|s| !s.is_catchable()).map(Signal::number).collect();
        assert!([vec![9, 19, 32, 33], vec![9, 19, 32, 33, 34]].contains(&not), "{not:?}");
    }
}
