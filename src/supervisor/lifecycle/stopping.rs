//! From the first request for the end to the stop signal: what holds that back, what lets it go, and what moves the
//! deadline.

use std::time::Duration;

use super::drain::Drain;
use super::{Action, Lifecycle, Stage};
use crate::exit::Exit;
use crate::signal::Signal;

impl Lifecycle {
    /// Begins a drain, with the signal that asked for it if it was one.
    pub(super) fn drain(&mut self, signal: Option<Signal>, now: Duration) -> Action {
        let stop = signal.map(|signal| self.stop_signal(signal));
        self.drain = Some(Drain::begin(&self.terms, stop, now));
        self.stage = Stage::Held;
        self.release_or_hold(now)
    }

    fn release_or_hold(&mut self, now: Duration) -> Action {
        match self.release(now) {
            Action::Nothing => Action::Hold,
            stopping => stopping,
        }
    }

    /// Begins the drain that ends with the code of a hook. One that has begun has ended the hook itself.
    pub(super) fn hook_failed(&mut self, exit: Exit, now: Duration) -> Action {
        if self.stage != Stage::ChildEnd {
            return Action::Nothing;
        }
        self.failed = Some(exit);
        self.drain(Some(Signal::TERM), now)
    }

    /// Takes in what the stop signal may have been held back for.
    pub(super) fn holding(&mut self, now: Duration, change: impl FnOnce(&mut Drain)) -> Action {
        if let Some(drain) = &mut self.drain {
            change(drain);
        }
        self.release(now)
    }

    /// Lets the stop signal go if there is one and nothing holds it back any more.
    pub(super) fn release(&mut self, now: Duration) -> Action {
        let Some(drain) = self.drain.as_mut().filter(|_| self.stage == Stage::Held) else {
            return Action::Nothing;
        };
        if drain.over_at(&self.terms).is_some_and(|at| now < at) {
            return Action::Nothing;
        }
        drain.set_over();
        drain.stop.map_or(Action::Nothing, |stop| self.stop(stop))
    }

    /// A signal asks for the end during a drain: the first one waits for what is still to be waited for, and gets a
    /// grace of its own where the drain's is over; the second one waits for nothing.
    pub(super) fn asked_again(&mut self, signal: Signal, now: Duration) -> Action {
        let stop = self.stop_signal(signal);
        let Some(drain) = &mut self.drain else { return Action::Nothing };
        if let Some(stop) = drain.stop {
            return self.stop(stop);
        }
        drain.stop = Some(stop);
        if now >= drain.deadline {
            drain.deadline = now.saturating_add(self.terms.grace);
            drain.set_over();
        }
        self.release_or_hold(now)
    }

    fn stop(&mut self, stop: Signal) -> Action {
        if let Some(drain) = &mut self.drain {
            drain.set_over();
            self.stage = Stage::Grace { until: drain.deadline };
        }
        if !self.terms.child {
            return self.finish_alone();
        }
        self.sent.insert(stop);
        Action::Stop(stop)
    }

    /// The end of a sidecar.
    pub(super) fn finish_alone(&mut self) -> Action {
        self.verdict = Some(Exit::OK);
        Action::Finish(Exit::OK)
    }

    /// Moves the deadline away, if there is one, and if no other one stands above it.
    pub(super) fn extend(&mut self, until: Duration) -> Action {
        if !self.surrendered && self.verdict.is_none() {
            self.move_deadline(|deadline| deadline.max(until));
        }
        Action::Nothing
    }

    fn move_deadline(&mut self, to: impl Fn(Duration) -> Duration) {
        if let Some(drain) = &mut self.drain {
            drain.deadline = to(drain.deadline);
        }
        if let Stage::Grace { until } = &mut self.stage {
            *until = to(*until);
        }
    }

    /// The child has no right to run any more: nothing is waited for, and no deadline may be later.
    pub(super) fn surrender(&mut self, grace: Duration, now: Duration) -> Action {
        let until = now.saturating_add(grace);
        match self.stage {
            Stage::Start | Stage::Killed { .. } => Action::Nothing,
            Stage::Grace { .. } => {
                self.surrendered = true;
                self.move_deadline(|deadline| deadline.min(until));
                Action::Nothing
            }
            Stage::ChildEnd | Stage::Held => {
                self.surrendered = true;
                let usual = self.stop_signal(Signal::TERM);
                let terms = &self.terms;
                let drain = self.drain.get_or_insert_with(|| Drain::begin(terms, None, now));
                // The deadline of a drain that was only asked for is none.
                drain.deadline = drain.stop.map_or(until, |_| drain.deadline.min(until));
                let stop = *drain.stop.get_or_insert(usual);
                self.stop(stop)
            }
        }
    }
}
