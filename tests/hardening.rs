//! The server of the endpoints cannot be hurt: by how many come, how slowly they speak or what they send.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::http::{connect, exchange};
use crate::harness::{LIMIT, Running, example, processes, until};
use crate::protocol::{answering, is_answered, read_answer};

/// As many connections as stead serves at once.
const CONNECTIONS: usize = 128;

/// How long a client may take for the head of a request.
const HEADER_TIME: Duration = Duration::from_secs(2);

pub const GET: &[u8] = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n";
pub const HALF: &[u8] = b"GET /readyz HTTP/1.1\r\nHost: local";

/// Resident memory of a process, in KiB.
pub fn resident_kib(pid: i32) -> u64 {
    memory_kib(pid, "VmRSS")
}

/// What of it is not mapped from files, in KiB.
pub fn anonymous_kib(pid: i32) -> u64 {
    memory_kib(pid, "RssAnon")
}

fn memory_kib(pid: i32, kind: &str) -> u64 {
    let text = crate::harness::processes::status(pid, kind).expect("a living process");
    let number = text.split(' ').next().and_then(|n| n.parse().ok());
    number.expect("a number of KiB")
}

pub fn descriptors(pid: i32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).expect("a living process").count()
}

/// The sockets that a process has open.
fn sockets(pid: i32) -> BTreeSet<PathBuf> {
    let open = fs::read_dir(format!("/proc/{pid}/fd")).expect("a living process");
    let targets = open.flatten().filter_map(|fd| fs::read_link(fd.path()).ok());
    targets.filter(|target| target.to_string_lossy().starts_with("socket:")).collect()
}

/// The connections to its endpoints that a stead without checks holds: all its sockets but the one that listens.
/// Connections come and go while they are counted, so those count that were there before and after a moment in which
/// all of stead waited (or two seconds in which it had no such moment), for by then it has closed what gave way to
/// others. Not by the kernel's table of connections: with the thousands that other tests have left in it, reading that
/// takes longer than a connection lives here.
pub fn connections(stead: &Running) -> usize {
    let pid = stead.pid();
    let mut before = sockets(pid);
    let _ = until(Duration::from_secs(2), || {
        let now = sockets(pid);
        let waits = processes::threads_of(pid).iter().all(|id| processes::state(*id) == Some('S'));
        if waits {
            before = now;
        }
        waits
    });
    before.intersection(&sockets(pid)).count() - 1
}

/// Clients that keep a server waiting, in a process of their own: examples/slow_clients.rs.
pub struct SlowClients(Child);

impl SlowClients {
    pub fn of(stead: &Running, count: usize, kind: &str) -> Self {
        let mut child = Command::new(example("slow_clients"))
            .args([&stead.port().to_string(), &count.to_string(), kind])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the slow clients");
        let mut said = [0; 5];
        let stdout = child.stdout.as_mut().expect("their stdout");
        stdout.read_exact(&mut said).expect("their first word");
        assert_eq!(&said, b"ready");
        Self(child)
    }
}

