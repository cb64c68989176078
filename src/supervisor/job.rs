//! The child as a shell's job: the signals that it gets, its stops, and the terminal that it shares with stead.

use std::os::fd::{AsRawFd, RawFd};

use tracing::warn;

use super::requests::MainPid;
use crate::signal::Signal;
use crate::sys::process::{self, Change, Handle, Pid};
use crate::sys::signals;
use crate::sys::terminal::{self, Terminal};

/// The signals that stop a process because of its terminal.
pub const TERMINAL_STOPS: [Signal; 3] = [Signal::TSTP, Signal::TTIN, Signal::TTOU];

/// A child that was started, until it has ended.
pub struct Job {
    /// The pid of what stead started, which is its process group too unless it stays in stead's.
    pub leader: Pid,
    /// The process that is the child in its place, as it was told to be.
    main: Option<Main>,
    /// How what stead started has ended, where another process is the child.
    leaders_end: Option<Change>,
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

/// A process that stead has not started, and which may be another one's to reap: it is signalled by its handle, for its
/// pid may come to be somebody else's.
struct Main {
    pid: Pid,
    group: Pid,
    handle: Handle,
}

impl Job {
    /// A job that runs.
    pub fn new(leader: Pid, group: bool, terminal: Option<Terminal>) -> Self {
        Self {
            leader,
            main: None,
            leaders_end: None,
            group,
            terminal,
            stopped: false,
            stop_forwarded: false,
            stopping: false,
            ended: false,
        }
    }

    /// The child's pid.
    pub fn pid(&self) -> Pid {
        self.main.as_ref().map_or(self.leader, |main| main.pid)
    }

    /// What stead started, as long as that runs.
    pub fn started(&self) -> Option<Pid> {
        (!self.ended && self.leaders_end.is_none()).then_some(self.leader)
    }

    /// Takes another process for the child from now on, unless it has all come to its end. Whether it is another one.
    pub fn follow(&mut self, MainPid { pid, group, handle, .. }: MainPid) -> bool {
        if self.ended || pid == self.pid() {
            return false;
        }
        let is_leader = pid == self.leader;
        self.main = (!is_leader).then_some(Main { pid, group, handle });
        true
    }

    /// What becomes readable at the end of a child that stead has not started.
    pub fn end(&self) -> Option<RawFd> {
        self.main.as_ref().map(|main| main.handle.as_raw_fd())
    }

    /// Takes note of the end of what stead started, where another process is the child or may be.
    pub fn leader_ended(&mut self, change: Change) {
        self.leaders_end = Some(change);
    }

    /// How what stead started has ended, if it has while another process was, or is to be, the child.
    pub fn leaders_end(&self) -> Option<Change> {
        self.leaders_end
    }

    /// Whether a child that stead has not started has ended. After all that could be reaped was, it is another process's
    /// to reap.
    pub fn main_has_ended(&self) -> bool {
        !self.ended && self.main.as_ref().is_some_and(|main| main.handle.has_ended())
    }

    /// Takes what stead started for the child again.
    pub fn leave_main(&mut self) {
        self.main = None;
    }

    /// Sends a signal to the child or its group. Whether it was there to get it.
    pub fn send(&mut self, signal: Signal) -> bool {
        if self.ended || self.main.is_none() && self.leaders_end.is_some() {
            return false;
        }
        self.stop_forwarded = signal == Signal::STOP || TERMINAL_STOPS.contains(&signal);
        let to_child = || match &self.main {
            Some(main) => main.handle.signal(signal),
            None => process::signal(self.leader, signal),
        };
        let sent = if self.group {
            let group = self.main.as_ref().map_or(self.leader, |main| main.group);
            process::signal_group(group, signal).or_else(|_| to_child())
        } else {
            to_child()
        };
        if let Err(error) = &sent {
            warn!(%signal, pid = self.pid().number(), %error, "signal not forwarded");
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
