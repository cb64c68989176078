//! Lines that wait for their reader where it may not hold the child back (`log_drop`): between the thread that reads and
//! one that writes, bounded; what does not fit is dropped and counted until the output has taken all that is there.

use std::mem::size_of;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::flow::Flow;
use super::intake::{Each, Sink};
use super::outlet::Outlet;
use super::{Line, Part, Read};

/// How much may wait: the bytes of lines, and what is kept beside each. One line of any length may wait alone.
const CAPACITY: usize = 1024 * 1024;
/// How much room an empty batch keeps.
const KEPT: usize = 64 * 1024;

/// What waits.
pub(super) struct Backlog {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    filling: Batch,
    /// What the batch takes up that is written now.
    writing: usize,
    is_closed: bool,
}

/// Lines in their order, then what came after them and was dropped.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    lines: Vec<Kept>,
    dropped: u64,
    dropped_bytes: u64,
    /// How many of the child's bytes all this is made of.
    taken: usize,
}

/// A line whose bytes stand elsewhere.
#[derive(Clone, Copy)]
struct Kept {
    length: usize,
    read: Read,
    part: Option<Part>,
}

impl Backlog {
    pub(super) fn new() -> Self {
        Self { state: Mutex::default(), changed: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// No line comes any more.
    fn close(&self) {
        self.state().is_closed = true;
        self.changed.notify_one();
    }

    /// Waits for lines, and gives all that are there for the empty `batch`; false where none will come.
    fn next(&self, batch: &mut Batch) -> bool {
        let mut state = self.state();
        state.writing = 0;
        let waited = self.changed.wait_while(state, |s| s.filling.is_empty() && !s.is_closed);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut state.filling, batch);
        state.writing = batch.size();
        !batch.is_empty()
    }

    /// Writes what comes, to the end.
    pub(super) fn write_to(&self, outlet: &mut Outlet, flow: &Flow) {
        let mut batch = Batch::default();
        while self.next(&mut batch) && !flow.is_gone() {
            outlet.take(batch.taken, |each| batch.give(each));
            if batch.dropped > 0 {
                outlet.tell_dropped(batch.dropped, batch.dropped_bytes);
            }
            batch.clear();
        }
    }
}

impl State {
    fn add(&mut self, line: Line<'_>) {
        let size = line.bytes.len() + size_of::<Kept>();
        let used = self.filling.size() + self.writing;
        let batch = &mut self.filling;
        if batch.dropped > 0 || used > 0 && used + size > CAPACITY {
            batch.dropped += 1;
            batch.dropped_bytes += line.bytes.len() as u64;
            return;
        }
        batch.bytes.extend_from_slice(line.bytes);
        let Line { bytes, read, part } = line;
        batch.lines.push(Kept { length: bytes.len(), read, part });
    }
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.taken == 0 && self.lines.is_empty() && self.dropped == 0
    }

    fn size(&self) -> usize {
        self.bytes.len() + self.lines.len() * size_of::<Kept>()
    }

    fn give(&self, each: Each<'_>) {
        let mut rest = self.bytes.as_slice();
        for Kept { length, read, part } in &self.lines {
            let Some((bytes, behind)) = rest.split_at_checked(*length) else { return };
            each(Line { bytes, read: *read, part: *part });
            rest = behind;
        }
    }

    fn clear(&mut self) {
        let Self { mut bytes, mut lines, .. } = std::mem::take(self);
        bytes.clear();
        bytes.shrink_to(KEPT);
        lines.clear();
        lines.shrink_to(KEPT / size_of::<Kept>());
        *self = Self { bytes, lines, ..Self::default() };
    }
}

/// The end of the thread that reads.
pub(super) struct Filling(pub(super) Arc<Backlog>);

impl Sink for Filling {
    fn take(&mut self, bytes: usize, lines: impl FnOnce(Each<'_>)) {
        let mut state = self.0.state();
        lines(&mut |line| state.add(line));
        state.filling.taken += bytes;
        drop(state);
        self.0.changed.notify_one();
    }
}

impl Drop for Filling {
    fn drop(&mut self) {
        self.0.close();
    }
}
