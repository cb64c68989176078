//! The loop that does what the lifecycle decides: reads signals, reaps, sends, kills, and tells the phase.
//!
//! Invariants: this is the only place that waits for children, and the one that signals them, so no pid is
//! signalled after it was reaped. Nothing here waits for the endpoints, the checks or the log.

mod acts;
mod ends;

use std::os::fd::AsRawFd;
use std::time::Duration;
#[expect(
    clippy::disallowed_types,
    reason = "this is the one clock that the lifecycle is told"
)]
use std::time::Instant;

use tokio::sync::watch;
use tracing::{info, warn};

use super::errands::Errands;
use super::hold::{Gate, Meaning, end_all, hold};
use super::job::Job;
use super::lease::Lease;
use super::lifecycle::{Connections, Event, Lifecycle};
use super::phase::Phase;
use super::requests::{Request, Requests};
use super::stragglers::Killing;
use super::wrapping::{Fate, Notice, Wrapping};
use crate::errand::Moment;
use crate::exit::Exit;
use crate::signal::Signal;
use crate::sys::memory;
use crate::sys::process::Pid;
use crate::sys::signals::{self, Delivery, SignalFd};
use crate::sys::spawn::Leads;

/// How long the log is waited for to have what became of hooks that are gone.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// The supervisor while the child runs, or what it left behind; in a sidecar there is no child.
pub struct Running<'a> {
    pub(super) signals: &'a SignalFd,
    pub(super) wrapping: Wrapping<'a>,
    pub(super) phase: watch::Sender<Phase>,
    pub(super) errands: Errands<'a>,
    pub(super) requests: Option<Requests>,
    /// What the child runs by, and whether it was given up for it.
    pub(super) lease: Option<Lease>,
    pub(super) is_surrendered: bool,
    pub(super) lifecycle: Lifecycle,
    #[expect(clippy::disallowed_types, reason = "see the import")]
    pub(super) start: Instant,
    /// What came before the child did.
    pub(super) early: Vec<Delivery>,
    pub(super) job: Option<Job>,
    pub(super) killing: Killing,
    /// Until when it is waited for whose an end is: what stead started may have named another process in its place, and a
    /// process that was named may come to be stead's to reap.
    pub(super) awaited: Option<Duration>,
    /// The hooks that were started beside the child.
    pub(super) hooks: Vec<Gate>,
    /// When the drain began.
    pub(super) drain: Option<Duration>,
    /// The app's connections as they were counted last.
    pub(super) connections: Option<Connections>,
}

