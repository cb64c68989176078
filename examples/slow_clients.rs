//! `slow_clients PORT COUNT KIND`: so many connections at once that keep a server waiting, and new ones for
//! those that it closes, a second later. KIND: `silent`, `half` a header, `drip` a byte a second, `mixed`.
//!
//! Says `ready` when each has been connected once.
#![expect(clippy::disallowed_types, reason = "there is no runtime here, and no paused time")]

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use std::{env, thread};

const PAUSE: Duration = Duration::from_secs(1);
/// Clients know nothing of each other: each waits a little longer than the one before, up to this.
const SPREAD_MS: u64 = 500;
const REQUEST: &[u8] = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nX-Slow: ";

/// What a connection does besides being there.
#[derive(Clone, Copy)]
enum Kind {
    Silent,
    Half,
    Drip,
}

/// One of the clients.
struct Client {
    kind: Kind,
    pause: Duration,
    stream: Option<TcpStream>,
    /// When it connects again, or sends its next byte.
    next: Instant,
    sent: usize,
}

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let [port, count, kind] = args.as_slice() else {
        eprintln!("slow_clients PORT COUNT silent|half|drip|mixed");
        return ExitCode::from(64);
    };
    let port = port.parse().unwrap_or(0);
    let count = count.parse().unwrap_or(0);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut clients: Vec<Client> = (0..count).map(|n| Client::new(kind, n)).collect();
    let mut said_ready = false;
    loop {
        let now = Instant::now();
        for client in &mut clients {
            client.go_on(address, now);
        }
        if !said_ready {
            println!("ready");
            said_ready = true;
        }
        thread::sleep(Duration::from_millis(20));
    }
}

impl Client {
    fn new(kind: &str, number: usize) -> Self {
        let kind = match (kind, number % 3) {
            ("silent", _) | ("mixed", 0) => Kind::Silent,
            ("half", _) | ("mixed", 1) => Kind::Half,
            _ => Kind::Drip,
        };
        let pause = PAUSE + Duration::from_millis(number as u64 % SPREAD_MS);
        Self { kind, pause, stream: None, next: Instant::now(), sent: 0 }
    }

    fn go_on(&mut self, address: SocketAddr, now: Instant) {
        if self.stream.as_ref().is_some_and(is_closed) {
            self.stream = None;
            self.next = now + self.pause;
        }
        if now < self.next {
            return;
        }
        match (&mut self.stream, self.kind) {
            (None, _) => self.connect(address),
            (Some(stream), Kind::Drip) => {
                if let Some(byte) = REQUEST.get(self.sent).or(Some(&b'x')) {
                    // A server that has closed is noticed at the next round.
                    let _ = stream.write(&[*byte]);
                }
                self.sent += 1;
            }
            _ => {}
        }
        self.next = now + PAUSE;
    }

    fn connect(&mut self, address: SocketAddr) {
        self.sent = 0;
        // A refusal, as of a server with no descriptors left, is tried again.
        let Ok(mut stream) = TcpStream::connect_timeout(&address, PAUSE) else {
            return;
        };
        if matches!(self.kind, Kind::Half) {
            let _ = stream.write(REQUEST);
        }
        if stream.set_nonblocking(true).is_ok() {
            self.stream = Some(stream);
        }
    }
}

/// Whether the server has ended the connection.
fn is_closed(stream: &TcpStream) -> bool {
    let mut reader = stream;
    match reader.read(&mut [0; 512]) {
        Ok(0) => true,
        Ok(_) => false,
        Err(e) => e.kind() != ErrorKind::WouldBlock,
    }
}
