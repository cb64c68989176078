//! The endpoints' server: bound before the child starts, it renders what is known and touches nothing else. All that can be
//! asked of it is a drain, and not by everybody.
//!
//! It cannot be hurt: the number of connections, the size of a header and the time for it are bounded, no body is
//! read, and an error of accept(2) is waited out.

mod accept;
mod connections;
mod drain;
mod metrics;
mod page;
mod report;
mod routes;
mod stream;
mod verdict;

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioTimer;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::config::Listen;
use crate::sys::sockets;
pub use accept::NAME as ACCEPTS;
use connections::Activity;
pub use routes::View;
use routes::{Peer, respond};
use stream::Stream;

/// The time for a request's header.
const HEADER_TIME: Duration = Duration::from_secs(2);
/// For how long a connection without a byte is the kernel's alone, as near as it can do that.
const SILENCE: Duration = Duration::from_secs(1);
/// The size of a request's header, in bytes.
const HEADER_SIZE: usize = 8 * 1024;
/// How long after an answer it is time to rest; those of the meantime are taken together.
const REST: Duration = Duration::from_secs(1);
/// How many connections may wait to be accepted.
const BACKLOG: i32 = 1024;

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
    // Each connection inherits it: a small answer should not wait for the acknowledgement of the one before it.
    socket.set_tcp_nodelay(true)?;
    sockets::await_data(&socket, SILENCE);
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Begins to answer; fails where no thread is to be had for that. What it gives calls `rest` when some time has passed
/// since an answer, and under load as often, and never ends. To be called inside the runtime.
pub fn serve(
    listener: TcpListener,
    view: View,
    rest: impl Fn() + Send + 'static,
) -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let server = Arc::new(Server { view, answered: Notify::new() });
    accept::start(listener, server.clone())?;
    Ok(async move {
        loop {
            server.answered.notified().await;
            sleep(REST).await;
            rest();
        }
    })
}

/// Serves one connection until it ends, in whatever way.
async fn answer(stream: Stream, peer: Peer, server: Arc<Server>, activity: Activity) {
    let service = service_fn(|request| {
        activity.completed_a_request();
        let server = server.clone();
        async move {
            drain::begin(&request, peer.is_here, &server.view).await;
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
        .serve_connection(stream, service);
    // Resets, garbage and time-outs are the peer's business.
    let _ = connection.await;
}
