//! What a command prints: all of it is read, so that no command is held up, and the last line is kept.

use std::fs::File;
use std::future::poll_fn;
use std::io::Read;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::unix::pipe::Receiver;

use crate::check::secret::scrub;

/// How much is kept: the last line of what most commands print is shorter.
const KEPT: usize = 4096;
/// How much of the last line is shown.
const SHOWN: usize = 200;
/// How often is read what a command that has ended has left in its pipe, which holds no more. What it left running
/// elsewhere may still write there.
const LEFT: usize = 32;

/// The reading end of a command's output.
pub(super) struct Output {
    pipe: Receiver,
    kept: Vec<u8>,
    is_over: bool,
}

impl Output {
    pub(super) fn new(pipe: Receiver) -> Self {
        Self { pipe, kept: Vec::new(), is_over: false }
    }

    /// Reads until `end` is there, and then what there is; gives both the end and the last line.
    pub(super) async fn read_until<T>(mut self, end: impl Future<Output = T>) -> (T, String) {
        let mut end = pin!(end);
        let end = poll_fn(|cx| {
            // Of a command that prints without end tokio lets no more be read at once than is good for the others.
            while !self.is_over && self.poll_some(cx).is_ready() {}
            end.as_mut().poll(cx)
        })
        .await;
        let Self { pipe, kept, .. } = self;
        (end, last_line(&rest(pipe, kept)))
    }

    fn poll_some(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut bytes = [0; KEPT];
        let mut buffer = ReadBuf::new(&mut bytes);
        let read = Pin::new(&mut self.pipe).poll_read(cx, &mut buffer);
        read.map(|result| {
            self.is_over = result.is_err() || buffer.filled().is_empty();
            keep(&mut self.kept, buffer.filled());
        })
    }
}

/// Keeps the last of what was printed.
fn keep(kept: &mut Vec<u8>, bytes: &[u8]) {
    kept.extend_from_slice(bytes);
    kept.drain(..kept.len().saturating_sub(KEPT));
}

/// What was printed, with what is in the pipe now. tokio would say that nothing is there until it has asked the kernel.
fn rest(pipe: Receiver, mut kept: Vec<u8>) -> Vec<u8> {
    let Ok(pipe) = pipe.into_nonblocking_fd() else { return kept };
    let (mut pipe, mut bytes) = (File::from(pipe), [0; KEPT]);
    for _ in 0..LEFT {
        match pipe.read(&mut bytes) {
            Ok(read @ 1..) => keep(&mut kept, bytes.get(..read).unwrap_or_default()),
            _ => break,
        }
    }
    kept
}

/// The last line that is not empty, without secrets, fit to be shown.
fn last_line(printed: &[u8]) -> String {
    let text = String::from_utf8_lossy(printed);
    let line = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
    let line = scrub(line.trim()).replace(char::is_control, "?");
    line.get(..line.floor_char_boundary(SHOWN)).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::check::secret::Secret;
    use tokio::net::unix::pipe;

    async fn shown(said: &[u8]) -> String {
        let (sender, receiver) = pipe::pipe().unwrap();
        File::from(sender.into_blocking_fd().unwrap()).write_all(said).unwrap();
        Output::new(receiver).read_until(std::future::ready(())).await.1
    }

    #[tokio::test]
    async fn the_last_line_is_short_clean_and_without_secrets() {
        assert_eq!(shown(b"").await, "");
        assert_eq!(shown(b"one\n two \r\n\n \n").await, "two");
        assert_eq!(shown(b"a\x1b[31mb\xff").await, "a?[31mb\u{fffd}");
        let _secret = Secret::new("exec/s3cret");
        assert_eq!(shown(b"password exec/s3cret is wrong").await, "password *** is wrong");
        let long = "\u{e4}".repeat(5000);
        let shown = shown(long.as_bytes()).await;
        assert!(shown.len() <= SHOWN && shown.len() > SHOWN - 4, "{}", shown.len());
    }
}
