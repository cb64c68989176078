//! Exit codes as a type, with the table of those that stead itself gives; who uses which is the caller's.

use std::fmt;

use crate::signal::Signal;

/// An exit status as wait(2) hands it on: 0 to 255.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Exit(u8);

impl Exit {
    /// Success.
    pub const OK: Self = Self(0);
    /// A failure before the child was started that no configuration caused, and `stead check`'s "no".
    pub const FAILURE: Self = Self(1);
    /// A mistake in flags, variables or the file: `EX_USAGE` of sysexits(3).
    pub const USAGE: Self = Self(64);
    /// The command was found and cannot be executed, as POSIX shells report it.
    pub const CANNOT_EXECUTE: Self = Self(126);
    /// The command was not found, as POSIX shells report it.
    pub const NOT_FOUND: Self = Self(127);

    /// The exit code `code`.
    pub const fn new(code: u8) -> Self {
        Self(code)
    }

    /// The code of a process that `signal` ended: 128 + n, as POSIX shells report it.
    pub const fn killed_by(signal: Signal) -> Self {
        Self(128u8.wrapping_add(signal.number() as u8))
    }

    /// The code, 0 to 255.
    pub const fn code(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
