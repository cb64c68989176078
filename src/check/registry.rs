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
    /// How much it counts until its first pass.
    pub startup: Need,
    /// How much it counts from then on.
    pub runtime: Need,
    /// Where it counts.
    pub groups: Groups,
}

/// How much a check counts.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Need {
    /// While it is not up, the app is not ready.
    #[default]
    Required,
    /// While it is not up, the app is degraded, and ready.
    Degraded,
}

/// The endpoints that a check counts in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Groups {
    /// `/readyz`.
    pub ready: bool,
    /// `/livez`.
    pub live: bool,
    /// `/startupz`.
    pub startup: bool,
}

impl Default for Groups {
    fn default() -> Self {
        Self { ready: true, live: false, startup: false }
    }
}

/// The checks, watched.
#[derive(Debug, Default)]
pub struct Registry {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    name: String,
    startup: Need,
    runtime: Need,
    groups: Groups,
    max_age: Duration,
    status: watch::Receiver<Status>,
}

/// What is known of one check at one moment.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The check's name.
    pub name: String,
    /// How much it counts now.
    pub need: Need,
    /// Where it counts.
    pub groups: Groups,
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
            let Check { name, recipe, schedule, startup, runtime, groups } = check;
            let (sender, status) = watch::channel(Status::new());
            let probe = move |progress| {
                let target = recipe.target();
                async move { target?.probe(&progress).await }
            };
            tokio::spawn(monitor(name.clone(), schedule, probe, sender));
            Entry { name, startup, runtime, groups, max_age: schedule.freshness(), status }
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
            need: if status.passed { self.runtime } else { self.startup },
            groups: self.groups,
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
            need: Need::Required,
            groups: Groups { startup: true, ..Groups::default() },
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
            startup: Need::Required,
            runtime: Need::Required,
            groups: Groups::default(),
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
