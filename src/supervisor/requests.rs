//! What other threads want of the supervisor: a bounded mailbox with a bell, which it looks into between signals, and
//! what it tells them in return of a drain.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use tokio::sync::{oneshot, watch};

use super::lifecycle::{Connections, Event, Progress};
use crate::exit::Exit;
use crate::signal::Signal;
use crate::sys::bell::Bell;
use crate::sys::process::{Handle, Pid};

/// Something that another thread wants, or has found out.
#[derive(Debug)]
pub enum Request {
    /// Begin a drain, which by itself ends nothing.
    Drain,
    /// The app's connections were counted; none where they cannot be.
    Connections(Option<Connections>),
    /// The hooks that come before the stop signal are over.
    HooksOver,
    /// A hook that must succeed has failed while the child ran.
    HookFailed(Exit),
    /// The child wants this much time from now on.
    Extend(Duration),
    /// The child's watchdog was missed: it gets this.
    Watchdog(Signal),
    /// The child's work is another process's.
    MainPid(MainPid),
    /// The child must be gone after this time, whatever else was agreed.
    Surrender {
        /// From the stop signal to KILL.
        grace: Duration,
    },
}

impl Request {
    /// What it is to the lifecycle, to which it is not all something.
    pub fn event(&self) -> Option<Event> {
        Some(match *self {
            Self::Drain => Event::DrainAsked,
            Self::Connections(connections) => Event::Connections(connections),
            Self::HooksOver => Event::HooksOver,
            Self::HookFailed(exit) => Event::HookFailed(exit),
            Self::Extend(time) => Event::Extend(time),
            Self::Surrender { grace } => Event::Surrender { grace },
            Self::Watchdog(_) | Self::MainPid(_) => return None,
        })
    }
}

/// A descendant that is to be taken for the child.
#[derive(Debug)]
pub struct MainPid {
    /// Its pid.
    pub pid: Pid,
    /// Its process group.
    pub group: Pid,
    /// What stays its own when it is reaped by another process than stead.
    pub handle: Handle,
    /// Closed once it is the child.
    pub reply: oneshot::Sender<()>,
}

/// What the supervisor tells of a drain.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Drain {
    /// How far it has come.
    pub progress: Progress,
    /// The app's connections as they were counted last; none where they are not counted, or cannot be.
    pub connections: Option<Connections>,
}

/// How many may wait. The supervisor takes them all whenever it wakes up, which nothing delays.
const LONGEST_QUEUE: usize = 64;

/// Where the supervisor is asked. Each thread has its own.
#[derive(Clone, Debug)]
pub struct Requester {
    requests: SyncSender<Request>,
    bell: Arc<Bell>,
    drain: watch::Receiver<Drain>,
}

/// The supervisor's side of it.
#[derive(Debug)]
pub struct Requests {
    requests: Receiver<Request>,
    requester: Requester,
    drain: watch::Sender<Drain>,
}

/// The mailbox is full, or nobody reads it any more.
#[derive(Debug, thiserror::Error)]
#[error("the supervisor takes no requests")]
pub struct NotTaken;

impl Requester {
    /// Asks, and never blocks.
    pub fn ask(&self, request: Request) -> Result<(), NotTaken> {
        self.requests.try_send(request).map_err(|_: TrySendError<_>| NotTaken)?;
        self.bell.ring();
        Ok(())
    }

    /// Asks, and waits for room in the mailbox where that is full: for threads that have nothing else to do.
    pub fn insist(&self, request: Request) -> Result<(), NotTaken> {
        self.requests.send(request).map_err(|_| NotTaken)?;
        self.bell.ring();
        Ok(())
    }

    /// Until a drain has begun, or nobody is there who could begin one.
    pub async fn drain_begun(&self) {
        let mut drain = self.drain.clone();
        let _ = drain.wait_for(|drain| drain.progress != Progress::NotBegun).await;
    }

    /// What is told of the drain.
    pub fn drain(&self) -> Drain {
        *self.drain.borrow()
    }
}

impl Requests {
    /// An empty mailbox.
    pub fn open() -> io::Result<Self> {
        let bell = Arc::new(Bell::new()?);
        let (sender, requests) = sync_channel(LONGEST_QUEUE);
        let (drain, told) = watch::channel(Drain::default());
        Ok(Self { requests, requester: Requester { requests: sender, bell, drain: told }, drain })
    }

    /// For another thread.
    pub fn requester(&self) -> Requester {
        self.requester.clone()
    }

    /// Rings when there is a request.
    pub fn bell(&self) -> &Bell {
        &self.requester.bell
    }

    /// The requests that have come by now, of which there are only so many. Never blocks.
    pub fn waiting(&self) -> impl Iterator<Item = Request> {
        self.requests.try_iter().take(LONGEST_QUEUE)
    }

    /// Tells of the drain those who look.
    pub fn tell(&self, drain: Drain) {
        self.drain.send_if_modified(|told| std::mem::replace(told, drain) != drain);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_come_in_their_order_and_a_full_mailbox_says_so() {
        let requests = Requests::open().unwrap();
        let requester = requests.requester();
        for seconds in 0..LONGEST_QUEUE {
            let time = Duration::from_secs(seconds as u64);
            requester.ask(Request::Extend(time)).unwrap();
        }
        assert!(requester.ask(Request::Drain).is_err());
        let waiting: Vec<_> = requests.waiting().collect();
        assert_eq!(waiting.len(), LONGEST_QUEUE);
        for (request, expected) in waiting.into_iter().zip(0..) {
            let Request::Extend(time) = request else { panic!("{request:?}") };
            assert_eq!(time, Duration::from_secs(expected));
        }
        assert!(requests.waiting().next().is_none());
        requester.ask(Request::Drain).unwrap();
        assert!(matches!(requests.waiting().next(), Some(Request::Drain)));
    }

    #[test]
    fn a_mailbox_that_is_gone_takes_nothing() {
        let requester = Requests::open().unwrap().requester();
        assert!(requester.ask(Request::Drain).is_err());
        assert!(requester.insist(Request::Drain).is_err());
    }

    #[test]
    fn what_is_told_of_the_drain_is_seen_by_all() {
        let requests = Requests::open().unwrap();
        let requester = requests.requester();
        assert_eq!(requester.drain(), Drain::default());
        let connections = Some(Connections { busy: 2, idle: 1 });
        let told = Drain { progress: Progress::Waiting, connections };
        requests.tell(told);
        assert_eq!((requester.drain(), requests.requester().drain()), (told, told));
    }
}
