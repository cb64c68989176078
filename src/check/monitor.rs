//! One target's schedule: when it is asked, how long it may take, and when its state changes.
//! The loop takes any probe, so that tests give it closures that hang, fail twice, then succeed.

use std::future::Future;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

use super::{Class, Pass, ProbeError, Progress, Stage, State, Status};

/// When a target is asked, and what its answers mean.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// Between attempts while all is well; each wait is up to a fifth shorter.
    pub interval: Duration,
    /// For the whole attempt.
    pub timeout: Duration,
    /// Failures in a row until it is down.
    pub fail_after: u32,
    /// Passes in a row until it is up again; the very first pass counts at once.
    pub pass_after: u32,
    /// How old a pass may be before nothing is known any more, where that was asked for.
    pub max_age: Option<Duration>,
    /// A pass that took longer is slow.
    pub slow: Duration,
}

/// The wait after a failure that has not brought the verdict yet, and between attempts before the first pass.
const RECHECK: Duration = Duration::from_secs(1);
/// How long the first pass is waited for at that pace.
const EAGER: Duration = Duration::from_secs(30);
/// The longest wait while it is down.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(30);

impl Default for Schedule {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(2),
            fail_after: 3,
            pass_after: 1,
            max_age: None,
            slow: Duration::from_secs(1),
        }
    }
}

impl Schedule {
    /// How old a pass may be before nothing is known any more: three intervals, and never less than the longest planned
    /// gap with its attempt.
    pub fn freshness(&self) -> Duration {
        self.max_age.unwrap_or(3 * self.interval).max(self.interval + self.timeout)
    }

    /// The wait until the next attempt. `chance` is uniform in 0..1.
    fn pause(&self, status: &Status, age: Duration, chance: f64) -> Duration {
        let jittered = |wait: Duration| wait.mul_f64(1.0 - JITTER * chance);
        let undecided = status.state == State::Up && status.failures > 0;
        let eager = !status.passed && age < EAGER;
        match status.state {
            _ if undecided || eager => jittered(RECHECK),
            State::Up => jittered(self.interval),
            State::Unknown | State::Down => {
                back_off(status.failures, self.fail_after).mul_f64(chance).max(RECHECK / 10)
            }
        }
    }
}

/// The share of a wait that it may be shorter by; never longer, so that the time to a verdict is bounded.
const JITTER: f64 = 0.2;

/// The longest wait after so many failures: doubled with each, from a second to thirty.
fn back_off(failures: u32, fail_after: u32) -> Duration {
    let doublings = failures.saturating_sub(fail_after).min(5);
    (RECHECK * 2u32.pow(doublings)).min(LONGEST_BACK_OFF)
}

