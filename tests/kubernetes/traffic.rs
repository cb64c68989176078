//! Clients of a pod that go on until its endpoint is gone from their proxy.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::harness::{LIMIT, http, until};

/// What is asked for, and what the whole answer has in it.
const REQUESTS: [(&str, &str); 3] = [("/", "hello\n"), ("/", "hello\n"), ("/slow", "slow\n")];

/// Some clients, each with one request after the other.
pub struct Traffic {
    over: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<Vec<String>>>,
}

impl Traffic {
    /// Begins it, and waits until it flows.
    pub fn to(at: SocketAddr) -> Self {
        let (over, answered) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let clients = REQUESTS.map(|(path, expected)| {
            let (over, answered) = (over.clone(), answered.clone());
            thread::spawn(move || {
                let mut lost = Vec::new();
                while !over.load(Ordering::Relaxed) {
                    match http::get(at, path, LIMIT) {
                        Some(answer) if answer.status == 200 && answer.body == expected => {
                            answered.fetch_add(1, Ordering::Relaxed);
                        }
                        answer => lost.push(format!("{path}: {answer:?}")),
                    }
                    thread::sleep(Duration::from_millis(20));
                }
                lost
            })
        });
        let traffic = Self { over, answered, clients: clients.into() };
        assert!(until(LIMIT, || traffic.answered.load(Ordering::Relaxed) > 50), "no traffic");
        traffic
    }

    /// Goes on for this long, and waits for what is asked by then: fails when anything was lost.
    pub fn end_after(self, time: Duration) {
        let before = self.answered.load(Ordering::Relaxed);
        // The proxy's delay, and not something that is waited for.
        thread::sleep(time);
        self.over.store(true, Ordering::Relaxed);
        let lost = self.clients.into_iter().flat_map(|client| client.join().expect("a client"));
        let lost: Vec<_> = lost.collect();
        let answered = self.answered.load(Ordering::Relaxed) - before;
        assert!(lost.is_empty(), "{} lost of {}: {lost:?}", lost.len(), lost.len() + answered);
        assert!(answered > 50, "only {answered} requests in {time:?}");
    }
}
