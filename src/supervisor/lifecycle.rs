//! The lifecycle as a value: what happened and when go in, what to do comes out. No clock, no process, no signal
//! is touched here; the driver does that.
//!
//! ```text
//! starting ─► running ──TERM/INT──► quiescing ─► draining ──deadline──► killing ─► finished
//!                └──── the child ends (from any phase) ───────────────────────────► finished
//! ```
//!
//! Times are durations since stead's start on the monotonic clock.

use std::time::Duration;

use super::phase::Phase;
use crate::exit::Exit;
use crate::signal::{Signal, SignalSet};
use crate::sys::process::Change;

/// What was agreed about the end before anything was started.
#[derive(Clone, Debug)]
pub struct Terms {
    /// From the first signal to KILL, the delay included.
    pub grace: Duration,
    /// How long the stop signal is held back.
    pub drain_delay: Duration,
    /// What processes get that the child left behind when it ended by itself.
    pub linger: Duration,
    /// What the child is stopped with, whatever came.
    pub stop_signal: Option<Signal>,
    /// What a signal becomes on its way to the child; `None` drops it.
    pub rewrites: Vec<(Signal, Option<Signal>)>,
    /// 128 + n is a success where stead sent n.
    pub clean_stop_ok: bool,
    /// Exit codes that are changed at the very end, from and to.
    pub remap_exit: Vec<(u8, u8)>,
    /// Off in the place of tini and dumb-init: signals are passed on, and the child's end is the end.
    pub drains: bool,
}

/// What happened.
#[derive(Clone, Copy, Debug)]
pub enum Event {
    /// The child runs.
    Started,
    /// A signal was sent to stead.
    Signal(Signal),
    /// The child has ended; `alone` when it left no process behind.
    Ended {
        /// Its exit code, or the signal that ended it.
        change: Change,
        /// No other child, direct or adopted, is left.
        alone: bool,
    },
    /// The last process that the child had left behind is gone.
    AllGone,
    /// Time has passed.
    Woke,
}

/// What to do about it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action {
    /// Nothing.
    Nothing,
    /// The signal was asked to be dropped.
    Drop,
    /// Pass this signal on to the child.
    Forward(Signal),
    /// The drain has begun; the stop signal comes later.
    Hold,
    /// Send the stop signal to the child.
    Stop(Signal),
    /// Send this to what the child left behind.
    SignalStragglers(Signal),
    /// Send KILL to all that is left.
    Kill,
    /// End with this code.
    Finish(Exit),
}

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
    sent: SignalSet,
    verdict: Option<Exit>,
}

/// What is being waited for.
#[derive(Clone, Copy, Debug)]
enum Stage {
    Start,
    ChildEnd,
    DelayOver { at: Duration, stop: Signal },
    Grace { until: Duration },
    Killed { next: Duration, until: Duration },
}

/// The drain, once it has begun.
#[derive(Clone, Copy, Debug)]
struct Drain {
    began: Duration,
    deadline: Duration,
    stop: Signal,
}

impl Lifecycle {
    /// Before the child is started.
    pub fn new(terms: Terms) -> Self {
        Self {
            terms,
            stage: Stage::Start,
            drain: None,
            interrupts: 0,
            sent: SignalSet::default(),
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
            Stage::DelayOver { .. } => Phase::Quiescing,
            Stage::Grace { .. } => Phase::Draining,
            Stage::Killed { .. } => Phase::Killing,
        }
    }

    /// When the drain began, from which its deadline counts.
    pub fn drain_began(&self) -> Option<Duration> {
        self.drain.map(|drain| drain.began)
    }

    /// When [`Event::Woke`] is due.
    pub fn deadline(&self) -> Option<Duration> {
        match self.stage {
            Stage::Start | Stage::ChildEnd => None,
            Stage::DelayOver { at, .. } => Some(at),
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
                Action::Finish(Exit::killed_by(received))
            }
            Stage::Start => Action::Nothing,
            _ if self.interrupts > 1 => self.kill(now),
            _ if self.verdict.is_some() => Action::SignalStragglers(signal),
            Stage::ChildEnd if self.asks_to_stop(received, signal) => self.drain(signal, now),
            Stage::DelayOver { stop, .. } if self.asks_to_stop(received, signal) => self.stop(stop),
            _ => self.forward(signal),
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

    fn drain(&mut self, signal: Signal, now: Duration) -> Action {
        let stop = self.terms.stop_signal.unwrap_or(signal);
        let deadline = now.saturating_add(self.terms.grace);
        self.drain = Some(Drain { began: now, deadline, stop });
        if self.terms.drain_delay.is_zero() {
            return self.stop(stop);
        }
        self.stage = Stage::DelayOver { at: now.saturating_add(self.terms.drain_delay), stop };
        Action::Hold
    }

    fn stop(&mut self, stop: Signal) -> Action {
        if let Some(drain) = self.drain {
            self.stage = Stage::Grace { until: drain.deadline };
        }
        self.sent.insert(stop);
        Action::Stop(stop)
    }

    fn forward(&mut self, signal: Signal) -> Action {
        self.sent.insert(signal);
        Action::Forward(signal)
    }

    fn ended(&mut self, change: Change, alone: bool, now: Duration) -> Action {
        let verdict = self.verdict_on(change);
        self.verdict = Some(verdict);
        if alone || !self.terms.drains {
            return Action::Finish(verdict);
        }
        if matches!(self.stage, Stage::Killed { .. }) {
            return Action::Nothing;
        }
        let until =
            self.drain.map_or(now.saturating_add(self.terms.linger), |drain| drain.deadline);
        self.stage = Stage::Grace { until };
        let stop = self.drain.map(|drain| drain.stop).or(self.terms.stop_signal);
        Action::SignalStragglers(stop.unwrap_or(Signal::TERM))
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
        Exit::new(remap.map_or(code, |(_, to)| *to))
    }

    fn woke(&mut self, now: Duration) -> Action {
        match self.stage {
            Stage::DelayOver { at, stop } if now >= at => self.stop(stop),
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
        self.stage = Stage::Killed {
            next: now.saturating_add(SWEEP),
            until: now.saturating_add(KILL_PATIENCE),
        };
        Action::Kill
    }
}

#[cfg(test)]
mod tests;
