//! Commands that others than the supervisor want to be run. Whoever asks gets the end told and the output through a
//! pipe of its own; started, reaped and killed they are by the supervisor alone, which never waits for any of it.

use std::ffi::CString;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use crate::signal::Signal;
use crate::sys::bell::Bell;
use crate::sys::process::{self, Change, Pid};
use crate::sys::signals::Inherited;
use crate::sys::tree;

/// A command to be run once.
#[derive(Debug)]
pub struct Errand {
    /// Where the program may be; the first that can be executed is.
    pub paths: Vec<CString>,
    /// Its arguments, its own name first.
    pub args: Vec<CString>,
    /// Its standard output and standard error.
    pub output: OwnedFd,
    /// Where it is written why it cannot be executed; see `sys::spawn`.
    pub report: OwnedFd,
}

/// When a hook runs.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Moment {
    /// Before the child is started.
    PreStart,
    /// Once the child runs.
    PostStart,
    /// When the drain begins, before the stop signal.
    PreStop,
    /// When the child and all that it left behind are gone.
    PostStop,
}

impl Moment {
    /// All of them, in their order.
    pub const ALL: [Self; 4] = [Self::PreStart, Self::PostStart, Self::PreStop, Self::PostStop];

    /// The name, as settings and the log have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PreStart => "pre_start",
            Self::PostStart => "post_start",
            Self::PreStop => "pre_stop",
            Self::PostStop => "post_stop",
        }
    }
}

/// What came of it: how it ended, or why no process could be made.
pub type Outcome = io::Result<Change>;

/// An errand that was asked for.
#[derive(Debug)]
pub struct Order {
    /// What is to be run.
    pub errand: Errand,
    /// Who asked.
    pub client: Client,
}

/// Who has asked for a command, from the supervisor's side.
#[derive(Debug)]
pub struct Client {
    /// Where the outcome goes.
    pub reply: oneshot::Sender<Outcome>,
    /// The moment that the command is a hook of; none of a check's.
    pub moment: Option<Moment>,
    is_over: Arc<AtomicBool>,
}

impl Client {
    /// Whether the command's time is not over.
    pub fn is_waiting(&self) -> bool {
        !self.reply.is_closed() && !self.is_over.load(Ordering::Relaxed)
    }
}

/// How many may wait to be started. Nobody waits longer than his attempt lasts, so these are a crowd.
const LONGEST_QUEUE: usize = 64;

/// Where commands are asked for.
#[derive(Debug)]
pub struct Desk {
    orders: SyncSender<Order>,
    bell: Arc<Bell>,
}

/// The supervisor's side of it.
#[derive(Debug)]
pub struct Inbox {
    orders: Receiver<Order>,
    /// Rings when somebody asks, and when somebody does not wait any more.
    pub bell: Arc<Bell>,
}

/// The desk of this process, where it has a supervisor.
static DESK: OnceLock<Desk> = OnceLock::new();
/// The signal state that this process was started with, for those who start commands without a supervisor.
static INHERITED: OnceLock<Inherited> = OnceLock::new();

/// Opens the desk of this process, once.
pub fn open() -> io::Result<Inbox> {
    let bell = Arc::new(Bell::new()?);
    let (sender, orders) = sync_channel(LONGEST_QUEUE);
    let desk = Desk { orders: sender, bell: bell.clone() };
    DESK.set(desk).map_err(|_| io::Error::from(io::ErrorKind::AlreadyExists))?;
    Ok(Inbox { orders, bell })
}

/// The desk, if there is a supervisor behind it.
pub fn desk() -> Option<&'static Desk> {
    DESK.get()
}

/// Remembers the signal state that this process was started with.
pub fn remember(inherited: Inherited) {
    // It is told once, by the program's first act.
    let _ = INHERITED.set(inherited);
}

/// The signal state that was remembered.
pub fn inherited() -> Option<&'static Inherited> {
    INHERITED.get()
}

/// Kills a command whose time is over: its process group, and what has left that (setsid(2)) and still descends from it.
/// A process that was let go of, as a daemon is, cannot be told from the app's own.
pub fn kill(leader: Pid) {
    let below = tree::below(leader);
    // What is gone is what is wanted.
    let _ = process::kill_group(leader);
    for process in below.iter().filter(|process| process.group != leader) {
        let _ = process::signal(process.pid, Signal::KILL);
    }
}

impl Desk {
    /// Asks for a command to be run, as a hook of this moment if it is one. Dropping what is given kills the command with
    /// its process group.
    pub fn ask(&self, errand: Errand, moment: Option<Moment>) -> io::Result<Waiting> {
        let (reply, outcome) = oneshot::channel();
        let is_over = Arc::new(AtomicBool::default());
        let client = Client { reply, moment, is_over: is_over.clone() };
        let order = Order { errand, client };
        // Where nobody takes orders any more, the reply is gone with this one, which says so.
        if let Err(TrySendError::Full(_)) = self.orders.try_send(order) {
            return Err(io::Error::other("too many commands wait to be started"));
        }
        self.bell.ring();
        Ok(Waiting { outcome, is_over, bell: self.bell.clone() })
    }
}

impl Inbox {
    /// The next order that somebody still waits for. Never blocks.
    pub fn next(&self) -> Option<Order> {
        self.orders.try_iter().find(|order| order.client.is_waiting())
    }
}

/// The outcome of a command, once it is there; none where the supervisor runs no more commands.
#[derive(Debug)]
pub struct Waiting {
    outcome: oneshot::Receiver<Outcome>,
    is_over: Arc<AtomicBool>,
    bell: Arc<Bell>,
}

impl Waiting {
    /// Has the command killed with its process group; its outcome is still told.
    pub fn kill(&self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.bell.ring();
    }
}

impl Future for Waiting {
    type Output = Option<Outcome>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.outcome).poll(cx).map(Result::ok)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.outcome.close();
        self.bell.ring();
    }
}
