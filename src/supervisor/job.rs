//! The child as a shell's job: the signals that it gets, its stops, and the terminal that it shares with stead.

use tracing::warn;

use crate::signal::Signal;
use crate::sys::process::{self, Pid};
use crate::sys::signals;
use crate::sys::terminal::{self, Terminal};

/// The signals that stop a process because of its terminal.
pub const TERMINAL_STOPS: [Signal; 3] = [Signal::TSTP, Signal::TTIN, Signal::TTOU];

/// A child that was started, until it has ended.
pub struct Job {
    /// Its pid, which is its process group too unless it stays in stead's.
    pub leader: Pid,
    /// Signals go to the whole group.
    pub group: bool,
    /// The controlling terminal, where there is one and a shell's manners are asked for.
    pub terminal: Option<Terminal>,
    /// It is stopped.
    pub stopped: bool,
    /// It was stead that passed the last stop signal on, at somebody's wish.
    pub stop_forwarded: bool,
    /// The stop signal is out: a stop that is noticed only now must not hold it up.
    pub stopping: bool,
    /// It was reaped: its pid means nothing any more.
    pub ended: bool,
}

impl Job {
    /// A job that runs.
    pub fn new(leader: Pid, group: bool, terminal: Option<Terminal>) -> Self {
        Self {
            leader,
            group,
            terminal,
            stopped: false,
            stop_forwarded: false,
            stopping: false,
            ended: false,
        }
    }

    /// Sends a signal to the child or its group. Whether it was there to get it.
    pub fn send(&mut self, signal: Signal) -> bool {
        if self.ended {
            return false;
        }
        self.stop_forwarded = signal == Signal::STOP || TERMINAL_STOPS.contains(&signal);
        let to_child = || process::signal(self.leader, signal);
        let sent = if self.group {
            process::signal_group(self.leader, signal).or_else(|_| to_child())
        } else {
            to_child()
        };
        if let Err(error) = &sent {
            warn!(%signal, pid = self.leader.number(), %error, "signal not forwarded");
        }
        sent.is_ok()
    }

    /// Sends the stop signal; what is stopped gets it only once it is continued.
    pub fn stop(&mut self, signal: Signal) {
        self.send(signal);
        self.stopping = true;
        if self.stopped {
            self.send(Signal::CONT);
        }
    }

    /// Ctrl-Z stopped the child: the shell above sees only stead, so stead stops too, and both go on together.
    /// Where nobody above could continue it (a container's PID 1), the child goes on at once: a stop that nothing
    /// can end would be a hang.
    pub fn follow_stop(&mut self, signal: Signal) {
        self.stopped = true;
        if std::mem::take(&mut self.stopping) {
            self.send(Signal::CONT);
            return;
        }
        let by_terminal = TERMINAL_STOPS.contains(&signal);
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
    pub fn go_on(&self) -> bool {
        let Some(terminal) = self.terminal.filter(|_| !self.ended) else { return false };
        if terminal.foreground() == Some(terminal::own_group()) {
            terminal.give_to(self.leader);
        }
        self.stopped && process::signal_group(self.leader, Signal::CONT).is_ok()
    }

    /// Takes the terminal back from the child's group, for whoever comes after stead.
    pub fn take_terminal_back(&self) {
        if let Some(terminal) = self.terminal.filter(|t| t.foreground() == Some(self.leader)) {
            terminal.give_to(terminal::own_group());
        }
    }
}
