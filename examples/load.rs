//! `load PORT RATE STREAMS PATH...`: a steady load on 127.0.0.1 until its standard input ends.
//!
//! So many requests are begun each second, for one path after the other, whatever becomes of those before; beside them so
//! many upgraded connections are held, and made anew when they end. At the end it prints one JSON object: of each path how
//! many requests ended how, the same of each second by when they were begun, and what became of the streams. Before that it
//! says `steady`, once a request of each path has ended: as many are open then as ever will be.
#![expect(clippy::disallowed_types, reason = "there is no runtime here, and no paused time")]

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::time::{Duration, Instant};
use std::{env, thread};

use serde_json::{Value, json};

/// Longest that an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// From the end of a stream to the next one in its place.
const PAUSE: Duration = Duration::from_millis(200);
/// How often a stream looks whether the load is over.
const LOOK: Duration = Duration::from_millis(100);

/// What happened.
enum Event {
    /// A request of that second: the path, and `200`, `503`, `503 of the proxy`, `cut`, `refused`, `timeout`.
    Request(u64, String, String),
    /// Of a stream: `opened`, `message`, `moved` (the server said goodbye), `dropped` (it did not, between two
    /// messages), `cut` (in the middle of one), `refused`.
    Stream(&'static str),
}

static OVER: AtomicBool = AtomicBool::new(false);

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let [port, rate, streams, paths @ ..] = args.as_slice() else {
        eprintln!("load PORT RATE STREAMS PATH...");
        return ExitCode::from(64);
    };
    let (Ok(port), Ok(rate), Ok(streams)) = (port.parse(), rate.parse(), streams.parse()) else {
        eprintln!("load: PORT, RATE and STREAMS are numbers");
        return ExitCode::from(64);
    };
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let (events, happened) = mpsc::channel();
    thread::spawn(|| {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        OVER.store(true, Ordering::SeqCst);
    });
    for _ in 0..streams {
        let events = events.clone();
        thread::spawn(move || hold_streams(address, &events));
    }
    let (paths, kinds) = (paths.to_vec(), paths.len());
    thread::spawn(move || begin_requests(address, rate, &paths, &events));
    // Ends when the last of those that may say something is gone.
    println!("{}", summary(happened.iter(), kinds));
    ExitCode::SUCCESS
}

fn is_over() -> bool {
    OVER.load(Ordering::SeqCst)
}

fn begin_requests(address: SocketAddr, rate: u32, paths: &[String], events: &Sender<Event>) {
    let begin = Instant::now();
    for (number, path) in (0..).zip(paths.iter().cycle()) {
        let at = Duration::from_secs(1) * number / rate;
        thread::sleep(at.saturating_sub(begin.elapsed()));
        if is_over() {
            return;
        }
        let (path, events) = (path.clone(), events.clone());
        thread::spawn(move || {
            let outcome = request(address, &path).unwrap_or_else(|error| name_of(&error));
            // No error: the receiver is there for as long as a sender is.
            let _ = events.send(Event::Request(at.as_secs(), path, outcome));
        });
    }
}

/// One request on a connection of its own; how it ended.
fn request(address: SocketAddr, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: replica\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let status = answer.split(' ').nth(1).unwrap_or("cut").to_owned();
    let is_the_apps = answer.to_ascii_lowercase().contains("\r\nx-replica:");
    Ok(match (is_the_apps, answer.ends_with("\ndone\n")) {
        (true, true) => status,
        (true, false) => "cut".to_owned(),
        (false, _) if status == "cut" => status,
        (false, _) => format!("{status} of the proxy"),
    })
}

fn name_of(error: &io::Error) -> String {
    let name = match error.kind() {
        ErrorKind::ConnectionRefused => "refused",
        ErrorKind::WouldBlock | ErrorKind::TimedOut => "timeout",
        _ => "cut",
    };
    name.to_owned()
}

/// One stream after the other.
fn hold_streams(address: SocketAddr, events: &Sender<Event>) {
    while !is_over() {
        let end = hold_stream(address, events).unwrap_or("refused");
        if is_over() && end == "over" {
            return;
        }
        let _ = events.send(Event::Stream(end));
        thread::sleep(PAUSE);
    }
}

/// How it ended; an error where there was none.
fn hold_stream(address: SocketAddr, events: &Sender<Event>) -> io::Result<&'static str> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(LOOK))?;
    write!(
        stream,
        "GET /stream HTTP/1.1\r\nHost: replica\r\nConnection: Upgrade\r\nUpgrade: messages\r\n\r\n"
    )?;
    let (mut head, mut byte, begin) = (Vec::new(), [0], Instant::now());
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(0) => return Ok("refused"),
            Ok(_) => head.extend(byte),
            Err(e) if e.kind() == ErrorKind::WouldBlock && begin.elapsed() < PATIENCE => {}
            Err(e) => return Err(e),
        }
    }
    if !head.starts_with(b"HTTP/1.1 101") {
        return Ok("refused");
    }
    let _ = events.send(Event::Stream("opened"));
    let (mut is_within, mut was_told) = (false, false);
    loop {
        match (stream.read(&mut byte), byte) {
            (Ok(1), [b'[']) => is_within = true,
            (Ok(1), [b']']) => {
                is_within = false;
                let _ = events.send(Event::Stream("message"));
            }
            (Ok(1), _) => was_told = !is_within,
            (Err(e), _) if e.kind() == ErrorKind::WouldBlock && !is_over() => {}
            (Err(e), _) if e.kind() == ErrorKind::WouldBlock => return Ok("over"),
            (Ok(_) | Err(_), _) if is_within => return Ok("cut"),
            (Ok(_) | Err(_), _) if was_told => return Ok("moved"),
            (Ok(_) | Err(_), _) => return Ok("dropped"),
        }
        if is_over() {
            return Ok("over");
        }
    }
}

type Counts = BTreeMap<String, u64>;

fn summary(happened: impl Iterator<Item = Event>, kinds: usize) -> Value {
    let mut requests = BTreeMap::<String, Counts>::new();
    let mut seconds = BTreeMap::<u64, BTreeMap<String, Counts>>::new();
    let mut streams = Counts::new();
    let count = |counts: &mut Counts, what: String| *counts.entry(what).or_default() += 1;
    for event in happened {
        match event {
            Event::Stream(what) => count(&mut streams, what.to_owned()),
            Event::Request(second, path, outcome) => {
                let of_second = seconds.entry(second).or_default().entry(path.clone()).or_default();
                count(of_second, outcome.clone());
                let is_first = !requests.contains_key(&path);
                count(requests.entry(path).or_default(), outcome);
                if is_first && requests.len() == kinds {
                    println!("steady");
                }
            }
        }
    }
    let seconds: Vec<_> = seconds.into_values().collect();
    json!({"requests": requests, "seconds": seconds, "streams": streams})
}
