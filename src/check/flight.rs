//! A call that blocks and cannot be cancelled, on a thread of its own. Of a target's there is never more than one under
//! way: an attempt that ran out of time leaves it behind for the next one, which takes its answer.

use tokio::sync::Mutex;
use tokio::task::{JoinHandle, spawn_blocking};

use super::{Class, ProbeError};

/// The place for the one call.
#[derive(Debug)]
pub(super) struct Flight<T>(Mutex<Option<JoinHandle<T>>>);

impl<T> Default for Flight<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T: Send + 'static> Flight<T> {
    /// What `call` gives, or what an earlier one gives that is still under way.
    pub(super) async fn answer(
        &self,
        call: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ProbeError> {
        let mut slot = self.0.lock().await;
        let flight = slot.get_or_insert_with(|| spawn_blocking(call));
        let answer = flight.await;
        *slot = None;
        answer.map_err(|error| ProbeError::new(Class::ProbePanicked, error))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn a_call_that_hangs_is_the_only_one_until_it_ends() {
        let flight = Flight::default();
        let (release, held) = mpsc::channel::<()>();
        let first = flight.answer(move || {
            let _ = held.recv();
            1
        });
        assert!(timeout(Duration::from_millis(20), first).await.is_err());
        assert!(timeout(Duration::from_millis(20), flight.answer(|| 2)).await.is_err());
        drop(release);
        assert_eq!(flight.answer(|| 3).await, Ok(1));
        assert_eq!(flight.answer(|| 4).await, Ok(4));
    }
}
