//! The connections that are open: at most so many, and when one more comes, the oldest without a complete request
//! gives way, so that whoever hangs on to connections cannot keep a probe out.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::JoinHandle;

/// How many connections may be open at once.
const LIMIT: usize = 128;
/// Descriptors that stead needs for all else: its own, the checks' connections, a look into /proc at the end.
const RESERVE: u64 = 32;
/// The least number of connections, however few descriptors there are.
const LEAST: usize = 4;

/// The open connections.
pub(super) struct Connections {
    held: Mutex<Held>,
    limit: usize,
    clock: Arc<AtomicU64>,
}

/// Those that are counted.
#[derive(Default)]
struct Held {
    open: Vec<Open>,
    /// How many were accepted and are no tasks yet.
    coming: usize,
}

struct Open {
    task: JoinHandle<()>,
    completed: Arc<AtomicU64>,
    number: u64,
}

/// A connection's way to say that it is of use.
#[derive(Clone)]
pub(super) struct Activity {
    clock: Arc<AtomicU64>,
    completed: Arc<AtomicU64>,
    number: u64,
}

impl Activity {
    /// A whole request has come.
    pub(super) fn completed_a_request(&self) {
        self.completed.store(self.clock.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
    }
}

impl Connections {
    /// As many connections as may be, for a process that may open so many descriptors.
    pub(super) fn within(descriptors: u64) -> Self {
        let free = usize::try_from(descriptors.saturating_sub(RESERVE)).unwrap_or(LIMIT);
        Self { held: Mutex::default(), limit: free.clamp(LEAST, LIMIT), clock: Arc::default() }
    }

    /// Makes room for one more connection, and gives what it says with that it is of use.
    pub(super) fn expect(&self) -> Activity {
        let mut held = self.held();
        held.coming += 1;
        let is_full = |held: &Held| held.open.len() + held.coming > self.limit;
        if is_full(&held) {
            held.open.retain(|open| !open.task.is_finished());
        }
        if is_full(&held) {
            held.evict();
        }
        let number = self.clock.fetch_add(1, Ordering::Relaxed) + 1;
        Activity { clock: self.clock.clone(), completed: Arc::default(), number }
    }

    /// What was expected is over, or served by this task from now on.
    pub(super) fn settle(&self, activity: Activity, task: Option<JoinHandle<()>>) {
        let mut held = self.held();
        held.coming = held.coming.saturating_sub(1);
        let Activity { completed, number, .. } = activity;
        held.open.extend(task.map(|task| Open { task, completed, number }));
    }

    /// Closes the oldest connection that never completed a request, else the one whose last request is longest ago.
    pub(super) fn evict(&self) {
        self.held().evict();
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // Nothing is left half done where a thread panics.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn evict(&mut self) {
        let age = |open: &Open| (open.completed.load(Ordering::Relaxed), open.number);
        let oldest = self.open.iter().enumerate().min_by_key(|(_, open)| age(open));
        if let Some(place) = oldest.map(|(place, _)| place) {
            self.open.swap_remove(place).task.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_descriptors_mean_few_connections() {
        let limits = [0, 33, 64, 160, 1_048_576, u64::MAX].map(|d| Connections::within(d).limit);
        assert_eq!(limits, [4, 4, 32, 128, 128, 128]);
    }

    #[tokio::test]
    async fn the_oldest_without_a_request_gives_way() {
        let connections = Connections::within(1024);
        let mut activities = Vec::new();
        for _ in 0..LIMIT {
            let activity = connections.expect();
            connections.settle(activity.clone(), Some(tokio::spawn(std::future::pending())));
            activities.push(activity);
        }
        activities[0].completed_a_request();
        let numbers = |c: &Connections| c.held().open.iter().map(|o| o.number).collect::<Vec<_>>();
        let before = numbers(&connections);
        connections.expect();
        let after = numbers(&connections);
        assert_eq!(after.len(), LIMIT - 1);
        assert!(after.contains(&before[0]) && !after.contains(&before[1]));
    }
}
