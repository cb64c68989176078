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

#[cfg(test)]
mod tests {
    use super::*;

    /// The texts of the lines, as the writing thread would get them, with how many behind them were dropped.
    fn next(backlog: &Backlog, batch: &mut Batch) -> (Vec<String>, u64, u64) {
        batch.clear();
        assert!(backlog.next(batch));
        let mut texts = Vec::new();
        batch.give(&mut |line| texts.push(String::from_utf8(line.bytes.to_vec()).unwrap()));
        (texts, batch.dropped, batch.dropped_bytes)
    }

    fn add(filling: &mut Filling, texts: &[&str]) {
        let read = Read::default();
        let bytes = texts.iter().map(|text| text.len() + 1).sum();
        filling.take(bytes, |each| {
            texts.iter().for_each(|text| each(Line { bytes: text.as_bytes(), read, part: None }));
        });
    }

    #[test]
    fn what_does_not_fit_is_counted_behind_what_does_and_so_is_all_that_follows() {
        let backlog = Arc::new(Backlog::new());
        let mut filling = Filling(backlog.clone());
        let half = "x".repeat(CAPACITY / 2);
        add(&mut filling, &["first", &half, &half, "small"]);
        let mut batch = Batch::default();
        let (texts, dropped, bytes) = next(&backlog, &mut batch);
        assert_eq!(
            (texts, dropped, bytes),
            (vec!["first".to_owned(), half], 2, CAPACITY as u64 / 2 + 5)
        );
        assert_eq!(batch.taken, CAPACITY + 14);
    }

    #[test]
    fn what_is_being_written_takes_up_room_and_gives_it_back() {
        let backlog = Arc::new(Backlog::new());
        let mut filling = Filling(backlog.clone());
        let most = "x".repeat(CAPACITY - 100);
        add(&mut filling, &[&most]);
        let mut batch = Batch::default();
        assert_eq!(next(&backlog, &mut batch).1, 0);
        add(&mut filling, &[&most]);
        assert_eq!(next(&backlog, &mut batch), (vec![], 1, CAPACITY as u64 - 100));
        add(&mut filling, &["again"]);
        assert_eq!(next(&backlog, &mut batch), (vec!["again".to_owned()], 0, 0));
    }

    #[test]
    fn a_line_of_any_length_fits_alone_and_its_room_is_given_back() {
        let backlog = Arc::new(Backlog::new());
        let mut filling = Filling(backlog.clone());
        let giant = "x".repeat(CAPACITY);
        add(&mut filling, &[&giant]);
        let mut batch = Batch::default();
        assert_eq!(next(&backlog, &mut batch), (vec![giant], 0, 0));
        batch.clear();
        assert!(batch.bytes.capacity() <= KEPT, "{} bytes are kept", batch.bytes.capacity());
    }

    #[test]
    fn lines_that_are_empty_take_up_room_too() {
        let backlog = Arc::new(Backlog::new());
        let mut filling = Filling(backlog.clone());
        add(&mut filling, &vec![""; CAPACITY / 8]);
        let (texts, dropped, bytes) = next(&backlog, &mut Batch::default());
        assert!(texts.len() <= CAPACITY / size_of::<Kept>());
        assert_eq!((texts.len() as u64 + dropped, bytes), (CAPACITY as u64 / 8, 0));
    }

    #[test]
    fn what_was_there_before_the_end_is_given_and_then_nothing() {
        let backlog = Arc::new(Backlog::new());
        let mut filling = Filling(backlog.clone());
        add(&mut filling, &["last"]);
        drop(filling);
        let mut batch = Batch::default();
        assert_eq!(next(&backlog, &mut batch).0, ["last"]);
        batch.clear();
        assert!(!backlog.next(&mut batch));
    }
}
