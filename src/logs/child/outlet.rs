//! The way out of a stream of the child's: lines become JSON in a fixed buffer, which is written out whenever it is full
//! and whenever there is nothing more to add.

use std::io::{self, ErrorKind, Write};
use std::sync::Arc;

use stead_lines::output::Output;
use tracing::warn;

use super::event::Renderer;
use super::flow::Flow;
use super::intake::{Each, Sink};
use super::{Line, Read};
use crate::logs::turn;
use crate::sys::clock::wall_micros;
use crate::sys::descriptors;

/// What is written at once: half of what a pipe holds, so that the next half is made while its reader takes this one. It is
/// all that a line of any length needs.
const CAPACITY: usize = 32 * 1024;

/// Writes lines to the stream that they belong to, one batch after the other.
pub(super) struct Outlet {
    flow: Arc<Flow>,
    renderer: Renderer,
    stdio: Stdio,
    buffer: Vec<u8>,
    /// How many of the child's bytes the output had no room for since it last took some.
    lost: u64,
}

impl Outlet {
    pub(super) fn new(flow: Arc<Flow>, renderer: Renderer) -> Self {
        let stdio = Stdio { flow: flow.clone(), failure: None, is_inside_line: false };
        Self { flow, renderer, stdio, buffer: Vec::with_capacity(CAPACITY), lost: 0 }
    }

    /// Tells in the stream itself, where the gap is, how many lines are not there, and how many bytes these had.
    pub(super) fn tell_dropped(&mut self, count: u64, bytes: u64) {
        let line = format!(
            r#"{{"level":"warn","message":"lines dropped","count":{count},"bytes":{bytes}}}"#
        );
        let read = Read { wall: wall_micros(), ..Read::default() };
        self.take(0, |each| each(Line { bytes: line.as_bytes(), read, part: None }));
    }

    /// Takes in how a batch of so many bytes of the child's went.
    fn settle(&mut self, bytes: u64) {
        match self.stdio.failure.take() {
            None => self.tell_lost(),
            Some(ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge) => {
                self.lost += bytes;
            }
            Some(_) => self.flow.give_up(),
        }
        self.flow.settle(bytes);
    }

    fn tell_lost(&mut self) {
        let bytes = std::mem::take(&mut self.lost);
        if bytes > 0 {
            warn!(stream = self.flow.stream.name(), bytes, "lines lost");
        }
    }
}

impl Sink for Outlet {
    fn take(&mut self, bytes: usize, lines: impl FnOnce(Each<'_>)) {
        let turn = turn::take(self.flow.stream);
        let Self { renderer, stdio, buffer, lost, .. } = self;
        let is_inside_line = stdio.is_inside_line;
        let mut out = Output::new(buffer, stdio);
        // What is behind the half of a line that a full disk has left must not be lost with it. Nothing fails here: what
        // the output does not take is settled below.
        if *lost > 0 && is_inside_line {
            let _ = out.put(b"\n");
        }
        lines(&mut |line| drop(renderer.render(&line, &mut out)));
        let _ = out.flush();
        drop(turn);
        self.settle(bytes as u64);
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        self.tell_lost();
        // Also where this comes of a panic: who writes must not wait for ever for somebody to read.
        self.flow.give_up();
        self.flow.finish();
    }
}

/// The standard stream itself. What fails is kept for later and fails nobody: the rest of the batch goes nowhere.
struct Stdio {
    flow: Arc<Flow>,
    failure: Option<ErrorKind>,
    is_inside_line: bool,
}

impl Write for Stdio {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.failure.is_some() {
            return Ok(bytes.len());
        }
        match descriptors::write(self.flow.stream.fd(), bytes) {
            Ok(count) => {
                self.flow.wrote(count);
                let last = bytes.get(..count).and_then(<[u8]>::last);
                self.is_inside_line = last.is_some_and(|byte| *byte != b'\n');
                Ok(count)
            }
            Err(error) => {
                self.failure = Some(error.kind());
                Ok(bytes.len())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
