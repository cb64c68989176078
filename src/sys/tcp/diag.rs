//! sock_diag(7): the kernel looks for a port's connections itself and hands on those alone, however many others there
//! are. Layouts: `linux/netlink.h`, `linux/inet_diag.h` and `linux/tcp.h`.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::FromRawFd;
use std::time::Duration;

use super::{Activity, Connection, canonical, field, malformed};
use crate::sys::checked;

/// `SOCK_DIAG_BY_FAMILY`.
const BY_FAMILY: u16 = 20;
/// `NLMSG_ERROR` and `NLMSG_DONE`.
const ERROR: u16 = 2;
const DONE: u16 = 3;
/// `NLM_F_REQUEST | NLM_F_DUMP`.
const DUMP: u16 = 0x301;
/// `TCP_ESTABLISHED`.
const ESTABLISHED: u8 = 1;
/// Further states in which something may still be on its way out: `TCP_FIN_WAIT1`, `TCP_CLOSE_WAIT`, `TCP_LAST_ACK` and
/// `TCP_CLOSING`.
const CLOSING: [u8; 4] = [4, 8, 9, 11];
/// `INET_DIAG_INFO`, which brings a `struct tcp_info`.
const INFO: u16 = 2;
/// `struct nlmsghdr`, `struct inet_diag_msg` and `struct nlattr`, in bytes.
const HEADER: usize = 16;
const MESSAGE: usize = 72;
const ATTRIBUTE: usize = 4;
/// The kernel fills no more than this at once (`netlink_dump`).
const LONGEST: usize = 32 * 1024;

/// Calls `each` with every connection of the port. It fails where the kernel, or who guards it, does not answer.
pub fn with_activity(port: u16, mut each: impl FnMut(Connection)) -> io::Result<()> {
    let kinds = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
    // SAFETY: socket takes numbers; the descriptor is ours alone.
    let mut socket = unsafe {
        let fd = checked(libc::socket(libc::AF_NETLINK, kinds, libc::NETLINK_SOCK_DIAG))?;
        File::from_raw_fd(fd)
    };
    let mut buffer = vec![0; LONGEST];
    for family in [libc::AF_INET, libc::AF_INET6] {
        socket.write_all(&request(family as u8, port))?;
        while !take(&socket, &mut buffer, &mut each)? {}
    }
    Ok(())
}

/// A `struct nlmsghdr` and a `struct inet_diag_req_v2`.
fn request(family: u8, port: u16) -> Vec<u8> {
    let mut request = Vec::with_capacity(HEADER + 56);
    request.extend((HEADER as u32 + 56).to_ne_bytes());
    request.extend(BY_FAMILY.to_ne_bytes());
    request.extend(DUMP.to_ne_bytes());
    request.extend([0; 8]);
    request.extend([family, libc::IPPROTO_TCP as u8, 1 << (INFO - 1), 0]);
    let states = CLOSING.iter().fold(1 << ESTABLISHED, |states: u32, state| states | 1 << state);
    request.extend(states.to_ne_bytes());
    // The local port; any other one, address, interface and cookie.
    request.extend(port.to_be_bytes());
    request.extend([0; 46]);
    request
}

/// Reads some messages; whether those were the last.
fn take(
    mut socket: &File,
    buffer: &mut [u8],
    each: &mut impl FnMut(Connection),
) -> io::Result<bool> {
    let length = socket.read(buffer)?;
    let mut rest = buffer.get(..length).unwrap_or_default();
    while !rest.is_empty() {
        let length = number(rest, 0).ok_or_else(malformed)? as usize;
        let kind = field(rest, 4).map(u16::from_ne_bytes);
        let body = rest.get(HEADER..length).ok_or_else(malformed)?;
        match kind {
            Some(DONE) => return Ok(true),
            Some(ERROR) => {
                let error = field(body, 0).map(i32::from_ne_bytes).unwrap_or_default();
                return Err(io::Error::from_raw_os_error(error.saturating_neg()));
            }
            Some(BY_FAMILY) => each(connection(body).ok_or_else(malformed)?),
            _ => {}
        }
        rest = rest.get(aligned(length)..).unwrap_or_default();
    }
    Ok(false)
}

/// Messages and attributes begin at multiples of four.
const fn aligned(length: usize) -> usize {
    length.next_multiple_of(4)
}

/// A number in the machine's own order.
fn number(bytes: &[u8], at: usize) -> Option<u32> {
    field(bytes, at).map(u32::from_ne_bytes)
}

/// A `struct inet_diag_msg` and its attributes.
fn connection(message: &[u8]) -> Option<Connection> {
    let address = match i32::from(*message.first()?) {
        libc::AF_INET => IpAddr::V4(Ipv4Addr::from(field::<4>(message, 24)?)),
        _ => IpAddr::V6(Ipv6Addr::from(field::<16>(message, 24)?)),
    };
    let port = u16::from_be_bytes(field(message, 6)?);
    Some(Connection {
        peer: canonical(SocketAddr::new(address, port)),
        is_established: *message.get(1)? == ESTABLISHED,
        inode: number(message, 68)?,
        unread: number(message, 56)?,
        undelivered: number(message, 60)?,
        activity: attribute(message.get(MESSAGE..)?, INFO).and_then(activity),
    })
}

/// The attribute of this kind.
fn attribute(mut rest: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let length = usize::from(u16::from_ne_bytes(field(rest, 0)?));
        let body = rest.get(ATTRIBUTE..length)?;
        if field(rest, 2).map(u16::from_ne_bytes) == Some(wanted) {
            return Some(body);
        }
        rest = rest.get(aligned(length)..)?;
    }
}

/// A `struct tcp_info`, of which older kernels know less.
fn activity(info: &[u8]) -> Option<Activity> {
    let ago = |at| Some(Duration::from_millis(number(info, at)?.into()));
    Some(Activity {
        sent: ago(44)?,
        received: ago(52)?,
        acknowledged: ago(56)?,
        bytes_received: u64::from_ne_bytes(field(info, 128)?),
        data_segments_sent: number(info, 156)?,
    })
}
