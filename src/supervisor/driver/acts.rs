//! What the lifecycle decided, done: the phase and the drain are told, signals are sent, what is left is killed.

use tracing::{debug, info};

use super::Running;
use crate::errand::Moment;
use crate::exit::Exit;
use crate::signal::Signal;
use crate::supervisor::connections;
use crate::supervisor::job::{Job, TERMINAL_STOPS};
use crate::supervisor::lifecycle::Action;
use crate::supervisor::phase::Phase;
use crate::supervisor::requests::Drain;
use crate::supervisor::stragglers;
use crate::supervisor::wrapping::Notice;
use crate::sys::signals::{self, Delivery};

impl Running<'_> {
    pub(super) fn act(&mut self, action: Action, cause: Option<Delivery>) -> Option<Exit> {
        // The endpoints say "draining" before who asked for it, the app, or a reader of the log can know of it.
        let changed = self.tell_phase();
        self.tell_drain();
        let was_draining = self.drain.is_some();
        self.begin_drain(cause);
        if let Some((from, phase)) = changed {
            if phase != Phase::Running {
                self.errands.come_to(Moment::PreStop);
            }
            info!(phase = phase.name(), from = from.name(), "phase changed");
        }
        match action {
            Action::Hold if was_draining => {
                let signal = cause.map(|cause| cause.signal.to_string());
                info!(signal, "stop signal held back");
            }
            Action::Nothing | Action::Hold => {}
            Action::Drop => self.drop_signal(cause),
            Action::Forward(signal) => self.forward(signal, cause),
            Action::Stop(signal) => self.stop(signal),
            Action::SignalStragglers(signal) => {
                stragglers::signal_all(signal, |group| self.errands.is_group(group))
            }
            Action::Kill => {
                self.errands.come_to(Moment::PostStop);
                self.errands.kill_all();
                let child = self.job.as_ref().and_then(Job::started);
                self.killing.sweep(child, |group| self.errands.is_group(group))
            }
            Action::Finish(exit) => return Some(exit),
        }
        None
    }

    /// Tells the endpoints the phase; gives the one before and the new one where they differ.
    fn tell_phase(&self) -> Option<(Phase, Phase)> {
        let phase = self.lifecycle.phase();
        let from = *self.phase.borrow();
        (phase != from).then(|| (self.phase.send_replace(phase), phase))
    }

    /// Tells of the drain those who wait for it.
    fn tell_drain(&self) {
        let (progress, connections) = (self.lifecycle.progress(), self.connections);
        self.requests.iter().for_each(|told| told.tell(Drain { progress, connections }));
    }

    /// What the drain's beginning brings with it; without a `cause` it was asked for by another thread.
    fn begin_drain(&mut self, cause: Option<Delivery>) {
        if self.drain.is_some() || self.lifecycle.drain_began().is_none() {
            return;
        }
        self.drain = self.lifecycle.drain_began();
        let terms = self.lifecycle.terms();
        info!(
            signal = cause.map(|cause| cause.signal.to_string()),
            grace_s = terms.grace.as_secs_f64(),
            drain_delay_s = terms.drain_delay.as_secs_f64(),
            "drain started"
        );
        if let (Some(until), Some(requests)) = (terms.until_idle, &self.requests) {
            connections::watch(until, requests.requester());
        }
        self.hooks.extend((self.wrapping.hooks)(Moment::PreStop));
    }

    fn drop_signal(&self, cause: Option<Delivery>) {
        let Some(Delivery { signal, .. }) = cause else { return };
        debug!(%signal, "signal dropped");
        self.notice(&Notice::Dropped(signal));
    }

    fn forward(&mut self, signal: Signal, cause: Option<Delivery>) {
        let Some(job) = &mut self.job else { return };
        if !job.send(signal) {
            self.notice(&Notice::ChildGone);
            return;
        }
        let (came, from_pid) = cause.map_or((signal, 0), |c| (c.signal, c.from.number()));
        let (pid, group) = (job.pid().number(), job.group);
        self.notice(&Notice::Forwarded(came, signal));
        let received = (came != signal).then(|| came.to_string());
        if [Signal::WINCH, Signal::CONT, Signal::URG].contains(&signal) {
            debug!(%signal, pid, group, from_pid, received, "signal forwarded");
        } else {
            info!(%signal, pid, group, from_pid, received, "signal forwarded");
        }
        if self.wrapping.stops_itself && TERMINAL_STOPS.contains(&came) {
            signals::stop_self();
        }
    }

    fn stop(&mut self, signal: Signal) {
        let Some(job) = &mut self.job else { return };
        job.stop(signal);
        let connections = self.connections.map(|connections| connections.busy);
        let idle_connections = self.connections.map(|connections| connections.idle);
        let pid = job.pid().number();
        info!(%signal, pid, connections, idle_connections, "stop signal sent");
    }
}
