//! An app that does as it is told, in the test's own process: what stead is given to check.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::harness::http::try_request;
use crate::harness::{LIMIT, Running, Stead, free_port, sys, until};

/// What it does with a request.
#[derive(Clone, Copy, Debug)]
pub enum Answer {
    /// Answers with this status, a `Location` of its own and a short body.
    Status(u16),
    /// Sends these bytes and ends the connection.
    Bytes(&'static [u8]),
    /// Sends these bytes again and again for as long as they are taken.
    Endless(&'static [u8]),
    /// Says nothing and keeps the connection.
    Silence,
    /// Resets the connection.
    Reset,
}

/// The app: it listens until it is closed or dropped.
pub struct App {
    address: SocketAddr,
    shared: Arc<Shared>,
    listener: Option<JoinHandle<()>>,
}

struct Shared {
    answer: Mutex<Answer>,
    connections: Mutex<Vec<Instant>>,
    requests: Mutex<Vec<String>>,
    closed: AtomicBool,
}

impl App {
    /// One that answers 200 on a free port of 127.0.0.1.
    pub fn new() -> Self {
        Self::on((Ipv4Addr::LOCALHOST, free_port()))
    }

    /// One that answers 200 at this address.
    pub fn on(address: impl Into<SocketAddr>) -> Self {
        let address = address.into();
        // Where an app has listened before, a program that was started meanwhile may still hold its port.
        let mut listener = TcpListener::bind(address);
        let _ = until(LIMIT, || {
            if listener.is_err() {
                listener = TcpListener::bind(address);
            }
            listener.is_ok()
        });
        let listener = listener.unwrap_or_else(|e| panic!("no app can listen on {address}: {e}"));
        let shared = Arc::new(Shared {
            answer: Mutex::new(Answer::Status(200)),
            connections: Mutex::default(),
            requests: Mutex::default(),
            closed: AtomicBool::new(false),
        });
        let serving = shared.clone();
        let listener = thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if serving.closed.load(Ordering::SeqCst) {
                    break;
                }
                // This thread may be late, and the gaps between connections are what tests look at.
                let came = Instant::now() - sys::silence_of(&stream).expect("its TCP_INFO");
                serving.connections.lock().unwrap().push(came);
                let serving = serving.clone();
                thread::spawn(move || serving.serve(stream));
            }
        });
        Self { address, shared, listener: Some(listener) }
    }

    /// From now on it answers so.
    pub fn answers(&self, answer: Answer) {
        *self.shared.answer.lock().unwrap() = answer;
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The URL of a path of it.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// When each connection came.
    pub fn connections(&self) -> Vec<Instant> {
        self.shared.connections.lock().unwrap().clone()
    }

    /// The heads of the requests that came.
    pub fn requests(&self) -> Vec<String> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// A stead that checks it by its port, in front of a command that only waits.
    pub fn watched(&self) -> Stead {
        idle().env("PORT", self.port().to_string())
    }

    /// A stead that checks it by this path, in front of a command that only waits.
    pub fn watched_at(&self, path: &str) -> Stead {
        idle().env("STEAD_APP_URL", self.url(path))
    }
}

/// `stead run` of a command that does nothing for longer than any test.
pub fn idle() -> Stead {
    Stead::run(["sleep", "1000"])
}

/// `stead run` of a command that says `ready` and lets no TERM end it.
pub fn stubborn() -> Stead {
    Stead::script("trap '' TERM; echo ready; exec sleep 1000")
}

/// Starting a stead whose endpoints a test asks.
pub trait Serve {
    /// Starts it with endpoints, and waits until they say that its command runs.
    fn serve(self) -> Running;
}

impl Serve for Stead {
    fn serve(self) -> Running {
        let stead = self.listening().start();
        let runs = || {
            try_request(stead.port(), "GET", "/livez", &[])
                .is_some_and(|answer| answer.json()["phase"] == "running")
        };
        assert!(until(LIMIT, runs), "no endpoint answers that it runs");
        stead
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::SeqCst);
        // A last connection of our own wakes the accepting thread.
        let _ = TcpStream::connect_timeout(&self.address, Duration::from_secs(5));
        if let Some(listener) = self.listener.take() {
            let _ = listener.join();
        }
    }
}

impl Shared {
    fn serve(&self, mut stream: TcpStream) {
        let Some(head) = read_head(&mut stream) else {
            return;
        };
        self.requests.lock().unwrap().push(head);
        let answer = *self.answer.lock().unwrap();
        // What a client that has left does not take is of no interest.
        let _ = match answer {
            Answer::Status(status) => {
                let location = "Location: /elsewhere\r\nConnection: close\r\n";
                let body = if status == 204 { "" } else { "body" };
                let length = body.len();
                write!(
                    stream,
                    "HTTP/1.1 {status} Said\r\n{location}Content-Length: {length}\r\n\r\n{body}"
                )
            }
            Answer::Bytes(bytes) => stream.write_all(bytes),
            Answer::Endless(bytes) => {
                while stream.write_all(bytes).is_ok() && !self.closed.load(Ordering::SeqCst) {}
                Ok(())
            }
            Answer::Silence => {
                while !self.closed.load(Ordering::SeqCst) {
                    thread::sleep(Duration::from_millis(20));
                }
                Ok(())
            }
            Answer::Reset => socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)),
        };
    }
}

/// The head of a request; none of a connection that asks for nothing, as a port check's.
fn read_head(stream: &mut TcpStream) -> Option<String> {
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    String::from_utf8(head).ok()
}