impl Drop for SlowClients {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn no_more_than_128_connections_are_held() {
    let stead = answering();
    let _clients = SlowClients::of(&stead, 400, "half");
    let mut most = 0;
    let over = until(Duration::from_secs(5), || {
        most = most.max(connections(&stead));
        most > CONNECTIONS
    });
    assert!(!over, "{most} connections");
    assert!(most > CONNECTIONS / 2, "{most} connections");
    is_answered(&stead);
}

#[test]
fn the_oldest_without_a_complete_request_gives_way_to_the_129th() {
    let stead = answering();
    // A round in which the time for the header is over would end all of them, and shows nothing.
    let gave_way = (0..5).find_map(|_| {
        assert!(until(LIMIT, || connections(&stead) == 0));
        first_and_last_when_the_129th_comes(&stead)
    });
    let (first_ended, last_open) = gave_way.expect("a machine that is fast enough for this test");
    assert!(first_ended && last_open, "ended: {first_ended}, open: {last_open}");
}

/// Whether the first of 128 connections ends, and whether the last stays, when there is one more; nothing where that
/// took as long as a client has for its header.
fn first_and_last_when_the_129th_comes(stead: &Running) -> Option<(bool, bool)> {
    let began = Instant::now();
    let mut waiting: Vec<TcpStream> = (0..CONNECTIONS)
        .map(|_| {
            let mut stream = connect(stead.port()).unwrap();
            stream.write_all(HALF).unwrap();
            stream
        })
        .collect();
    let all = until(HEADER_TIME, || connections(stead) == CONNECTIONS);
    let mut newest = connect(stead.port()).unwrap();
    newest.write_all(GET).unwrap();
    assert_eq!(read_answer(&mut newest).unwrap().status, 200);
    let first_ended = until(LIMIT, || has_ended(&mut waiting[0]));
    let last_open = !has_ended(&mut waiting[CONNECTIONS - 1]);
    (began.elapsed() < HEADER_TIME).then_some((all && first_ended, last_open))
}

/// Whether the other side has ended or reset the connection by now.
fn has_ended(stream: &mut TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let read = stream.read(&mut [0; 512]);
    stream.set_nonblocking(false).unwrap();
    match read {
        Ok(n) => n == 0,
        Err(e) => e.kind() != std::io::ErrorKind::WouldBlock,
    }
}

#[test]
fn idle_kept_connections_lock_nobody_out() {
    let stead = answering();
    let kept: Vec<TcpStream> = (0..2 * CONNECTIONS)
        .map(|number| {
            let mut stream = connect(stead.port()).unwrap();
            stream.write_all(GET).unwrap();
            let answer = read_answer(&mut stream);
            assert!(answer.is_ok_and(|a| a.status == 200), "connection {number}");
            stream
        })
        .collect();
    assert!(connections(&stead) <= CONNECTIONS);
    is_answered(&stead);
    drop(kept);
}

#[test]
fn clients_that_never_read_lock_nobody_out() {
    let stead = answering();
    let before = resident_kib(stead.pid());
    let deaf: Vec<TcpStream> = (0..CONNECTIONS + 32)
        .map(|_| {
            let stream = connect(stead.port()).unwrap();
            // As much as both sides' buffers take; the answers are several times as long.
            stream.set_nonblocking(true).unwrap();
            while matches!((&stream).write(&GET.repeat(500)), Ok(1..)) {}
            stream
        })
        .collect();
    for _ in 0..20 {
        is_answered(&stead);
    }
    assert!(connections(&stead) <= CONNECTIONS);
    let grown = resident_kib(stead.pid()).saturating_sub(before);
    assert!(grown < 8 * 1024, "grown by {grown} KiB");
    drop(deaf);
    is_answered(&stead);
}

#[test]
fn a_header_that_is_not_complete_in_two_seconds_ends_the_connection() {
    let stead = answering();
    let beginnings: [&[u8]; 4] = [b"", b"G", HALF, b"GET /readyz HTTP/1.1\r\nA: b\r\n"];
    thread::scope(|scope| {
        for beginning in beginnings {
            scope.spawn(|| {
                let began = Instant::now();
                let mut stream = connect(stead.port()).unwrap();
                stream.write_all(beginning).unwrap();
                let mut said = Vec::new();
                let _ = stream.read_to_end(&mut said);
                let took = began.elapsed();
                ends_in_time(took, beginning);
                let said = String::from_utf8_lossy(&said).into_owned();
                assert!(said.is_empty() || said.starts_with("HTTP/1.1 408"), "{said}");
            });
        }
        scope.spawn(|| {
            let mut stream = connect(stead.port()).unwrap();
            stream.write_all(GET).unwrap();
            assert_eq!(read_answer(&mut stream).unwrap().status, 200);
            let began = Instant::now();
            stream.write_all(HALF).unwrap();
            let _ = stream.read_to_end(&mut Vec::new());
            ends_in_time(began.elapsed(), b"the second of a kept connection");
        });
        scope.spawn(|| {
            let began = Instant::now();
            let mut stream = connect(stead.port()).unwrap();
            let mut bytes = HALF.iter().cycle();
            let ended = until(LIMIT, || {
                let _ = stream.write(&[*bytes.next().unwrap()]);
                thread::sleep(Duration::from_millis(100));
                has_ended(&mut stream)
            });
            assert!(ended, "a byte now and then keeps a connection");
            ends_in_time(began.elapsed(), b"drip");
        });
    });
}

fn ends_in_time(took: Duration, what: &[u8]) {
    let limits = HEADER_TIME - Duration::from_millis(200)..HEADER_TIME + Duration::from_secs(3);
    assert!(limits.contains(&took), "{what:?}: {took:?}");
}

/// Whether the server refused these bytes: an answer of 400 to 499, or the end of the connection.
fn is_refused(stead: &Running, bytes: &[u8]) -> bool {
    let mut stream = connect(stead.port()).unwrap();
    // It may end the connection before all is written; what it has said by then is its answer.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    answer.is_empty() || answer.starts_with("HTTP/1.1 4") || answer.starts_with("HTTP/1.0 4")
}

#[test]
fn a_head_of_more_than_8_kib_is_refused_and_a_smaller_one_is_read() {
    let stead = answering();
    let with_header = |length: usize| {
        let value = "v".repeat(length);
        format!("GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX: {value}\r\n\r\n")
    };
    let answer = exchange(stead.port(), with_header(7_500).as_bytes());
    assert_eq!(answer.map(|answer| answer.status), Some(200));
    for length in [9_000, 20_000, 100_000, 1_000_000] {
        let refused = is_refused(&stead, with_header(length).as_bytes());
        assert!(refused, "{length}");
        let uri = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "u".repeat(length));
        assert!(is_refused(&stead, uri.as_bytes()), "{length}");
        let many = format!("GET /livez HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(length / 6));
        assert!(is_refused(&stead, many.as_bytes()), "{length}");
        let endless = "A".repeat(length);
        assert!(is_refused(&stead, endless.as_bytes()), "{length}");
    }
    is_answered(&stead);
}

#[test]
fn a_body_is_not_read_and_never_taken_for_a_request() {
    let stead = answering();
    let before = resident_kib(stead.pid());
    let post = b"POST /readyz HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n";
    let mut stream = connect(stead.port()).unwrap();
    stream.write_all(post).unwrap();
    // Ends the moment it is answered, without a byte of the body.
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 405"));

    let mut stream = connect(stead.port()).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(3))).unwrap();
    stream.write_all(post).unwrap();
    let block = [b'b'; 65536];
    let taken = (0..800).take_while(|_| stream.write_all(&block).is_ok()).count();
    assert!(taken < 400, "{taken} blocks of 64 KiB were taken");
    let grown = resident_kib(stead.pid()).saturating_sub(before);
    assert!(grown < 4 * 1024, "grown by {grown} KiB");

    let inner = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";
    let length = inner.len();
    let chunk = format!("{length:x}\r\n{inner}\r\n0\r\n\r\n");
    for method in ["GET", "HEAD", "POST"] {
        for outer in [
            format!(
                "{method} /readyz HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{inner}"
            ),
            format!(
                "{method} /readyz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}"
            ),
            format!(
                "{method} /readyz HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\
                 Transfer-Encoding: chunked\r\n\r\n{chunk}"
            ),
            format!(
                "{method} /readyz HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\
                 Content-Length: {length}\r\n\r\n{inner}"
            ),
        ] {
            let answers = answers_to(&stead, outer.as_bytes());
            assert!(answers <= 1, "{answers} answers to {outer:?}");
        }
    }
    is_answered(&stead);
}

