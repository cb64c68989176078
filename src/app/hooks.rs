//! The hooks of `stead run`: those before the child, which hold it back, and those beside it and behind it.

use std::io;
use std::sync::mpsc;

use tracing::warn;

use super::Failure;
use crate::config::Hooks;
use crate::errand::Moment;
use crate::exit::Exit;
use crate::hook;
use crate::logs;
use crate::logs::child::redact::Redactions;
use crate::signal::Signal;
use crate::supervisor::Terms;
use crate::supervisor::errands::Errands;
use crate::supervisor::hold::{Gate, Held, Meaning, end_all, hold, meaning_of_hooks};
use crate::supervisor::lease::Lease;
use crate::supervisor::lifecycle::KILL_PATIENCE;
use crate::supervisor::requests::{Request, Requester};
use crate::sys::signals::SignalFd;

/// The hooks, and what of their output is not logged.
pub(super) struct Around {
    pub(super) hooks: Hooks,
    pub(super) redactions: Redactions,
}

impl Around {
    /// Fails where the program of a hook that must succeed is not there: now, and not once others have run.
    pub(super) fn find(&self) -> Result<(), Failure> {
        for moment in Moment::ALL {
            for hook in self.hooks.of(moment).iter().filter(|hook| hook.must_succeed) {
                hook::find(hook, moment)?;
            }
        }
        Ok(())
    }

    /// Runs the `pre_start` hooks: the command may start when they are over, unless a signal has asked for the end or one
    /// of the leases has run out. They get TERM then, and the grace, or what is left of the lease's.
    pub(super) fn before_child(
        &self,
        queue: &SignalFd,
        errands: &mut Errands,
        terms: &Terms,
        leases: Vec<Lease>,
    ) -> Result<Option<Exit>, Failure> {
        if self.hooks.of(Moment::PreStart).is_empty() {
            return Ok(None);
        }
        logs::writer::release();
        let (sender, result) = mpsc::sync_channel(1);
        // There is room, and where nobody waits any more, nobody has to know.
        let gate = self
            .start(Moment::PreStart, move |result| drop(sender.send(result)))
            .map_err(Failure::system("start the hooks"))?;
        let gate = Gate { limit: None, leases, ..gate };
        match hold(queue, errands, &gate, meaning_of_hooks(terms.clone())) {
            Held::Ended(exit) => {
                errands.come_to(Moment::PostStart);
                end(queue, errands, &Gate { limit: Some(terms.grace), ..gate }, exit);
                Ok(Some(exit))
            }
            Held::Lost => {
                errands.come_to(Moment::PostStart);
                let limit = gate.leases.iter().map(Lease::grace_left).min();
                let gate = Gate { limit, leases: Vec::new(), ..gate };
                end(queue, errands, &gate, Exit::FAILURE);
                Err(Failure::LockLost)
            }
            Held::Open | Held::TimedOut => {
                let result = result.try_recv().unwrap_or(Err(hook::Failure::Refused));
                result.inspect_err(|_| end_all(errands))?;
                Ok(None)
            }
        }
    }

    /// Starts the hooks of a later moment, if there are any. The supervisor is told what it has to know of them.
    pub(super) fn beside_child(&self, moment: Moment, supervisor: &Requester) -> Option<Gate> {
        if self.hooks.of(moment).is_empty() {
            return None;
        }
        let requester = supervisor.clone();
        let tell = move |result| {
            let request = match (moment, result) {
                (Moment::PreStop, _) => Request::HooksOver,
                (_, Err(hook::Failure::Failed { exit, .. })) => Request::HookFailed(exit),
                _ => return,
            };
            // Where nobody reads it any more, stead has ended.
            let _ = requester.insist(request);
        };
        let started = self.start(moment, tell);
        if let Err(error) = &started {
            warn!(hook = moment.name(), %error, "hooks not run");
            if moment == Moment::PreStop {
                // A mailbox that is full is read in a moment, and the deadline is there in any case.
                let _ = supervisor.ask(Request::HooksOver);
            }
        }
        started.ok()
    }

    /// Starts the hooks of a moment; the gate opens when they are over.
    fn start(
        &self,
        moment: Moment,
        tell: impl FnOnce(Result<(), hook::Failure>) + Send + 'static,
    ) -> io::Result<Gate> {
        let hooks = self.hooks.of(moment);
        let (pipe, end) = io::pipe()?;
        let over = move |result| {
            tell(result);
            drop(end);
        };
        hook::start(moment, hooks.to_vec(), self.redactions.clone(), over)?;
        let has_limit = hooks.iter().all(|hook| hook.timeout.is_some());
        let limit = has_limit.then(|| self.hooks.time_of(moment) + KILL_PATIENCE);
        Ok(Gate { pipe, limit, leases: Vec::new() })
    }
}

/// Waits for what has got TERM, until the gate is open, its time is over, or a second INT asks for KILL.
fn end(queue: &SignalFd, errands: &mut Errands, gate: &Gate, exit: Exit) {
    let mut interrupts = u32::from(exit == Exit::killed_by(Signal::INT));
    hold(queue, errands, gate, |signal| {
        interrupts += u32::from(signal == Signal::INT);
        if interrupts > 1 { Meaning::End(exit) } else { Meaning::Nothing }
    });
    end_all(errands);
}
