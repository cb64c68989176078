//! What is known of a target: what its monitor writes, and everybody else reads.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::{Class, Detail, Stage};

/// What is known of a target at the end of an attempt.
#[derive(Clone, Debug)]
pub struct Status {
    /// The state, by the thresholds of its schedule.
    pub state: State,
    /// Since when, for people.
    pub since: SystemTime,
    /// Since when, on the monotonic clock.
    pub changed: Instant,
    /// Whether it has ever passed.
    pub passed: bool,
    /// When it passed last.
    pub last_pass: Option<Instant>,
    /// Until when that pass is worth anything.
    pub fresh_until: Option<Instant>,
    /// When the last attempt ended.
    pub last_attempt: Option<Instant>,
    /// How long the last attempt took.
    pub latency: Option<Duration>,
    /// Passes since the last failure.
    pub passes: u32,
    /// Failures since the last pass.
    pub failures: u32,
    /// Attempts since the state changed.
    pub attempts: u32,
    /// Why the last attempt failed, or what was wrong though it passed.
    pub reason: Option<(Class, Stage)>,
    /// What the last pass found out.
    pub detail: Arc<Detail>,
    /// What was counted since the start.
    pub tally: Arc<Tally>,
}

/// What is believed of a target.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    /// Nothing yet, or nothing recent enough.
    Unknown,
    /// It works.
    Up,
    /// It works, and something is wrong with it.
    Degraded,
    /// It does not work.
    Down,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Unknown, Self::Up, Self::Degraded, Self::Down];

    /// `unknown`, `up`, `degraded` or `down`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Degraded => "degraded",
            Self::Down => "down",
        }
    }

    /// Whether it works.
    pub const fn is_up(self) -> bool {
        matches!(self, Self::Up | Self::Degraded)
    }
}

impl Status {
    /// Before the first attempt.
    pub fn new() -> Self {
        Self {
            state: State::Unknown,
            since: SystemTime::now(),
            changed: Instant::now(),
            passed: false,
            last_pass: None,
            fresh_until: None,
            last_attempt: None,
            latency: None,
            passes: 0,
            failures: 0,
            attempts: 0,
            reason: None,
            detail: Arc::default(),
            tally: Arc::default(),
        }
    }
}

impl Default for Status {
    fn default() -> Self {
        Self::new()
    }
}

/// The upper bounds, in seconds, of the buckets that attempts are counted in by their duration; what took longer is in
/// one more bucket.
pub const BOUNDS: [f64; 12] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];
/// How many attempts are remembered, for the page.
const REMEMBERED_ATTEMPTS: usize = 60;
/// How many changes of state are remembered, for the page.
const REMEMBERED_CHANGES: usize = 5;

/// What was counted of a target since the start, and the last of it.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// The attempts by their duration, for each of [`BOUNDS`] and for what is above.
    pub buckets: [u64; BOUNDS.len() + 1],
    /// The duration of all attempts together.
    pub total: Duration,
    /// The failures by class and stage.
    pub failures: Vec<((Class, Stage), u64)>,
    /// The changes of state by the new state.
    pub transitions: [u64; State::ALL.len()],
    /// The last attempts, the newest at the end.
    pub attempts: VecDeque<Attempt>,
    /// The last changes, the newest at the end.
    pub changes: VecDeque<Change>,
}

/// An attempt that is over.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    /// How long it took.
    pub took: Duration,
    /// Whether it passed.
    pub passed: bool,
}

/// A change of state.
#[derive(Clone, Copy, Debug)]
pub struct Change {
    /// When, for people.
    pub at: SystemTime,
    /// The state before.
    pub from: State,
    /// The state since.
    pub to: State,
    /// Why, where something is wrong.
    pub reason: Option<(Class, Stage)>,
}

impl Tally {
    /// Counts an attempt; `failure` is why it failed, if it did.
    pub(super) fn count_attempt(&mut self, took: Duration, failure: Option<(Class, Stage)>) {
        let bucket = BOUNDS.iter().take_while(|bound| took.as_secs_f64() > **bound).count();
        if let Some(count) = self.buckets.get_mut(bucket) {
            *count += 1;
        }
        self.total += took;
        if let Some(reason) = failure {
            match self.failures.iter_mut().find(|(known, _)| *known == reason) {
                Some((_, count)) => *count += 1,
                None => self.failures.push((reason, 1)),
            }
        }
        push(&mut self.attempts, Attempt { took, passed: failure.is_none() }, REMEMBERED_ATTEMPTS);
    }

    /// Counts a change of state.
    pub(super) fn count_change(&mut self, change: Change) {
        let place = State::ALL.iter().position(|state| *state == change.to);
        if let Some(count) = place.and_then(|place| self.transitions.get_mut(place)) {
            *count += 1;
        }
        push(&mut self.changes, change, REMEMBERED_CHANGES);
    }
}

/// Adds the newest and forgets what is too many.
fn push<T>(queue: &mut VecDeque<T>, item: T, most: usize) {
    if queue.len() >= most {
        queue.pop_front();
    }
    queue.push_back(item);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_attempt_is_counted_in_the_bucket_of_its_duration() {
        let mut tally = Tally::default();
        for millis in [0, 1, 2, 5000, 5001, 3_600_000] {
            tally.count_attempt(Duration::from_millis(millis), None);
        }
        assert_eq!(tally.buckets, [2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2]);
        assert_eq!(tally.total, Duration::from_millis(3_610_004));
    }

    #[test]
    fn what_is_remembered_does_not_grow_with_the_attempts() {
        let mut tally = Tally::default();
        for round in 0..10_000 {
            let class = if round % 2 == 0 { Class::Timeout } else { Class::ConnectRefused };
            tally.count_attempt(Duration::from_millis(round), Some((class, Stage::Connect)));
            let (from, to) = (State::Up, State::Down);
            tally.count_change(Change { at: SystemTime::now(), from, to, reason: None });
        }
        let counts: Vec<u64> = tally.failures.iter().map(|(_, count)| *count).collect();
        assert_eq!(counts, [5000, 5000]);
        assert_eq!(tally.transitions, [0, 0, 0, 10_000]);
        assert_eq!((tally.attempts.len(), tally.changes.len()), (60, 5));
        assert!(tally.attempts.capacity() < 128 && tally.changes.capacity() < 16);
    }
}
