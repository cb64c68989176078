//! The supervisor: one child, one loop on the main thread, and the only place that waits and kills.

pub mod child;
mod connections;
mod driver;
pub mod errands;
pub mod hold;
mod job;
pub mod lease;
pub mod lifecycle;
mod pace;
pub mod phase;
pub mod requests;
mod stragglers;
pub mod wrapping;

use std::os::fd::{AsFd, OwnedFd, RawFd};
#[expect(
    clippy::disallowed_types,
    reason = "this is the one clock that the lifecycle is told"
)]
use std::time::Instant;

use tokio::sync::watch;
use tracing::info;

use crate::exit::Exit;
use crate::sys::descriptors;
use crate::sys::signals::{Inherited, SignalFd};
use crate::sys::spawn::{Leads, Streams};
use crate::sys::terminal::{self, Terminal};
use child::{CannotRun, Command, Standing};
pub use driver::Running;
use errands::Errands;
use job::Job;
use lease::Lease;
use lifecycle::{Action, Event, Lifecycle};
pub use lifecycle::{Terms, UntilIdle};
pub use phase::Phase;
use requests::Requests;
use stragglers::Killing;
use wrapping::Notice;
pub use wrapping::Wrapping;

/// Everything that the supervisor is made of before the child runs.
pub struct Supervisor<'a> {
    /// The queue of signals.
    pub signals: &'a SignalFd,
    /// The signal state that stead was started with.
    pub inherited: &'a Inherited,
    /// Descriptors that are the child's, closed here once it runs.
    pub passed: Vec<RawFd>,
    /// The child's standard output and error where they are not stead's own, closed here once it runs.
    pub outputs: Outputs,
    /// How stead stands around its child.
    pub wrapping: Wrapping<'a>,
    /// Where the phase is told.
    pub phase: watch::Sender<Phase>,
    /// What is run for others beside the child.
    pub errands: Errands<'a>,
    /// What other threads ask for, where there are any that do.
    pub requests: Option<Requests>,
    /// What the child runs by, where it may run at one place alone.
    pub lease: Option<Lease>,
}

/// Standard output and standard error of the child, where they are not stead's own.
pub type Outputs = [Option<OwnedFd>; 2];

/// What came of starting.
pub enum Started<'a> {
    /// The child runs, or the sidecar does.
    Running(Box<Running<'a>>),
    /// A signal asked for the end before there was a child.
    Over(Exit),
}

impl<'a> Supervisor<'a> {
    /// Starts the child, unless a signal that has come by now says that nothing is to be started. Without a command it
    /// is a sidecar's supervisor, and its terms are to say so: it attends to signals, requests, errands and orphans in
    /// the same way, and ends with its drain.
    pub fn start(self, command: Option<&Command>, terms: Terms) -> Result<Started<'a>, CannotRun> {
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
        let job = command.map(|command| self.start_job(command)).transpose()?;
        // From here on the child's own processes alone keep them open.
        drop(self.outputs);
        Ok(Started::Running(Box::new(Running {
            signals: self.signals,
            wrapping: self.wrapping,
            phase: self.phase,
            errands: self.errands,
            requests: self.requests,
            lease: self.lease,
            is_surrendered: false,
            lifecycle,
            start,
            early,
            job,
            killing: Killing::default(),
            awaited: None,
            hooks: Vec::new(),
            drain: None,
            connections: None,
        })))
    }

    fn start_job(&self, command: &Command) -> Result<Job, CannotRun> {
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
        descriptors::close_at_exec(&self.passed, false);
        let [output, error] = self.outputs.each_ref().map(|fd| fd.as_ref().map(AsFd::as_fd));
        let streams = Streams { output, error, ..Streams::default() };
        let inherited = self.inherited;
        let bound = self.lease.is_some();
        let standing = Standing { leads, terminal: given, inherited, streams, bound };
        let child = command.start(&standing)?;
        descriptors::close(&self.passed);
        if leaves_directory {
            // It is the child's alone to keep busy; one that cannot be left stays.
            let _ = std::env::set_current_dir("/");
        }
        info!(pid = child.number(), command = %command.program().display(), "child started");
        (self.wrapping.observer)(&Notice::Spawned(command.program(), child));
        Ok(Job::new(child, self.wrapping.group, terminal.filter(|_| is_shell_aware)))
    }
}
