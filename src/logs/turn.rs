//! Whose turn it is to write to a standard stream, so that no line of one writer stands inside another's: the child's
//! lines on both streams and stead's own events.

use std::sync::{Condvar, LazyLock, Mutex, MutexGuard, PoisonError};

use super::child::event::Stream;
use crate::sys::descriptors::outputs_are_one;

static STDOUT: Turns = Turns::new();
static STDERR: Turns = Turns::new();
/// After `2>&1` both streams are one file, and its writers wait for each other.
static ARE_ONE: LazyLock<bool> = LazyLock::new(outputs_are_one);

/// First come, first served: under load the one who writes most would keep a mutex to itself.
struct Turns {
    queue: Mutex<Queue>,
    changed: Condvar,
}

struct Queue {
    /// The number that the next to come draws.
    next: u64,
    /// The number whose turn it is.
    called: u64,
}

/// The right to write; it ends when this is dropped.
pub struct Turn(&'static Turns);

/// Waits for the turn to write to this stream.
pub fn take(stream: Stream) -> Turn {
    let turns = match stream {
        Stream::Stdout if !*ARE_ONE => &STDOUT,
        _ => &STDERR,
    };
    turns.wait();
    Turn(turns)
}

impl Turns {
    const fn new() -> Self {
        Self { queue: Mutex::new(Queue { next: 0, called: 0 }), changed: Condvar::new() }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self) {
        let mut queue = self.queue();
        let number = queue.next;
        queue.next += 1;
        let called = self.changed.wait_while(queue, |queue| queue.called != number);
        drop(called.unwrap_or_else(PoisonError::into_inner));
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut queue = self.0.queue();
        queue.called += 1;
        if queue.called != queue.next {
            self.0.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn turns_come_in_the_order_in_which_they_were_asked_for() {
        static TURNS: Turns = Turns::new();
        let order = Mutex::new(Vec::new());
        TURNS.wait();
        let first = Turn(&TURNS);
        thread::scope(|scope| {
            for number in 1..=4 {
                let order = &order;
                scope.spawn(move || {
                    TURNS.wait();
                    order.lock().unwrap().push(number);
                    drop(Turn(&TURNS));
                });
                // The next one comes once this one stands in the queue.
                while TURNS.queue().next != number + 1 {
                    thread::yield_now();
                }
            }
            drop(first);
        });
        assert_eq!(*order.lock().unwrap(), [1, 2, 3, 4]);
    }

    #[test]
    fn one_at_a_time_has_the_turn() {
        static TURNS: Turns = Turns::new();
        let (inside, most) = (AtomicU64::new(0), AtomicU64::new(0));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..500 {
                        TURNS.wait();
                        let turn = Turn(&TURNS);
                        most.fetch_max(inside.fetch_add(1, Ordering::SeqCst), Ordering::SeqCst);
                        thread::yield_now();
                        inside.fetch_sub(1, Ordering::SeqCst);
                        drop(turn);
                    }
                });
            }
        });
        assert_eq!(most.into_inner(), 0, "two had the turn at once");
    }
}
