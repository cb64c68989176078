//! All checks and what is known of them: one reader of each monitor's channel, and no writer.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::{Mutex, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::monitor::{Schedule, monitor};
use super::recipe::Recipe;
use super::{Pass, ProbeError, Progress, State, Status};

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
    /// What it asks starts only after this stead has: in `/livez` it counts from its first pass on.
    pub starts_later: bool,
}

impl Default for Groups {
    fn default() -> Self {
        Self { ready: true, live: false, startup: false, starts_later: false }
    }
}

/// The checks, watched.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    name: Arc<str>,
    kind: &'static str,
    startup: Need,
    runtime: Need,
    groups: Groups,
    status: watch::Receiver<Status>,
    asked: Arc<Asked>,
}

/// What is known of one check at one moment.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The check's name.
    pub name: Arc<str>,
    /// The name of its target's kind.
    pub kind: &'static str,
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
    /// Starts a monitor for each check; none of them opens a connection while `may_connect` says no. To be called inside
    /// the runtime.
    pub fn start(
        checks: Vec<Check>,
        may_connect: impl Fn() -> bool + Clone + Send + 'static,
    ) -> Self {
        Self::start_after(checks, may_connect, || std::future::ready(()))
    }

    /// As [`Registry::start`], for checks of what does not run yet: nothing is asked before `begun` is over.
    pub fn start_after<F>(
        checks: Vec<Check>,
        may_connect: impl Fn() -> bool + Clone + Send + 'static,
        begun: impl Fn() -> F,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let entries = checks.into_iter().map(|check| {
            let Check { name, recipe, schedule, startup, runtime, groups } = check;
            let kind = recipe.made().kind();
            let (sender, status) = watch::channel(Status::new());
            let asked = Arc::new(Asked { recipe, turn: Mutex::new(()) });
            let (in_probe, may_connect) = (asked.clone(), may_connect.clone());
            let probe = move |progress: Progress| {
                let asked = in_probe.clone();
                let progress = if may_connect() { progress } else { progress.without_connecting() };
                async move { asked.probe(&progress).await }
            };
            let (begun, monitored) = (begun(), name.clone());
            tokio::spawn(async move {
                begun.await;
                monitor(monitored, schedule, probe, sender).await;
            });
            Entry { name: name.into(), kind, startup, runtime, groups, status, asked }
        });
        Self { entries: entries.collect() }
    }

    /// These checks, and behind them the others.
    pub fn and(mut self, others: Self) -> Self {
        self.entries.extend(others.entries);
        self
    }

    /// What is known now.
    pub fn findings(&self) -> Vec<Finding> {
        let now = Instant::now();
        self.entries.iter().map(|entry| entry.finding(now)).collect()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Waits until an attempt has ended that this clone has not been told of.
    pub async fn round(&mut self) {
        let changed = |entry| Box::pin(Entry::changed(entry));
        let mut waiting: Vec<_> = self.entries.iter_mut().map(changed).collect();
        poll_fn(|context| {
            let mut told = false;
            waiting.retain_mut(|change| match change.as_mut().poll(context) {
                Poll::Ready(ended) => {
                    told |= ended;
                    false
                }
                Poll::Pending => true,
            });
            if told { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// What closes the connections that are held, at the end.
    pub fn closing(&self) -> Closing {
        Closing(self.entries.iter().map(|entry| entry.asked.clone()).collect())
    }
}

impl Entry {
    /// Waits for the end of an attempt; false when there will be none any more.
    async fn changed(&mut self) -> bool {
        self.status.changed().await.is_ok()
    }

    fn finding(&self, now: Instant) -> Finding {
        let mut status = self.status.borrow().clone();
        // A pass ages, a failure does not.
        let is_stale = status.fresh_until.is_none_or(|until| now > until);
        let state = if status.state.is_up() && is_stale { State::Unknown } else { status.state };
        if !state.is_up() {
            // What was found out when it worked last may be otherwise by now.
            status.detail = Arc::default();
        }
        Finding {
            name: self.name.clone(),
            kind: self.kind,
            need: if status.passed { self.runtime } else { self.startup },
            groups: self.groups,
            state,
            age: status.last_attempt.map(|at| now.saturating_duration_since(at)),
            status,
        }
    }
}

/// A target, and whose turn it is with its connection: an attempt's or the end's.
#[derive(Debug)]
struct Asked {
    recipe: Recipe,
    turn: Mutex<()>,
}

impl Asked {
    async fn probe(&self, progress: &Progress) -> Result<Pass, ProbeError> {
        let _turn = self.turn.lock().await;
        self.recipe.target().await?.probe(progress).await
    }

    /// Closes what is held, behind the attempt that is under way.
    async fn close(&self) {
        let _turn = self.turn.lock().await;
        self.recipe.made().close().await;
    }
}

/// Closes the connections that are held.
#[derive(Debug, Default)]
pub struct Closing(Vec<Arc<Asked>>);

impl Closing {
    /// Whether there is no check at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Closes them all, side by side: a server that hangs keeps none of the others waiting.
    pub async fn close(self) {
        let mut tasks: JoinSet<()> =
            self.0.into_iter().map(|asked| async move { asked.close().await }).collect();
        while tasks.join_next().await.is_some() {}
    }
}

#[cfg(test)]
impl Finding {
    /// A required check of this name in this state, which has passed if it is up and was refused if it is down.
    pub fn example(name: &str, state: State) -> Self {
        use super::{Class, Stage};
        let reason = match state {
            State::Down => Some((Class::ConnectRefused, Stage::Connect)),
            State::Degraded => Some((Class::TooManyMessages, Stage::State)),
            State::Unknown | State::Up => None,
        };
        let status = Status { state, passed: state.is_up(), reason, ..Status::new() };
        Self {
            name: name.into(),
            kind: "tcp",
            need: Need::Required,
            groups: Groups { startup: true, ..Groups::default() },
            state,
            age: None,
            status,
        }
    }
}

#[cfg(test)]
mod tests;
