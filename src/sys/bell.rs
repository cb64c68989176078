//! A bell: rung by any thread, heard by the one that polls.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, RawFd};
use std::sync::Arc;
use std::task::Wake;

use super::checked;

/// An eventfd(2). However often it was rung, it is heard once.
#[derive(Debug)]
pub struct Bell(File);

impl Bell {
    /// One that is quiet.
    pub fn new() -> io::Result<Self> {
        // SAFETY: eventfd takes numbers; the descriptor is ours alone.
        unsafe {
            let fd = checked(libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK))?;
            Ok(Self(File::from_raw_fd(fd)))
        }
    }

    /// Makes its descriptor readable. Never blocks.
    pub fn ring(&self) {
        // It fails only where it was rung more often than a u64 can count, and then it rings already.
        let _ = (&self.0).write_all(&1u64.to_ne_bytes());
    }

    /// Makes it quiet again. Never blocks.
    pub fn quiet(&self) {
        // A bell that was not rung is quiet.
        let _ = (&self.0).read(&mut [0; 8]);
    }
}

/// A future that is awaited by poll(2).
impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.ring();
    }
}

impl AsRawFd for Bell {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}
