//! The times of a lock, all from its grace.

use std::time::Duration;

/// The longest time between two questions.
const LONGEST_BEAT: Duration = Duration::from_secs(1);

/// How long each step may take.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Times {
    /// What ran under the lock is gone so long after its loss was noticed.
    pub grace: Duration,
    /// Between two questions whether the lock is held.
    pub beat: Duration,
}

impl Times {
    /// A fifth of the grace is a beat, which is never longer than a second.
    pub fn of(grace: Duration) -> Self {
        Self { grace, beat: LONGEST_BEAT.min(grace / 5) }
    }

    /// A proof is good for three beats from when it was asked for: one until the next question, two for its answer.
    /// So long after it was held last, at the latest, a holder notices that it is lost.
    pub fn lease(self) -> Duration {
        3 * self.beat
    }

    /// After which silence the server takes its client for dead: later than that one has noticed itself.
    pub fn dead_after(self) -> Duration {
        4 * self.beat
    }

    /// How long a new holder waits for the last one to be gone, unless that one said so: the time in which it notices,
    /// that in which what it runs is ended, and a beat more for a machine that is busy.
    pub fn wait(self) -> Duration {
        self.lease() + self.grace + self.beat
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_holder_waits_for_longer_than_the_last_one_takes_to_notice_and_to_stop() {
        for (grace, beat, wait) in
            [(200, 40, 360), (1000, 200, 1800), (5000, 1000, 9000), (60_000, 1000, 64_000)]
        {
            let times = Times::of(Duration::from_millis(grace));
            assert_eq!((times.beat.as_millis(), times.wait().as_millis()), (beat, wait), "{grace}");
            assert!(times.wait() > times.lease() + times.grace);
            assert!(times.dead_after() > times.lease());
        }
    }
}
