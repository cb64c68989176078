//! What the app says of itself by the protocol of sd_notify(3): `READY=1`, `STATUS=`, `STOPPING=1`, `WATCHDOG=1` and the
//! rest, taken in on the second thread, told to the endpoints, and passed on to a service manager around stead.
//!
//! Only what comes from stead's descendants counts. No message, however long or many, keeps anybody waiting but its
//! sender.

pub mod account;
mod message;
mod outer;

use std::ffi::OsStr;
use std::io;
use std::time::Duration;

use tokio::io::unix::AsyncFd;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::{info, warn};

use crate::signal::Signal;
use crate::supervisor::Phase;
use crate::supervisor::requests::{MainPid, Request, Requester};
use crate::sys::notify_socket::{LONGEST, NotifySocket, Received};
use crate::sys::process::{self, Handle, Pid};
use crate::sys::tree;
pub use account::Notified;
use account::{Account, Effect};
use message::{Message, parse, relayed};
use outer::Outer;

/// How many messages are taken in before others have their turn, for which there then is a pause.
const BATCH: usize = 32;
const PAUSE: Duration = Duration::from_millis(1);
/// How often a message that is refused is an event.
const REFUSAL_PAUSE: Duration = Duration::from_secs(10);
/// How long the supervisor is waited for, which does nothing else than look after such requests.
const PATIENCE: Duration = Duration::from_secs(1);

/// What was agreed about it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Terms {
    /// Readiness waits for `READY=1`.
    pub is_awaited: bool,
    /// How often the app must say `WATCHDOG=1`.
    pub watchdog: Option<Duration>,
    /// What the child gets when it has not.
    pub watchdog_signal: Option<Signal>,
}

/// The socket, before there is a child.
#[derive(Debug)]
pub struct Notifications {
    socket: NotifySocket,
    account: Account,
    signal: Option<Signal>,
    outer: Option<Outer>,
    told: watch::Sender<Notified>,
}

impl Notifications {
    /// Opens the socket. `manager` is what `NOTIFY_SOCKET` was when stead was started.
    pub fn open(terms: Terms, manager: Option<&OsStr>) -> io::Result<(Self, String)> {
        let (socket, address) = NotifySocket::open()?;
        let outer = manager.filter(|address| !address.is_empty()).and_then(|address| {
            let outer = Outer::at(address);
            outer.inspect_err(|error| warn!(%error, "service manager not told")).ok()
        });
        let account = Account::new(terms.is_awaited, terms.watchdog);
        let (told, _) = watch::channel(account.notified().clone());
        let signal = terms.watchdog_signal;
        Ok((Self { socket, account, signal, outer, told }, address))
    }

    /// What the app has said by now.
    pub fn watch(&self) -> watch::Receiver<Notified> {
        self.told.subscribe()
    }

    /// Takes in what comes, for ever. To be called inside the runtime.
    pub async fn attend(self, phase: watch::Receiver<Phase>, requester: Requester) {
        let Self { socket, account, signal, outer, told } = self;
        let socket = match socket.into_async() {
            Ok(socket) => socket,
            Err(error) => return warn!(%error, "notifications are not read"),
        };
        let (start, refused, stranger) = (Instant::now(), None, None);
        let mut listener =
            Listener { account, start, signal, outer, told, phase, requester, refused, stranger };
        listener.listen(&socket).await;
    }
}

/// Who takes the messages in.
struct Listener {
    account: Account,
    start: Instant,
    signal: Option<Signal>,
    outer: Option<Outer>,
    told: watch::Sender<Notified>,
    phase: watch::Receiver<Phase>,
    requester: Requester,
    /// When a message was refused last with an event.
    refused: Option<Instant>,
    /// The last sender that was seen to be none of stead's.
    stranger: Option<Pid>,
}

impl Listener {
    async fn listen(&mut self, socket: &AsyncFd<NotifySocket>) {
        let mut buffer = [0; LONGEST];
        loop {
            let ready = match self.account.deadline() {
                Some(at) => timeout_at(self.start + at, socket.readable()).await.ok(),
                None => Some(socket.readable().await),
            };
            // What has come in time is taken in before anything is found to be late.
            let mut taken = 0;
            while taken < BATCH
                && let Some(received) = socket.get_ref().receive(&mut buffer)
            {
                taken += 1;
                self.take(&buffer, received).await;
            }
            self.wake().await;
            self.tell();
            match ready {
                _ if taken == BATCH => sleep(PAUSE).await,
                Some(Ok(mut ready)) => ready.clear_ready(),
                _ => {}
            }
        }
    }