impl Running<'_> {
    /// Stays until the child and all that it left behind are gone.
    pub fn run(mut self) -> Exit {
        let mut finish = self.tell(Event::Started);
        self.hooks.extend((self.wrapping.hooks)(Moment::PostStart));
        for delivery in std::mem::take(&mut self.early) {
            finish = finish.or(self.deliver(delivery));
        }
        memory::unmap_idle_code();
        loop {
            if let Some(exit) = finish.or_else(|| self.turn()) {
                return self.finish(exit);
            }
            let now = self.start.elapsed();
            let deadline = self.lifecycle.deadline().into_iter().chain(self.awaited).min();
            let deadline = deadline.map(|at| at.saturating_sub(now));
            let lease = self.lease.as_ref().filter(|_| !self.is_surrendered).map(Lease::left);
            let limit = deadline.into_iter().chain(lease).min();
            let requests = self.requests.as_ref().map(|requests| requests.bell().as_raw_fd());
            // An end that is known is waited for as somebody's to reap.
            let end = self.job.as_ref().and_then(Job::end).filter(|_| self.awaited.is_none());
            self.errands.wait(self.signals, [requests, end], limit);
        }
    }

    /// One look at everything that may have happened. Children come before signals, because whether the child is
    /// stopped or gone must be known when one is sent to it, and again after them, because the CHLD of what changed
    /// meanwhile has been read by then.
    fn turn(&mut self) -> Option<Exit> {
        let exit = self
            .reap()
            .or_else(|| self.deliver_all())
            .or_else(|| self.reap())
            .or_else(|| self.answer_all())
            .or_else(|| self.surrender())
            .or_else(|| self.tell(Event::Woke));
        self.errands.turn();
        exit
    }

    fn deliver_all(&mut self) -> Option<Exit> {
        while let Some(delivery) = self.signals.next() {
            if let Some(exit) = self.deliver(delivery) {
                return Some(exit);
            }
        }
        None
    }

    /// Takes in what other threads have asked for by now; what they ask for meanwhile comes after the next signals.
    fn answer_all(&mut self) -> Option<Exit> {
        let requests = self.requests.as_ref()?;
        requests.bell().quiet();
        let waiting: Vec<Request> = requests.waiting().collect();
        waiting.into_iter().find_map(|request| self.answer(request))
    }

    fn answer(&mut self, request: Request) -> Option<Exit> {
        let event = request.event();
        match request {
            // What was killed takes its connections with it: those of before are told.
            Request::Connections(_) if self.killing.count() > 0 => {}
            Request::Connections(connections) => self.connections = connections,
            Request::Watchdog(signal) => self.wake_child(signal),
            Request::MainPid(main) => self.follow(main),
            Request::Surrender { .. } => self.is_surrendered = true,
            _ => {}
        }
        event.and_then(|event| self.tell(event))
    }

    /// Sends a child that hangs what makes it say where.
    fn wake_child(&mut self, signal: Signal) {
        let Some(job) = self.job.as_mut().filter(|job| !job.ended) else { return };
        job.send(signal);
        warn!(%signal, pid = job.pid().number(), "watchdog signal sent");
    }

    /// Gives the child up where the lease has run out, whoever may have missed to say so.
    fn surrender(&mut self) -> Option<Exit> {
        let lease = self.lease.as_ref().filter(|lease| lease.left().is_zero())?;
        if std::mem::replace(&mut self.is_surrendered, true) {
            return None;
        }
        let grace = lease.grace_left();
        warn!(grace_s = grace.as_secs_f64(), "lease over");
        self.tell(Event::Surrender { grace })
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
        if signal == Signal::CONT && self.job.as_ref().is_some_and(Job::go_on) {
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

    pub(super) fn notice(&self, notice: &Notice<'_>) {
        (self.wrapping.observer)(notice);
    }

    /// Tells the lifecycle what happened, and does what it answers.
    pub(super) fn tell(&mut self, event: Event) -> Option<Exit> {
        let action = self.lifecycle.on(event, self.start.elapsed());
        self.act(action, None)
    }

    /// Runs the hooks that come when all else is over; orphans are reaped meanwhile, and a second INT kills.
    fn run_last_hooks(&mut self) {
        let mut interrupts = self.lifecycle.interrupts();
        let mut meaning = |signal| {
            interrupts += u32::from(signal == Signal::INT);
            if interrupts > 1 { Meaning::End(Exit::FAILURE) } else { Meaning::Nothing }
        };
        self.errands.come_to(Moment::PostStop);
        for gate in self.hooks.drain(..) {
            let gate = Gate { limit: Some(LAST_WORDS), ..gate };
            hold(self.signals, &mut self.errands, &gate, &mut meaning);
        }
        // Nothing more is begun that another one may be doing by now.
        if self.is_surrendered {
            return;
        }
        if let Some(gate) = (self.wrapping.hooks)(Moment::PostStop) {
            let gate = Gate { leases: self.lease.iter().cloned().collect(), ..gate };
            hold(self.signals, &mut self.errands, &gate, meaning);
            end_all(&mut self.errands);
        }
    }

    fn finish(&mut self, exit: Exit) -> Exit {
        if let Some(began) = self.drain {
            let elapsed = self.start.elapsed().saturating_sub(began);
            let (elapsed_s, killed) = (elapsed.as_secs_f64(), self.killing.count());
            // Those of a child that ended by itself were its own to close, after they were counted last.
            let is_known = killed > 0 || self.job.is_none();
            let connections = self.connections.filter(|_| is_known).map(|counted| counted.busy);
            info!(elapsed_s, killed, connections, "drain ended");
        }
        self.job.iter().for_each(Job::take_terminal_back);
        self.run_last_hooks();
        self.notice(&Notice::Over);
        info!(code = exit.code(), "finished");
        exit
    }
}
