//! The lifecycle as a value: what happened and when go in, what to do comes out. No clock, no process, no signal
//! is touched here; the driver does that.
//!
//! ```text
//! starting ─► running ──TERM/INT, drain──► quiescing ─► draining ──deadline──► killing ─► finished
//!                └──── the child ends (from any phase) ────────────────────────────────► finished
//! ```
//!
//! A drain begins with the first signal or request for one, and its deadline counts from there. A request alone ends
//! nothing: the phase stays quiescing until a signal comes. Without a child (a sidecar) the drain's end is the end.
//!
//! Times are durations since stead's start on the monotonic clock.

mod drain;
mod events;
mod stopping;

use std::time::Duration;

use super::phase::Phase;
use crate::exit::Exit;
use crate::signal::{Signal, SignalSet};
use crate::sys::process::Change;
use drain::Drain;
pub use drain::{Connections, Progress};
pub use events::{Action, Event, Terms, UntilIdle};

/// How often what is left is killed again: what forks while it is killed leaves something.
const SWEEP: Duration = Duration::from_millis(50);
/// How long stead tries to kill. What withstands KILL for so long (another user's process, a dead disk) ends with the
/// container; the platform is asked for this time beyond the grace.
pub const KILL_PATIENCE: Duration = Duration::from_secs(5);

/// The state between two events.
#[derive(Debug)]
pub struct Lifecycle {
    terms: Terms,
    stage: Stage,
    drain: Option<Drain>,
    interrupts: u32,
    surrendered: bool,
    sent: SignalSet,
    /// The code of the hook that asked for the end.
    failed: Option<Exit>,
    verdict: Option<Exit>,
}

/// What is being waited for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    Start,
    ChildEnd,
    Held,
    Grace { until: Duration },
    Killed { next: Duration, until: Duration },
}

impl Lifecycle {
    /// Before the child is started.
    pub fn new(terms: Terms) -> Self {
        Self {
            terms,
            stage: Stage::Start,
            drain: None,
            interrupts: 0,
            surrendered: false,
            sent: SignalSet::default(),
            failed: None,
            verdict: None,
        }
    }

    /// What was agreed about the end.
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// The phase that the endpoints show.
    pub fn phase(&self) -> Phase {
        match self.stage {
            _ if self.verdict.is_some() => Phase::Finished,
            Stage::Start => Phase::Starting,
            Stage::ChildEnd => Phase::Running,
            Stage::Held => Phase::Quiescing,
            Stage::Grace { .. } => Phase::Draining,
            Stage::Killed { .. } => Phase::Killing,
        }
    }

    /// When the drain began, from which its deadline counts.
    pub fn drain_began(&self) -> Option<Duration> {
        self.drain.map(|drain| drain.began)
    }

    /// How far the drain has come.
    pub fn progress(&self) -> Progress {
        self.drain.as_ref().map_or(Progress::NotBegun, Drain::progress)
    }

    /// How often INT has come, of which the second one means now.
    pub fn interrupts(&self) -> u32 {
        self.interrupts
    }

    /// When [`Event::Woke`] is due.
    pub fn deadline(&self) -> Option<Duration> {
        match self.stage {
            Stage::Start | Stage::ChildEnd => None,
            Stage::Held => self.drain.and_then(|drain| drain.over_at(&self.terms)),
            Stage::Grace { until } => Some(until),
            Stage::Killed { next, until } => Some(next.min(until)),
        }
    }

    /// Takes in what happened at `now`.
    pub fn on(&mut self, event: Event, now: Duration) -> Action {
        match event {
            Event::Started => self.started(),
            Event::Signal(signal) => self.signalled(signal, now),
            Event::Ended { change, alone } => self.ended(change, alone, now),
            Event::AllGone => self.verdict.map_or(Action::Nothing, Action::Finish),
            Event::DrainAsked if self.stage == Stage::ChildEnd => self.drain(None, now),
            Event::DrainAsked => Action::Nothing,
            Event::Connections(connections) => self.holding(now, |drain| drain.count(connections)),
            Event::HooksOver => self.holding(now, Drain::hooks_over),
            Event::HookFailed(exit) => self.hook_failed(exit, now),
            Event::Extend(time) => self.extend(now.saturating_add(time)),
            Event::Surrender { grace } => self.surrender(grace, now),
            Event::Woke => self.woke(now),
        }
    }

    fn started(&mut self) -> Action {
        self.stage = Stage::ChildEnd;
        Action::Nothing
    }

