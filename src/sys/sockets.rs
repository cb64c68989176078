//! Options of TCP sockets that the standard library and socket2 do not know; tcp(7). A kernel without one of them does
//! without what it is for.

use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use libc::c_int;

/// Has the kernel probe a silent connection every second, and give it up once nothing was heard for so long.
pub fn notice_dead_peer(socket: impl AsFd, after: Duration) {
    let options = [
        (libc::SOL_SOCKET, libc::SO_KEEPALIVE, 1),
        (libc::IPPROTO_TCP, libc::TCP_KEEPIDLE, 1),
        (libc::IPPROTO_TCP, libc::TCP_KEEPINTVL, 1),
        (libc::IPPROTO_TCP, libc::TCP_KEEPCNT, number(after.as_secs().max(2).into())),
        (libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT, number(after.as_millis())),
    ];
    for (level, name, value) in options {
        set(&socket, level, name, value);
    }
}

/// Has the kernel keep a connection to this listener to itself until its first bytes are there, or, about so long after
/// it began, until the other end shows again that it is there.
pub fn await_data(listener: impl AsFd, for_so_long: Duration) {
    let seconds = number(for_so_long.as_secs().into());
    set(listener, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, seconds);
}

fn number(of: u128) -> c_int {
    c_int::try_from(of).unwrap_or(c_int::MAX)
}

fn set(socket: impl AsFd, level: c_int, name: c_int, value: c_int) {
    let fd = socket.as_fd().as_raw_fd();
    let size = std::mem::size_of_val(&value) as libc::socklen_t;
    // SAFETY: the option's value is read from an integer of ours.
    unsafe { libc::setsockopt(fd, level, name, (&raw const value).cast(), size) };
}
