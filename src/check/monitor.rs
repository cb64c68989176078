//! One target's schedule: when it is asked, how long it may take, and when its state changes.
//! The loop takes any probe, so that tests give it closures that hang, fail twice, then succeed.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

pub use super::schedule::Schedule;
use super::status::Change;
use super::{Class, Pass, ProbeError, Progress, Stage, State, Status};

/// A target that is slow is told of at most so often.
const SLOW_AGAIN: Duration = Duration::from_secs(60);

/// One attempt that is over.
struct Outcome {
    result: Result<Pass, ProbeError>,
    stage: Stage,
    took: Duration,
}

impl Outcome {
    /// What was wrong: the failure, or what the target complains of.
    fn error(&self) -> Option<&ProbeError> {
        match &self.result {
            Ok(pass) => pass.concern.as_ref(),
            Err(error) => Some(error),
        }
    }

    fn reason(&self) -> Option<(Class, Stage)> {
        self.error().map(|error| (error.class, self.stage))
    }

    /// Whether it says nothing of the target, because stead opens no connection any more.
    fn is_void(&self) -> bool {
        self.result.as_ref().is_err_and(|error| error.class == Class::Draining)
    }
}

/// Asks for ever. A probe that panics makes its check unknown and ends nothing else. All times are the monotonic clock's,
/// which goes on while this process is stopped: a jump of the wall clock changes nothing, and however long it was stopped,
/// one attempt is due.
pub async fn monitor<P, F>(
    name: String,
    schedule: Schedule,
    mut probe: P,
    status: watch::Sender<Status>,
) where
    P: FnMut(Progress) -> F,
    F: Future<Output = Result<Pass, ProbeError>> + Send + 'static,
{
    let start = Instant::now();
    let mut told_slow = None;
    loop {
        let progress = Progress::new(true);
        let began = Instant::now();
        let result = attempt(schedule.timeout, probe(progress.clone())).await;
        let outcome = Outcome { result, stage: progress.stage(), took: began.elapsed() };
        if outcome.is_void() {
            sleep(schedule.interval).await;
            continue;
        }
        let before = status.borrow().clone();
        let next = judged(&before, &outcome, &schedule);
        let pause = schedule.pause(&next, start.elapsed(), fastrand::f64());
        // The endpoints know of it before a reader of the log can.
        status.send_replace(next.clone());
        report(&name, &before, &next, &outcome);
        if outcome.result.is_ok() && outcome.took > schedule.slow {
            report_slow(&name, &outcome, &mut told_slow);
        }
        sleep(pause).await;
    }
}

/// One attempt within its time, in a task of its own; dropping the set ends what is still under way.
pub async fn attempt<F>(limit: Duration, probe: F) -> Result<Pass, ProbeError>
where
    F: Future<Output = Result<Pass, ProbeError>> + Send + 'static,
{
    let mut task = JoinSet::new();
    task.spawn(probe);
    match timeout(limit, task.join_next()).await {
        Ok(Some(Ok(result))) => result,
        Ok(Some(Err(panic))) => Err(ProbeError::new(Class::ProbePanicked, panic)),
        Ok(None) => Err(ProbeError::new(Class::ProbePanicked, "the attempt never ran")),
        Err(_) => Err(ProbeError::new(Class::Timeout, format!("no answer within {limit:?}"))),
    }
}

/// The status after an attempt.
fn judged(before: &Status, outcome: &Outcome, schedule: &Schedule) -> Status {
    let now = Instant::now();
    let mut next = before.clone();
    next.last_attempt = Some(now);
    next.latency = Some(outcome.took);
    next.attempts = before.attempts.saturating_add(1);
    next.reason = outcome.reason();
    match &outcome.result {
        Ok(pass) => {
            next.passes = before.passes.saturating_add(1);
            next.failures = 0;
            next.passed = true;
            next.last_pass = Some(now);
            next.fresh_until = now.checked_add(schedule.freshness_of(&next));
            if *next.detail != pass.detail {
                next.detail = Arc::new(pass.detail.clone());
            }
        }
        Err(_) => {
            next.passes = 0;
            next.failures = before.failures.saturating_add(1);
        }
    }
    next.state = state_after(before, &next, outcome, schedule);
    let tally = Arc::make_mut(&mut next.tally);
    tally.count_attempt(outcome.took, next.reason.filter(|_| outcome.result.is_err()));
    if next.state != before.state {
        next.since = SystemTime::now();
        next.changed = now;
        next.attempts = 0;
        let (from, to) = (before.state, next.state);
        tally.count_change(Change { at: next.since, from, to, reason: next.reason });
    }
    next
}

fn state_after(before: &Status, next: &Status, outcome: &Outcome, schedule: &Schedule) -> State {
    match &outcome.result {
        Ok(_) if before.passed && next.passes < schedule.pass_after && !before.state.is_up() => {
            before.state
        }
        Ok(Pass { concern: Some(_), .. }) => State::Degraded,
        Ok(_) => State::Up,
        Err(error) if error.class == Class::ProbePanicked => State::Unknown,
        Err(_) if next.failures >= schedule.fail_after => State::Down,
        Err(_) => before.state,
    }
}

/// One event for each change of state.
fn report(check: &str, before: &Status, after: &Status, outcome: &Outcome) {
    if before.state == after.state {
        return;
    }
    let (status, from) = (after.state.name(), before.state.name());
    let in_state_s = before.changed.elapsed().as_secs_f64();
    let attempts = before.attempts.saturating_add(1);
    match outcome.error() {
        Some(error) => {
            let (class, stage) = (error.class.name(), outcome.stage.name());
            warn!(check, status, from, in_state_s, attempts, class, stage, %error, "check changed");
        }
        None => info!(check, status, from, in_state_s, attempts, "check changed"),
    }
}

/// One event for a pass that took long, unless there was one lately.
fn report_slow(check: &str, outcome: &Outcome, told: &mut Option<Instant>) {
    if told.is_none_or(|at| at.elapsed() >= SLOW_AGAIN) {
        *told = Some(Instant::now());
        warn!(check, elapsed_ms = outcome.took.as_secs_f64() * 1e3, "check slow");
    }
}

#[cfg(test)]
mod tests;
