//! File descriptors that stead was started with: none of them is kept open by it, none of its own takes the
//! place of a closed standard stream.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::RawFd;

use super::checked;

/// The first number that is not a standard stream.
const FIRST: RawFd = 3;
/// How far inherited descriptors are looked for where /proc is not mounted.
const WITHOUT_PROC: RawFd = 256;

/// Puts `/dev/null` (else a pipe's end) where stdin, stdout or stderr is closed, so that nothing that stead
/// opens becomes one of them. They close at exec: the child finds what stead was given.
pub fn occupy_closed_standard_streams() {
    for fd in 0..FIRST {
        if is_open(fd) {
            continue;
        }
        let flags = libc::O_RDWR | libc::O_CLOEXEC;
        // SAFETY: the path is a C string. The lowest free number is this closed stream's.
        if unsafe { libc::open(c"/dev/null".as_ptr(), flags) } == -1 {
            let mut ends = [-1; 2];
            // SAFETY: two descriptors are written to the array.
            unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) };
        }
    }
}

fn is_open(fd: RawFd) -> bool {
    // SAFETY: F_GETFD only asks.
    checked(unsafe { libc::fcntl(fd, libc::F_GETFD) }).is_ok()
}

/// The descriptors beyond the standard streams that are open now. Call it before anything is opened.
pub fn beyond_standard() -> Vec<RawFd> {
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else {
        return (FIRST..WITHOUT_PROC).filter(|fd| is_open(*fd)).collect();
    };
    let number =
        |entry: io::Result<std::fs::DirEntry>| entry.ok()?.file_name().to_str()?.parse().ok();
    let listed: Vec<RawFd> = entries.filter_map(number).collect();
    // The listing's own descriptor was in it and is closed by now.
    listed.into_iter().filter(|fd| *fd >= FIRST && is_open(*fd)).collect()
}

/// Keeps descriptors from the programs that are started from now on, or hands them on.
pub fn close_at_exec(fds: &[RawFd], closed: bool) {
    let flags = if closed { libc::FD_CLOEXEC } else { 0 };
    for fd in fds {
        // SAFETY: F_SETFD takes numbers, and changes nothing but whether an exec closes the descriptor.
        unsafe { libc::fcntl(*fd, libc::F_SETFD, flags) };
    }
}

/// Closes descriptors that belong to the child, so that a socket which the child closes is closed.
pub fn close(fds: &[RawFd]) {
    for fd in fds {
        // SAFETY: the caller got them from `beyond_standard`; nothing in this process uses them.
        unsafe { libc::close(*fd) };
    }
}

/// How many descriptors this process may have open; getrlimit(2), `RLIMIT_NOFILE`.
pub fn limit() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure is ours to write; where it is not written, the limit stays 0.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) };
    limit.rlim_cur
}

/// Whether this standard stream is a terminal.
pub fn is_terminal(fd: RawFd) -> bool {
    // SAFETY: isatty only asks.
    unsafe { libc::isatty(fd) == 1 }
}

/// Whether standard error is a terminal.
pub fn stderr_is_terminal() -> bool {
    is_terminal(libc::STDERR_FILENO)
}

/// Whether stead was started with this standard stream: what [`occupy_closed_standard_streams`] puts in the place of a
/// closed one closes at exec.
pub fn was_given(fd: RawFd) -> bool {
    // SAFETY: F_GETFD only asks.
    let flags = checked(unsafe { libc::fcntl(fd, libc::F_GETFD) });
    flags.is_ok_and(|flags| flags & libc::FD_CLOEXEC == 0)
}

/// Whether standard output and standard error are one file, as after `2>&1`: the same device and inode; fstat(2).
pub fn outputs_are_one() -> bool {
    let identity = |fd| {
        let mut stat = MaybeUninit::<libc::stat>::uninit();
        // SAFETY: fstat fills the structure where it succeeds.
        unsafe {
            checked(libc::fstat(fd, stat.as_mut_ptr())).ok()?;
            let stat = stat.assume_init();
            Some((stat.st_dev, stat.st_ino))
        }
    };
    let [out, err] = [libc::STDOUT_FILENO, libc::STDERR_FILENO].map(identity);
    out.is_some() && out == err
}

/// Whether a write to standard error would not have to wait for its reader.
pub fn stderr_takes_more() -> bool {
    let mut fd = writable(libc::STDERR_FILENO);
    // SAFETY: one pollfd that outlives the call, which does not wait.
    (unsafe { libc::poll(&mut fd, 1, 0) }) == 1
}

fn writable(fd: RawFd) -> libc::pollfd {
    libc::pollfd { fd, events: libc::POLLOUT, revents: 0 }
}

/// Writes what a standard stream takes at once of `bytes`, which is at least one, waiting for its reader for as long as
/// it takes; also where another process that shares the stream made it non-blocking.
pub fn write(fd: RawFd, bytes: &[u8]) -> io::Result<usize> {
    loop {
        // SAFETY: the buffer is readable for its length.
        let written = unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) };
        if let Ok(written) = usize::try_from(written) {
            return Ok(written);
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EINTR) => {}
            // SAFETY: one pollfd that outlives the call.
            Some(libc::EAGAIN) => drop(unsafe { libc::poll(&mut writable(fd), 1, -1) }),
            _ => return Err(error),
        }
    }
}

/// Writes all of `bytes` to standard error. What cannot be written is lost: there is nobody to tell.
pub fn write_to_stderr(mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let Ok(written) = write(libc::STDERR_FILENO, bytes) else { return };
        bytes = bytes.get(written..).unwrap_or_default();
    }
}
