//! The one kind of connection that all drivers are given: TCP or a Unix socket, bare or under TLS.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::address::Address;
use super::tls::TlsStream;
use super::{Class, ProbeError, Progress};

/// A connection.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<TlsStream<Stream>>),
}

/// Where a connection leads to.
#[derive(Debug)]
pub(super) enum Place {
    /// A host and a port.
    Host(Address),
    /// A socket in the file system.
    Path(PathBuf),
}

impl Place {
    /// Connects, and says to which address where it has one.
    pub(super) async fn connect(
        &self,
        progress: &Progress,
    ) -> Result<(Stream, Option<SocketAddr>), ProbeError> {
        match self {
            Self::Host(address) => {
                let stream = connect(&address.resolve(progress).await?, progress).await?;
                let peer = stream.peer_addr().ok();
                // Questions are small, and each waits for its answer.
                let _ = stream.set_nodelay(true);
                Ok((Stream::Tcp(stream), peer))
            }
            Self::Path(path) => {
                progress.connecting()?;
                let stream = connect_path(path).await.map_err(|error| match error.kind() {
                    io::ErrorKind::NotFound => ProbeError::new(Class::NotFound, error),
                    _ => ProbeError::new(Class::of(&error), error),
                })?;
                Ok((Stream::Unix(stream), None))
            }
        }
    }

    /// The host's name, for TLS and for virtual hosts; `localhost` where there is none.
    pub(super) fn host(&self) -> &str {
        match self {
            Self::Host(address) => address.host(),
            Self::Path(_) => "localhost",
        }
    }
}

/// Connects to a socket in the file system. Where its queue is full, connect(2) says EAGAIN at once instead of waiting
/// as it does for TCP: it is tried again for as long as the attempt lasts.
async fn connect_path(path: &Path) -> io::Result<UnixStream> {
    loop {
        match UnixStream::connect(path).await {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => sleep(FULL_QUEUE).await,
            result => return result,
        }
    }
}

/// How long a full queue is given.
const FULL_QUEUE: Duration = Duration::from_millis(20);
/// How long an address is alone in being tried (RFC 8305, 5), so that one that does not answer keeps nobody from the
/// others.
const HEAD_START: Duration = Duration::from_millis(250);

/// Connects to the address that accepts first, tried in their order. The reason of the first counts if none does: the
/// others are there for the case that the service is on that family alone.
pub(super) async fn connect(
    addresses: &[SocketAddr],
    progress: &Progress,
) -> Result<TcpStream, ProbeError> {
    progress.connecting()?;
    let mut untried = addresses.iter().copied().enumerate();
    let mut under_way = JoinSet::new();
    let mut first: Option<(usize, io::Error)> = None;
    loop {
        let patience = match untried.next() {
            Some((place, address)) => {
                under_way.spawn(async move { (place, TcpStream::connect(address).await) });
                HEAD_START
            }
            None => Duration::MAX,
        };
        match timeout(patience, under_way.join_next()).await {
            // It is time for the next one.
            Err(_) => {}
            Ok(Some(Ok((_, Ok(stream))))) => return Ok(stream),
            Ok(Some(Ok((place, Err(error))))) => {
                let is_earlier = first.as_ref().is_none_or(|(other, _)| place < *other);
                first = if is_earlier { Some((place, error)) } else { first };
            }
            // Connecting does not panic.
            Ok(Some(Err(_))) => {}
            Ok(None) => break,
        }
    }
    Err(match first {
        Some((_, error)) => ProbeError::new(Class::of(&error), error),
        None => ProbeError::new(Class::DnsNotFound, "the name has no address"),
    })
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
        }
    }

    /// The messages of a handshake go out together: a server that refuses the first of them closes the connection, and
    /// what is written then fails before its reason is read.
    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
