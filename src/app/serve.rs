//! The second thread: the endpoints and the checks, none of which the supervisor ever waits for.

use std::io;
use std::net::TcpListener;
use std::sync::mpsc;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::watch;
use tracing::warn;

use super::Failure;
use crate::check::registry::{Check, Closing, Registry};
use crate::config::{Details, Labels};
use crate::http::{self, View};
use crate::supervisor::Phase;
use crate::sys::names;

/// How long the connections that the checks hold may take to close: a server that hangs must not hold up the end.
const FAREWELL: Duration = Duration::from_millis(200);

/// What the endpoints are made of.
pub(super) struct Plan {
    pub(super) checks: Vec<Check>,
    pub(super) phase: watch::Receiver<Phase>,
    pub(super) labels: Labels,
    pub(super) details: Details,
}

/// The second thread, from the first thread's side.
pub(super) struct Serving {
    runtime: Handle,
    closing: Closing,
}

/// Starts the thread.
pub(super) fn serve(listener: TcpListener, plan: Plan) -> Result<Serving, Failure> {
    let runtime = runtime().map_err(Failure::system("start the endpoints"))?;
    names::use_files_and_dns_only();
    let Plan { checks, phase, labels, details } = plan;
    let told = phase.clone();
    let may_connect = move || matches!(*told.borrow(), Phase::Starting | Phase::Running);
    let registry = {
        let _inside = runtime.enter();
        Registry::start(checks, may_connect)
    };
    let serving = Serving { runtime: runtime.handle().clone(), closing: registry.closing() };
    let view = View { phase, registry, labels, details };
    let work = move || {
        if let Err(error) = runtime.block_on(http::serve(listener, view)) {
            warn!(%error, "endpoints ended");
        }
    };
    let thread = std::thread::Builder::new().name("stead-http".to_owned()).stack_size(512 * 1024);
    thread.spawn(work).map_err(Failure::system("start the thread of the endpoints"))?;
    Ok(serving)
}

/// One thread, and beside it one for each look-up of a name that is under way. Those are never made to queue, because
/// a look-up whose server is dead would hold up the others; each host has one at most.
fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().thread_keep_alive(Duration::from_secs(1)).build()
}

impl Serving {
    /// Takes leave of the servers that connections are held to, within a limit.
    pub(super) fn finish(self) {
        if self.closing.is_empty() {
            return;
        }
        let (done, closed) = mpsc::channel();
        self.runtime.spawn(async move {
            self.closing.close().await;
            // Nobody waits any more when it took too long.
            let _ = done.send(());
        });
        // Whether they were closed or not, the end comes now.
        let _ = closed.recv_timeout(FAREWELL);
    }
}
