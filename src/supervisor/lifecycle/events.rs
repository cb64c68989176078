//! What goes into the lifecycle, and what comes out of it.

use std::time::Duration;

use super::Connections;
use crate::exit::Exit;
use crate::signal::Signal;
use crate::sys::process::Change;

/// What was agreed about the end before anything was started.
#[derive(Clone, Debug)]
pub struct Terms {
    /// From the first signal or request to KILL, the delay included.
    pub grace: Duration,
    /// How long the stop signal is held back.
    pub drain_delay: Duration,
    /// The stop signal is held back until the app's connections are gone, or half of the grace is left.
    pub until_idle: Option<UntilIdle>,
    /// The stop signal is held back until [`Event::HooksOver`].
    pub pre_stop: bool,
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
    /// Off in a sidecar, which ends when its drain does.
    pub child: bool,
}

/// The connections that are waited for.
#[derive(Clone, Copy, Debug)]
pub struct UntilIdle {
    /// The local port that they were made to.
    pub port: u16,
    /// How long ago a connection was answered that is idle.
    pub idle_after: Duration,
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
    /// A drain was asked for.
    DrainAsked,
    /// The app's connections were counted, or cannot be.
    Connections(Option<Connections>),
    /// The hooks that come before the stop signal are over.
    HooksOver,
    /// A hook that must succeed has failed while the child ran: stead ends, with this code.
    HookFailed(Exit),
    /// The child wants this much time from now on, where a deadline is set.
    Extend(Duration),
    /// The child must be gone after this time, whatever else was agreed.
    Surrender {
        /// From the stop signal to KILL.
        grace: Duration,
    },
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
    /// A drain was asked for; the stop signal comes later, if it is to come.
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
