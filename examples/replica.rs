//! `replica [abrupt]`: one of several servers of the same thing behind a load balancer, on `$PORT`.
//!
//! `/` is answered at once, `/slow` within two seconds, the first half of it at once, `/orders` by a query of
//! `$DATABASE_URL`, and `/stream` is an upgraded connection of messages, each written in parts. At TERM it accepts nothing
//! more, finishes what is open, says goodbye on each stream and ends. `abrupt` leaves TERM to the kernel, as programs do
//! that never heard of it.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{env, thread};

use signal_hook::consts::SIGTERM;
use signal_hook::low_level::pipe;
use tokio_postgres::NoTls;

/// How long `/slow` takes.
const SLOW: Duration = Duration::from_secs(2);
/// Between the parts of a message, and from one message to the next.
const PART: Duration = Duration::from_millis(100);
/// How often a connection that waits for a request looks whether there will be more.
const LOOK: Duration = Duration::from_millis(100);
/// For the database's answer.
const PATIENCE: Duration = Duration::from_secs(1);

static STOPPED: AtomicBool = AtomicBool::new(false);

fn main() -> io::Result<()> {
    let port = env::var("PORT").ok().and_then(|port| port.parse().ok()).unwrap_or(8080);
    if env::args().nth(1).as_deref() != Some("abrupt") {
        on_term(move || {
            STOPPED.store(true, Ordering::SeqCst);
            // Wakes the loop below.
            let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, port));
        })?;
    }
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))?;
    // The scope ends when all that is open has been finished.
    thread::scope(|scope| {
        for stream in listener.incoming().flatten() {
            if is_stopped() {
                break;
            }
            scope.spawn(|| serve(stream));
        }
        drop(listener);
    });
    Ok(())
}

fn is_stopped() -> bool {
    STOPPED.load(Ordering::SeqCst)
}

/// The requests of one connection, until either side has had enough.
fn serve(mut stream: TcpStream) -> Option<()> {
    stream.set_read_timeout(Some(LOOK)).ok()?;
    stream.set_nodelay(true).ok()?;
    loop {
        let path = request(&mut stream)?;
        match path.as_str() {
            "/stream" => return messages(&mut stream),
            "/slow" => answer(&mut stream, 200, SLOW)?,
            "/orders" => {
                let status = if orders().is_some() { 200 } else { 503 };
                answer(&mut stream, status, Duration::ZERO)?;
            }
            _ => answer(&mut stream, 200, Duration::ZERO)?,
        }
        if is_stopped() {
            return None;
        }
    }
}

/// The path of the next request; none when the client is gone, or the server is stopped first.
fn request(stream: &mut TcpStream) -> Option<String> {
    let (mut head, mut part) = (Vec::new(), [0; 1024]);
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut part) {
            Ok(0) => return None,
            Ok(length) => head.extend_from_slice(part.get(..length)?),
            Err(e) if e.kind() == ErrorKind::WouldBlock && !(head.is_empty() && is_stopped()) => {}
            Err(_) => return None,
        }
    }
    String::from_utf8(head).ok()?.split(' ').nth(1).map(str::to_owned)
}

/// An answer of two halves, the second one after this time.
fn answer(stream: &mut TcpStream, status: u16, pause: Duration) -> Option<()> {
    let replica = env::var("HOSTNAME").unwrap_or_default();
    let (first, last) = ("begun\n", "done\n");
    let connection = if is_stopped() { "close" } else { "keep-alive" };
    let head = format!(
        "HTTP/1.1 {status} X\r\nX-Replica: {replica}\r\nConnection: {connection}\r\nContent-Length: {}\r\n\r\n{first}",
        first.len() + last.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    thread::sleep(pause);
    stream.write_all(last.as_bytes()).ok()
}

/// Messages for as long as the client listens, each `[....]` in parts; `.` outside of one is the goodbye.
fn messages(stream: &mut TcpStream) -> Option<()> {
    let head = "HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: messages\r\n\r\n";
    stream.write_all(head.as_bytes()).ok()?;
    while !is_stopped() {
        for part in ["[", ".", ".", ".", ".", "]"] {
            stream.write_all(part.as_bytes()).ok()?;
            thread::sleep(PART);
        }
    }
    stream.write_all(b".").ok()
}

/// Whether the database answers a query, on a connection of its own.
fn orders() -> Option<()> {
    let config: tokio_postgres::Config = env::var("DATABASE_URL").ok()?.parse().ok()?;
    let [tokio_postgres::config::Host::Tcp(host), ..] = config.get_hosts() else { return None };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    let asked = async {
        let stream = tokio::net::TcpStream::connect((host.as_str(), 5432)).await.ok()?;
        let (client, connection) = config.connect_raw(stream, NoTls).await.ok()?;
        let connection = tokio::spawn(connection);
        client.simple_query("SELECT 1").await.ok()?;
        drop(client);
        connection.await.ok()?.ok()
    };
    let answered = runtime.block_on(async { tokio::time::timeout(PATIENCE, asked).await.ok()? });
    // A name that is looked up for longer is not waited for.
    runtime.shutdown_background();
    answered
}

/// Calls `action` at TERM, in a thread.
fn on_term(action: impl Fn() + Send + 'static) -> io::Result<()> {
    let (mut read, write) = UnixStream::pair()?;
    pipe::register(SIGTERM, write)?;
    thread::spawn(move || {
        while read.read_exact(&mut [0]).is_ok() {
            action();
        }
    });
    Ok(())
}
