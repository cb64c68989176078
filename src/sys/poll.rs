//! Waiting for descriptors: ppoll(2).

use std::os::fd::RawFd;
use std::time::Duration;

/// Something to be read here, or its end. Where `fd` is negative, it is passed over.
pub(super) fn readable(fd: RawFd) -> libc::pollfd {
    libc::pollfd { fd, events: libc::POLLIN, revents: 0 }
}

/// Waits for one of these, or until `limit` is over (`None`: for ever).
pub(super) fn poll(fds: &mut [libc::pollfd], limit: Option<Duration>) {
    let limit = limit.map(|limit| libc::timespec {
        tv_sec: limit.as_secs() as _,
        tv_nsec: limit.subsec_nanos().into(),
    });
    let limit = limit.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: the descriptors and the time outlive the call. An early return only looks again.
    unsafe { libc::ppoll(fds.as_mut_ptr(), fds.len() as _, limit, std::ptr::null()) };
}
