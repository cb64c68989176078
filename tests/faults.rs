//! Servers that fail: each takes every connection and does the one wrong thing that it was made for.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// What is wrong.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// Accepts, takes the question and says nothing.
    Silence,
    /// Answers this, one byte a second.
    Drip(&'static [u8]),
    /// Resets the connection when it was made.
    ResetAtOnce,
    /// Resets it when something was asked.
    ResetWhenAsked,
    /// Answers what is no protocol's.
    Garbage,
    /// Answers this again and again, for as long as it is taken.
    Endless(&'static [u8]),
    /// Ends its own side and goes on listening.
    HalfClosed,
}

/// A server with a fault, which listens to the end of this program.
pub struct Server {
    port: u16,
    hurried: Arc<AtomicBool>,
}

impl Server {
    /// One on a free port of 127.0.0.1.
    pub fn new(fault: Fault) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let hurried = Arc::<AtomicBool>::default();
        let hurry = hurried.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let hurry = hurry.clone();
                // A client that goes away ends its connection.
                thread::spawn(move || drop(fault.strike(stream, &hurry)));
            }
        });
        Self { port, hurried }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Says a byte every few milliseconds instead.
    pub fn hurry(&self) {
        self.hurried.store(true, Ordering::Relaxed);
    }
}

impl Fault {
    fn strike(self, mut stream: TcpStream, hurried: &AtomicBool) -> std::io::Result<()> {
        if !matches!(self, Self::ResetAtOnce | Self::HalfClosed) {
            // What comes before the question is another fault, and its name depends on who is faster.
            stream.read_exact(&mut [0])?;
        }
        match self {
            Self::Silence => {}
            Self::Drip(bytes) => {
                for byte in bytes {
                    stream.write_all(&[*byte])?;
                    let is_hurried = hurried.load(Ordering::Relaxed);
                    thread::sleep(Duration::from_millis(if is_hurried { 5 } else { 1000 }));
                }
                if hurried.load(Ordering::Relaxed) {
                    return Ok(());
                }
            }
            Self::ResetAtOnce | Self::ResetWhenAsked => return reset(&stream),
            Self::Garbage => {
                stream.write_all(&b"\xff\x00garbage \x81\xc3(\r\n\r\n".repeat(100))?;
            }
            Self::Endless(bytes) => {
                let bytes = bytes.repeat(1000);
                loop {
                    stream.write_all(&bytes)?;
                }
            }
            Self::HalfClosed => stream.shutdown(Shutdown::Write)?,
        }
        std::io::copy(&mut stream, &mut std::io::sink()).map(drop)
    }
}

/// With no time to linger, a close is a reset; socket(7).
fn reset(stream: &TcpStream) -> std::io::Result<()> {
    socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO))
}
