//! A small HTTP server on `$PORT`: slow on /slow; TERM or INT ends it once the open requests are answered.
//!
//! More of what servers do, to watch stead by: /hang makes it answer nothing from then on, /gone
//! closes its port, and HUP is said on stdout.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::time::Duration;
use std::{env, thread};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::low_level::pipe;

/// The request that a client may take long to send.
const REQUEST_BYTES: usize = 8192;
const REQUEST_TIME: Duration = Duration::from_secs(5);
const SLOW: Duration = Duration::from_secs(5);

/// What the threads know of each other.
struct Server {
    port: u16,
    closed: AtomicBool,
    hangs: AtomicBool,
}

fn main() -> io::Result<()> {
    let port = env::var("PORT").ok().and_then(|port| port.parse().ok()).unwrap_or(8080);
    let server: &Server = Box::leak(Box::new(Server {
        port,
        closed: AtomicBool::new(false),
        hangs: AtomicBool::new(false),
    }));
    let (stop, stopped) = mpsc::channel();
    on_signals(&[SIGTERM, SIGINT], move || server.stop(&stop))?;
    on_signals(&[SIGHUP], || say("hello: read the configuration again"))?;

    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))?;
    say(&format!("hello: listening on port {port}"));
    // The scope ends when each open request has its answer.
    thread::scope(|scope| {
        for stream in listener.incoming().flatten() {
            if server.closed.load(Ordering::SeqCst) {
                break;
            }
            scope.spawn(|| server.answer(stream));
        }
        drop(listener);
        // No error: the sender lives as long as the process.
        let _ = stopped.recv();
    });
    say("hello: all requests are answered");
    Ok(())
}

impl Server {
    fn stop(&self, stop: &Sender<()>) {
        let _ = stop.send(());
        self.close();
    }

    /// Ends the accepting; a last connection of our own wakes it.
    fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }

    fn answer(&self, mut stream: TcpStream) {
        let Some(path) = request_path(&mut stream) else {
            return;
        };
        match path.as_str() {
            "/hang" => self.hangs.store(true, Ordering::SeqCst),
            "/gone" => self.close(),
            "/slow" => thread::sleep(SLOW),
            _ => {}
        }
        while self.hangs.load(Ordering::SeqCst) {
            if self.closed.load(Ordering::SeqCst) {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        let body = format!("hello from {path}\n");
        // A client that left needs no answer.
        let _ = write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
    }
}

/// The path of a GET; none of a connection that asked for nothing, as a TCP check's.
fn request_path(stream: &mut TcpStream) -> Option<String> {
    stream.set_read_timeout(Some(REQUEST_TIME)).ok()?;
    let mut request = Vec::new();
    let mut part = [0; 1024];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        let length = stream.read(&mut part).ok()?;
        if length == 0 || request.len() > REQUEST_BYTES {
            return None;
        }
        request.extend_from_slice(part.get(..length)?);
    }
    let request = String::from_utf8(request).ok()?;
    request.split(' ').nth(1).map(str::to_owned)
}

/// Calls `action` at each of `signals`, in a thread.
fn on_signals(signals: &[i32], mut action: impl FnMut() + Send + 'static) -> io::Result<()> {
    let (mut read, write) = UnixStream::pair()?;
    for &signal in signals {
        pipe::register(signal, write.try_clone()?)?;
    }
    thread::spawn(move || {
        let mut byte = [0];
        while read.read_exact(&mut byte).is_ok() {
            action();
        }
    });
    Ok(())
}

/// A line on stdout, which may be gone.
fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}
