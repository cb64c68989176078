//! What holds the stop signal back once a drain has begun, by arithmetic alone.

use std::time::Duration;

use super::Terms;
use crate::signal::Signal;

/// The established connections of the app's port, without stead's own.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Connections {
    /// Those with work under way, or of which that cannot be known.
    pub busy: u32,
    /// Those that are kept open and do nothing.
    pub idle: u32,
}

/// How far a drain has come, for those who wait for it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Progress {
    /// Nobody has asked for one.
    #[default]
    NotBegun,
    /// The delay, the connections or the hooks are waited for.
    Waiting,
    /// Nothing is waited for any more.
    Over {
        /// Nothing that was to be waited for is left; else the time for it was over.
        drained: bool,
    },
}

/// A drain that has begun. Its deadline counts from its beginning, whether a signal or a request was that.
#[derive(Clone, Copy, Debug)]
pub(super) struct Drain {
    pub(super) began: Duration,
    pub(super) deadline: Duration,
    /// What the child is to be stopped with, once a signal has asked for its end. A drain that was only asked for ends
    /// nothing.
    pub(super) stop: Option<Signal>,
    /// No connection of the app's was busy when they were last counted.
    is_idle: bool,
    are_hooks_over: bool,
    /// All was waited for that is to be waited for, once and for all.
    is_over: bool,
}

impl Drain {
    /// One that begins now.
    pub(super) fn begin(terms: &Terms, stop: Option<Signal>, now: Duration) -> Self {
        Self {
            began: now,
            deadline: now.saturating_add(terms.grace),
            stop,
            is_idle: terms.until_idle.is_none(),
            are_hooks_over: !terms.pre_stop,
            is_over: false,
        }
    }

    /// Takes in a count of the connections; what is not known is not idle.
    pub(super) fn count(&mut self, connections: Option<Connections>) {
        if !self.is_over {
            self.is_idle = connections.is_some_and(|connections| connections.busy == 0);
        }
    }

    /// The hooks that come before the stop signal are over.
    pub(super) fn hooks_over(&mut self) {
        self.are_hooks_over = true;
    }

    /// Nothing is waited for from here on.
    pub(super) fn set_over(&mut self) {
        self.is_over = true;
    }

    /// When everything will have been waited for, as far as it is known now; none when it has been.
    pub(super) fn over_at(&self, terms: &Terms) -> Option<Duration> {
        if self.is_over {
            return None;
        }
        let delay = self.began.saturating_add(terms.drain_delay);
        // Many connections close only once the app was told to stop, for which it needs time. There is no such app in a
        // sidecar: another container's is told by the platform.
        let patience = if terms.child { terms.grace / 2 } else { Duration::ZERO };
        let idle = if self.is_idle { delay } else { self.deadline.saturating_sub(patience) };
        let hooks = if self.are_hooks_over { delay } else { self.deadline };
        Some(delay.max(idle).max(hooks).min(self.deadline))
    }

    /// For those who wait.
    pub(super) fn progress(&self) -> Progress {
        let drained = self.is_idle && self.are_hooks_over;
        if self.is_over { Progress::Over { drained } } else { Progress::Waiting }
    }
}
