//! Options of a TCP connection that notices when its other end is gone without a word; tcp(7).

use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

/// Has the kernel probe a silent connection every second, and give it up once nothing was heard for so long.
pub fn notice_dead_peer(socket: impl AsFd, after: Duration) {
    let number = |n: u128| libc::c_int::try_from(n).unwrap_or(libc::c_int::MAX);
    let options = [
        (libc::SOL_SOCKET, libc::SO_KEEPALIVE, 1),
        (libc::IPPROTO_TCP, libc::TCP_KEEPIDLE, 1),
        (libc::IPPROTO_TCP, libc::TCP_KEEPINTVL, 1),
        (libc::IPPROTO_TCP, libc::TCP_KEEPCNT, number(after.as_secs().max(2).into())),
        (libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT, number(after.as_millis())),
    ];
    let fd = socket.as_fd().as_raw_fd();
    for (level, name, value) in options {
        let size = std::mem::size_of_val(&value) as libc::socklen_t;
        // SAFETY: the option's value is read from an integer of ours. A kernel without the option loses that means alone.
        unsafe { libc::setsockopt(fd, level, name, (&raw const value).cast(), size) };
    }
}
