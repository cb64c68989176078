//! The connection that a target holds between rounds.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::options::Options;
use crate::value::{self, Wrong};

/// How old a held connection may become where nothing is said; each is made anew up to a fifth earlier, so that many
/// replicas do not reconnect together.
const OLDEST: Duration = Duration::from_secs(300);
/// Between these it may be chosen.
const AGES: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3600);

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
    /// Whether it is time for another one.
    pub(super) fn is_old(&self) -> bool {
        Instant::now() >= self.until
    }
}

/// The place for at most one. An attempt takes it out and puts it back when all went well, so that one which fails, or
/// is cut off, leaves none behind.
#[derive(Debug)]
pub(super) struct Slot<C> {
    /// How old a connection in it may become; none where none is held.
    oldest: Option<Duration>,
    held: Mutex<Option<Held<C>>>,
}

impl<C> Slot<C> {
    /// Takes `reuse`: `on`, `off`, or how old a connection may become.
    pub(super) fn new(options: &mut Options) -> Result<Self, Wrong> {
        let oldest = options.take_as("reuse", oldest)?.unwrap_or(Some(OLDEST));
        Ok(Self { oldest, held: Mutex::new(None) })
    }

    /// Whether connections are held at all.
    pub(super) fn holds(&self) -> bool {
        self.oldest.is_some()
    }

    /// A connection that is new now.
    pub(super) fn begin(&self, connection: C, address: Option<SocketAddr>) -> Held<C> {
        let age = self.oldest.unwrap_or_default().mul_f64(1.0 - 0.2 * fastrand::f64());
        Held { connection, address, until: Instant::now() + age }
    }

    pub(super) fn take(&self) -> Option<Held<C>> {
        self.lock().take()
    }

    pub(super) fn put(&self, held: Held<C>) {
        *self.lock() = Some(held);
    }

    fn lock(&self) -> MutexGuard<'_, Option<Held<C>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A switch, or an age: a server or a proxy that ends idle connections need never do so to one that is given up earlier.
fn oldest(text: &str) -> Result<Option<Duration>, Wrong> {
    if let Ok(is_on) = value::switch(text) {
        return Ok(is_on.then_some(OLDEST));
    }
    match value::duration(text) {
        Ok(age) if AGES.contains(&age) => Ok(Some(age)),
        _ => Err("neither on, off nor an age from 1s to 1h".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_held_or_not_or_up_to_an_age() {
        let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
        for (text, age) in [
            ("on", Some(OLDEST)),
            ("1", Some(OLDEST)),
            ("false", None),
            ("30s", Some(minute / 2)),
            ("1m", Some(minute)),
            ("1s", Some(second)),
            ("1h", Some(60 * minute)),
        ] {
            assert_eq!(oldest(text), Ok(age), "{text}");
        }
        for wrong in ["", "500ms", "61m", "perhaps", "-1s"] {
            assert!(oldest(wrong).is_err(), "{wrong}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_old_within_the_last_fifth_of_its_time() {
        let slot = Slot::<()>::new(&mut Options::default()).unwrap();
        for _ in 0..100 {
            let held = slot.begin((), None);
            tokio::time::advance(OLDEST.mul_f64(0.79)).await;
            assert!(!held.is_old());
            tokio::time::advance(OLDEST.mul_f64(0.21)).await;
            assert!(held.is_old());
        }
    }
}
