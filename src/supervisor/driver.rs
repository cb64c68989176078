//! The loop that does what the lifecycle decides: reads signals, reaps, sends, kills, and tells the phase.
//!
//! Invariants: this is the only place that waits for children, and the one that signals them, so no pid is
//! signalled after it was reaped. Nothing here waits for the endpoints, the checks or the log.

use std::collections::HashSet;
use std::os::fd::RawFd;
#[expect(
    clippy::disallowed_types,
    reason = "this is the one clock that the lifecycle is told"
)]
use std::time::Instant;

use tokio::sync::watch;
use tracing::{debug, info, warn};

use super::child::{CannotRun, Command, Standing};
use super::lifecycle::{Action, Event, Lifecycle, Phase, Terms};
use super::stragglers;
use super::wrapping::{Fate, Notice, Wrapping};
use crate::exit::Exit;
use crate::signal::Signal;
use crate::sys::descriptors;
use crate::sys::process::{self, Change, Pid, Reaped};
use crate::sys::signals::{self, Delivery, Inherited, SignalFd};
use crate::sys::spawn::Leads;
use crate::sys::terminal::{self, Terminal};

/// Everything that the supervisor is made of before the child runs.
pub struct Supervisor<'a> {
    /// The queue of signals.
    pub signals: &'a SignalFd,
    /// The signal state that stead was started with.
    pub inherited: &'a Inherited,
    /// Descriptors that are the child's, closed here once it runs.
    pub passed: Vec<RawFd>,
    /// How stead stands around its child.
    pub wrapping: Wrapping<'a>,
    /// Where the phase is told.
    pub phase: watch::Sender<Phase>,
}

/// What came of starting.
pub enum Started<'a> {
    /// The child runs.
    Running(Box<Running<'a>>),
    /// A signal asked for the end before there was a child.
    Over(Exit),
}

impl<'a> Supervisor<'a> {
    /// Starts the child, unless a signal that has come by now says that nothing is to be started.
    pub fn start(self, command: &Command, terms: Terms) -> Result<Started<'a>, CannotRun> {
        let mut lifecycle = Lifecycle::new(terms);
        #[expect(clippy::disallowed_types, reason = "see the import")]
        let start = Instant::now();
        let mut early = Vec::new();
        while let Some(delivery) = self.signals.next() {
            let action = lifecycle.on(Event::Signal(delivery.signal), start.elapsed());
            if let Action::Finish(exit) = action {
                info!(signal = %delivery.signal, code = exit.code(), "ended before the child was started");
                return Ok(Started::Over(exit));
            }
            early.push(delivery);
        }
        let (child, terminal) = self.start_child(command)?;
        Ok(Started::Running(Box::new(Running {
            signals: self.signals,
            wrapping: self.wrapping,
            phase: self.phase,
            lifecycle,
            start,
            early,
            child,
            terminal,
            stopped: false,
            stop_forwarded: false,
            ended: false,
            drain: None,
            killed: HashSet::new(),
        })))
    }

    fn start_child(&self, command: &Command) -> Result<(Pid, Option<Terminal>), CannotRun> {
        let Wrapping { leads, is_shell_aware, leaves_directory, .. } = self.wrapping;
        let terminal = match leads {
            Leads::Group => Terminal::controlling(),
            Leads::Session => Terminal::of_stdin(),
            Leads::Nothing => None,
        };
        let given = terminal.filter(|terminal| match leads {
            Leads::Session => terminal.give_up(),
            _ => terminal.foreground() == Some(terminal::own_group()),
        });
        let child =
            command.start(&Standing { leads, terminal: given, inherited: self.inherited })?;
        descriptors::close(&self.passed);
        if leaves_directory {
            // It is the child's alone to keep busy; one that cannot be left stays.
            let _ = std::env::set_current_dir("/");
        }
        info!(pid = child.number(), command = %command.program().display(), "child started");
        (self.wrapping.observer)(&Notice::Spawned(command.program(), child));
        Ok((child, terminal.filter(|_| is_shell_aware)))
    }
}

