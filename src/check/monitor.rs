//! One target's schedule: when it is asked, how long it may take, and when its state changes.
//! The loop takes any probe, so that tests give it closures that hang, fail twice, then succeed.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

use super::status::Change;
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
    /// How long the first pass is waited for at the pace of a recheck, before the waits grow.
    pub eager: Duration,
    /// How old a pass may be before nothing is known any more, where that was asked for.
    pub max_age: Option<Duration>,
    /// A pass that took longer is slow.
    pub slow: Duration,
}

/// The wait after a failure that has not brought the verdict yet, and between attempts before the first pass.
const RECHECK: Duration = Duration::from_secs(1);
/// How long the first pass is waited for at that pace, unless somebody waits for it.
const EAGER: Duration = Duration::from_secs(30);
/// The longest wait while it is down.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(30);
/// A target that is slow is told of at most so often.
const SLOW_AGAIN: Duration = Duration::from_secs(60);
/// The share of a wait that it may be shorter by; never longer, so that the time to a verdict is bounded.
const JITTER: f64 = 0.2;

impl Default for Schedule {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(2),
            fail_after: 3,
            pass_after: 1,
            eager: EAGER,
            max_age: None,
            slow: Duration::from_secs(1),
        }
    }
}

impl Schedule {
    /// How old a pass may be before nothing is known any more: three intervals, or the time to the verdict where that is
    /// longer, so that a failure is never a verdict before `fail_after`. What was asked for instead is never less than
    /// the longest planned gap with its attempt.
    pub fn freshness(&self) -> Duration {
        let gap = self.interval.saturating_add(self.timeout);
        let recheck = self.timeout.saturating_add(RECHECK);
        let verdict = gap.saturating_add(recheck.saturating_mul(self.fail_after.saturating_sub(1)));
        match self.max_age {
            Some(asked_for) => asked_for.max(gap),
            None => self.interval.saturating_mul(3).max(verdict),
        }
    }

    /// The wait until the next attempt. `chance` is uniform in 0..1.
    fn pause(&self, status: &Status, age: Duration, chance: f64) -> Duration {
        let jittered = |wait: Duration| wait.mul_f64(1.0 - JITTER * chance);
        let is_undecided = status.state.is_up() && status.failures > 0;
        let is_eager = !status.passed && age < self.eager;
        match status.state {
            _ if is_undecided => jittered(RECHECK),
            State::Up => jittered(self.interval),
            State::Degraded => patience(status, chance).max(jittered(self.interval)),
            State::Unknown | State::Down => match patience(status, chance) {
                Duration::ZERO if is_eager => jittered(RECHECK),
                Duration::ZERO => {
                    back_off(status.failures, self.fail_after).mul_f64(chance).max(RECHECK / 10)
                }
                patience => patience,
            },
        }
    }
}

/// The wait after so many failures: doubled with each, from a second to thirty.
fn back_off(failures: u32, fail_after: u32) -> Duration {
    let doublings = failures.saturating_sub(fail_after).min(5);
    (RECHECK * 2u32.pow(doublings)).min(LONGEST_BACK_OFF)
}

/// The wait that a server is owed which counts wrong passwords, or which is full: the longest, up to its half shorter, so
/// that neither one stead asks soon nor many ask together.
fn patience(status: &Status, chance: f64) -> Duration {
    match status.reason {
        Some((class, _)) if class.wants_patience() => LONGEST_BACK_OFF.mul_f64(1.0 - chance / 2.0),
        _ => Duration::ZERO,
    }
}

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
        report(&name, &before, &next, &outcome);
        if outcome.result.is_ok() && outcome.took > schedule.slow {
            report_slow(&name, &outcome, &mut told_slow);
        }
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
            next.fresh_until = now.checked_add(freshness_of(&next, schedule));
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

