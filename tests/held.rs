//! The connection that a check holds: what becomes of it while stead drains and when it ends, and what the target says
//! over it that is shown. The server is a Redis as far as a check asks one.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::app::{Serve, idle, stubborn};
use crate::harness::http::request;
use crate::harness::{LIMIT, Running, Stead, until};

/// How long the list is at first.
const LENGTH: usize = 5;

/// A server that knows PING, LLEN and QUIT.
#[derive(Default)]
struct Server {
    connections: AtomicUsize,
    commands: Mutex<Vec<String>>,
    length: AtomicUsize,
    is_deaf: AtomicBool,
}

impl Server {
    /// One that listens to the end of this program, and its port.
    fn start() -> (Arc<Self>, u16) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let server = Arc::new(Self { length: AtomicUsize::new(LENGTH), ..Self::default() });
        let this = server.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                this.connections.fetch_add(1, Ordering::SeqCst);
                let this = this.clone();
                thread::spawn(move || this.serve(stream));
            }
        });
        (server, port)
    }

    fn serve(&self, mut stream: TcpStream) -> Option<()> {
        let mut lines = BufReader::new(stream.try_clone().ok()?).lines();
        loop {
            // `*<words>`, then for each word `$<length>` and the word itself.
            let words: usize = lines.next()?.ok()?.strip_prefix('*')?.parse().ok()?;
            let mut command = Vec::new();
            for _ in 0..words {
                lines.next()?.ok()?;
                command.push(lines.next()?.ok()?);
            }
            let answer = match command.first()?.as_str() {
                "PING" => "+PONG\r\n".to_owned(),
                "QUIT" => "+OK\r\n".to_owned(),
                "LLEN" => format!(":{}\r\n", self.length.load(Ordering::SeqCst)),
                _ => "-ERR unknown command\r\n".to_owned(),
            };
            self.commands.lock().unwrap().push(command.join(" "));
            if !self.is_deaf.load(Ordering::SeqCst) {
                stream.write_all(answer.as_bytes()).ok()?;
            }
        }
    }

    fn count(&self, command: &str) -> usize {
        self.commands.lock().unwrap().iter().filter(|c| *c == command).count()
    }
}

/// A stead that asks the server all the time, once it is up.
fn watching(stead: Stead, port: u16, options: &str) -> Running {
    let url = format!("redis://127.0.0.1:{port}/?stead_interval=50ms&{options}");
    let stead = stead.env("STEAD_CHECK_CACHE", url).serve();
    let found = || stead.get("/readyz").json()["checks"]["cache"]["age_ms"].is_number();
    assert!(until(LIMIT, found), "it was never asked");
    stead
}

fn becomes(stead: &Running, status: &str) -> Value {
    let mut last = Value::Null;
    let came = until(LIMIT, || {
        last = stead.get("/readyz").json()["checks"]["cache"].take();
        last["status"] == status
    });
    assert!(came, "it is not {status}: {last}");
    last
}

#[test]
fn while_stead_drains_the_held_connection_is_asked_and_no_other_is_made() {
    let (server, port) = Server::start();
    let stead = watching(stubborn(), port, "");
    stead.wait_ready();
    stead.signal(libc::SIGTERM);
    stead.wait_for_event("drain started", LIMIT);
    let asked = server.count("PING");
    assert!(until(LIMIT, || server.count("PING") > asked + 5), "it is asked no more");
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
    let answer = stead.get("/readyz").json();
    assert_eq!(
        (&answer["status"], &answer["checks"]["cache"]["status"]),
        (&json!("draining"), &json!("up"))
    );
}

#[test]
fn at_the_end_the_held_connection_is_closed_as_its_protocol_wants_it() {
    let (server, port) = Server::start();
    let mut stead = watching(idle(), port, "");
    stead.signal(libc::SIGTERM);
    assert_eq!(stead.wait_exit(LIMIT), 143);
    assert!(until(LIMIT, || server.count("QUIT") == 1), "{:?}", server.commands.lock());
    let commands = server.commands.lock().unwrap().clone();
    assert_eq!(commands.last().map(String::as_str), Some("QUIT"));
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
}

