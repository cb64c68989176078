//! The endpoints' server: bound before the child starts, it renders what is known and touches nothing else. All that can be
//! asked of it is a drain, and not by everybody.
//!
//! It cannot be hurt: the number of connections, the size of a header and the time for it are bounded, no body is
//! read, and an error of accept(2) is waited out.

mod connections;
mod drain;
mod metrics;
mod page;
mod report;
mod routes;
mod verdict;

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::config::Listen;
use crate::sys::descriptors;
use connections::{Activity, Connections};
pub use routes::View;
use routes::{Peer, respond};

/// The time for a request's header.
const HEADER_TIME: Duration = Duration::from_secs(2);
/// The size of a request's header, in bytes.
const HEADER_SIZE: usize = 8 * 1024;
/// How long after an answer it is time to rest; those of the meantime are taken together.
const REST: Duration = Duration::from_secs(1);
/// How many connections may wait to be accepted.
const BACKLOG: i32 = 1024;
/// The wait after an error of accept, doubled with each up to the second.
const ACCEPT_PAUSES: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(1));

/// What all connections share.
struct Server {
    view: View,
    answered: Notify,
}

/// A bound listener, or none where the endpoints are off.
pub fn bind(listen: Listen) -> io::Result<Option<TcpListener>> {
    match listen {
        Listen::Off => Ok(None),
        Listen::At(address) => bind_to(address).map(Some),
        Listen::Everywhere(port) => match bind_to((Ipv6Addr::UNSPECIFIED, port).into()) {
            // A kernel or a namespace without IPv6.
            Err(error)
                if matches!(
                    error.raw_os_error(),
                    Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL)
                ) =>
            {
                bind_to((Ipv4Addr::UNSPECIFIED, port).into()).map(Some)
            }
            bound => bound.map(Some),
        },
    }
}

fn bind_to(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // The system's default for it can be changed; both families are what is promised.
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Answers for ever; calls `rest` when some time has passed since an answer, and under load as often. To be called inside
/// the runtime.
pub async fn serve(
    listener: TcpListener,
    view: View,
    rest: impl Fn() + Send + 'static,
) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let server = Arc::new(Server { view, answered: Notify::new() });
    let answering = server.clone();
    tokio::spawn(async move {
        loop {
            answering.answered.notified().await;
            sleep(REST).await;
            rest();
        }
    });
    let mut connections = Connections::within(descriptors::limit());
    let mut pause = ACCEPT_PAUSES.0;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                pause = ACCEPT_PAUSES.0;
                let server = server.clone();
                connections.admit(|activity| tokio::spawn(answer(stream, peer, server, activity)));
                // A request that came with its connection is read before others can push it out.
                tokio::task::yield_now().await;
            }
            Err(_) => {
                // No descriptor or no memory is left: the oldest idle connection gives its own back.
                connections.evict();
                sleep(pause).await;
                pause = (pause * 2).min(ACCEPT_PAUSES.1);
            }
        }
    }
}

/// Serves one connection until it ends, in whatever way.
async fn answer(stream: TcpStream, peer: SocketAddr, server: Arc<Server>, activity: Activity) {
    let is_loopback = peer.ip().to_canonical().is_loopback();
    // Whoever comes from the very address that it goes to is here; from elsewhere the kernel drops that ("martian").
    let is_here = is_loopback || stream.local_addr().is_ok_and(|own| own.ip() == peer.ip());
    let peer = Peer { is_loopback, is_here };
    // A small answer should not wait for the acknowledgement of the one before it.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| {
        activity.completed_a_request();
        let server = server.clone();
        async move {
            drain::begin(&request, is_here, &server.view).await;
            let response = respond(&request, peer, &server.view);
            server.answered.notify_one();
            Ok::<_, Infallible>(response)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .max_buf_size(HEADER_SIZE)
        // A client that closes its side behind its request still wants the answer.
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service);
    // Resets, garbage and time-outs are the peer's business.
    let _ = connection.await;
}