/// How many answers come to these bytes before the connection ends or is quiet for long.
fn answers_to(stead: &Running, bytes: &[u8]) -> usize {
    let mut stream = connect(stead.port()).unwrap();
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said);
    String::from_utf8_lossy(&said).matches("HTTP/1.").count()
}

#[test]
fn what_is_not_http_is_refused_and_forgotten() {
    let mut stead = answering();
    let mut random = fs::File::open("/dev/urandom").unwrap();
    let mut noise = vec![0; 4000];
    random.read_exact(&mut noise).unwrap();
    let client_hello =
        [&b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03"[..], &[0x5a; 189]].concat();
    let http2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    let bad: Vec<Vec<u8>> = vec![
        noise,
        client_hello,
        http2,
        vec![0; 4000],
        vec![0xff; 4000],
        b"\r\n".repeat(3000),
        b"\n\n\n\n".to_vec(),
        b"GET /livez HTTP/3.0\r\nHost: x\r\n\r\n".to_vec(),
        b"GET /livez HTTQ/1.1\r\nHost: x\r\n\r\n".to_vec(),
        b"GET /livez\r\n\r\n".to_vec(),
        b"GET\r\n\r\n".to_vec(),
        b"GET /li\0vez HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        b"GET /livez HTTP/1.1\r\nHo\0st: x\r\n\r\n".to_vec(),
        b"GET /livez HTTP/1.1\r\nHost: a\0b\r\n\r\n".to_vec(),
        b"GET /livez HTTP/1.1\r\nHost : x\r\n\r\n".to_vec(),
        b"GET /livez HTTP/1.1\r\n: x\r\n\r\n".to_vec(),
        b"GET /livez HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n".to_vec(),
        b"POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n".to_vec(),
        b"POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n".to_vec(),
        b"POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"
            .to_vec(),
        b"POST /livez HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: nonsense\r\n\r\n".to_vec(),
        b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\n\r\n".to_vec(),
        b"EHLO example.org\r\n".to_vec(),
        b"{\"jsonrpc\": \"2.0\"}\r\n\r\n".to_vec(),
    ];
    for bytes in bad {
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).into_owned();
        assert!(is_refused(&stead, &bytes), "{text:?}");
        is_answered(&stead);
    }
    assert!(stead.is_running());
    let told: Vec<_> = stead
        .events()
        .into_iter()
        .filter(|e| e["level"] == "error" || e["level"] == "warn")
        .collect();
    assert!(told.is_empty(), "a client can fill the log: {told:?}");
}
