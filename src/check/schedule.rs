//! When a target is asked: intervals, rechecks, back-off, and how long a pass counts. Arithmetic alone; the loop is
//! `monitor`.

use std::time::Duration;

use super::{State, Status};

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

    /// How long a pass counts that left this status: longer where the next attempt is put off.
    pub(super) fn freshness_of(&self, status: &Status) -> Duration {
        match patience(status, 0.0) {
            Duration::ZERO => self.freshness(),
            patience => self.freshness().max(patience.saturating_add(self.timeout)),
        }
    }

    /// The wait until the next attempt. `chance` is uniform in 0..1.
    pub(super) fn pause(&self, status: &Status, age: Duration, chance: f64) -> Duration {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{Class, Stage};

    const SECOND: Duration = Duration::from_secs(1);

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