/// How long this pass counts: longer where the next attempt is put off.
fn freshness_of(status: &Status, schedule: &Schedule) -> Duration {
    match patience(status, 0.0) {
        Duration::ZERO => schedule.freshness(),
        patience => schedule.freshness().max(patience + schedule.timeout),
    }
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
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::check::Fact;

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
        assert_eq!(status.borrow().reason, Some((Class::Timeout, Stage::Connect)));
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
        assert_eq!(status.borrow().reason.map(|(class, _)| class), Some(Class::ProbePanicked));
        sleep(2 * SECOND).await;
        assert_eq!((status.borrow().state, count.load(Ordering::Relaxed)), (State::Up, 2));
    }

    fn concerned(class: Class) -> Result<Pass, ProbeError> {
        Ok(Pass { detail: Vec::new(), concern: Some(ProbeError::new(class, "too much")) })
    }

    #[tokio::test(start_paused = true)]
    async fn what_complains_is_degraded_and_up_again_when_it_does_not() {
        let (status, _) = start(|n| async move {
            match n {
                0 => Ok(Pass { detail: vec![("messages", Fact::Count(3))], concern: None }),
                1 => concerned(Class::TooManyMessages),
                _ => Ok(Pass::default()),
            }
        });
        sleep(SECOND / 10).await;
        assert_eq!(*status.borrow().detail, [("messages", Fact::Count(3))]);
        sleep(10 * SECOND).await;
        let degraded = status.borrow().clone();
        assert_eq!((degraded.state, degraded.failures), (State::Degraded, 0));
        assert_eq!(degraded.reason, Some((Class::TooManyMessages, Stage::Connect)));
        sleep(10 * SECOND).await;
        assert_eq!((status.borrow().state, status.borrow().reason), (State::Up, None));
        let counted = status.borrow().tally.clone();
        assert_eq!(counted.transitions, [0, 2, 1, 0]);
        assert!(counted.failures.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_wrong_password_and_a_full_server_are_not_asked_again_soon() {
        for class in [Class::AuthFailed, Class::AccessDenied, Class::TooManyConnections] {
            let (_, failed) = start(move |_| async move { Err(ProbeError::new(class, "no")) });
            let (status, complained) = start(move |_| async move { concerned(class) });
            sleep(14 * SECOND).await;
            for count in [&failed, &complained] {
                assert_eq!(count.load(Ordering::Relaxed), 1, "{class:?}");
            }
            sleep(286 * SECOND).await;
            for count in [failed, complained] {
                let count = count.load(Ordering::Relaxed);
                assert!((10..=21).contains(&count), "{class:?}: {count} in five minutes");
            }
            // The pass counts for as long as the next attempt is put off.
            let fresh = status.borrow().fresh_until.is_some_and(|until| until > Instant::now());
            assert!(fresh, "{class:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_wrong_for_long_is_still_down_within_eighteen_seconds() {
        let (status, count) = start(|n| async move {
            if n == 0 {
                return Ok(Pass::default());
            }
            sleep(2 * SECOND - SECOND / 10).await;
            Err(ProbeError::new(Class::AuthFailed, "no"))
        });
        sleep(18 * SECOND).await;
        assert_eq!((status.borrow().state, count.load(Ordering::Relaxed)), (State::Down, 4));
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_that_may_not_connect_changes_nothing() {
        let (mut status, count) = start(|n| async move {
            if n == 0 { Ok(Pass::default()) } else { Err(ProbeError::new(Class::Draining, "no")) }
        });
        status.changed().await.unwrap();
        let before = status.borrow_and_update().clone();
        sleep(100 * SECOND).await;
        assert!(count.load(Ordering::Relaxed) > 5);
        assert!(!status.has_changed().unwrap());
        assert_eq!((before.state, before.tally.failures.len()), (State::Up, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn failures_are_counted_by_class_and_stage_and_attempts_by_duration() {
        let (sender, status) = watch::channel(Status::new());
        let mut n = 0;
        let probe = move |progress: Progress| {
            n += 1;
            async move {
                progress.enter(if n % 2 == 0 { Stage::Tls } else { Stage::Query });
                sleep(Duration::from_millis(30)).await;
                refused()
            }
        };
        tokio::spawn(monitor("test".to_owned(), Schedule::default(), probe, sender));
        while status.borrow().failures < 4 {
            sleep(SECOND / 10).await;
        }
        let tally = status.borrow().tally.clone();
        let (query, tls) =
            ((Class::ConnectRefused, Stage::Query), (Class::ConnectRefused, Stage::Tls));
        assert_eq!(tally.failures, [(query, 2), (tls, 2)]);
        assert_eq!((tally.buckets[5], tally.buckets.iter().sum::<u64>()), (4, 4));
        assert_eq!(tally.transitions, [0, 0, 0, 1]);
        assert_eq!(tally.changes.back().unwrap().reason, Some(query));
    }

    #[test]
    fn a_pass_lasts_three_intervals_and_never_less_than_the_time_to_the_verdict() {
        let schedule = Schedule::default();
        assert_eq!(schedule.freshness(), 30 * SECOND);
        let short = Schedule { interval: SECOND, ..schedule };
        // An interval, three attempts and two rechecks.
        assert_eq!(short.freshness(), 9 * SECOND);
        let asked = |max_age| Schedule { max_age: Some(max_age), ..schedule }.freshness();
        assert_eq!(asked(60 * SECOND), 60 * SECOND);
        assert_eq!(asked(SECOND), 12 * SECOND);
        let for_ever = Schedule { interval: Duration::MAX, fail_after: u32::MAX, ..schedule };
        assert_eq!(for_ever.freshness(), Duration::MAX);
    }

    #[test]
    fn waits_while_down_are_spread_over_the_whole_back_off() {
        let schedule = Schedule::default();
        let down = Status { state: State::Down, passed: true, failures: 100, ..Status::new() };
        assert_eq!(schedule.pause(&down, SECOND, 0.5), 15 * SECOND);
        assert_eq!(schedule.pause(&down, SECOND, 0.0), SECOND / 10);
        let refused = Status { reason: Some((Class::AuthFailed, Stage::Authenticate)), ..down };
        assert_eq!(schedule.pause(&refused, SECOND, 0.0), 30 * SECOND);
        assert_eq!(schedule.pause(&refused, SECOND, 1.0), 15 * SECOND);
    }
}