/// The supervisor while the child runs, or what it left behind.
pub struct Running<'a> {
    signals: &'a SignalFd,
    wrapping: Wrapping<'a>,
    phase: watch::Sender<Phase>,
    lifecycle: Lifecycle,
    #[expect(clippy::disallowed_types, reason = "see the import")]
    start: Instant,
    /// What came before the child did.
    early: Vec<Delivery>,
    child: Pid,
    terminal: Option<Terminal>,
    /// The child is stopped.
    stopped: bool,
    /// It was stead that passed the last stop signal on, at somebody's wish.
    stop_forwarded: bool,
    /// The child was reaped: its pid means nothing any more.
    ended: bool,
    /// When the drain began.
    drain: Option<std::time::Duration>,
    /// What was killed already, and logged.
    killed: HashSet<Pid>,
}

impl Running<'_> {
    /// Stays until the child and all that it left behind are gone.
    pub fn run(mut self) -> Exit {
        let mut finish = self.tell(Event::Started);
        for delivery in std::mem::take(&mut self.early) {
            finish = finish.or(self.deliver(delivery));
        }
        loop {
            if let Some(exit) = finish.or_else(|| self.turn()) {
                return self.finish(exit);
            }
            let now = self.start.elapsed();
            self.signals.wait(self.lifecycle.deadline().map(|at| at.saturating_sub(now)));
        }
    }

    /// One look at everything that may have happened. Signals come first, so that what was sent before the child's
    /// end still counts.
    fn turn(&mut self) -> Option<Exit> {
        while let Some(delivery) = self.signals.next() {
            if let Some(exit) = self.deliver(delivery) {
                return Some(exit);
            }
        }
        if let Some(exit) = self.reap() {
            return Some(exit);
        }
        self.tell(Event::Woke)
    }

    /// Takes in one signal, except for those that are meant for stead alone.
    fn deliver(&mut self, delivery: Delivery) -> Option<Exit> {
        let Delivery { signal, from, .. } = delivery;
        self.notice(&Notice::Received(signal));
        // A broken pipe of stead's own comes from stead's own pid; pipe(7).
        if signal == Signal::CHLD || from == Pid::own() || self.is_terminals_own(delivery) {
            return None;
        }
        match (self.wrapping.fate)(signal) {
            Fate::Forwarded => {}
            Fate::Ignored => return None,
            Fate::Default => {
                signals::take_default_action(signal);
                return None;
            }
        }
        if signal == Signal::CONT && self.go_on() {
            return None;
        }
        let action = self.lifecycle.on(Event::Signal(signal), self.start.elapsed());
        self.act(action, Some(delivery))
    }

    /// Whether the kernel sent it to stead because of where stead stands to the terminal: TTIN and TTOU in the
    /// background, HUP and CONT when the terminal was given up for the child's session.
    fn is_terminals_own(&self, delivery: Delivery) -> bool {
        let given_up = self.wrapping.leads == Leads::Session;
        delivery.by_kernel
            && match delivery.signal {
                Signal::TTIN | Signal::TTOU => true,
                Signal::HUP | Signal::CONT => given_up,
                _ => false,
            }
    }

    fn notice(&self, notice: &Notice<'_>) {
        (self.wrapping.observer)(notice);
    }

    /// Tells the lifecycle what happened, and does what it answers.
    fn tell(&mut self, event: Event) -> Option<Exit> {
        let action = self.lifecycle.on(event, self.start.elapsed());
        self.act(action, None)
    }

    fn act(&mut self, action: Action, cause: Option<Delivery>) -> Option<Exit> {
        // The endpoints say "draining" before the app can know of it.
        self.tell_phase();
        match action {
            Action::Nothing => {}
            Action::Drop => self.drop_signal(cause),
            Action::Forward(signal) => self.forward(signal, cause),
            Action::Hold => self.log_drain(cause),
            Action::Stop(signal) => {
                self.log_drain(cause);
                self.stop(signal);
            }
            Action::SignalStragglers(signal) => signal_stragglers(signal),
            Action::Kill => self.kill(),
            Action::Finish(exit) => return Some(exit),
        }
        None
    }

    fn tell_phase(&self) {
        let phase = self.lifecycle.phase();
        let from = *self.phase.borrow();
        if phase != from {
            info!(phase = phase.name(), from = from.name(), "phase changed");
            self.phase.send_replace(phase);
        }
    }

    fn log_drain(&mut self, cause: Option<Delivery>) {
        let Some(cause) = cause.filter(|_| self.drain.is_none()) else {
            return;
        };
        self.drain = Some(self.start.elapsed());
        let terms = self.lifecycle.terms();
        info!(
            signal = %cause.signal,
            grace_s = terms.grace.as_secs_f64(),
            drain_delay_s = terms.drain_delay.as_secs_f64(),
            "drain started"
        );
    }

    fn drop_signal(&self, cause: Option<Delivery>) {
        let Some(Delivery { signal, .. }) = cause else { return };
        debug!(%signal, "signal dropped");
        self.notice(&Notice::Dropped(signal));
    }

    fn forward(&mut self, signal: Signal, cause: Option<Delivery>) {
        self.send(signal);
        let came = cause.map_or(signal, |cause| cause.signal);
        self.notice(&Notice::Forwarded(came, signal));
        self.stop_forwarded =
            [Signal::TSTP, Signal::TTIN, Signal::TTOU, Signal::STOP].contains(&signal);
        let (pid, group) = (self.child.number(), self.wrapping.group);
        let from_pid = cause.map(|cause| cause.from.number());
        let received = cause.map(|c| c.signal).filter(|s| *s != signal).map(|s| s.to_string());
        if [Signal::WINCH, Signal::CONT, Signal::URG].contains(&signal) {
            debug!(%signal, pid, group, from_pid, received, "signal forwarded");
        } else {
            info!(%signal, pid, group, from_pid, received, "signal forwarded");
        }
        if self.wrapping.stops_itself && [Signal::TSTP, Signal::TTIN, Signal::TTOU].contains(&came)
        {
            signals::stop_self();
        }
    }

    fn stop(&mut self, signal: Signal) {
        self.send(signal);
        info!(%signal, pid = self.child.number(), "stop signal sent");
        // What is stopped would get the stop signal only once it is continued.
        if self.stopped {
            self.send(Signal::CONT);
        }
    }

    /// Sends a signal to the child or its group, unless it is gone.
    fn send(&self, signal: Signal) {
        if self.ended {
            return;
        }
        let sent = if self.wrapping.group {
            process::signal_group(self.child, signal)
                .or_else(|_| process::signal(self.child, signal))
        } else {
            process::signal(self.child, signal)
        };
        if let Err(error) = sent {
            self.notice(&Notice::ChildGone);
            warn!(%signal, pid = self.child.number(), %error, "signal not forwarded");
        }
    }

    /// Collects everything that has changed.
    fn reap(&mut self) -> Option<Exit> {
        let mut end = None;
        let alone = loop {
            match process::reap() {
                Reaped::Changed(pid, change) if pid == self.child => {
                    end = self.child_changed(change).or(end)
                }
                Reaped::Changed(pid, Change::Exited(_) | Change::Killed(_)) => {
                    self.notice(&Notice::Reaped(pid))
                }
                Reaped::Changed(..) => {}
                Reaped::Nothing => break false,
                Reaped::NoChild => break true,
            }
        };
        match end {
            Some(change) => self.tell(Event::Ended { change, alone }),
            None if alone && self.ended => self.tell(Event::AllGone),
            None => None,
        }
    }

    /// Takes in a change of the child; its end is handed back.
    fn child_changed(&mut self, change: Change) -> Option<Change> {
        let pid = self.child.number();
        match change {
            Change::Stopped(signal) => {
                self.stopped = true;
                self.follow_stop(signal);
                return None;
            }
            Change::Continued => {
                self.stopped = false;
                return None;
            }
            Change::Exited(exit) => {
                info!(pid, code = exit.code(), "child ended");
                self.notice(&Notice::Exited(self.child, exit));
            }
            Change::Killed(signal) => {
                self.notice(&Notice::Killed(self.child, signal));
                info!(pid, signal = %signal, code = Exit::killed_by(signal).code(), "child ended");
            }
        }
        self.ended = true;
        if let Some(signal) = self.wrapping.parting.and_then(|s| self.lifecycle.rewritten(s)) {
            // No group left is what is hoped for; the child itself is gone.
            if self.wrapping.group {
                let _ = process::signal_group(self.child, signal);
            }
        }
        Some(change)
    }

    /// Ctrl-Z stopped the child: the shell above sees only stead, so stead stops too, and both go on together.
    /// Where nobody above could continue it (a container's PID 1), the child goes on at once: a stop that nothing
    /// can end would be a hang.
    fn follow_stop(&mut self, signal: Signal) {
        let by_terminal = [Signal::TSTP, Signal::TTIN, Signal::TTOU].contains(&signal);
        if self.terminal.is_none() || !by_terminal || std::mem::take(&mut self.stop_forwarded) {
            return;
        }
        signals::stop_own_group();
        if !signals::is_pending(Signal::CONT) {
            self.go_on();
        }
    }

    /// After `fg` or `bg`: hands the terminal on to the child's group if the shell has given it to stead's, and
    /// continues that whole group if it was stopped. Whether it was.
    fn go_on(&mut self) -> bool {
        let Some(terminal) = self.terminal.filter(|_| !self.ended) else {
            return false;
        };
        if terminal.foreground() == Some(terminal::own_group()) {
            terminal.give_to(self.child);
        }
        self.stopped && process::signal_group(self.child, Signal::CONT).is_ok()
    }

    fn kill(&mut self) {
        let left = stragglers::find();
        let unseen = left.is_empty();
        for straggler in
            left.into_iter().filter(|s| !self.killed.contains(&s.pid)).collect::<Vec<_>>()
        {
            warn!(pid = straggler.pid.number(), name = straggler.name, "straggler killed");
            self.killed.insert(straggler.pid);
        }
        if process::signal_namespace(Signal::KILL).is_ok() {
            return;
        }
        if unseen && !self.ended {
            // Without /proc the child and its group are all that is known.
            let _ = process::signal_group(self.child, Signal::KILL);
            self.send(Signal::KILL);
        }
        for straggler in stragglers::find() {
            // EPERM (another user's process) is no reason to stop, and the next sweep tries again.
            let _ = process::signal(straggler.pid, Signal::KILL);
        }
    }

    fn finish(&self, exit: Exit) -> Exit {
        if let Some(began) = self.drain {
            let elapsed = self.start.elapsed().saturating_sub(began);
            info!(elapsed_s = elapsed.as_secs_f64(), killed = self.killed.len(), "drain ended");
        }
        if let Some(terminal) = self.terminal.filter(|t| t.foreground() == Some(self.child)) {
            terminal.give_to(terminal::own_group());
        }
        info!(code = exit.code(), "finished");
        exit
    }
}

fn signal_stragglers(signal: Signal) {
    for straggler in stragglers::find() {
        let pid = straggler.pid.number();
        match process::signal(straggler.pid, signal) {
            Ok(()) => info!(%signal, pid, name = straggler.name, "straggler signalled"),
            Err(error) => {
                warn!(%signal, pid, name = straggler.name, %error, "straggler not signalled")
            }
        }
    }
}
