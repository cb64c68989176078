//! The pipe between a standard stream of the child's and the thread that reads it.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use super::bell::Bell;
use super::checked;
use super::poll::{poll, readable};

/// The end that is read. Reading never blocks.
#[derive(Debug)]
pub struct Pipe(File);

/// A pipe that no exec hands on. Whoever finds the end for writing under `/dev/stdout` or `/proc/self/fd` may open it
/// again, also a server that has become another user: the pipe is this process's own, and so would its mode keep all
/// others out (proc(5), `/proc/pid/fd`).
pub fn open() -> io::Result<(Pipe, OwnedFd)> {
    let mut ends = [-1; 2];
    // SAFETY: two descriptors are written to the array; both are ours alone.
    let [reader, writer] = unsafe {
        checked(libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC))?;
        ends.map(|end| OwnedFd::from_raw_fd(end))
    };
    // SAFETY: both calls take numbers. Each end has flags of its own, so that the writers' end blocks.
    unsafe {
        checked(libc::fcntl(reader.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK))?;
        checked(libc::fchmod(writer.as_raw_fd(), 0o666))?;
    }
    Ok((Pipe(reader.into()), writer))
}

impl Pipe {
    /// Takes what is there; nothing where all writers are gone, `WouldBlock` where they are silent.
    pub fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        (&self.0).read(into)
    }

    /// How many bytes it holds; ioctl(2), `FIONREAD`.
    pub fn held(&self) -> usize {
        let mut held: libc::c_int = 0;
        // SAFETY: FIONREAD writes an integer, which stays 0 where it does not.
        unsafe { libc::ioctl(self.0.as_raw_fd(), libc::FIONREAD, &mut held) };
        usize::try_from(held).unwrap_or_default()
    }

    /// Whether all writers are gone.
    pub fn is_hung_up(&self) -> bool {
        let mut fd = readable(self.0.as_raw_fd());
        poll(std::slice::from_mut(&mut fd), Some(Duration::ZERO));
        fd.revents & libc::POLLHUP != 0
    }
}

impl AsRawFd for Pipe {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// Waits until the pipe with this descriptor can be read or is at its end, the bell is rung, or `limit` is over (`None`:
/// for ever).
pub fn wait(pipe: RawFd, bell: &Bell, limit: Option<Duration>) {
    poll(&mut [readable(pipe), readable(bell.as_raw_fd())], limit);
}
