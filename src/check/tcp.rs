//! The app's own port.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::TcpStream;

use super::{Class, ProbeError, Progress, Stage};

/// A port of this host.
///
/// Up proves: something accepts TCP connections on 127.0.0.1, or else on ::1, at that port. Nothing is sent.
#[derive(Debug)]
pub struct TcpTarget {
    addresses: [SocketAddr; 2],
}

impl TcpTarget {
    /// The port on loopback, of either address family.
    pub fn on_loopback(port: u16) -> Self {
        Self { addresses: [(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()] }
    }

    pub(super) async fn probe(&self, progress: &Progress) -> Result<(), ProbeError> {
        connect(&self.addresses, progress).await.map(drop)
    }
}

/// Connects to the first address that accepts. The reason of the first counts if none does: the others are there for
/// the case that the service is on that family alone.
pub(super) async fn connect(
    addresses: &[SocketAddr],
    progress: &Progress,
) -> Result<TcpStream, ProbeError> {
    progress.enter(Stage::Connect);
    let mut first = None;
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => first = first.or(Some(error)),
        }
    }
    Err(match first {
        Some(error) => ProbeError::new(Class::of(&error), error),
        None => ProbeError::new(Class::DnsNotFound, "the name has no address"),
    })
}
