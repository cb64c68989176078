//! A host name and its addresses.

use std::net::{IpAddr, SocketAddr};

use super::flight::Flight;
use super::{Class, ProbeError, Progress, Stage};
use crate::sys::names::{LookupError, lookup};

/// A host and a port.
#[derive(Debug)]
pub(super) struct Address {
    host: String,
    port: u16,
    lookup: Flight<Result<Vec<IpAddr>, LookupError>>,
}

impl Address {
    pub(super) fn new(host: &str, port: u16) -> Self {
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Self { host, port, lookup: Flight::default() }
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
        let host = self.host.clone();
        let found = self.lookup.answer(move || lookup(&host)).await?;
        let found = found.map_err(|error| {
            let class = match error {
                LookupError::NotFound => Class::DnsNotFound,
                _ => Class::DnsFailed,
            };
            ProbeError::new(class, error)
        })?;
        Ok(found.into_iter().map(|ip| SocketAddr::new(ip, self.port)).collect())
    }
}
