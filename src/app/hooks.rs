//! The hooks of `stead run`: those before the child, which hold it back.

use std::io;
use std::sync::mpsc;

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

    /// Runs the `pre_start` hooks: the command may start when they are over, unless a signal has asked for the end. They
    /// get TERM then, and the grace.
    pub(super) fn before_child(
        &self,
        queue: &SignalFd,
        errands: &mut Errands,
        terms: &Terms,
    ) -> Result<Option<Exit>, Failure> {
        let hooks = self.hooks.of(Moment::PreStart).to_vec();
        if hooks.is_empty() {
            return Ok(None);
        }
        logs::writer::release();
        let (pipe, end) = io::pipe().map_err(Failure::system("make a pipe"))?;
        let (sender, result) = mpsc::sync_channel(1);
        let over = move |result| {
            // There is room, and where nobody waits any more, nobody has to know.
            drop(sender.send(result));
            drop(end);
        };
        hook::start(Moment::PreStart, hooks, self.redactions.clone(), over)
            .map_err(Failure::system("start the thread of the hooks"))?;
        let gate = Gate { pipe, limit: None };
        match hold(queue, errands, &gate, meaning_of_hooks(terms.clone())) {
            Held::Ended(exit) => {
                errands.come_to(Moment::PostStart);
                end_hooks(queue, errands, &Gate { limit: Some(terms.grace), ..gate }, exit);
                Ok(Some(exit))
            }
            Held::Open | Held::TimedOut => match result.try_recv() {
                Ok(Err(failure)) => {
                    end_all(errands);
                    Err(failure.into())
                }
                _ => Ok(None),
            },
        }
    }
}

/// Waits for what has got TERM, until the gate is open, its time is over, or a second INT asks for KILL.
fn end_hooks(queue: &SignalFd, errands: &mut Errands, gate: &Gate, exit: Exit) {
    let mut interrupts = u32::from(exit == Exit::killed_by(Signal::INT));
    hold(queue, errands, gate, |signal| {
        interrupts += u32::from(signal == Signal::INT);
        if interrupts > 1 { Meaning::End(exit) } else { Meaning::Nothing }
    });
    end_all(errands);
}
