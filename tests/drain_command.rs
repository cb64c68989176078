//! `stead drain` and `/drain`: who may ask, what it does at once, what it waits for, and what a TERM adds to it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Output, Stdio};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use crate::harness::connections::App;
use crate::harness::{LIMIT, Running, Stead, free_port, http, stead, sys, until};
use crate::network::{OTHER, in_own_network};

/// What it takes to be heard.
const HEADER: (&str, &str) = ("Stead-Drain", "1");

/// A child that a TERM ends with 3.
fn child(options: &[&str]) -> Running {
    let child = Stead::example("print_signals").args(["--exit-on", "15:3", "--exit-on", "10:7"]);
    let stead = child.options(options.iter().copied()).listening().start();
    stead.wait_ready();
    stead
}

/// `stead drain` beside it, under way.
fn drain(stead: &Running, options: &[&str]) -> Child {
    let mut command = self::stead(["drain"]);
    command.args(options).env("STEAD_LISTEN", format!("127.0.0.1:{}", stead.port()));
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("stead drain")
}

/// Its exit code and all that it said.
#[track_caller]
fn outcome(drain: Child) -> (i32, String) {
    let Output { status, stdout, stderr } = drain.wait_with_output().expect("its end");
    let said = String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned();
    (status.code().unwrap_or(-1), said)
}

fn quiesces(stead: &Running) -> bool {
    stead.get("/readyz").json()["phase"] == "quiescing"
}

fn got_term(stead: &Running) -> bool {
    stead.stdout().iter().any(|line| line.starts_with("got 15 "))
}

#[test]
fn it_turns_readiness_serves_the_delay_and_ends_nothing() {
    let mut stead = child(&["--drain-delay", "3s"]);
    assert_eq!(stead.status("/readyz"), 200);
    let from = Instant::now();
    let drain = drain(&stead, &[]);
    assert!(until(LIMIT, || quiesces(&stead)));
    assert_eq!((stead.status("/readyz"), stead.status("/livez")), (503, 200));
    assert_eq!(outcome(drain), (0, "drain: over\n".to_owned()));
    assert!(from.elapsed() >= Duration::from_secs(3), "it came back early");
    assert_eq!((stead.status("/readyz"), stead.status("/livez")), (503, 200));
    assert!(stead.is_running() && !got_term(&stead));
    // A second one joins the first, which is over.
    assert_eq!(outcome(self::drain(&stead, &["-q"])), (0, String::new()));
    assert_eq!(stead.events_of("drain started").len(), 1);
    // The delay is not served again.
    let from = Instant::now();
    stead.signal(libc::SIGTERM);
    assert_eq!(stead.wait_exit(LIMIT), 3);
    let sent = stead.wait_for_event("stop signal sent", LIMIT);
    assert!(from.elapsed() < Duration::from_secs(3), "{:?} {sent}", from.elapsed());
}

#[test]
fn with_nothing_to_wait_for_it_is_over_at_once() {
    let stead = child(&[]);
    assert_eq!(outcome(drain(&stead, &[])), (0, "drain: over\n".to_owned()));
    assert!(quiesces(&stead) && !got_term(&stead));
}

#[test]
fn a_term_meanwhile_serves_the_rest_of_the_delay_and_what_waited_is_told() {
    let mut stead = child(&["--drain-delay", "4s"]);
    let from = Instant::now();
    let drain = drain(&stead, &[]);
    assert!(until(LIMIT, || quiesces(&stead) && from.elapsed() > Duration::from_secs(2)));
    stead.signal(libc::SIGTERM);
    assert_eq!(stead.wait_for_event("stop signal held back", LIMIT)["signal"], "TERM");
    assert_eq!(stead.wait_exit(LIMIT), 3);
    let elapsed = from.elapsed().as_secs_f64();
    // Served anew, it would have been over after six seconds.
    assert!((4.0..6.0).contains(&elapsed), "{elapsed} s");
    // Where stead is gone before it asks again, that is the end too.
    let (code, said) = outcome(drain);
    assert!(code == 0 && said.starts_with("drain: over"), "{code} {said}");
}

