//! All checks and what is known of them: one reader of each monitor's channel, and no writer.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::monitor::{Schedule, monitor};
use super::recipe::Recipe;
use super::{State, Status};

/// A check as configured.
#[derive(Debug)]
pub struct Check {
    /// Its name, unique among the checks.
    pub name: String,
    /// What is asked.
    pub recipe: Recipe,
    /// When it is asked.
    pub schedule: Schedule,
    /// Whether the app is not ready while it is not up.
    pub required: bool,
    /// Whether it counts for liveness too.
    pub live: bool,
    /// Whether start-up waits for it.
    pub startup: bool,
}

/// The checks, watched.
#[derive(Debug, Default)]
pub struct Registry {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    name: String,
    required: bool,
    live: bool,
    startup: bool,
    max_age: Duration,
    status: watch::Receiver<Status>,
}

/// What is known of one check at one moment.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The check's name.
    pub name: String,
    /// Whether the app is not ready while it is not up.
    pub required: bool,
    /// Whether it counts for liveness too.
    pub live: bool,
    /// Whether start-up waits for it.
    pub startup: bool,
    /// The state, unknown where the last pass is too old.
    pub state: State,
    /// How long ago the last attempt ended.
    pub age: Option<Duration>,
    /// All else.
    pub status: Status,
}

impl Registry {
    /// Starts a monitor for each check. To be called inside the runtime.
    pub fn start(checks: Vec<Check>) -> Self {
        let entries = checks.into_iter().map(|check| {
            let Check { name, recipe, schedule, required, live, startup } = check;
            let (sender, status) = watch::channel(Status::new());
            let probe = move |progress| {
                let target = recipe.target();
                async move { target?.probe(&progress).await }
            };
            tokio::spawn(monitor(name.clone(), schedule, probe, sender));
            Entry { name, required, live, startup, max_age: schedule.max_age(), status }
        });
        Self { entries: entries.collect() }
    }

    /// What is known now.
    pub fn findings(&self) -> Vec<Finding> {
        let now = Instant::now();
        self.entries.iter().map(|entry| entry.finding(now)).collect()
    }
}

impl Entry {
    fn finding(&self, now: Instant) -> Finding {
        let status = self.status.borrow().clone();
        let since = |at: Option<Instant>| at.map(|at| now.saturating_duration_since(at));
        let stale = since(status.last_pass).is_none_or(|age| age > self.max_age);
        // A pass ages, a failure does not.
        let state = if status.state == State::Up && stale { State::Unknown } else { status.state };
        Finding {
            name: self.name.clone(),
            required: self.required,
            live: self.live,
            startup: self.startup,
            state,
            age: since(status.last_attempt),
            status,
        }
    }
}

#[cfg(test)]
impl Finding {
    /// A required check of this name in this state, which has passed if it is up and was refused if it is down.
    pub fn example(name: &str, state: State) -> Self {
        use super::{Class, Stage};
        let failure = (state == State::Down).then_some((Class::ConnectRefused, Stage::Connect));
        let status = Status { state, passed: state == State::Up, failure, ..Status::new() };
        Self {
            name: name.to_owned(),
            required: true,
            live: false,
            startup: true,
            state,
            age: None,
            status,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_pass_that_is_too_old_is_unknown_and_a_failure_stays_one() {
        let (sender, status) = watch::channel(Status::new());
        let entry = Entry {
            name: "test".to_owned(),
            required: true,
            live: false,
            startup: true,
            max_age: Duration::from_secs(30),
            status,
        };
        let state = || entry.finding(Instant::now()).state;
        let pass = Some(Instant::now());
        sender.send_replace(Status {
            state: State::Up,
            passed: true,
            last_pass: pass,
            ..Status::new()
        });
        assert_eq!(state(), State::Up);
        tokio::time::advance(Duration::from_secs(31)).await;
        assert_eq!(state(), State::Unknown);
        sender.send_replace(Status {
            state: State::Down,
            passed: true,
            last_pass: pass,
            ..Status::new()
        });
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert_eq!(state(), State::Down);
    }
}
