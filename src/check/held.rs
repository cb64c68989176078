//! The connection that a target holds between rounds.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How old a held connection may become; each is made anew up to a fifth earlier, so that many replicas do not reconnect
/// together.
const OLDEST: Duration = Duration::from_secs(300);

/// A connection that was made and is kept.
#[derive(Debug)]
pub(super) struct Held<C> {
    /// The connection.
    pub(super) connection: C,
    /// The address that it leads to; none for a Unix socket.
    pub(super) address: Option<SocketAddr>,
    until: Instant,
}

impl<C> Held<C> {
    pub(super) fn new(connection: C, address: Option<SocketAddr>) -> Self {
        let age = OLDEST.mul_f64(1.0 - 0.2 * fastrand::f64());
        Self { connection, address, until: Instant::now() + age }
    }

    /// Whether it is time for another one.
    pub(super) fn is_old(&self) -> bool {
        Instant::now() >= self.until
    }
}

/// The place for at most one. An attempt takes it out and puts it back when all went well, so that one which fails, or
/// is cut off, leaves none behind.
#[derive(Debug)]
pub(super) struct Slot<C>(Mutex<Option<Held<C>>>);

impl<C> Slot<C> {
    pub(super) fn take(&self) -> Option<Held<C>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(super) fn put(&self, held: Held<C>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(held);
    }
}

impl<C> Default for Slot<C> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}