#[test]
fn the_deadline_counts_from_the_request() {
    let stead = Stead::example("print_signals").options(["--drain-delay", "1s", "--grace", "4s"]);
    let mut stead = stead.listening().start();
    stead.wait_ready();
    assert_eq!(outcome(drain(&stead, &[])), (0, "drain: over\n".to_owned()));
    stead.signal(libc::SIGTERM);
    assert_eq!(stead.wait_exit(LIMIT), 137);
    let elapsed = stead.wait_for_event("drain ended", LIMIT)["elapsed_s"].as_f64().unwrap();
    assert!((4.0..4.9).contains(&elapsed), "{elapsed} s");
}

#[test]
fn a_term_after_the_deadline_has_a_grace_of_its_own() {
    let stead =
        Stead::example("print_signals").options(["--drain-delay", "100ms", "--grace", "1s"]);
    let mut stead = stead.listening().start();
    stead.wait_ready();
    assert_eq!(outcome(drain(&stead, &[])).0, 0);
    let past = Instant::now() + Duration::from_millis(1500);
    assert!(until(LIMIT, || Instant::now() > past));
    assert!(stead.is_running(), "a drain that was asked for has ended something");
    let from = Instant::now();
    stead.signal(libc::SIGTERM);
    stead.wait_for_line(LIMIT, |line| line.starts_with("got 15 "));
    assert_eq!(stead.wait_exit(LIMIT), 137);
    assert!(from.elapsed() >= Duration::from_secs(1), "{:?}", from.elapsed());
}

#[test]
fn it_waits_for_connections_until_half_of_the_grace_is_left_and_says_how_many() {
    let app = App::new();
    let mut connections = [app.connect(), app.connect()];
    connections.iter_mut().for_each(|connection| connection.ask());
    let stead = child(&["--drain-until-idle", &app.port_text(), "--grace", "3s"]);
    let from = Instant::now();
    let told = "drain: the time is over with 2 connections left\n";
    assert_eq!(outcome(drain(&stead, &[])), (1, told.to_owned()));
    assert!(from.elapsed() >= Duration::from_millis(1500), "{:?}", from.elapsed());
    assert!(!got_term(&stead));
    drop(connections);
}

#[test]
fn it_comes_back_when_the_connections_are_gone() {
    let app = App::new();
    let mut connection = app.connect();
    connection.ask();
    let stead = child(&["--drain-until-idle", &app.port_text(), "--grace", "90s"]);
    let [one, two] = [drain(&stead, &[]), drain(&stead, &[])];
    let counted = || http::request(stead.port(), "GET", "/drain", &[HEADER]).json();
    assert!(until(LIMIT, || counted()["connections"] == 1), "{}", counted());
    assert_eq!(counted()["drain"], "waiting");
    drop(connection);
    for drain in [one, two] {
        assert_eq!(outcome(drain), (0, "drain: over\n".to_owned()));
    }
}

#[test]
fn without_waiting_it_is_back_at_once_and_readiness_has_turned() {
    let stead = child(&["--drain-delay", "20s"]);
    assert_eq!(outcome(drain(&stead, &["--no-wait"])), (0, "drain: started\n".to_owned()));
    assert!(quiesces(&stead));
}

#[test]
fn the_childs_own_end_is_the_end_of_the_drain() {
    let mut stead = child(&["--drain-delay", "20s"]);
    let drain = drain(&stead, &[]);
    assert!(until(LIMIT, || quiesces(&stead)));
    stead.signal(libc::SIGUSR1);
    assert_eq!(stead.wait_exit(LIMIT), 7);
    assert_eq!(outcome(drain), (0, "drain: over, stead has ended\n".to_owned()));
}

#[test]
fn it_can_be_ended_itself() {
    let stead = child(&["--drain-delay", "20s"]);
    let mut drain = drain(&stead, &[]);
    assert!(until(LIMIT, || quiesces(&stead)));
    sys::kill(drain.id() as i32, libc::SIGTERM).unwrap();
    assert!(until(LIMIT, || drain.try_wait().unwrap().is_some()));
    assert!(quiesces(&stead));
}

#[test]
fn what_keeps_it_from_asking_is_one_line() {
    let said = |listen: &str| {
        let output = stead(["drain"]).env("STEAD_LISTEN", listen).output().expect("stead drain");
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        said
    };
    assert_eq!(said("off"), "drain: the endpoints are off (STEAD_LISTEN=off)\n");
    let nowhere = said(&format!("127.0.0.1:{}", free_port()));
    assert!(nowhere.contains("no stead answers at 127.0.0.1:"), "{nowhere}");
    let mistake = stead(["drain", "now"]).output().expect("stead drain");
    assert_eq!(mistake.status.code(), Some(64));
}

