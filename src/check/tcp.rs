//! Something that accepts connections: the app's own port, any TCP port, a Unix socket.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use super::address::Address;
use super::options::Options;
use super::stream::{Place, connect};
use super::url::Url;
use super::{Pass, ProbeError, Progress};
use crate::value::Wrong;

/// A port or a socket.
///
/// Up proves: something accepts connections there; for the app's own port, on 127.0.0.1 or else on ::1. Nothing is sent
/// or read, and the connection is closed at once.
#[derive(Debug)]
pub struct TcpTarget(Where);

#[derive(Debug)]
enum Where {
    Loopback([SocketAddr; 2]),
    Place(Place),
}

impl TcpTarget {
    /// The port on loopback, of either address family.
    pub fn on_loopback(port: u16) -> Self {
        Self(Where::Loopback([
            (Ipv4Addr::LOCALHOST, port).into(),
            (Ipv6Addr::LOCALHOST, port).into(),
        ]))
    }

    /// `tcp://host:port` or `unix:///path`.
    pub fn parse(url: &Url, _options: &mut Options) -> Result<Self, Wrong> {
        if url.kind() == "unix" {
            return Ok(Self(Where::Place(Place::Path(url.only_path()?))));
        }
        let host = url.only_host()?;
        let port = host.port.ok_or("no port")?;
        Ok(Self(Where::Place(Place::Host(Address::new(&host.name, port)))))
    }

    pub(super) async fn probe(&self, progress: &Progress) -> Result<Pass, ProbeError> {
        match &self.0 {
            Where::Loopback(addresses) => drop(connect(addresses, progress).await?),
            Where::Place(place) => drop(place.connect(progress).await?),
        }
        Ok(Pass::default())
    }
}