/// Asks for ever. A probe that panics makes its check unknown and ends nothing else.
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
    let mut passes = 0;
    loop {
        let progress = Progress::new(true);
        let began = Instant::now();
        let result = attempt(schedule.timeout, probe(progress.clone())).await;
        passes = if result.is_ok() { passes + 1 } else { 0 };
        let next = judged(&status.borrow(), &result, progress.stage(), passes, &schedule);
        let next = Status { latency: Some(began.elapsed()), ..next };
        report(&name, &status.borrow(), &next, &result);
        let pause = schedule.pause(&next, start.elapsed(), fastrand::f64());
        status.send_replace(next);
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
fn judged(
    before: &Status,
    result: &Result<Pass, ProbeError>,
    stage: Stage,
    passes: u32,
    schedule: &Schedule,
) -> Status {
    let now = Instant::now();
    let failures = if result.is_ok() { 0 } else { before.failures.saturating_add(1) };
    let state = match result {
        Ok(_) if !before.passed || passes >= schedule.pass_after => State::Up,
        Ok(_) => before.state,
        Err(error) if error.class == Class::ProbePanicked => State::Unknown,
        Err(_) if failures >= schedule.fail_after => State::Down,
        Err(_) => before.state,
    };
    let changed = state != before.state;
    Status {
        state,
        since: if changed { SystemTime::now() } else { before.since },
        changed: if changed { now } else { before.changed },
        passed: before.passed || result.is_ok(),
        last_pass: if result.is_ok() { Some(now) } else { before.last_pass },
        last_attempt: Some(now),
        latency: before.latency,
        failures,
        attempts: if changed { 0 } else { before.attempts.saturating_add(1) },
        failure: result.as_ref().err().map(|error| (error.class, stage)),
    }
}

/// One event for each change of state.
fn report(check: &str, before: &Status, after: &Status, result: &Result<Pass, ProbeError>) {
    if before.state == after.state {
        return;
    }
    let (status, from) = (after.state.name(), before.state.name());
    let in_state_s = before.changed.elapsed().as_secs_f64();
    let attempts = before.attempts.saturating_add(1);
    match (result, after.failure) {
        (Err(error), Some((class, stage))) => {
            let (class, stage) = (class.name(), stage.name());
            warn!(check, status, from, in_state_s, attempts, class, stage, %error, "check changed");
        }
        _ => info!(check, status, from, in_state_s, attempts, "check changed"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn refused() -> Result<Pass, ProbeError> {
        Err(ProbeError::new(Class::ConnectRefused, "refused"))
    }

    /// Runs a monitor whose n-th attempt gives `answer(n)`.
    fn start<F>(
        answer: impl Fn(u32) -> F + Send + 'static,
    ) -> (watch::Receiver<Status>, Arc<AtomicU32>)
    where
        F: Future<Output = Result<Pass, ProbeError>> + Send + 'static,
    {
        let (sender, receiver) = watch::channel(Status::new());
        let count = Arc::new(AtomicU32::new(0));
        let counted = count.clone();
        let probe = move |_| answer(counted.fetch_add(1, Ordering::Relaxed));
        tokio::spawn(monitor("test".to_owned(), Schedule::default(), probe, sender));
        (receiver, count)
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_pass_makes_it_up_and_one_failure_does_not_make_it_down() {
        let (status, count) =
            start(|n| async move { if n == 1 { refused() } else { Ok(Pass::default()) } });
        sleep(SECOND / 10).await;
        assert_eq!(status.borrow().state, State::Up);
        // The next attempt comes 0.8 s after the failed one at the earliest.
        while count.load(Ordering::Relaxed) < 2 {
            sleep(SECOND / 10).await;
        }
        assert_eq!((status.borrow().state, status.borrow().failures), (State::Up, 1));
        sleep(SECOND).await;
        assert_eq!((status.borrow().state, status.borrow().failures), (State::Up, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn what_hangs_is_down_within_eighteen_seconds_and_up_again_by_itself() {
        let (status, count) = start(|n| async move {
            if (1..=3).contains(&n) {
                std::future::pending::<()>().await;
            }
            Ok(Pass::default())
        });
        sleep(SECOND / 10).await;
        let up = Instant::now();
        while status.borrow().state == State::Up {
            sleep(SECOND / 10).await;
        }
        // 10 s to the next attempt, three attempts of 2 s, two rechecks of 1 s.
        assert!(up.elapsed() <= Duration::from_millis(18_100), "{:?}", up.elapsed());
        assert_eq!(status.borrow().failure, Some((Class::Timeout, Stage::Connect)));
        assert_eq!(count.load(Ordering::Relaxed), 4);
        sleep(2 * SECOND).await;
        assert_eq!(status.borrow().state, State::Up);
    }

    #[tokio::test(start_paused = true)]
    async fn before_the_first_pass_it_is_asked_every_second_and_later_with_back_off() {
        let (status, count) = start(|_| async { refused() });
        sleep(29 * SECOND).await;
        let eager = count.load(Ordering::Relaxed);
        assert!((24..=37).contains(&eager), "{eager}");
        assert_eq!(status.borrow().state, State::Down);
        assert!(!status.borrow().passed);
        sleep(300 * SECOND).await;
        let later = count.load(Ordering::Relaxed) - eager;
        assert!((10..=80).contains(&later), "{later}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_panics_is_unknown_and_is_asked_again() {
        let (status, count) = start(|n| async move {
            assert!(n != 0, "a bug in a driver");
            Ok(Pass::default())
        });
        sleep(SECOND / 10).await;
        assert_eq!(status.borrow().state, State::Unknown);
        assert_eq!(status.borrow().failure.map(|(class, _)| class), Some(Class::ProbePanicked));
        sleep(2 * SECOND).await;
        assert_eq!((status.borrow().state, count.load(Ordering::Relaxed)), (State::Up, 2));
    }

    #[test]
    fn a_pass_may_be_as_old_as_the_longest_gap_and_never_older_than_three_intervals_needs() {
        assert_eq!(Schedule::default().freshness(), Duration::from_secs(30));
        let short = Schedule { interval: SECOND / 2, ..Schedule::default() };
        assert_eq!(short.freshness(), Duration::from_millis(2500));
    }

    #[test]
    fn waits_while_down_are_spread_over_the_whole_back_off() {
        let schedule = Schedule::default();
        let down = Status { state: State::Down, passed: true, failures: 100, ..Status::new() };
        assert_eq!(schedule.pause(&down, SECOND, 0.5), 15 * SECOND);
        assert_eq!(schedule.pause(&down, SECOND, 0.0), SECOND / 10);
    }
}
