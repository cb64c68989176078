//! The system calls of the tests, each as a safe function.

use std::io::{Error, Result};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// The error of a call that answered less than 0.
fn checked(answer: libc::c_int) -> Result<libc::c_int> {
    if answer < 0 {
        Err(Error::last_os_error())
    } else {
        Ok(answer)
    }
}

/// kill(2) for one process; 0 and negative pids, which mean groups and everything, are refused.
pub fn kill(pid: i32, signal: i32) -> Result<()> {
    if pid <= 0 {
        return Err(Error::from_raw_os_error(libc::ESRCH));
    }
    // SAFETY: kill(2) takes two integers and touches no memory.
    checked(unsafe { libc::kill(pid, signal) }).map(drop)
}

/// Runs `action` in the new process between fork and exec.
pub fn before_exec(
    command: &mut Command,
    action: impl FnMut() -> Result<()> + Send + Sync + 'static,
) {
    // SAFETY: the actions that the tests hand in make system calls and allocate nothing.
    unsafe { command.pre_exec(action) };
}

/// A new session with the terminal behind `fd` as its controlling terminal.
pub fn become_session_leader(fd: i32) -> Result<()> {
    // SAFETY: setsid(2) takes nothing and touches no memory.
    checked(unsafe { libc::setsid() })?;
    // SAFETY: TIOCSCTTY takes an integer.
    checked(unsafe { libc::ioctl(fd, libc::TIOCSCTTY as _, 0) }).map(drop)
}

/// A pseudo-terminal: the side of the person, and the side of the programs. Both close on exec.
pub fn open_terminal() -> Result<(OwnedFd, OwnedFd)> {
    let (mut person, mut programs) = (-1, -1);
    // SAFETY: openpty(3) writes the two descriptors; null is allowed for the rest.
    checked(unsafe {
        libc::openpty(
            &mut person,
            &mut programs,
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            std::ptr::null_mut(),
        )
    })?;
    for fd in [person, programs] {
        // SAFETY: both are open descriptors.
        checked(unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) })?;
    }
    // SAFETY: both were just opened and have no other owner.
    Ok(unsafe { (OwnedFd::from_raw_fd(person), OwnedFd::from_raw_fd(programs)) })
}

/// The foreground process group of a terminal.
pub fn foreground(terminal: &impl AsRawFd) -> Result<i32> {
    // SAFETY: tcgetpgrp(3) takes an integer.
    checked(unsafe { libc::tcgetpgrp(terminal.as_raw_fd()) })
}
