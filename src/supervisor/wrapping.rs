//! How stead stands around its child: as itself, or in the place of another init.

use std::ffi::OsStr;
use std::io;

use super::hold::Gate;
use crate::errand::Moment;
use crate::exit::Exit;
use crate::signal::Signal;
use crate::sys::process::Pid;
use crate::sys::spawn::Leads;

/// The manners of the wrapper; the default is `stead run`'s.
#[derive(Clone, Copy)]
pub struct Wrapping<'a> {
    /// Signals go to the child's process group.
    pub group: bool,
    /// The child may name another process in its place.
    pub names_main: bool,
    /// What the child leads.
    pub leads: Leads,
    /// Stops and goes on together with the child, as the shell above expects.
    pub is_shell_aware: bool,
    /// Stops itself once it has passed on one of the terminal's stop signals.
    pub stops_itself: bool,
    /// The start directory is left once the child runs, so that it can be unmounted.
    pub leaves_directory: bool,
    /// What becomes of a signal.
    pub fate: fn(Signal) -> Fate,
    /// What is sent where signals go when the child has ended.
    pub parting: Option<Signal>,
    /// Who is told what happens, beside the log.
    pub observer: &'a dyn Fn(&Notice<'_>),
    /// Starts the hooks of a moment, where there are any; the gate opens when they are over.
    pub hooks: &'a dyn Fn(Moment) -> Option<Gate>,
}

impl Default for Wrapping<'_> {
    fn default() -> Self {
        Self {
            group: false,
            names_main: false,
            leads: Leads::Group,
            is_shell_aware: true,
            stops_itself: false,
            leaves_directory: true,
            fate: |_| Fate::Forwarded,
            parting: None,
            observer: &|_| {},
            hooks: &|_| None,
        }
    }
}

/// What becomes of a signal that was sent to the wrapper.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fate {
    /// It is for the child.
    Forwarded,
    /// Nothing.
    Ignored,
    /// It does to the wrapper what it does by default.
    Default,
}

/// Something that happened around the child, for an observer.
#[derive(Debug)]
pub enum Notice<'a> {
    /// Orphans go to another process: this is neither PID 1 nor a subreaper.
    CannotReap,
    /// The child could not be started.
    CannotRun(&'a OsStr, &'a io::Error),
    /// The child runs.
    Spawned(&'a OsStr, Pid),
    /// A signal came.
    Received(Signal),
    /// The first signal was sent on as the second.
    Forwarded(Signal, Signal),
    /// A signal was dropped, as was asked for.
    Dropped(Signal),
    /// The child was gone when a signal was to be sent on.
    ChildGone,
    /// A process that is not the child was reaped.
    Reaped(Pid),
    /// The child ended with an exit code.
    Exited(Pid, Exit),
    /// A signal ended the child.
    Killed(Pid, Signal),
    /// Nothing of the child's is left, or nothing that could be waited for.
    Over,
}
