//! A call that blocks and cannot be cancelled, on a thread of its own: to a name server, or to a file, which a dead mount
//! holds up as long. Of a target's there is never more than one under way: an attempt that ran out of time leaves it
//! behind for the next one, which takes its answer.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;

use super::{Class, ProbeError};

/// The place for the one call.
#[derive(Debug)]
pub(super) struct Flight<T>(Mutex<Option<JoinHandle<T>>>);

/// How long a round waits for news that it can do without.
const PATIENCE: Duration = Duration::from_millis(500);

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

    /// The same where the attempt can go on without: none when it takes long. Who finds one that takes long already does
    /// not wait at all.
    pub(super) async fn answer_soon(
        &self,
        call: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Option<T>, ProbeError> {
        let is_late = self.0.lock().await.as_ref().is_some_and(|flight| !flight.is_finished());
        let patience = if is_late { Duration::ZERO } else { PATIENCE };
        timeout(patience, self.answer(call)).await.ok().transpose()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

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

    #[tokio::test]
    async fn news_that_are_late_are_waited_for_once_and_taken_when_they_are_there() {
        let flight = Flight::default();
        let (release, held) = mpsc::channel::<()>();
        let call = move || {
            let _ = held.recv();
            1
        };
        assert_eq!(flight.answer_soon(call).await, Ok(None));
        let again = flight.answer_soon(|| 2);
        assert_eq!(timeout(PATIENCE / 2, again).await, Ok(Ok(None)), "it was waited for again");
        drop(release);
        while !flight.0.lock().await.as_ref().unwrap().is_finished() {
            tokio::task::yield_now().await;
        }
        assert_eq!(flight.answer_soon(|| 3).await, Ok(Some(1)));
        assert_eq!(flight.answer_soon(|| 4).await, Ok(Some(4)));
    }
}
