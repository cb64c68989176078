//! A lock from the first thread's side: a task of the second one waits for it and holds it.

use std::io::{self, PipeWriter};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::time::Duration;

use tokio::sync::{oneshot, watch};

use super::Failure;
use super::hooks::Around;
use super::serve::Serving;
use crate::config::{Locks, Mistake};
use crate::errand::Moment;
use crate::exit::Exit;
use crate::lock::{Caution, Lock, NotSupported};
use crate::logs;
use crate::supervisor::errands::Errands;
use crate::supervisor::hold::{Gate, Held, hold, meaning_by};
use crate::supervisor::lease::Lease;
use crate::supervisor::requests::{Request, Requester};
use crate::supervisor::{Phase, Terms};
use crate::sys::signals::SignalFd;

/// How long the lock's server is waited for at the end, which is longer than the task tries to reach it.
const FAREWELL: Duration = Duration::from_millis(600);

/// A lock that is held until this is dropped, unless it is lost.
pub(super) struct Keeper {
    pub(super) lease: Lease,
    pub(super) fence: u64,
    release: Option<oneshot::Sender<()>>,
    over: Receiver<()>,
}

/// What stead is just before its child.
pub(super) struct Threshold<'a, 'e> {
    /// Where locks are held, where there are any.
    pub(super) serving: Option<&'a Serving>,
    pub(super) queue: &'a SignalFd,
    pub(super) errands: &'a mut Errands<'e>,
    pub(super) terms: &'a Terms,
    /// Who is to know at once that the child's lock is lost.
    pub(super) requester: Requester,
}

/// What came of waiting: this, or a signal's end.
type Come<T> = Result<Result<T, Exit>, Failure>;

/// Who waits, and for what.
struct Entry {
    lock: Lock,
    purpose: &'static str,
    caution: Caution,
    /// Who is to know at once that it is lost.
    requester: Option<Requester>,
}

/// What the first thread hears: for how long the lock is proven and the holder's number, or that there can be none.
type Told = Result<(Lease, u64), NotSupported>;

impl Threshold<'_, '_> {
    /// Takes the locks, and runs the hooks that come before the child. Gives the lock that the child runs under, if it
    /// does; that of the hooks is given back by then.
    pub(super) fn cross(
        mut self,
        locks: Locks,
        around: &Around,
        phase: &watch::Sender<Phase>,
    ) -> Come<Option<Keeper>> {
        if locks.singleton.is_some() {
            phase.send_replace(Phase::Standby);
        }
        let singleton = match self.take(locks.singleton, "singleton", Caution::Always)? {
            Ok(keeper) => keeper,
            Err(exit) => return Ok(Err(exit)),
        };
        phase.send_replace(Phase::Starting);
        let hooks = match self.take(locks.pre_start, Moment::PreStart.name(), Caution::IfSeen)? {
            Ok(keeper) => keeper,
            Err(exit) => return Ok(Err(exit)),
        };
        let leases = singleton.iter().chain(&hooks).map(|keeper| keeper.lease.clone()).collect();
        let ended = around.before_child(self.queue, self.errands, self.terms, leases)?;
        singleton.as_ref().map_or(Ok(()), Keeper::check)?;
        Ok(ended.map_or(Ok(singleton), Err))
    }

    /// Holds this thread until the lock is taken, or a signal asks for the end.
    fn take(
        &mut self,
        lock: Option<Lock>,
        purpose: &'static str,
        caution: Caution,
    ) -> Come<Option<Keeper>> {
        let (Some(lock), Some(serving)) = (lock, self.serving) else { return Ok(Ok(None)) };
        logs::writer::release();
        let (pipe, end) = io::pipe().map_err(Failure::system("make a pipe"))?;
        let (tell, told) = mpsc::sync_channel(1);
        let (release, released) = oneshot::channel();
        let (done, over) = mpsc::sync_channel(1);
        let place = lock.place.clone();
        let requester = (caution == Caution::Always).then(|| self.requester.clone());
        let entry = Entry { lock, purpose, caution, requester };
        serving.run(entry.keep(tell, end, released, done));
        let gate = Gate { pipe, limit: None, leases: Vec::new() };
        if let Held::Ended(exit) =
            hold(self.queue, self.errands, &gate, meaning_by(self.terms.clone()))
        {
            return Ok(Err(exit));
        }
        match told.try_recv() {
            Ok(Ok((lease, fence))) => {
                Ok(Ok(Some(Keeper { lease, fence, release: Some(release), over })))
            }
            Ok(Err(error)) => Err(Mistake::at(place, error.to_string()).into()),
            // The task is gone, which it says to nobody: it has panicked.
            Err(_) => Err(Failure::LockLost),
        }
    }
}

impl Entry {
    /// On the second thread: takes the lock, and holds it until it is `released` or lost. `end` opens the gate.
    async fn keep(
        self,
        tell: SyncSender<Told>,
        end: PipeWriter,
        released: oneshot::Receiver<()>,
        done: SyncSender<()>,
    ) {
        let mut held = match self.lock.take(self.purpose, self.caution).await {
            Ok(held) => held,
            Err(error) => return drop((tell.send(Err(error)), end)),
        };
        let lease = held.lease();
        // Nobody hears it where a signal has asked for the end.
        drop((tell.send(Ok((lease.clone(), held.fence()))), end));
        match held.during(released).await {
            Ok(_) => held.release().await,
            Err(_) => {
                let grace = lease.grace_left();
                // Where it is not taken, the supervisor looks at the lease itself.
                let _ = self.requester.map(|of| of.ask(Request::Surrender { grace }));
            }
        }
        // Nobody waits for it where the end has come otherwise.
        let _ = done.send(());
    }
}

impl Keeper {
    /// Fails where the lock is lost.
    fn check(&self) -> Result<(), Failure> {
        if self.lease.left().is_zero() { Err(Failure::LockLost) } else { Ok(()) }
    }
}

impl Drop for Keeper {
    /// Nothing runs under it any more: the next holder need not wait.
    fn drop(&mut self) {
        if let Some(release) = self.release.take().filter(|_| self.check().is_ok()) {
            // Where the task is gone, there is nothing to give back.
            let _ = release.send(());
            let _ = self.over.recv_timeout(FAREWELL);
        }
    }
}
