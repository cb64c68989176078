//! The stream in lapin's hands, which can be cut from outside: lapin's thread waits on it for ever otherwise when the
//! broker falls silent.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::sync::oneshot;

use crate::check::stream::Stream;

/// A stream that lives as long as its [`Cord`].
#[derive(Debug)]
pub(super) struct Wire {
    stream: Stream,
    cord: oneshot::Receiver<()>,
    is_cut: bool,
}

/// Dropping it makes the stream fail, and wakes whoever waits for it.
#[derive(Debug)]
pub(super) struct Cord(oneshot::Sender<()>);

impl Wire {
    pub(super) fn new(stream: Stream) -> (Self, Cord) {
        let (sender, cord) = oneshot::channel();
        (Self { stream, cord, is_cut: false }, Cord(sender))
    }

    /// Fails once the cord is cut; is woken when it is.
    fn holds(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        self.is_cut = self.is_cut || Pin::new(&mut self.cord).poll(context).is_ready();
        self.is_whole()
    }

    fn is_whole(&self) -> io::Result<()> {
        if self.is_cut { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
    }
}

impl Cord {
    /// Waits until the stream was given up by itself.
    pub(super) async fn is_free(&mut self) {
        self.0.closed().await;
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.holds(context)?;
        let mut buffer = ReadBuf::new(into);
        let read = Pin::new(&mut self.stream).poll_read(context, &mut buffer)?;
        read.map(|()| Ok(buffer.filled().len()))
    }
}

impl AsyncWrite for Wire {
    // What waits to write waits to read too, and learns of a cut there: the cord wakes one waker alone.
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.is_whole()?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.is_whole()?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.holds(context)?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::net::UnixStream;

    use super::*;

    #[tokio::test]
    async fn a_wire_whose_cord_is_cut_wakes_its_reader_and_fails() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let (mut wire, cord) = Wire::new(Stream::Unix(ours));
        let reader = tokio::spawn(async move {
            let mut byte = [0];
            let read = poll_fn(|context| Pin::new(&mut wire).poll_read(context, &mut byte)).await;
            let wrote = poll_fn(|context| Pin::new(&mut wire).poll_write(context, b"x")).await;
            (read.unwrap_err().kind(), wrote.unwrap_err().kind())
        });
        tokio::task::yield_now().await;
        assert!(!reader.is_finished());
        drop(cord);
        let aborted = io::ErrorKind::ConnectionAborted;
        assert_eq!(reader.await.unwrap(), (aborted, aborted));
    }
}