#[test]
fn a_server_that_hangs_does_not_hold_up_the_end() {
    let (server, port) = Server::start();
    let mut stead = watching(idle(), port, "stead_timeout=60s");
    server.is_deaf.store(true, Ordering::SeqCst);
    let asked = server.count("PING");
    assert!(until(LIMIT, || server.count("PING") > asked));
    let asked_to_end = Instant::now();
    stead.signal(libc::SIGTERM);
    assert_eq!(stead.wait_exit(LIMIT), 143);
    assert!(asked_to_end.elapsed() < Duration::from_secs(5), "{:?}", asked_to_end.elapsed());
}

#[test]
fn what_works_and_complains_is_degraded_and_says_of_what() {
    let (server, port) = Server::start();
    let options = "stead_list=bull:jobs:wait&stead_max_messages=100";
    let stead = watching(idle(), port, options);
    let up = becomes(&stead, "up");
    assert_eq!(up["detail"], json!({"list_length": LENGTH}));
    assert_eq!(up.get("class"), None);

    server.length.store(101, Ordering::SeqCst);
    let degraded = becomes(&stead, "degraded");
    assert_eq!(degraded["detail"], json!({"list_length": 101}));
    let reason = (&degraded["class"], &degraded["stage"]);
    assert_eq!(reason, (&json!("too_many_messages"), &json!("state")));
    assert_eq!(degraded.get("failures"), None, "{degraded}");

    for path in ["/readyz", "/readyz/cache"] {
        let answer = stead.get(path);
        assert_eq!((answer.status, &answer.json()["status"]), (200, &json!("degraded")), "{path}");
    }
    let verbose = stead.get("/readyz?verbose").body;
    let wanted = "[+]cache degraded: too_many_messages at state\nreadyz check passed\n";
    assert_eq!(verbose, wanted);
    let ietf = request(stead.port(), "GET", "/readyz", &[("Accept", "application/health+json")]);
    let ietf = ietf.json();
    assert_eq!(ietf["status"], "warn");
    assert_eq!(ietf["checks"]["cache:responseTime"][0]["status"], "warn");
    assert_eq!(ietf["checks"]["cache:list_length"][0]["observedValue"], 101);
    let metrics = stead.get("/metrics").body;
    for line in [
        "stead_redis_list_length{check=\"cache\"} 101.0\n",
        "stead_check_up{check=\"cache\"} 1.0\n",
        "stead_check_degraded{check=\"cache\"} 1.0\n",
    ] {
        assert!(metrics.contains(line), "no {line} in {metrics}");
    }
    assert!(stead.get("/").body.contains("list_length 101"));
    let event = stead.wait_for("a change to degraded", LIMIT, |e| e["status"] == "degraded");
    assert_eq!((&event["level"], &event["from"]), (&json!("warn"), &json!("up")));
    assert_eq!(event["class"], "too_many_messages");

    server.length.store(0, Ordering::SeqCst);
    becomes(&stead, "up");
    let told = until(LIMIT, || stead.events_of("check changed").len() == 3);
    assert!(told, "{:?}", stead.events_of("check changed"));
}

#[test]
fn the_detail_is_a_detail() {
    let (_server, port) = Server::start();
    let stead = idle().env("STEAD_DETAILS", "never");
    let stead = watching(stead, port, "stead_list=jobs&stead_max_messages=1");
    let check = becomes(&stead, "degraded");
    for detail in ["detail", "class", "stage"] {
        assert_eq!(check.get(detail), None, "{check}");
    }
    let verbose = stead.get("/readyz?verbose").body;
    assert_eq!(verbose, "[+]cache degraded: reason withheld\nreadyz check passed\n");
}
