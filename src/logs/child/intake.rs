//! The thread that reads a stream of the child's, and makes lines of its bytes.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use super::flow::Flow;
use super::line::Machine;
use super::{Line, Read};
use crate::sys::clock::{monotonic_micros, wall_micros};

/// What is read at once: all that a pipe holds unless it was made larger; pipe(7).
const CHUNK: usize = 64 * 1024;

/// What is done with each line.
pub(super) type Each<'a> = &'a mut dyn FnMut(Line<'_>);

/// Where lines go.
pub(super) trait Sink {
    /// Takes all lines that `lines` gives, which were made of so many bytes more.
    fn take(&mut self, bytes: usize, lines: impl FnOnce(Each<'_>));
}

/// Reads a stream to its end.
pub(super) struct Intake<S> {
    pub(super) flow: Arc<Flow>,
    pub(super) machine: Machine,
    pub(super) sink: S,
}

impl<S: Sink> Intake<S> {
    /// Reads until all writers are gone, until what is owed at the end is read, or until nobody wants it any more.
    pub(super) fn run(&mut self) {
        let mut buffer = vec![0; CHUNK];
        let mut owed = None;
        let mut is_more_likely = false;
        while !self.flow.is_gone() {
            if !is_more_likely {
                self.flow.wait(self.patience());
            }
            if owed.is_none() && self.flow.is_ending() {
                owed = Some(self.flow.held());
            }
            let room = buffer.get_mut(..owed.unwrap_or(CHUNK).min(CHUNK)).unwrap_or_default();
            match self.flow.read(room) {
                Ok(0) => break,
                Ok(count) => {
                    is_more_likely = count == CHUNK;
                    owed = owed.map(|owed| owed - count);
                    self.push(room.get(..count).unwrap_or_default());
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock && owed.is_none() => {
                    is_more_likely = false;
                    self.tick();
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        let machine = &mut self.machine;
        self.sink.take(0, |each| machine.finish(each));
    }

    /// How long the machine waits for more before it lets go what it has.
    fn patience(&self) -> Option<Duration> {
        let deadline = self.machine.deadline()?;
        Some(Duration::from_micros(deadline.saturating_sub(monotonic_micros())))
    }

    fn push(&mut self, bytes: &[u8]) {
        let read = Read { wall: wall_micros(), monotonic: monotonic_micros() };
        let machine = &mut self.machine;
        self.sink.take(bytes.len(), |each| machine.push(bytes, read, each));
    }

    fn tick(&mut self) {
        let now = monotonic_micros();
        let machine = &mut self.machine;
        if machine.deadline().is_some_and(|deadline| deadline <= now) {
            self.sink.take(0, |each| machine.tick(now, each));
        }
    }
}

impl<S> Drop for Intake<S> {
    fn drop(&mut self) {
        self.flow.close();
    }
}
