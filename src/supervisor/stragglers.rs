//! What the child left behind: the processes below stead, found in /proc, told and killed by pid and name.
//!
//! Processes that the engine put into the namespace (exec, health checks, preStop hooks: their parent is 0) and
//! what runs below them are not among them.

use std::collections::HashSet;

use tracing::{info, warn};

use crate::signal::Signal;
use crate::sys::process::{self, Pid};
use crate::sys::tree::{self, Descendant};

/// Sends `signal` to all of them, once, but for the groups that are not the child's.
pub fn signal_all(signal: Signal, is_not_its: impl Fn(Pid) -> bool) {
    for Descendant { pid, name, stopped, .. } in find(is_not_its) {
        let sent = process::signal(pid, signal);
        if stopped {
            // It may be gone by now, which is all the better.
            let _ = process::signal(pid, Signal::CONT);
        }
        let pid = pid.number();
        match sent {
            Ok(()) => info!(%signal, pid, name, "straggler signalled"),
            Err(error) => warn!(%signal, pid, name, %error, "straggler not signalled"),
        }
    }
}

/// The last means, swept over what is left until nothing is.
#[derive(Debug, Default)]
pub struct Killing {
    told: HashSet<Pid>,
}

impl Killing {
    /// Sends KILL to everything that is left, as PID 1 to the whole namespace; each is named once.
    /// `child` is what is known to run where /proc is not mounted. Groups that are not the child's are passed over.
    pub fn sweep(&mut self, child: Option<Pid>, is_not_its: impl Fn(Pid) -> bool) {
        let left = find(is_not_its);
        for Descendant { pid, name, .. } in &left {
            if self.told.insert(*pid) {
                warn!(pid = pid.number(), name, "straggler killed");
            }
        }
        if process::signal_namespace(Signal::KILL).is_ok() {
            return;
        }
        for pid in left.iter().map(|straggler| straggler.pid).chain(child) {
            // EPERM (another user's process) is no reason to stop, and the next sweep tries again.
            let _ = process::signal(pid, Signal::KILL);
        }
        if let Some(leader) = child {
            let _ = process::signal_group(leader, Signal::KILL);
        }
    }

    /// How many were killed.
    pub fn count(&self) -> usize {
        self.told.len()
    }
}

/// What lives below stead, but for these groups.
fn find(is_not_its: impl Fn(Pid) -> bool) -> Vec<Descendant> {
    let mut found = tree::below(Pid::own());
    found.retain(|straggler| !is_not_its(straggler.group));
    found
}
