//! Ends: what was reaped, whose end is the child's, and who is the child.

use std::time::Duration;

use tracing::info;

use super::Running;
use crate::exit::Exit;
use crate::supervisor::job::Job;
use crate::supervisor::lifecycle::Event;
use crate::supervisor::phase::Phase;
use crate::supervisor::requests::MainPid;
use crate::supervisor::wrapping::Notice;
use crate::sys::process::{self, Change, Pid, Reaped};

/// How long an end is nobody's. What a child has said last by sd_notify(3), which may be that another process goes on in
/// its place, comes by way of another thread; and whom a process is left to is known once its parent has ended or reaped it.
const PATIENCE: Duration = Duration::from_millis(200);

impl Running<'_> {
    /// Collects everything that has changed.
    pub(super) fn reap(&mut self) -> Option<Exit> {
        let mut end = None;
        let alone = loop {
            match self.errands.reap() {
                Reaped::Changed(pid, change)
                    if self.job.as_ref().is_some_and(|job| job.pid() == pid) =>
                {
                    end = self.child_changed(change).or(end)
                }
                Reaped::Changed(pid, change @ (Change::Exited(_) | Change::Killed(_))) => {
                    self.other_ended(pid, change)
                }
                Reaped::Changed(..) => {}
                Reaped::Nothing => break false,
                Reaped::NoChild => break true,
            }
        };
        match end.or_else(|| self.unclaimed_end(alone)) {
            Some(change) if !alone && self.may_be_followed() => {
                self.job.iter_mut().for_each(|job| job.leader_ended(change));
                self.awaited = Some(self.start.elapsed().saturating_add(PATIENCE));
                None
            }
            Some(change) => self.child_ended(change, alone),
            None if alone && self.job.as_ref().is_some_and(|job| job.ended) => {
                self.tell(Event::AllGone)
            }
            None => None,
        }
    }

    /// Takes in a change of the child; its end is handed back.
    fn child_changed(&mut self, change: Change) -> Option<Change> {
        let job = self.job.as_mut()?;
        match change {
            Change::Stopped(signal) => job.follow_stop(signal),
            Change::Continued => job.stopped = false,
            Change::Exited(_) | Change::Killed(_) => return Some(change),
        }
        None
    }

    fn child_ended(&mut self, change: Change, alone: bool) -> Option<Exit> {
        let job = self.job.as_mut()?;
        let child = job.pid();
        job.ended = true;
        self.awaited = None;
        let pid = child.number();
        match change {
            Change::Killed(signal) => {
                self.notice(&Notice::Killed(child, signal));
                info!(pid, %signal, code = Exit::killed_by(signal).code(), "child ended");
            }
            Change::Exited(exit) => {
                self.notice(&Notice::Exited(child, exit));
                info!(pid, code = exit.code(), "child ended");
            }
            Change::Stopped(_) | Change::Continued => {}
        }
        self.part();
        self.tell(Event::Ended { change, alone })
    }

    /// What goes to the child's group once the child itself is gone, in dumb-init's place.
    fn part(&self) {
        let signal = self.wrapping.parting.and_then(|signal| self.lifecycle.rewritten(signal));
        let group = self.job.as_ref().filter(|job| job.group).map(|job| job.leader);
        if let (Some(signal), Some(group)) = (signal, group) {
            // No group left is what is hoped for.
            let _ = process::signal_group(group, signal);
        }
    }

    /// Takes in the end of a process that is not the child.
    fn other_ended(&mut self, pid: Pid, change: Change) {
        self.notice(&Notice::Reaped(pid));
        if let Some(job) = self.job.as_mut().filter(|job| job.started() == Some(pid)) {
            job.leader_ended(change);
            info!(pid = pid.number(), "former main process ended");
        }
    }

    /// Takes another process for the child, as that has said.
    pub(super) fn follow(&mut self, main: MainPid) {
        let Some(job) = &mut self.job else { return };
        let (pid, from_pid) = (main.pid.number(), job.pid().number());
        if job.follow(main) {
            info!(pid, from_pid, "main process changed");
            if self.awaited.take().is_some() {
                info!(pid = from_pid, "former main process ended");
            }
        }
    }

    /// Whether the end of the child need not be the end: it is what stead started, and may have named another in its place.
    fn may_be_followed(&self) -> bool {
        let is_leader = |job: &Job| job.started() == Some(job.pid());
        let is_first = self.job.as_ref().is_some_and(is_leader);
        self.wrapping.names_main && is_first && self.lifecycle.phase() == Phase::Running
    }

    /// An end that stead has not reaped just now. What stead started has ended, and nobody was named in its place for long
    /// enough; or what was named has ended, and was another process's to reap: then what stead started is the child again,
    /// ended or not.
    fn unclaimed_end(&mut self, alone: bool) -> Option<Change> {
        let now = self.start.elapsed();
        let job = self.job.as_mut()?;
        let main_has_ended = job.main_has_ended();
        if main_has_ended && self.awaited.is_none() {
            // Its parent may be about to end, which leaves it to stead.
            self.awaited = Some(now.saturating_add(PATIENCE));
        }
        self.awaited.take_if(|until| alone || now >= *until)?;
        if main_has_ended {
            let from_pid = job.pid().number();
            job.leave_main();
            info!(pid = job.pid().number(), from_pid, "main process changed");
        }
        job.leaders_end()
    }
}
