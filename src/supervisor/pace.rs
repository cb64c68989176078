//! When it is looked for children that have ended.
//!
//! A look costs the kernel a glance at each child in front of the first that has ended (wait4(2) walks a list), during which
//! none can end. Who looks at once for each of ten thousand that end together makes that last longer than who lets some
//! gather, and keeps all others from a processor meanwhile.

use std::time::Duration;

/// After so many it is time to look at signals.
const BATCH: u32 = 256;
/// What looks may cost without a rest: with some thousand children there is none,
const FREE: u64 = 1_000;
/// and with any number none where few of them live: so much for each that was found, a few times what it takes to collect
/// one that is the first of them.
const FREE_FOR_EACH: u64 = 30;
/// As so much counts a look that took longer: it waited for a processor, or the kernel did other work in its time.
const DEAREST: u64 = 150;
/// How many times as long as dear looks took is the rest,
const SHARE: u64 = 10;
/// and the longest.
const LONGEST: u64 = 20_000;

/// Paces the looks. All times are in microseconds, moments those of the monotonic clock.
#[derive(Debug, Default)]
pub struct Pace {
    /// When the last look began.
    began: u64,
    /// What the looks of this batch cost, and how many found something.
    cost: u64,
    found: u32,
    /// There may be more, to be looked for from this moment on.
    again: Option<u64>,
}

impl Pace {
    /// Whether to look now; otherwise [`Pace::left`] says when. [`Pace::looked`] is to be told.
    pub fn may_look(&mut self, now: u64) -> bool {
        if self.again.is_some_and(|again| now < again) {
            return false;
        }
        let rest = self.rest();
        let goes_on = self.found < BATCH && rest == 0;
        if goes_on {
            self.began = now;
        } else {
            *self = Self { again: Some(now + rest), ..Self::default() };
        }
        goes_on
    }

    /// A look is over. One that found nothing is the last for now, and that a signal will tell of the next need not be
    /// waited for right away.
    pub fn looked(&mut self, now: u64, has_found: bool) {
        self.cost += now.saturating_sub(self.began).min(DEAREST);
        if has_found {
            self.found += 1;
        } else {
            let rest = self.rest();
            let again = (rest > 0).then(|| now + rest);
            *self = Self { again, ..Self::default() };
        }
    }

    /// How long until it is to be looked again without a signal that says so; `None`: not before one.
    pub fn left(&self, now: u64) -> Option<Duration> {
        self.again.map(|again| Duration::from_micros(again.saturating_sub(now)))
    }

    /// How long to rest from the looks of this batch.
    fn rest(&self) -> u64 {
        let is_dear = self.cost > FREE + FREE_FOR_EACH * u64::from(self.found);
        if is_dear { (self.cost * SHARE).min(LONGEST) } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks that take so long each and find something, from this moment on, until it is no time to look.
    fn look(pace: &mut Pace, now: &mut u64, each: u64) -> u32 {
        let mut looks = 0;
        while pace.may_look(*now) {
            *now += each;
            pace.looked(*now, true);
            looks += 1;
        }
        looks
    }

    #[test]
    fn a_cheap_look_is_followed_by_no_rest() {
        let mut pace = Pace::default();
        assert!(pace.may_look(0));
        pace.looked(FREE_FOR_EACH, true);
        assert!(pace.may_look(FREE_FOR_EACH));
        pace.looked(2 * FREE_FOR_EACH, false);
        assert_eq!(pace.left(0), None);
        assert!(pace.may_look(2 * FREE_FOR_EACH));
    }

    #[test]
    fn many_that_are_found_soon_are_collected_in_batches_without_a_rest() {
        let (mut pace, mut now) = (Pace::default(), 0);
        for _ in 0..10 {
            assert_eq!(look(&mut pace, &mut now, FREE_FOR_EACH), BATCH);
            assert_eq!(pace.left(now), Some(Duration::ZERO));
        }
    }

    #[test]
    fn dear_looks_are_followed_by_a_rest_in_proportion_up_to_the_longest() {
        for (each, looks, rest) in [(DEAREST, 9, 13_500), (80, 21, 16_800), (35, 201, LONGEST)] {
            let (mut pace, mut now) = (Pace::default(), 0);
            assert_eq!(look(&mut pace, &mut now, each), looks, "{each}");
            assert_eq!(pace.left(now), Some(Duration::from_micros(rest)));
            assert!(!pace.may_look(now + rest - 1));
            assert!(pace.may_look(now + rest));
        }
        // Also where the last of them found nothing.
        let mut pace = Pace::default();
        for is_last in [false, false, false, false, false, false, false, false, true] {
            assert!(pace.may_look(0));
            pace.looked(DEAREST, !is_last);
        }
        assert_eq!(pace.left(0), Some(Duration::from_micros(DEAREST + 9 * DEAREST * SHARE)));
    }

    #[test]
    fn a_look_that_is_held_up_counts_as_a_dear_one_and_no_more() {
        let mut pace = Pace::default();
        for number in 0..u64::from(BATCH) {
            assert!(pace.may_look(number * 1_000_000), "{number}");
            let held_up = if number % 8 == 0 { 1_000_000 } else { 5 };
            pace.looked(number * 1_000_000 + held_up, true);
        }
    }
}