    fn signalled(&mut self, received: Signal, now: Duration) -> Action {
        let Some(signal) = self.rewritten(received) else {
            return Action::Drop;
        };
        if self.terms.drains && [received, signal].contains(&Signal::INT) {
            self.interrupts += 1;
        }
        match self.stage {
            Stage::Killed { .. } => Action::Nothing,
            Stage::Start if self.asks_to_stop(received, signal) => {
                Action::Finish(match self.terms.child {
                    true => Exit::killed_by(received),
                    false => Exit::OK,
                })
            }
            Stage::Start => Action::Nothing,
            _ if self.interrupts > 1 => self.kill(now),
            _ if self.verdict.is_some() => Action::SignalStragglers(signal),
            Stage::ChildEnd if self.asks_to_stop(received, signal) => self.drain(Some(signal), now),
            Stage::Held if self.asks_to_stop(received, signal) => self.asked_again(signal, now),
            _ if self.terms.child => self.forward(signal),
            _ => Action::Drop,
        }
    }

    /// TERM and INT ask for the end, and so does the signal that the child is to be stopped with:
    /// images set `STOPSIGNAL` to what their server wants (nginx: QUIT).
    fn asks_to_stop(&self, received: Signal, signal: Signal) -> bool {
        let stops = |s| s == Signal::TERM || s == Signal::INT || Some(s) == self.terms.stop_signal;
        self.terms.drains && (stops(received) || stops(signal))
    }

    /// The signal that the child gets in place of `signal`.
    pub fn rewritten(&self, signal: Signal) -> Option<Signal> {
        let rewrite = self.terms.rewrites.iter().find(|(from, _)| *from == signal);
        rewrite.map_or(Some(signal), |(_, to)| *to)
    }

    /// What the child is stopped with where `signal` asks for it.
    fn stop_signal(&self, signal: Signal) -> Signal {
        self.terms.stop_signal.unwrap_or(signal)
    }

    fn forward(&mut self, signal: Signal) -> Action {
        self.sent.insert(signal);
        Action::Forward(signal)
    }

    fn ended(&mut self, change: Change, alone: bool, now: Duration) -> Action {
        let verdict = self.failed.unwrap_or(self.verdict_on(change));
        self.verdict = Some(verdict);
        if alone || !self.terms.drains {
            return Action::Finish(verdict);
        }
        if matches!(self.stage, Stage::Killed { .. }) {
            return Action::Nothing;
        }
        // Where the drain was only asked for, the child has ended by itself.
        let stopping = self.drain.and_then(|drain| Some((drain.stop?, drain.deadline)));
        let by_itself = (self.stop_signal(Signal::TERM), now.saturating_add(self.terms.linger));
        let (stop, until) = stopping.unwrap_or(by_itself);
        self.stage = Stage::Grace { until };
        Action::SignalStragglers(stop)
    }

    /// stead's own exit code for the child's end.
    fn verdict_on(&self, change: Change) -> Exit {
        let exit = match change {
            Change::Killed(signal) => Exit::killed_by(signal),
            Change::Exited(exit) => exit,
            Change::Stopped(_) | Change::Continued => Exit::FAILURE,
        };
        let signal = Signal::from_number(i32::from(exit.code()) - 128);
        let clean = signal.is_some_and(|signal| self.sent.contains(signal));
        let code = if self.terms.clean_stop_ok && clean { 0 } else { exit.code() };
        let remap = self.terms.remap_exit.iter().find(|(from, _)| *from == code);
        match remap.map_or(code, |(_, to)| *to) {
            // Whoever starts what has failed again must do so now: there is a standby less.
            0 if self.surrendered => Exit::FAILURE,
            code => Exit::new(code),
        }
    }

    fn woke(&mut self, now: Duration) -> Action {
        match self.stage {
            Stage::Held => self.release(now),
            Stage::Grace { until } if now >= until => self.kill(now),
            Stage::Killed { until, .. } if now >= until => {
                Action::Finish(self.verdict.unwrap_or(Exit::killed_by(Signal::KILL)))
            }
            Stage::Killed { next, until } if now >= next => {
                self.stage = Stage::Killed { next: now.saturating_add(SWEEP), until };
                Action::Kill
            }
            _ => Action::Nothing,
        }
    }

    fn kill(&mut self, now: Duration) -> Action {
        if !self.terms.child {
            return self.finish_alone();
        }
        self.stage = Stage::Killed {
            next: now.saturating_add(SWEEP),
            until: now.saturating_add(KILL_PATIENCE),
        };
        Action::Kill
    }
}

#[cfg(test)]
mod tests;
