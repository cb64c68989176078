//! The controlling terminal: which process group gets its keys.

use std::os::fd::RawFd;

use super::checked;
use super::process::Pid;

/// The controlling terminal, through one of the standard streams.
#[derive(Clone, Copy, Debug)]
pub struct Terminal(RawFd);

impl Terminal {
    /// The controlling terminal, whoever is in its foreground.
    pub fn controlling() -> Option<Self> {
        (0..=2).map(Self).find(|terminal| terminal.foreground().is_some())
    }

    /// The terminal on standard input, controlling or not.
    pub fn of_stdin() -> Option<Self> {
        // SAFETY: isatty only asks.
        (unsafe { libc::isatty(0) } == 1).then_some(Self(0))
    }

    /// The group that gets the terminal's keys.
    pub fn foreground(self) -> Option<Pid> {
        // SAFETY: tcgetpgrp only asks.
        checked(unsafe { libc::tcgetpgrp(self.0) }).ok().map(Pid::new)
    }

    /// Makes `group` the foreground group; a terminal that is gone has none, so errors mean nothing.
    /// Allowed from the background too, because TTOU is blocked in stead; async-signal-safe.
    pub fn give_to(self, group: Pid) {
        // SAFETY: tcsetpgrp takes numbers only.
        unsafe { libc::tcsetpgrp(self.0, group.number()) };
    }

    /// Makes this the controlling terminal of the calling session leader; async-signal-safe.
    pub fn take(self) {
        // SAFETY: TIOCSCTTY takes a number.
        unsafe { libc::ioctl(self.0, libc::TIOCSCTTY, 0) };
    }

    /// Gives the terminal up for the whole session of which this process is a member; tty_ioctl(2), `TIOCNOTTY`.
    pub fn give_up(self) -> bool {
        // SAFETY: TIOCNOTTY takes no argument.
        unsafe { libc::ioctl(self.0, libc::TIOCNOTTY) == 0 }
    }
}

/// The process group of this process.
pub fn own_group() -> Pid {
    // SAFETY: getpgrp has no preconditions and cannot fail.
    Pid::new(unsafe { libc::getpgrp() })
}

/// The rows and columns of the terminal on standard error.
pub fn stderr_size() -> Option<(usize, usize)> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCGWINSZ writes the size, which is ours.
    checked(unsafe { libc::ioctl(libc::STDERR_FILENO, libc::TIOCGWINSZ, &mut size) }).ok()?;
    let known = size.ws_row > 0 && size.ws_col > 0;
    known.then_some((size.ws_row.into(), size.ws_col.into()))
}
