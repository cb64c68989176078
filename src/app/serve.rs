//! The second thread: the endpoints and the checks, none of which the supervisor ever waits for.

use std::io;
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::watch;
use tokio::time::sleep;

use super::Failure;
use crate::check::registry::{Check, Registry};
use crate::config::{Details, Labels};
use crate::http::{self, View};
use crate::notify::Notifications;
use crate::supervisor::Phase;
use crate::supervisor::requests::Requester;
use crate::sys::{memory, names};

/// How long the connections that the checks hold may take to close: a server that hangs must not hold up the end.
const FAREWELL: Duration = Duration::from_millis(200);

/// How long after an attempt memory is given back, so that attempts that end together do it once. It costs some dozens
/// of page faults in the next one.
const REST: Duration = Duration::from_millis(100);

/// The thread's name.
const NAME: &str = "stead-http";
/// The name of those on which it has calls that block.
const CALLS: &str = "stead-call";

/// What the endpoints are made of.
pub(super) struct Plan {
    /// The app's own checks: nothing is asked of it before it was started.
    pub(super) app: Vec<Check>,
    pub(super) checks: Vec<Check>,
    pub(super) phase: watch::Receiver<Phase>,
    /// What the command says of itself.
    pub(super) notify: Option<Notifications>,
    pub(super) labels: Labels,
    pub(super) details: Details,
    /// Who is asked to act on what the command says, and for a drain.
    pub(super) supervisor: Requester,
    /// Something beside the endpoints is done here for as long as the child runs.
    pub(super) lasts: bool,
}

/// The second thread, from the first thread's side.
pub(super) struct Serving {
    runtime: Handle,
    registry: Registry,
    over: Over,
}

/// Whether it is over, after which nothing is begun any more.
type Over = Arc<AtomicBool>;

/// Starts the thread with the checks alone.
pub(super) fn watch_alone(checks: Vec<Check>) -> Result<Serving, Failure> {
    let begin = |over: Over| Registry::start(checks, move || !over.load(Ordering::Relaxed));
    Serving::start(begin, |_| Ok(std::future::pending()))
}

/// Starts the thread with the checks and the endpoints. Without a listener it ends when the child has been started:
/// until then there may be somebody who waits for the checks.
pub(super) fn serve(listener: Option<TcpListener>, plan: Plan) -> Result<Serving, Failure> {
    let Plan { app, checks, phase, notify, labels, details, supervisor, lasts } = plan;
    let told = phase.clone();
    let notified = notify.as_ref().map(Notifications::watch);
    let requester = supervisor.clone();
    let begin = move |over: Over| {
        if let Some(notifications) = notify {
            tokio::spawn(notifications.attend(told.clone(), requester));
        }
        let (app_told, is_serving) =
            (told.clone(), [Phase::Starting, Phase::Standby, Phase::Running]);
        let may_connect =
            move || !over.load(Ordering::Relaxed) && is_serving.contains(&*told.borrow());
        let app = Registry::start_after(app, may_connect.clone(), || started(app_told.clone()));
        let checks = Registry::start(checks, may_connect);
        if !checks.is_empty() {
            tokio::spawn(rest_after_rounds(checks.clone()));
        }
        app.and(checks)
    };
    let Some(listener) = listener else {
        return Serving::start(begin, move |registry| {
            Ok(async move {
                started(phase).await;
                registry.closing().close().await;
                if lasts {
                    std::future::pending::<()>().await;
                }
            })
        });
    };
    Serving::start(begin, move |registry| {
        let view = View { phase, notified, registry, labels, details, supervisor };
        http::serve(listener, view, memory::give_back)
    })
}

/// Gives back, after each attempt, the pages of the heap and of the program that it has needed: between attempts stead
/// is a program that waits, and has the memory of one.
async fn rest_after_rounds(mut checks: Registry) {
    loop {
        checks.round().await;
        sleep(REST).await;
        memory::give_back();
    }
}

/// Until the child has been started, or stead is about to end without one.
async fn started(mut phase: watch::Receiver<Phase>) {
    let _ = phase.wait_for(|phase| !phase.is_before_child()).await;
}

/// One thread, and beside it one for each look-up of a name or of a file that is under way. Those are never made to
/// queue, because one whose server or mount is dead would hold up the others; each check has a few at most.
fn runtime() -> io::Result<Runtime> {
    let mut builder = Builder::new_current_thread();
    builder.enable_all().thread_name(CALLS).thread_keep_alive(Duration::from_secs(1)).build()
}

/// A probe that panics is told of as its check's failure, once and without secrets; Rust's own report of it would be
/// neither, and no event.
fn silence_panics() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let thread = std::thread::current();
        if !thread.name().is_some_and(|name| [NAME, CALLS, http::ACCEPTS].contains(&name)) {
            report(panic);
        }
    }));
}

impl Serving {
    fn start<F>(
        begin: impl FnOnce(Over) -> Registry,
        work: impl FnOnce(Registry) -> io::Result<F>,
    ) -> Result<Self, Failure>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let runtime = runtime().map_err(Failure::system("start the endpoints"))?;
        names::use_files_and_dns_only();
        let over = Over::default();
        silence_panics();
        let (registry, work) = {
            let _inside = runtime.enter();
            let registry = begin(over.clone());
            let work = work(registry.clone()).map_err(Failure::system("start the endpoints"))?;
            (registry, work)
        };
        let serving = Self { runtime: runtime.handle().clone(), registry, over };
        let thread = std::thread::Builder::new().name(NAME.to_owned());
        let started = thread.stack_size(512 * 1024).spawn(move || runtime.block_on(work));
        started.map_err(Failure::system("start the thread of the endpoints"))?;
        Ok(serving)
    }

    /// What is known of the checks.
    pub(super) fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Whether [`Serving::finish`] was called.
    pub(super) fn over(&self) -> Arc<AtomicBool> {
        self.over.clone()
    }

    /// Runs a task beside the checks.
    pub(super) fn run(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(task);
    }

    /// Takes leave of the servers that connections are held to, within a limit.
    pub(super) fn finish(&self) {
        self.over.store(true, Ordering::Relaxed);
        let closing = self.registry.closing();
        if closing.is_empty() {
            return;
        }
        let (done, closed) = mpsc::channel();
        self.runtime.spawn(async move {
            closing.close().await;
            // Nobody waits any more when it took too long.
            let _ = done.send(());
        });
        // Whether they were closed or not, the end comes now.
        let _ = closed.recv_timeout(FAREWELL);
    }
}
