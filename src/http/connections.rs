//! The connections that are open: at most so many, and when one more comes, the oldest without a complete request
//! gives way, so that whoever hangs on to connections cannot keep a probe out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::task::JoinHandle;

/// How many connections may be open at once.
const LIMIT: usize = 128;
/// Descriptors that stead needs for all else: its own, the checks' connections, a look into /proc at the end.
const RESERVE: u64 = 32;
/// The least number of connections, however few descriptors there are.
const LEAST: usize = 4;

/// The open connections.
pub(super) struct Connections {
    open: Vec<Open>,
    limit: usize,
    clock: Arc<AtomicU64>,
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
        Self { open: Vec::new(), limit: free.clamp(LEAST, LIMIT), clock: Arc::default() }
    }

    /// Takes in one more connection, whose task `start` spawns.
    pub(super) fn admit(&mut self, start: impl FnOnce(Activity) -> JoinHandle<()>) {
        if self.open.len() >= self.limit {
            self.open.retain(|open| !open.task.is_finished());
        }
        if self.open.len() >= self.limit {
            self.evict();
        }
        let completed = Arc::new(AtomicU64::new(0));
        let activity = Activity { clock: self.clock.clone(), completed: completed.clone() };
        let number = self.clock.fetch_add(1, Ordering::Relaxed) + 1;
        self.open.push(Open { task: start(activity), completed, number });
    }

    /// Closes the oldest connection that never completed a request, else the one whose last request is longest ago.
    pub(super) fn evict(&mut self) {
        let age = |open: &Open| (open.completed.load(Ordering::Relaxed), open.number);
        let oldest =
            self.open.iter().enumerate().min_by_key(|(_, open)| age(open)).map(|(place, _)| place);
        if let Some(place) = oldest {
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
        let mut connections = Connections::within(1024);
        let mut activities = Vec::new();
        for _ in 0..LIMIT {
            connections.admit(|activity| {
                activities.push(activity);
                tokio::spawn(std::future::pending())
            });
        }
        activities[0].completed_a_request();
        let numbers = |c: &Connections| c.open.iter().map(|o| o.number).collect::<Vec<_>>();
        let before = numbers(&connections);
        connections.admit(|_| tokio::spawn(std::future::pending()));
        let after = numbers(&connections);
        assert_eq!(after.len(), LIMIT);
        assert!(after.contains(&before[0]) && !after.contains(&before[1]));
    }
}
