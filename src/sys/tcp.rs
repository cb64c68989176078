//! The TCP connections of a local port in this process's network namespace, from the kernel: with what has
//! moved on them by sock_diag(7), else by their number alone from /proc/net/tcp.

mod diag;
mod listed;

use std::io;
use std::mem::ManuallyDrop;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::FromRawFd;
use std::time::Duration;

use super::descriptors;
pub use diag::with_activity;
pub use listed::{Listed, listed};

/// A connection, from the side of the port that is asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Connection {
    /// The other side; IPv4 as such, also on a socket of both families.
    pub peer: SocketAddr,
    /// Neither side has closed it.
    pub is_established: bool,
    /// The number of its socket; 0 as long as nobody has accepted it.
    pub inode: u32,
    /// Bytes that have come and were not read yet.
    pub unread: u32,
    /// Bytes that were written and have not arrived yet; its own end counts as one.
    pub undelivered: u32,
    /// What has moved on it, where the kernel tells.
    pub activity: Option<Activity>,
}

/// What has moved on a connection: fields of the kernel's `struct tcp_info` (tcp(7), `TCP_INFO`). The times are those of
/// its clock's ticks, 1 to 10 ms apart.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Activity {
    /// How long ago data was sent, or the connection made.
    pub sent: Duration,
    /// How long ago data came, or the connection was made.
    pub received: Duration,
    /// How long ago the other side acknowledged something.
    pub acknowledged: Duration,
    /// All bytes that ever came.
    pub bytes_received: u64,
    /// All segments with data that were ever sent.
    pub data_segments_sent: u32,
}

/// The local addresses of this process's own connections to a port.
pub fn own_connections_to(port: u16) -> Vec<SocketAddr> {
    let own = descriptors::beyond_standard().into_iter().filter_map(|fd| {
        // SAFETY: it is only asked for its addresses and never closed. A number that is no TCP socket's, or nobody's by
        // now, has none; one that is another connection's by now is as well this process's own.
        let stream = ManuallyDrop::new(unsafe { TcpStream::from_raw_fd(fd) });
        let peer = stream.peer_addr().ok()?;
        let local = stream.local_addr().ok()?;
        (peer.port() == port).then_some(canonical(local))
    });
    own.collect()
}

/// IPv4 as such, and without what is of no meaning here.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// A field of this many bytes.
fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

/// For an answer that is not as it is documented.
fn malformed() -> io::Error {
    io::Error::from(io::ErrorKind::InvalidData)
}

#[cfg(test)]
mod tests;