#[test]
fn nobody_else_can_ask() {
    let stead = child(&[]);
    let refused = |headers: &str| {
        let text = format!("POST /drain HTTP/1.1\r\nConnection: close\r\n{headers}\r\n");
        let answer = http::exchange(stead.port(), text.as_bytes()).expect("an answer");
        assert_eq!(answer.status, 403, "{headers:?} {answer:?}");
        answer.json()["error"].as_str().expect("why").to_owned()
    };
    assert!(refused("Host: localhost\r\n").contains("header Stead-Drain"));
    for host in
        ["", "Host: rebound.example.org\r\n", "Host: 10.0.0.1:9321\r\n", "Host: 0.0.0.0\r\n"]
    {
        assert!(refused(&format!("{host}Stead-Drain: 1\r\n")).contains("Host"), "{host}");
    }
    // What a browser asks before it sends such a header elsewhere.
    for method in ["OPTIONS", "PUT", "DELETE"] {
        let answer = http::request(stead.port(), method, "/drain", &[HEADER]);
        assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD, POST")));
        assert!(answer.headers.iter().all(|(name, _)| !name.starts_with("access-control")));
    }
    assert_eq!(http::request(stead.port(), "POST", "/readyz", &[HEADER]).status, 405);
    let told = http::request(stead.port(), "GET", "/drain", &[HEADER]).json();
    assert_eq!((&told["drain"], stead.status("/readyz")), (&"none".into(), 200));
}

#[test]
fn each_loopback_name_is_taken_and_no_body_is_read() {
    for host in ["localhost", "LOCALHOST:1", "127.0.0.9", "[::1]:9321"] {
        let stead = child(&[]);
        let text = format!(
            "POST /drain HTTP/1.1\r\nHost: {host}\r\nStead-Drain: \r\nContent-Length: 4\r\n\r\n"
        );
        let answer = http::exchange(stead.port(), text.as_bytes()).expect("an answer");
        assert_eq!((answer.status, answer.header("connection")), (202, Some("close")), "{host}");
        assert!(quiesces(&stead), "{host}");
    }
}

#[test]
fn a_peer_that_is_not_here_is_refused_and_one_at_its_own_address_is_not() {
    in_own_network(|| {
        let stead = Stead::example("print_signals").env("STEAD_LISTEN", "[::]:9321").start();
        stead.wait_ready();
        let ask =
            |from: &str, to: &str| ask_on(connect(from.parse().unwrap(), to.parse().unwrap()));
        // Not from loopback, and not from the address that it goes to.
        let far = format!("{OTHER}:0");
        assert_eq!(ask(&far, "127.0.0.1:9321").status, 403);
        assert!(ask(&far, "127.0.0.1:9321").body.contains("peer"));
        assert_eq!(ask(&far, &format!("{OTHER}:9321")).status, 202);
    });
}

/// A connection from one address to another.
fn connect(from: SocketAddr, to: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::for_address(from), Type::STREAM, None).expect("a socket");
    socket.bind(&from.into()).expect("the address");
    socket.connect(&to.into()).expect("a connection");
    socket.set_read_timeout(Some(LIMIT)).expect("a limit");
    socket.into()
}

fn ask_on(mut stream: TcpStream) -> http::Response {
    let text =
        "POST /drain HTTP/1.1\r\nHost: localhost\r\nStead-Drain: 1\r\nConnection: close\r\n\r\n";
    stream.write_all(text.as_bytes()).expect("room");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    http::Response::parse(&answer).expect("HTTP")
}

#[test]
fn before_the_child_there_is_nothing_to_wait_for_and_the_drain_is_kept() {
    let port = free_port();
    let child = Stead::example("print_signals").args(["--exit-on", "15:3"]);
    let check = format!("late=tcp://127.0.0.1:{port}");
    let stead = child.options(["--wait=60s", "--check", &check]).listening().start();
    stead.wait_for_event("waiting", LIMIT);
    assert_eq!(outcome(drain(&stead, &[])), (0, "drain: nothing runs yet\n".to_owned()));
    let _late = TcpListener::bind(("127.0.0.1", port)).expect("the port");
    stead.wait_ready();
    assert!(until(LIMIT, || quiesces(&stead)));
}
