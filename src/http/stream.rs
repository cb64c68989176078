//! A connection's stream, which the runtime gets to know of only when there is something to wait for: most probes bring
//! their request along, and are answered without that.

use std::io::{self, ErrorKind, IoSlice, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::net;

/// How much is read at once before the runtime knows of the stream, in bytes: a probe's request and some more.
const PIECE: usize = 1024;

/// A stream that never blocks.
pub(super) enum Stream {
    /// Nothing had to be waited for yet.
    Fresh(TcpStream),
    /// The runtime's.
    Watched(TokioIo<net::TcpStream>),
    /// The runtime could not take it.
    Lost,
}

impl Stream {
    /// Takes a stream.
    pub(super) fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self::Fresh(stream))
    }

    /// Does what can be done at once, if the stream is fresh and it can; otherwise it is the runtime's from now on.
    /// To be called inside of the runtime.
    fn at_once<T>(
        &mut self,
        mut act: impl FnMut(&TcpStream) -> io::Result<T>,
    ) -> Option<io::Result<T>> {
        let Self::Fresh(stream) = self else { return None };
        loop {
            match act(stream) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                done => return Some(done),
            }
        }
        let Self::Fresh(stream) = std::mem::replace(self, Self::Lost) else { return None };
        match net::TcpStream::from_std(stream) {
            Ok(stream) => *self = Self::Watched(TokioIo::new(stream)),
            Err(error) => return Some(Err(error)),
        }
        None
    }

    fn watched(&mut self) -> io::Result<Pin<&mut TokioIo<net::TcpStream>>> {
        match self {
            Self::Watched(stream) => Ok(Pin::new(stream)),
            Self::Fresh(_) | Self::Lost => Err(ErrorKind::NotConnected.into()),
        }
    }
}

impl Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut into: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut piece = [0; PIECE];
        let room = into.remaining() as u64;
        match self.at_once(|stream| stream.take(room).read(&mut piece)) {
            Some(Ok(size)) => {
                into.put_slice(piece.get(..size).unwrap_or_default());
                Poll::Ready(Ok(()))
            }
            Some(Err(error)) => Poll::Ready(Err(error)),
            None => self.watched()?.poll_read(context, into),
        }
    }
}

impl Write for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.at_once(|mut stream| stream.write(bytes)) {
            Some(written) => Poll::Ready(written),
            None => self.watched()?.poll_write(context, bytes),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.at_once(|mut stream| stream.write_vectored(pieces)) {
            Some(written) => Poll::Ready(written),
            None => self.watched()?.poll_write_vectored(context, pieces),
        }
    }

    /// A socket keeps nothing back.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Fresh(stream) => Poll::Ready(stream.shutdown(Shutdown::Write)),
            Self::Watched(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Lost => Poll::Ready(Ok(())),
        }
    }
}
