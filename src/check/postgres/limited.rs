//! A limit on what a server may say. The driver believes the length that a message announces, makes room for all of it
//! at once and reads until its deadline: at a port where something else answers (`HTTP` is 1.4 GB) that would be the
//! memory of the whole container. Here such a length is an error.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsStream};

use super::super::stream::Stream;

/// Far more than any answer to what stead asks, in bytes.
const LONGEST_ANSWER: usize = 1024 * 1024;

/// A connection that carries the server's messages: a letter, the length without the letter as four bytes, the rest
/// ("Message Formats" in PostgreSQL's documentation).
#[derive(Debug)]
pub(super) struct Limited<S = Stream> {
    stream: S,
    messages: Messages,
}

impl<S> Limited<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, messages: Messages::default() }
    }
}

/// Where in the server's messages the connection is.
#[derive(Debug, Default)]
struct Messages {
    /// How many bytes came since something was asked.
    answered: usize,
    /// How many bytes of the header are known.
    known: usize,
    /// The length, as far as it is known.
    length: u32,
    /// How many bytes of the message are still to come.
    left: usize,
}

impl Messages {
    /// Takes in what came; whether that can be an answer.
    fn take(&mut self, mut bytes: &[u8]) -> bool {
        self.answered = self.answered.saturating_add(bytes.len());
        while let Some((byte, rest)) = bytes.split_first() {
            if self.left > 0 {
                let skipped = self.left.min(bytes.len());
                self.left -= skipped;
                bytes = bytes.get(skipped..).unwrap_or_default();
                continue;
            }
            bytes = rest;
            self.length = if self.known == 0 { 0 } else { (self.length << 8) | u32::from(*byte) };
            self.known = (self.known + 1) % 5;
            if self.known == 0 {
                // The length counts itself.
                match usize::try_from(self.length).map(|length| length.checked_sub(4)) {
                    Ok(Some(left)) if left <= LONGEST_ANSWER => self.left = left,
                    _ => return false,
                }
            }
        }
        self.answered <= LONGEST_ANSWER
    }
}

impl TlsStream for Limited {
    fn channel_binding(&self) -> ChannelBinding {
        self.stream.channel_binding()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Limited<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
        if this.messages.take(buf.filled().get(before..).unwrap_or_default()) {
            return Poll::Ready(Ok(()));
        }
        buf.set_filled(before);
        Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "no answer of a Postgres")))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Limited<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.messages.answered = 0;
        Pin::new(&mut this.stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message of this length, the letter not counted.
    fn message(length: u32) -> Vec<u8> {
        let mut bytes = vec![b'S'];
        bytes.extend(length.to_be_bytes());
        bytes.resize(1 + length.max(4) as usize, b'x');
        bytes
    }

    #[test]
    fn messages_go_through_however_they_are_cut() {
        let bytes = [message(4), message(300), message(5)].concat();
        for size in 1..bytes.len() {
            let mut messages = Messages::default();
            assert!(bytes.chunks(size).all(|piece| messages.take(piece)), "{size}");
            assert_eq!((messages.left, messages.known, messages.answered), (0, 0, bytes.len()));
        }
    }

    #[test]
    fn what_announces_too_much_or_nothing_is_refused_at_its_header() {
        for text in ["HTTP/1.1 200", "-ERR unknown", "S\0\0\0\x03", "R\x7f\0\0\0"] {
            assert!(!Messages::default().take(text.as_bytes()), "{text}");
            let mut messages = Messages::default();
            let (header, last) = text.as_bytes()[..5].split_at(4);
            assert!(messages.take(header) && !messages.take(last), "{text}");
        }
    }

    #[tokio::test]
    async fn an_endless_answer_is_cut_off_and_a_question_begins_another_one() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (ours, mut server) = tokio::io::duplex(64 * 1024);
        let mut limited = Limited::new(ours);
        let answering =
            tokio::spawn(async move { while server.write_all(&message(1000)).await.is_ok() {} });
        let mut answer = vec![0; LONGEST_ANSWER / 2];
        for _ in 0..3 {
            limited.read_exact(&mut answer).await.unwrap();
            limited.write_all(b"Q").await.unwrap();
        }
        let error = limited.read_to_end(&mut Vec::new()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        drop(limited);
        answering.await.unwrap();
    }
}
