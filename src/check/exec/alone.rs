//! Running a command where stead has no supervisor, as in `stead check URL`: started here, and waited for on a thread of
//! its own, for this process alone and no other.

use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::task::{JoinHandle, spawn_blocking};

use crate::errand::{self, Errand, Outcome};
use crate::sys::process::{self, Pid, Reaped};
use crate::sys::signals::Inherited;
use crate::sys::spawn::{Leads, Program, Streams, environment, start};

/// A command that runs. Dropping it kills it.
pub(super) struct Alone {
    leader: Leader,
    end: JoinHandle<Option<Outcome>>,
}

/// Its pid, for as long as it is not reaped: whoever holds the lock may signal it.
type Leader = Arc<Mutex<Option<Pid>>>;

/// Starts it.
pub(super) fn run(errand: Errand) -> io::Result<Alone> {
    let current = Inherited::current();
    let inherited = errand::inherited().unwrap_or(&current);
    let Errand { paths, args, output, report } = errand;
    let (env, leads) = (environment(), Leads::Group);
    let program = Program {
        paths: &paths,
        args: &args,
        env: &env,
        leads,
        terminal: None,
        inherited,
        streams: Streams::captured(output.as_fd()),
        directory: None,
        bound: false,
    };
    let pid = start(&program, report.as_fd())?;
    let leader = Arc::new(Mutex::new(Some(pid)));
    let reaped = leader.clone();
    Ok(Alone { leader, end: spawn_blocking(move || end_of(pid, &reaped)) })
}

/// Waits for its end, and kills what is left of its group before its pid can be anybody else's.
fn end_of(pid: Pid, leader: &Leader) -> Option<Outcome> {
    process::wait_for_end(pid);
    let mut leader = leader.lock().unwrap_or_else(PoisonError::into_inner);
    // A group that is gone is what is wanted.
    let _ = process::kill_group(pid);
    *leader = None;
    match process::reap_one(pid) {
        Reaped::Changed(_, change) => Some(Ok(change)),
        Reaped::Nothing | Reaped::NoChild => None,
    }
}

impl Future for Alone {
    type Output = Option<Outcome>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.end).poll(cx).map(|end| end.ok().flatten())
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        let leader = self.leader.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pid) = *leader {
            errand::kill(pid);
        }
    }
}
