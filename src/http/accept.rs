//! The threads that accept connections. Whoever accepts one gives it its first answer at once, if the request is there:
//! what waits after that is the runtime's, beside the checks.
//!
//! On a machine that is busy, a thread that has used a processor comes behind all others that want one, and one that has
//! slept comes among the first (Linux' documentation, scheduler/sched-eevdf). So these threads do nothing else, there are
//! some of them, and the kernel wakes the one that has slept longest: a probe's answer does not wait until each of ten
//! thousand processes has had its turn. Where it is allowed, they come before all others, for as long as few ask.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

use tokio::runtime::Handle;

use super::connections::{Activity, Connections};
use super::routes::Peer;
use super::stream::Stream;
use super::{Server, answer};
use crate::sys::threads::Rank;
use crate::sys::{clock, descriptors};

/// How many threads accept: so many answers are to be had while ten thousand processes end, because among them one that
/// has answered waits for about as long as that takes. Each costs some 20 KiB, and one of the processes that a container
/// may have.
const THREADS: usize = 8;
/// The name of each.
pub const NAME: &str = "stead-accept";
/// Enough for the page and the metrics of all checks; only what is touched counts.
const STACK: usize = 512 * 1024;
/// Enough processor time for an answer whose code is mapped anew: mostly 0.2 to 0.4 ms among ten thousand processes that
/// end, now and then with the kernel's work for them on top.
const SLICE: Duration = Duration::from_millis(1);
/// The rest of a thread that was not alone in answering, so that a flood of connections gets about one thread's share of
/// the processors, and not that of all.
const TURN: Duration = Duration::from_millis(10);
/// One answer in so long is given before all that is scheduled normally, in microseconds of the monotonic clock, and those
/// of the last second are counted together: who asks more often than any platform gets no more of the processors by it.
const SELDOM: u64 = 10_000;
const TOGETHER: u64 = 1_000_000;
/// The wait after an error of accept, doubled with each up to the second.
const PAUSES: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(1));

/// What all of them share.
struct Door {
    listener: TcpListener,
    server: Arc<Server>,
    connections: Connections,
    runtime: Handle,
    /// How many threads answer now.
    answering: AtomicUsize,
    /// Until when the answers so far use up what may be given before all others.
    used_until: AtomicU64,
}

/// Starts the first of the threads. To be called inside the runtime.
pub(super) fn start(listener: TcpListener, server: Arc<Server>) -> io::Result<()> {
    let connections = Connections::within(descriptors::limit());
    let door = Arc::new(Door {
        listener,
        server,
        connections,
        runtime: Handle::current(),
        answering: AtomicUsize::new(0),
        used_until: AtomicU64::new(0),
    });
    door.open(Door::attend_first)
}

impl Door {
    fn open(self: Arc<Self>, attend: impl FnOnce(&Arc<Self>) + Send + 'static) -> io::Result<()> {
        let thread = thread::Builder::new().name(NAME.to_owned()).stack_size(STACK);
        thread.spawn(move || attend(&self)).map(drop)
    }

    /// Starts the others behind its first answer: nobody waits for them at the start, and who is never asked needs none.
    fn attend_first(self: &Arc<Self>) {
        let mut rank = Rank::with_slices_of(SLICE);
        self.accept_one(&mut rank);
        for _ in 1..THREADS {
            // Where the number of processes is limited, fewer do.
            let _ = self.clone().open(move |door| door.attend(rank));
        }
        self.attend(rank);
    }

    fn attend(&self, mut rank: Rank) {
        loop {
            self.accept_one(&mut rank);
        }
    }

    /// Waits for a connection, whatever else may come, and sees to it.
    fn accept_one(&self, rank: &mut Rank) {
        let mut pause = PAUSES.0;
        loop {
            match self.listener.accept() {
                Ok((stream, address)) => {
                    let is_seldom = self.is_seldom();
                    if !is_seldom {
                        rank.lower();
                    }
                    self.welcome(stream, address);
                    if is_seldom {
                        rank.raise();
                    }
                    return;
                }
                Err(_) => {
                    // No descriptor or no memory is left: the oldest idle connection gives its own back.
                    self.connections.evict();
                    thread::sleep(pause);
                    pause = (pause * 2).min(PAUSES.1);
                }
            }
        }
    }

    /// Whether so few ask that one more may be answered before all others; it is counted then.
    fn is_seldom(&self) -> bool {
        let now = clock::monotonic_micros();
        let one_more =
            |until: u64| Some(until.max(now) + SELDOM).filter(|it| *it <= now + TOGETHER);
        self.used_until.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()
    }

    /// Sees to a connection: its first answer, and a task for what comes after that.
    fn welcome(&self, stream: TcpStream, address: SocketAddr) {
        let _inside = self.runtime.enter();
        let peer = who_asks(&stream, address);
        let activity = self.connections.expect();
        let is_alone = self.answering.fetch_add(1, Ordering::Relaxed) == 0;
        let rest = Stream::new(stream).ok().and_then(|it| self.serve(it, peer, activity.clone()));
        self.answering.fetch_sub(1, Ordering::Relaxed);
        self.connections.settle(activity, rest.map(|rest| self.runtime.spawn(rest)));
        if !is_alone {
            thread::sleep(TURN);
        }
    }

    /// Does what can be done for a connection without waiting, and gives what is left.
    fn serve(
        &self,
        stream: Stream,
        peer: Peer,
        activity: Activity,
    ) -> Option<impl Future<Output = ()> + Send + use<>> {
        let mut served = Box::pin(answer(stream, peer, self.server.clone(), activity));
        let mut context = Context::from_waker(Waker::noop());
        // A panic is the end of one connection, here as in a task.
        let first = catch_unwind(AssertUnwindSafe(|| served.as_mut().poll(&mut context)));
        first.is_ok_and(|first| first.is_pending()).then_some(served)
    }
}

fn who_asks(stream: &TcpStream, address: SocketAddr) -> Peer {
    let is_loopback = address.ip().to_canonical().is_loopback();
    // Whoever comes from the very address that it goes to is here; from elsewhere the kernel drops that ("martian").
    let is_here = is_loopback || stream.local_addr().is_ok_and(|own| own.ip() == address.ip());
    Peer { is_loopback, is_here }
}