    /// Takes in one message. What came with it is closed at the end, which is what the sender of a barrier waits for.
    async fn take(&mut self, buffer: &[u8], received: Received) {
        let Some(bytes) = received.length.and_then(|length| buffer.get(..length)) else {
            return self.refuse(&received, "too long");
        };
        if !self.is_ours(&received) {
            self.stranger = Some(received.from);
            return self.refuse(&received, "not from the command");
        }
        let Message::Assignments(assignments) = parse(bytes) else { return };
        for assignment in assignments {
            let effect = self.account.on(assignment, self.start.elapsed());
            self.act(effect).await;
        }
        self.tell();
        if let Some(outer) = &mut self.outer {
            outer.tell(&relayed(bytes)).await;
        }
    }

    async fn wake(&mut self) {
        let counts = self.is_running();
        let effect = self.account.woke(self.start.elapsed(), counts);
        self.act(effect).await;
    }

    fn is_running(&self) -> bool {
        *self.phase.borrow() == Phase::Running
    }

    /// Tells the endpoints where something is new.
    fn tell(&self) {
        let notified = self.account.notified();
        self.told.send_if_modified(|told| {
            let is_new = told != notified;
            if is_new {
                told.clone_from(notified);
            }
            is_new
        });
    }

    async fn act(&self, effect: Option<Effect>) {
        let Some(effect) = effect else { return };
        match effect {
            Effect::Does(doing) => info!(state = doing.name(), "app notified"),
            Effect::Status => info!(status = self.account.notified().status, "app status"),
            Effect::Hung => self.hung(),
            Effect::Alive => info!("watchdog is back"),
            // The grace begins with the drain; before it there is nothing to extend.
            Effect::Extend(_) if self.is_running() => {}
            // A full mailbox is full of the same.
            Effect::Extend(time) => drop(self.requester.ask(Request::Extend(time))),
            Effect::MainPid(pid) => self.main_pid(pid).await,
            Effect::Failed(errno) => {
                warn!(error = %io::Error::from_raw_os_error(errno), "app notified a failure");
            }
        }
    }

    fn hung(&self) {
        if !self.is_running() {
            return;
        }
        let period_s = self.account.period().map(|period| period.as_secs_f64());
        warn!(period_s, "watchdog missed");
        if let Some(signal) = self.signal {
            // The mailbox cannot be full of these: they are one a period.
            let _ = self.requester.ask(Request::Watchdog(signal));
        }
    }

    /// Has another main process, which the next message finds to be so.
    async fn main_pid(&self, pid: Pid) {
        let (reply, taken) = oneshot::channel();
        let asked = Handle::open(pid).and_then(|handle| {
            // Looked up behind the handle, which is the same process's for good.
            let group = tree::group_below(pid, Pid::own());
            let group = group.ok_or_else(|| io::Error::other("it is not stead's"))?;
            let request = Request::MainPid(MainPid { pid, group, handle, reply });
            self.requester.ask(request).map_err(io::Error::other)
        });
        match asked {
            // Where it takes too long, it is done all the same.
            Ok(()) => drop(timeout(PATIENCE, taken).await),
            Err(error) => warn!(pid = pid.number(), %error, "main process not changed"),
        }
    }

    fn refuse(&mut self, received: &Received, reason: &str) {
        if self.refused.is_some_and(|at| at.elapsed() < REFUSAL_PAUSE) {
            return;
        }
        self.refused = Some(Instant::now());
        let from_pid = received.from.number();
        warn!(from_pid, uid = received.uid, reason, "notification refused");
    }

    /// Whether a process of stead's sent it. Of one that has ended and was reaped by now (a script's short-lived helper),
    /// no more is known than its user and that it was in this pid namespace. It counts where a process of stead's runs as
    /// that user, unless it was seen to be a stranger before.
    fn is_ours(&self, received: &Received) -> bool {
        let (from, own) = (received.from, Pid::own());
        if from.number() <= 0 {
            return false;
        }
        let runs_as = |pid| tree::user_of(pid) == Some(received.uid);
        tree::is_below(from, own).unwrap_or_else(|| {
            self.stranger != Some(from)
                && (process::own_user() == received.uid
                    || tree::below(own).into_iter().any(|process| runs_as(process.pid)))
        })
    }
}
