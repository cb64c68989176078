//! The wait before the command: signals and orphans are attended to while somebody else decides when it may start.

use std::io::PipeReader;
use std::os::fd::AsRawFd;
use std::time::Duration;
#[expect(
    clippy::disallowed_types,
    reason = "there is no runtime on this thread, and no paused time"
)]
use std::time::Instant;

use tracing::info;

use super::errands::Errands;
use super::lease::Lease;
use super::lifecycle::{Action, Event, Lifecycle, Terms};
use super::stragglers::Killing;
use crate::exit::Exit;
use crate::signal::Signal;
use crate::sys::process::{Pid, Reaped};
use crate::sys::signals::{self, SignalFd};

/// What the command is held back by.
#[derive(Debug)]
pub struct Gate {
    /// Open once the other end of this pipe is closed; nothing is ever written to it.
    pub pipe: PipeReader,
    /// How long it is waited for; for ever where there is no limit.
    pub limit: Option<Duration>,
    /// What runs meanwhile runs by all of these.
    pub leases: Vec<Lease>,
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Held {
    /// The gate is open: start the command.
    Open,
    /// A signal asked for the end.
    Ended(Exit),
    /// The gate was still closed when the time was over.
    TimedOut,
    /// A lease has run out.
    Lost,
}

/// What a signal means while nothing runs yet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Meaning {
    /// The end, with this code.
    End(Exit),
    /// Nothing.
    Nothing,
    /// What it means to any process: there is no command yet to pass it on to.
    Default,
}

impl Meaning {
    /// The end before there was a child, which is logged.
    pub fn end(signal: Signal, exit: Exit) -> Self {
        info!(%signal, code = exit.code(), "ended before the child was started");
        Self::End(exit)
    }
}

/// What signals mean to a supervisor with these terms before it has a child.
pub fn meaning_by(terms: Terms) -> impl FnMut(Signal) -> Meaning {
    let mut lifecycle = Lifecycle::new(terms);
    move |signal| match lifecycle.on(Event::Signal(signal), Duration::ZERO) {
        Action::Finish(exit) => Meaning::end(signal, exit),
        Action::Drop => Meaning::Nothing,
        _ => Meaning::Default,
    }
}

/// What signals mean to a supervisor with these terms while hooks run before its child. What would end stead by itself
/// ends it in order, so that no hook outlives it.
pub fn meaning_of_hooks(terms: Terms) -> impl FnMut(Signal) -> Meaning {
    /// Those that end nothing by default; signal(7).
    const HARMLESS: [Signal; 6] =
        [Signal::URG, Signal::WINCH, Signal::CONT, Signal::TSTP, Signal::TTIN, Signal::TTOU];
    let mut meaning = meaning_by(terms);
    move |signal| match meaning(signal) {
        Meaning::Default if Pid::own().is_init() || signals::is_ignored(signal) => Meaning::Nothing,
        Meaning::Default if !HARMLESS.contains(&signal) => {
            Meaning::end(signal, Exit::killed_by(signal))
        }
        meaning => meaning,
    }
}

/// Kills everything that runs below this process, and collects it within a limit: stead ends, and has had no child.
pub fn end_all(errands: &mut Errands) {
    errands.finish();
    let mut killing = Killing::default();
    for _ in 0..SWEEPS {
        killing.sweep(None, |_| false);
        loop {
            match errands.reap() {
                Reaped::Changed(..) => {}
                Reaped::Nothing => break,
                Reaped::NoChild => return,
            }
        }
        std::thread::sleep(SWEEP);
    }
}

/// How often what is left is killed, and how long is waited in between.
const SWEEPS: u32 = 100;
const SWEEP: Duration = Duration::from_millis(10);

/// Holds until the gate is open, `meaning` finds the end in a signal, the time is over, or a lease has run out. A signal that came before
/// the gate was open counts, also when it is read after.
pub fn hold(
    queue: &SignalFd,
    errands: &mut Errands,
    gate: &Gate,
    mut meaning: impl FnMut(Signal) -> Meaning,
) -> Held {
    #[expect(clippy::disallowed_types, reason = "see the import")]
    let start = Instant::now();
    let mut open = false;
    loop {
        while let Reaped::Changed(..) = errands.reap() {}
        errands.turn();
        if let Some(exit) = attend(queue, &mut meaning) {
            return Held::Ended(exit);
        }
        if open {
            return Held::Open;
        }
        if gate.leases.iter().any(|lease| lease.left().is_zero()) {
            return Held::Lost;
        }
        let left = gate.limit.map(|limit| limit.saturating_sub(start.elapsed()));
        let look = gate.leases.iter().map(Lease::look);
        let left = left.into_iter().chain(look).min();
        [open, _] = errands.wait(queue, [Some(gate.pipe.as_raw_fd()), None], left);
        if !open && gate.limit.is_some_and(|limit| start.elapsed() >= limit) {
            return Held::TimedOut;
        }
    }
}

/// Does what the signals that have come ask for; an end is handed back.
pub fn attend(queue: &SignalFd, meaning: &mut impl FnMut(Signal) -> Meaning) -> Option<Exit> {
    while let Some(delivery) = queue.next() {
        let signal = delivery.signal;
        // A broken pipe of stead's own comes from stead's own pid; pipe(7).
        let is_own_pipe = signal == Signal::PIPE && delivery.from == Pid::own();
        if signal == Signal::CHLD || is_own_pipe {
            continue;
        }
        match meaning(signal) {
            Meaning::End(exit) => return Some(exit),
            Meaning::Default if !signals::is_ignored(signal) => {
                signals::take_default_action(signal);
            }
            Meaning::Default | Meaning::Nothing => {}
        }
    }
    None
}
