//! A lock that one of many instances holds: how it is waited for and taken, and how it is proven again and again while
//! something runs under it. What a server says of it is asked in `check::lock`.

mod held;
mod times;

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

use crate::check::lock::{Name, Session, Taken, Target};
use crate::check::{Class, ProbeError, Progress, Stage};
use crate::supervisor::lease::{Lease, Moment};
pub use held::{Held, Loss};
pub use times::Times;

/// How long logging in may take.
const LOGIN: Duration = Duration::from_secs(5);

/// How many beats there are at the most between two attempts at a server that does not let stead in.
const LONGEST_BACK_OFF: u32 = 30;

/// A lock, and where it is.
#[derive(Debug)]
pub struct Lock {
    /// The server.
    pub target: Target,
    /// The service that it belongs to.
    pub service: String,
    /// Its times.
    pub times: Times,
    /// The setting that names it.
    pub place: String,
}

/// When a new holder begins, where the last one has not said that it is done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Caution {
    /// After the wait, always.
    Always,
    /// After the wait where another one was seen to hold the lock, else at once.
    IfSeen,
}

/// The server, or what stands before it, can hold no lock for good.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NotSupported(String);

impl Lock {
    /// Waits for the lock of this purpose, takes it, and waits until what the last holder ran is gone. Whatever the
    /// server says meanwhile is only logged.
    pub async fn take(&self, purpose: &str, caution: Caution) -> Result<Held<'_>, NotSupported> {
        let mut standby = Standby::new(self, Name::new(&self.service, purpose), caution);
        loop {
            let progress = Progress::new(true);
            match standby.attempt(&progress).await {
                Ok(held) => return Ok(held),
                Err(error) if error.class == Class::NotSupported => {
                    return Err(NotSupported(error.text));
                }
                Err(error) => standby.failed(&error, progress.stage()).await,
            }
        }
    }
}

/// Someone who waits for the lock.
struct Standby<'a> {
    lock: &'a Lock,
    name: Name,
    caution: Caution,
    since: Instant,
    /// Another one was seen to hold it.
    was_seen: bool,
    /// How many attempts have failed one after another, and what was said of the last.
    failures: u32,
    said: Option<(Class, Stage)>,
}

impl<'a> Standby<'a> {
    fn new(lock: &'a Lock, name: Name, caution: Caution) -> Self {
        let (since, was_seen, failures, said) = (Instant::now(), false, 0, None);
        Self { lock, name, caution, since, was_seen, failures, said }
    }

    /// Waits for the lock on one connection.
    async fn attempt(&mut self, progress: &Progress) -> Result<Held<'a>, ProbeError> {
        let Lock { target, times, .. } = self.lock;
        let mut session = within(LOGIN, target.open(&self.name, progress)).await?;
        loop {
            let asked = Moment::now();
            if let Some(taken) = within(times.lease(), session.take(progress)).await? {
                let lease = Lease::new(asked.after(times.lease()), times.grace);
                return self.enter(Held::new(session, taken.fence, lease, *times), taken).await;
            }
            (self.failures, self.said) = (0, None);
            self.see();
            // Those that wait together do not ask together.
            sleep(times.beat.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
        }
    }

    /// Somebody else holds it.
    fn see(&mut self) {
        if !std::mem::replace(&mut self.was_seen, true) {
            info!(lock = self.name.text(), key = self.name.key(), "standby");
        }
    }

    /// Waits until what the last holder ran is gone, and holds the lock meanwhile.
    async fn enter(&self, mut held: Held<'a>, taken: Taken) -> Result<Held<'a>, ProbeError> {
        let must_wait = !taken.was_released && (self.caution == Caution::Always || self.was_seen);
        let wait = if must_wait { self.lock.times.wait() } else { Duration::ZERO };
        let waited = self.since.elapsed().as_secs_f64();
        let (fence, wait_s) = (taken.fence, wait.as_secs_f64());
        info!(lock = self.name.text(), fence, waited_s = waited, wait_s, "lock taken");
        // What is lost by now was nobody's gain: nothing has been started.
        held.during(sleep(wait)).await.map_err(|loss| loss.error)?;
        Ok(held)
    }

    /// Says why it was no use, where that is new, and waits the longer the more often it was.
    async fn failed(&mut self, error: &ProbeError, stage: Stage) {
        if self.said.replace((error.class, stage)) != Some((error.class, stage)) {
            let (class, stage) = (error.class.name(), stage.name());
            warn!(lock = self.name.text(), class, stage, %error, "lock not reached");
        }
        let beats = match error.class.wants_patience() {
            true => LONGEST_BACK_OFF,
            false => 2u32.saturating_pow(self.failures).min(LONGEST_BACK_OFF),
        };
        self.failures = self.failures.saturating_add(1);
        sleep((beats * self.lock.times.beat).mul_f64(0.5 + fastrand::f64() / 2.0)).await;
    }
}

/// An attempt that ends in time.
async fn within<T>(
    limit: Duration,
    attempt: impl Future<Output = Result<T, ProbeError>>,
) -> Result<T, ProbeError> {
    timeout(limit, attempt).await.unwrap_or_else(|_| Err(ProbeError::timed_out()))
}
