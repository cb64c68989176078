//! The way to standard error: a bounded queue and a thread of its own, so that a reader that is gone or stuck holds up
//! nothing but that thread.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::child::event::Stream;
use super::child::pump::let_ahead;
use super::turn;
use crate::sys::descriptors::{stderr_takes_more, write_to_stderr};

/// How many bytes may wait for a stuck reader; what comes later is counted and dropped.
const CAPACITY: usize = 64 * 1024;
/// How much longer than for a stuck reader the last lines are waited for.
const PATIENCE: u32 = 10;

static QUEUE: Queue = Queue { state: Mutex::new(State::new()), changed: Condvar::new() };

struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    lines: VecDeque<Vec<u8>>,
    bytes: usize,
    dropped: u64,
    writing: bool,
    /// Nothing is written yet: what fails before the child is started says one line and no more.
    held: bool,
}

impl State {
    const fn new() -> Self {
        Self { lines: VecDeque::new(), bytes: 0, dropped: 0, writing: false, held: true }
    }

    fn is_idle(&self) -> bool {
        self.lines.is_empty() && !self.writing
    }
}

impl Queue {
    /// The state; a thread that panicked while it held the lock left nothing half done.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where tracing-subscriber writes to: each call is one whole line.
#[derive(Clone, Copy, Debug)]
pub struct Lines;

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut state = QUEUE.state();
        if state.bytes + line.len() > CAPACITY {
            state.dropped += 1;
        } else {
            state.bytes += line.len();
            state.lines.push_back(line.to_vec());
            QUEUE.changed.notify_all();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Starts the thread that writes, once it is released.
pub fn start() -> io::Result<()> {
    thread::Builder::new()
        .name("stead-log".to_owned())
        .stack_size(64 * 1024)
        .spawn(write_all)
        .map(drop)
}

fn write_all() {
    let mut state = QUEUE.state();
    loop {
        let next = if state.held { None } else { state.lines.pop_front() };
        let Some(line) = next else {
            state = QUEUE.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            continue;
        };
        state.bytes -= line.len();
        state.writing = true;
        let dropped = std::mem::take(&mut state.dropped);
        drop(state);
        // What the child has said before it has happened before it.
        let_ahead();
        let turn = turn::take(Stream::Stderr);
        write_to_stderr(&line);
        drop(turn);
        if dropped > 0 {
            tracing::warn!(count = dropped, "events dropped");
        }
        state = QUEUE.state();
        state.writing = false;
        QUEUE.changed.notify_all();
    }
}

/// Lets the thread write what has come and what will come.
pub fn release() {
    QUEUE.state().held = false;
    QUEUE.changed.notify_all();
}

/// Waits until there is room for more lines, so that a crowd of them is not dropped. False where the reader has taken so
/// little within `limit` that there is none.
pub fn await_room(limit: Duration) -> bool {
    let is_full = |state: &mut State| state.bytes > CAPACITY / 2;
    let waited = QUEUE.changed.wait_timeout_while(QUEUE.state(), limit, is_full);
    !is_full(&mut waited.unwrap_or_else(PoisonError::into_inner).0)
}

/// Waits until everything is written: for `limit` where the reader is stuck, and for `PATIENCE` times that where it
/// takes more, so that only the writing thread is late, as any can be on a busy machine. Written or not, the end comes
/// then.
pub fn flush(limit: Duration) {
    let mut state = QUEUE.state();
    for _ in 0..PATIENCE {
        let waited = QUEUE.changed.wait_timeout_while(state, limit, |state| !state.is_idle());
        state = waited.unwrap_or_else(PoisonError::into_inner).0;
        if state.is_idle() || !stderr_takes_more() {
            return;
        }
    }
}
