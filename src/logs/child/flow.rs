//! One stream of the child's on its way: what the threads that move it, the log and the end know of each other.

use std::io;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::Duration;

use super::event::Stream;
use crate::sys::bell::Bell;
use crate::sys::pipe::{self, Pipe};

/// How many milliseconds an event of stead's own waits for what the child has said before it.
const COURTESY_MS: u32 = 20;

/// Shared by all who have to do with the stream. Bytes are counted from its beginning.
#[derive(Debug)]
pub(super) struct Flow {
    pub(super) stream: Stream,
    inlet: Mutex<Inlet>,
    /// Rung when the reading thread has something else to do than to read.
    bell: Bell,
    /// The child and all its processes are gone: what the pipe holds now is the last.
    ending: AtomicBool,
    /// Nobody reads any more what goes out.
    gone: AtomicBool,
    /// All is written, or nothing more can be.
    finished: AtomicBool,
    /// How many of the child's bytes have become lines that are out.
    settled: AtomicU64,
    /// How many bytes the output has taken.
    written: AtomicU64,
    /// `written` when an event last waited in vain.
    stuck_at: AtomicU64,
    /// The thread that waits for the end.
    main: Thread,
}

/// The child's side; counted and read under one lock, so that no byte is on its way in between.
#[derive(Debug)]
struct Inlet {
    pipe: Option<Pipe>,
    taken: u64,
}

impl Flow {
    /// The stream that comes through this pipe; its end is waited for by this thread.
    pub(super) fn new(stream: Stream, pipe: Pipe) -> io::Result<Self> {
        Ok(Self {
            stream,
            inlet: Mutex::new(Inlet { pipe: Some(pipe), taken: 0 }),
            bell: Bell::new()?,
            ending: AtomicBool::default(),
            gone: AtomicBool::default(),
            finished: AtomicBool::default(),
            settled: AtomicU64::default(),
            written: AtomicU64::default(),
            stuck_at: AtomicU64::new(u64::MAX),
            main: thread::current(),
        })
    }

    fn inlet(&self) -> MutexGuard<'_, Inlet> {
        self.inlet.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the thread that reads does.
impl Flow {
    /// Takes what the child has written; nothing at the end, `WouldBlock` where it is silent.
    pub(super) fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        let mut inlet = self.inlet();
        let count = inlet.pipe.as_ref().map_or(Ok(0), |pipe| pipe.read(into))?;
        inlet.taken += count as u64;
        Ok(count)
    }

    /// How many bytes the pipe holds.
    pub(super) fn held(&self) -> usize {
        self.inlet().pipe.as_ref().map_or(0, Pipe::held)
    }

    /// Waits until there is something to read or to look at, or for `limit`.
    pub(super) fn wait(&self, limit: Option<Duration>) {
        // Only the thread that waits here closes the pipe.
        let pipe = self.inlet().pipe.as_ref().map_or(-1, AsRawFd::as_raw_fd);
        pipe::wait(pipe, &self.bell, limit);
    }

    pub(super) fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Acquire)
    }

    pub(super) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// Closes the pipe: who still writes is told so by EPIPE and PIPE, as without stead.
    pub(super) fn close(&self) {
        self.inlet().pipe = None;
    }
}

/// What the thread that writes does.
impl Flow {
    /// The output has taken so many bytes more.
    pub(super) fn wrote(&self, bytes: usize) {
        self.written.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// So many more of the child's bytes are through.
    pub(super) fn settle(&self, bytes: u64) {
        self.settled.fetch_add(bytes, Ordering::Release);
    }

    /// The output's reader is gone.
    pub(super) fn give_up(&self) {
        self.gone.store(true, Ordering::Release);
        self.bell.ring();
    }

    /// Nothing more will be written.
    pub(super) fn finish(&self) {
        self.finished.store(true, Ordering::Release);
        self.main.unpark();
    }
}

/// What the others do.
impl Flow {
    /// Has the thread that reads take what the pipe holds, and no more.
    pub(super) fn end(&self) {
        self.ending.store(true, Ordering::Release);
        self.bell.ring();
    }

    pub(super) fn is_finished(&self) -> bool {
        self.finished.load(Ordering::Acquire)
    }

    /// How many bytes the output has taken.
    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// How many of the child's bytes are not out.
    pub(super) fn unsettled(&self) -> u64 {
        self.said().saturating_sub(self.settled.load(Ordering::Acquire))
    }

    /// How many bytes the child has written.
    fn said(&self) -> u64 {
        let inlet = self.inlet();
        inlet.taken + inlet.pipe.as_ref().map_or(0, Pipe::held) as u64
    }

    /// Waits until what the child has said by now is out, for a moment; not again where the output has taken nothing
    /// since the last time.
    pub(super) fn let_ahead(&self) {
        let (said, written) = (self.said(), self.written());
        for _ in 0..COURTESY_MS {
            if self.is_through(said) || self.stuck_at.load(Ordering::Relaxed) == self.written() {
                return;
            }
            thread::sleep(Duration::from_millis(1));
        }
        self.stuck_at.store(written, Ordering::Relaxed);
    }

    /// Whether so many bytes of the child's are out; with the last one also the line that has no end.
    fn is_through(&self, said: u64) -> bool {
        let is_over = || self.inlet().pipe.as_ref().is_none_or(Pipe::is_hung_up);
        self.is_finished() || self.settled.load(Ordering::Acquire) >= said && !is_over()
    }
}
