//! The commands that the supervisor runs for others, beside its child: those of checks, and hooks. Each leads a process
//! group, which is killed when nobody waits for it any more (with what has left it), and what is left of it when it has
//! ended.

use std::env;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::os::unix::ffi::OsStringExt;
use std::time::Duration;

use tracing::info;

use super::pace::Pace;
use crate::errand::{self, Client, Errand, Inbox, Moment, Order};
use crate::signal::Signal;
use crate::sys::clock;
use crate::sys::process::{self, Change, Pid, Reaped};
use crate::sys::signals::{Inherited, SignalFd};
use crate::sys::spawn::{Leads, Program, Streams, environment, start};

/// The commands that run, and where others are asked for.
pub struct Errands<'a> {
    inbox: Option<Inbox>,
    inherited: &'a Inherited,
    /// Where stead was started. Hooks run there, also after stead has left it.
    directory: Option<CString>,
    /// What is of an earlier moment is not started any more, and neither are the commands of checks from the drain on.
    moment: Moment,
    running: Vec<Running>,
    /// Groups whose leaders were reaped, and which were killed and may not be gone yet.
    dying: Vec<Pid>,
    pace: Pace,
}

/// A command that was started and not reaped yet.
struct Running {
    leader: Pid,
    client: Client,
    is_killed: bool,
}

impl<'a> Errands<'a> {
    /// Nothing runs yet; without an inbox nothing ever will.
    pub fn new(inbox: Option<Inbox>, inherited: &'a Inherited) -> Self {
        let directory = env::current_dir().ok();
        let directory =
            directory.and_then(|path| CString::new(path.into_os_string().into_vec()).ok());
        let (running, dying) = (Vec::new(), Vec::new());
        let (moment, pace) = (Moment::PreStart, Pace::default());
        Self { inbox, inherited, directory, moment, running, dying, pace }
    }

    /// Kills what nobody waits for any more, and starts one command that is asked for. One at a time, so that a crowd
    /// of them delays no signal: the bell rings on.
    pub fn turn(&mut self) {
        self.dying.retain(|leader| process::is_group(*leader));
        let Some(inbox) = &self.inbox else { return };
        inbox.bell.quiet();
        let unwanted = self.running.iter_mut().filter(|running| !running.client.is_waiting());
        unwanted.for_each(Running::kill);
        let Some(Order { errand, client }) = inbox.next() else { return };
        inbox.bell.ring();
        if self.is_past(client.moment) {
            // That the reply is gone says so.
            return;
        }
        match self.start(errand, client.moment) {
            Ok(leader) => self.running.push(Running { leader, client, is_killed: false }),
            // Nobody is there to be told where it is not wanted any more.
            Err(error) => drop(client.reply.send(Err(error))),
        }
    }

    fn start(&self, errand: Errand, moment: Option<Moment>) -> io::Result<Pid> {
        let Errand { paths, args, output, report } = errand;
        if let (Some(moment), Some(program)) = (moment, args.first()) {
            // Before it can say anything itself. Its arguments are never shown.
            info!(hook = moment.name(), command = %program.to_string_lossy(), "hook started");
        }
        let (env, leads) = (environment(), Leads::Group);
        let directory = self.directory.as_deref().filter(|_| moment.is_some());
        let program = Program {
            paths: &paths,
            args: &args,
            env: &env,
            leads,
            terminal: None,
            inherited: self.inherited,
            streams: Streams::captured(output.as_fd()),
            directory,
            bound: true,
        };
        start(&program, report.as_fd())
    }

    /// Whether the time of such commands is over.
    fn is_past(&self, moment: Option<Moment>) -> bool {
        match moment {
            Some(moment) => moment < self.moment,
            None => self.moment >= Moment::PreStop,
        }
    }

