//! A lock that is held, for as long as its server says so.

use std::pin::pin;
use std::time::Duration;

use tokio::time::timeout;
use tracing::warn;

use super::{Session, Times, within};
use crate::check::{ProbeError, Progress, Stage};
use crate::supervisor::lease::{Lease, Moment};

/// How long the server is told that what ran under the lock is done.
const GOODBYE: Duration = Duration::from_millis(500);

/// A lock that is held. Dropped without [`Held::release`], it is lost to the next holder.
#[derive(Debug)]
pub struct Held<'a> {
    session: Session<'a>,
    fence: u64,
    lease: Lease,
    times: Times,
    next: Moment,
}

/// Why a lock is not held any more.
#[derive(Debug)]
pub struct Loss {
    /// What was wrong.
    pub error: ProbeError,
    /// At which stage.
    pub stage: Stage,
}

impl<'a> Held<'a> {
    pub(super) fn new(session: Session<'a>, fence: u64, lease: Lease, times: Times) -> Self {
        Self { session, fence, lease, times, next: Moment::now().after(times.beat) }
    }

    /// The number of this holder.
    pub fn fence(&self) -> u64 {
        self.fence
    }

    /// For how long it is proven.
    pub fn lease(&self) -> Lease {
        self.lease.clone()
    }

    /// Does some work for as long as the lock is held. It is not polled while the server is asked.
    pub async fn during<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Loss> {
        let mut work = pin!(work);
        loop {
            if let Ok(done) = timeout(self.next.left(), &mut work).await {
                return Ok(done);
            }
            self.beat().await?;
        }
    }

    /// Has the server prove that the lock is held.
    async fn beat(&mut self) -> Result<(), Loss> {
        let (asked, progress) = (Moment::now(), Progress::new(true));
        // By the lease's clock the machine may have been suspended meanwhile: it counts whatever the server says now.
        let left = self.lease.left();
        let proof = within(left, self.session.prove(&progress)).await;
        match proof {
            Ok(()) if !self.lease.left().is_zero() => {
                self.lease.renew(asked.after(self.times.lease()));
                self.next = asked.after(self.times.beat);
                Ok(())
            }
            proof => {
                self.lease.end();
                let (error, stage) =
                    (proof.err().unwrap_or_else(ProbeError::timed_out), progress.stage());
                let class = error.class.name();
                warn!(fence = self.fence, class, stage = stage.name(), %error, "lock lost");
                Err(Loss { error, stage })
            }
        }
    }

    /// Gives it back: nothing runs under it any more.
    pub async fn release(self) {
        // A server that does not listen frees it in its own time, and the next holder waits.
        let _ = timeout(GOODBYE, self.session.release()).await;
    }
}
