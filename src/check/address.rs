//! A host name and its addresses. A look-up blocks and cannot be cancelled, so that there is never more than one of a
//! target's in flight: an attempt that ran out of time leaves it behind for the next one.

use std::net::{IpAddr, SocketAddr};

use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use super::{Class, ProbeError, Progress, Stage};
use crate::sys::names::{LookupError, lookup};

/// A look-up on a thread of its own.
type Flight = JoinHandle<Result<Vec<IpAddr>, LookupError>>;

/// A host and a port.
#[derive(Debug)]
pub(super) struct Address {
    host: String,
    port: u16,
    flight: Mutex<Option<Flight>>,
}

impl Address {
    pub(super) fn new(host: &str, port: u16) -> Self {
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Self { host, port, flight: Mutex::new(None) }
    }

    /// The host as it was given, without brackets.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// The addresses, for an address without any look-up.
    pub(super) async fn resolve(&self, progress: &Progress) -> Result<Vec<SocketAddr>, ProbeError> {
        if let Ok(address) = self.host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, self.port)]);
        }
        progress.enter(Stage::Dns);
        let mut slot = self.flight.lock().await;
        let flight = slot.get_or_insert_with(|| {
            let host = self.host.clone();
            tokio::task::spawn_blocking(move || lookup(&host))
        });
        let answer = flight.await;
        *slot = None;
        let found = match answer {
            Ok(found) => found,
            Err(error) => Err(LookupError::Failed(error.to_string())),
        };
        found
            .map(|list| list.into_iter().map(|ip| SocketAddr::new(ip, self.port)).collect())
            .map_err(|error| {
                let class = if error == LookupError::NotFound {
                    Class::DnsNotFound
                } else {
                    Class::DnsFailed
                };
                ProbeError::new(class, error)
            })
    }
}
