//! The right to run by a lock, as long as it is proven: renewed by whoever asks the lock's server, and looked at by the
//! supervisor itself, so that a thread that is stuck, or a machine that was suspended, prolongs nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::sys::clock::boot_micros;

/// Runs out by itself. Its clock goes on while the machine is suspended.
#[derive(Clone, Debug)]
pub struct Lease {
    /// By [`boot_micros`].
    until: Arc<AtomicU64>,
    grace: Duration,
}

/// Between two looks.
const SHORTEST_LOOK: Duration = Duration::from_millis(50);

/// A moment on the lease's clock.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Moment(u64);

impl Moment {
    /// Now.
    pub fn now() -> Self {
        Self(boot_micros())
    }

    /// So much later.
    pub fn after(self, time: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX)))
    }

    /// How long it is until then; nothing once it is past.
    pub fn left(self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(boot_micros()))
    }
}

impl Lease {
    /// One that runs until then; what ran by it must be gone `grace` later.
    pub fn new(until: Moment, grace: Duration) -> Self {
        Self { until: Arc::new(AtomicU64::new(until.0)), grace }
    }

    /// Prolongs it, unless it has run out.
    pub fn renew(&self, until: Moment) {
        if !self.left().is_zero() {
            self.until.store(until.0, Ordering::SeqCst);
        }
    }

    /// Ends it now, unless it has run out already.
    pub fn end(&self) {
        self.until.fetch_min(boot_micros(), Ordering::SeqCst);
    }

    /// How long it still runs; nothing once it has run out.
    pub fn left(&self) -> Duration {
        self.until().left()
    }

    /// How long it may be left alone by someone whom nobody tells that it was ended: no longer than a tenth of the
    /// grace, which is not taken from what it runs for.
    pub fn look(&self) -> Duration {
        self.left().min(self.grace.mul_f64(0.1).max(SHORTEST_LOOK))
    }

    /// How long what runs by it may take to end, before it is killed. The last tenth of the grace is for the kernel.
    pub fn grace_left(&self) -> Duration {
        self.until().after(self.grace.mul_f64(0.9)).left()
    }

    fn until(&self) -> Moment {
        Moment(self.until.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_lease_is_renewed_until_it_has_run_out_and_never_after() {
        let lease = Lease::new(Moment::now().after(HOUR), HOUR);
        lease.renew(Moment::now().after(2 * HOUR));
        assert!(lease.left() > HOUR);
        lease.end();
        assert_eq!(lease.left(), Duration::ZERO);
        lease.renew(Moment::now().after(HOUR));
        assert_eq!(lease.left(), Duration::ZERO);
    }

    #[test]
    fn what_ran_by_it_is_killed_before_the_grace_is_over_counted_from_its_end() {
        let lease = Lease::new(Moment::now().after(HOUR), HOUR);
        assert!(lease.grace_left() > HOUR.mul_f64(1.89) && lease.grace_left() <= HOUR.mul_f64(1.9));
        lease.end();
        assert!(lease.grace_left() > HOUR.mul_f64(0.89) && lease.grace_left() <= HOUR.mul_f64(0.9));
        let long_ago = Lease::new(Moment(0), Duration::ZERO);
        assert_eq!(long_ago.grace_left(), Duration::ZERO);
    }
}