    /// Comes to a moment: hooks of an earlier one get TERM, and from the drain on the commands of checks are killed.
    /// None of them is started any more.
    pub fn come_to(&mut self, moment: Moment) {
        if moment <= self.moment {
            return;
        }
        self.moment = moment;
        let past: Vec<bool> =
            self.running.iter().map(|running| self.is_past(running.client.moment)).collect();
        for (running, _) in self.running.iter_mut().zip(past).filter(|(_, past)| *past) {
            match running.client.moment {
                // What is gone is what is wanted.
                Some(_) => drop(process::signal_group(running.leader, Signal::TERM)),
                None => running.kill(),
            }
        }
    }

    /// Kills all of them.
    pub fn kill_all(&mut self) {
        self.running.iter_mut().for_each(Running::kill);
    }

    /// Whether a process group is of a command that runs here, or has just ended.
    pub fn is_group(&self, group: Pid) -> bool {
        self.running.iter().any(|running| running.leader == group) || self.dying.contains(&group)
    }

    /// Collects one change of any child, as [`process::reap`] does, or says that there is nothing where it is no time to look
    /// for any.
    pub fn reap(&mut self) -> Reaped {
        if !self.pace.may_look(clock::monotonic_micros()) {
            return Reaped::Nothing;
        }
        let reaped = self.look();
        let has_found = matches!(reaped, Reaped::Changed(..));
        self.pace.looked(clock::monotonic_micros(), has_found);
        reaped
    }

    /// What is left of the group of a command that has ended is killed before the command is reaped: as long as it is a
    /// zombie, its pid cannot be anybody else's.
    fn look(&mut self) -> Reaped {
        if self.running.is_empty() {
            return process::reap();
        }
        loop {
            let (pid, change) = match process::peek() {
                Reaped::Changed(pid, change) => (pid, change),
                nothing => return nothing,
            };
            if matches!(change, Change::Exited(_) | Change::Killed(_)) {
                self.ended(pid, change);
            }
            // A stop that is over by now is nothing to tell.
            if let changed @ Reaped::Changed(..) = process::reap_one(pid) {
                return changed;
            }
        }
    }

    /// Waits until there may be something to do: a signal, somebody who wants something here, one of these that can be
    /// read or is at its end (says which), the time to look for children again, or the limit.
    pub fn wait(
        &self,
        signals: &SignalFd,
        [one, two]: [Option<RawFd>; 2],
        limit: Option<Duration>,
    ) -> [bool; 2] {
        let bell = self.inbox.as_ref().map(|inbox| inbox.bell.as_raw_fd());
        let rest = self.pace.left(clock::monotonic_micros());
        // Until then nobody needs to hear that there are more.
        let _aside = rest.filter(|rest| !rest.is_zero()).map(|_| signals.without(Signal::CHLD));
        let limit = limit.into_iter().chain(rest).min();
        let [one, two, _] = signals.wait_beside([one, two, bell], limit);
        [one, two]
    }

    /// Takes in the end of a command, if it is one of these.
    fn ended(&mut self, pid: Pid, change: Change) {
        let Some(place) = self.running.iter().position(|running| running.leader == pid) else {
            return;
        };
        let running = self.running.swap_remove(place);
        // A group that is gone is what is wanted, and nobody else's as long as its leader is not reaped.
        let _ = process::kill_group(running.leader);
        self.dying.push(running.leader);
        // Nobody may be waiting any more.
        let _ = running.client.reply.send(Ok(change));
    }

    /// Kills all of them, takes no more, and collects them within a limit.
    pub fn finish(&mut self) {
        self.inbox = None;
        self.kill_all();
        for _ in 0..FAREWELL_MS {
            while let Reaped::Changed(..) = self.reap() {}
            if self.running.is_empty() {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// How many milliseconds killed commands may take to be gone.
const FAREWELL_MS: u32 = 100;

impl Running {
    /// Kills it, once: to look for what has left its group takes a look at every process, which is some 15 µs each, and
    /// signals wait for as long.
    fn kill(&mut self) {
        if !std::mem::replace(&mut self.is_killed, true) {
            errand::kill(self.leader);
        }
    }
}
