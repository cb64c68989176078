//! The service manager that stead itself runs under (systemd, or podman for it), and what it is told of the app.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use tokio::time::sleep;
use tracing::warn;

/// How long a manager whose queue is full is waited for, in steps of 10 ms.
const PATIENCE: u32 = 100;

/// The way to it.
#[derive(Debug)]
pub struct Outer {
    socket: UnixDatagram,
    address: SocketAddr,
    /// The last message did not get there, of which one event is enough.
    is_lost: bool,
}

impl Outer {
    /// The manager that `NOTIFY_SOCKET` names; an address that is no Unix socket's (`vsock:`) is not supported.
    pub fn at(address: &OsStr) -> io::Result<Self> {
        let address = match address.as_bytes().split_first() {
            Some((b'@', name)) => SocketAddr::from_abstract_name(name)?,
            Some((b'/', _)) => SocketAddr::from_pathname(address)?,
            _ => return Err(io::ErrorKind::Unsupported.into()),
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, address, is_lost: false })
    }

    /// Passes a message on. The manager takes it for stead's own, which its `NotifyAccess=main` wants.
    pub async fn tell(&mut self, message: &str) {
        if message.is_empty() {
            return;
        }
        let sent = self.send(message).await;
        let was_lost = std::mem::replace(&mut self.is_lost, sent.is_err());
        if let (Err(error), false) = (sent, was_lost) {
            warn!(%error, "service manager not told");
        }
    }

    async fn send(&self, message: &str) -> io::Result<()> {
        for _ in 0..PATIENCE {
            match self.socket.send_to_addr(message.as_bytes(), &self.address) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    sleep(Duration::from_millis(10)).await;
                }
                sent => return sent.map(drop),
            }
        }
        Err(io::ErrorKind::TimedOut.into())
    }
}
