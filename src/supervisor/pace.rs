//! When it is looked for children that have ended.
//!
//! A look costs the kernel a glance at each child in front of the first that has ended (wait4(2) walks a list), during which
//! none can end. Who looks at once for each of ten thousand that end together takes three times as long to collect them
//! as who lets some gather, and keeps all others from the processors meanwhile.

use std::time::Duration;

use crate::sys::clock;

/// After so many it is time to look at signals.
const BATCH: u32 = 256;
/// What looks may cost without a rest, in microseconds of processor time: with up to some thousand children there is none,
const FREE: u64 = 200;
/// and with any number none where few of them live: so much for each that was found, a few times what it takes to collect
/// one that is the first of them.
const FREE_FOR_EACH: u64 = 30;
/// How many times as long as dear looks took is the rest,
const SHARE: u64 = 10;
/// and the longest, in microseconds.
const LONGEST: u64 = 20_000;

/// Paces the looks.
#[derive(Debug, Default)]
pub struct Pace {
    batch: Option<Batch>,
    /// There may be more, to be looked for from this moment on.
    again: Option<u64>,
}

/// Looks in a row.
#[derive(Debug)]
struct Batch {
    since: Clocks,
    found: u32,
}

/// A moment: monotonic time, and the processor time of this thread, in microseconds.
#[derive(Clone, Copy, Debug)]
pub struct Clocks {
    wall: u64,
    busy: u64,
}

impl Clocks {
    pub fn read() -> Self {
        Self { wall: clock::monotonic_micros(), busy: clock::thread_micros() }
    }
}

impl Pace {
    /// Whether to look now; otherwise [`Pace::left`] says when.
    pub fn may_look(&mut self, now: Clocks) -> bool {
        if self.again.is_some_and(|again| now.wall < again) {
            return false;
        }
        let batch = self.batch.get_or_insert(Batch { since: now, found: 0 });
        let goes_on = batch.found < BATCH && batch.rest(now) == 0;
        if !goes_on {
            self.again = Some(now.wall + self.batch.take().map_or(0, |batch| batch.rest(now)));
        }
        goes_on
    }

    /// Something was found.
    pub fn found(&mut self) {
        self.batch.iter_mut().for_each(|batch| batch.found += 1);
    }

    /// Nothing is there any more. That a signal will tell of the next need not be waited for right away.
    pub fn found_nothing(&mut self, now: Clocks) {
        let rest = self.batch.take().map_or(0, |batch| batch.rest(now));
        self.again = (rest > 0).then(|| now.wall + rest);
    }

    /// How long until it is to be looked again without a signal that says so; `None`: not before one.
    pub fn left(&self, now: Clocks) -> Option<Duration> {
        self.again.map(|again| Duration::from_micros(again.saturating_sub(now.wall)))
    }
}

impl Batch {
    /// How long to rest from these looks.
    fn rest(&self, now: Clocks) -> u64 {
        let cost = now.busy.saturating_sub(self.since.busy);
        let free = FREE + FREE_FOR_EACH * u64::from(self.found);
        if cost > free { (cost * SHARE).min(LONGEST) } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(wall: u64, busy: u64) -> Clocks {
        Clocks { wall, busy }
    }

    #[test]
    fn a_cheap_look_is_followed_by_no_rest() {
        let mut pace = Pace::default();
        assert!(pace.may_look(at(0, 0)));
        pace.found();
        assert!(pace.may_look(at(10, 10)));
        pace.found_nothing(at(20, 20));
        assert_eq!(pace.left(at(20, 20)), None);
    }

    #[test]
    fn many_that_are_found_soon_are_collected_in_batches_without_a_rest() {
        let mut pace = Pace::default();
        let mut now = 0;
        let mut ends = 0;
        for _ in 0..10 * BATCH {
            if !pace.may_look(at(now, now)) {
                ends += 1;
                assert_eq!(pace.left(at(now, now)), Some(Duration::ZERO));
                assert!(pace.may_look(at(now, now)));
            }
            pace.found();
            now += FREE_FOR_EACH;
        }
        assert_eq!(ends, 9);
    }

    #[test]
    fn dear_looks_are_followed_by_a_rest_in_proportion_up_to_the_longest() {
        for (cost, rest) in [(300, 3_000), (1_000, 10_000), (60_000, LONGEST)] {
            let (mut pace, mut other) = (Pace::default(), Pace::default());
            assert!(pace.may_look(at(0, 0)) && other.may_look(at(0, 0)));
            // Whether something was found or not.
            pace.found();
            assert!(!pace.may_look(at(cost, cost)));
            other.found_nothing(at(cost, cost));
            for pace in [&mut pace, &mut other] {
                let end = cost + rest;
                assert_eq!(pace.left(at(cost, cost)), Some(Duration::from_micros(rest)));
                assert!(!pace.may_look(at(end - 1, cost)));
                assert!(pace.may_look(at(end, cost)));
            }
        }
    }

    #[test]
    fn waiting_for_a_processor_is_no_cost() {
        let mut pace = Pace::default();
        assert!(pace.may_look(at(0, 0)));
        pace.found();
        assert!(pace.may_look(at(1_000_000, 20)));
    }
}
