//! The checks' engine against servers that fail in every way: what each failure is called, that it delays nothing
//! else, that nothing is left behind, and that a stop of the whole process makes no stale green.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::app::{Answer, App, Serve, idle, stubborn};
use crate::faults::{Fault, Server};
use crate::hardening::{anonymous_kib, descriptors, resident_kib};
use crate::harness::http::request;
use crate::harness::{LIMIT, Running, Scratch, free_port, processes, until};
use crate::network::in_own_network;

/// The checks of `/readyz`.
fn checks(stead: &Running) -> Value {
    stead.get("/readyz").json()["checks"].take()
}

fn becomes(stead: &Running, check: &str, status: &str) -> Value {
    let mut last = Value::Null;
    let came = until(LIMIT, || {
        last = checks(stead)[check].take();
        last["status"] == status
    });
    assert!(came, "{check} is not {status}: {last}");
    last
}

/// Lets time go by: what is awaited is that nothing happens in it.
fn pass(time: Duration) {
    let start = Instant::now();
    assert!(until(LIMIT, || start.elapsed() >= time));
}

/// How often a check was tried.
fn attempts(stead: &Running, check: &str) -> u64 {
    let text = stead.get("/metrics").body;
    let start = format!("stead_check_duration_seconds_count{{check=\"{check}\"}} ");
    let line = text.lines().find_map(|line| line.strip_prefix(&start));
    line.map_or(0, |count| count.parse().expect("a count"))
}

/// A kind of target: its name, its URL at a port, and how an answer of its protocol begins that never ends.
type Kind = (&'static str, fn(u16) -> String, &'static [u8]);

const KINDS: [Kind; 6] = [
    ("http", |port| format!("http://127.0.0.1:{port}/?"), b"HTTP/1.1 200 OK\r\nX: xxxxxxxxxxxxx"),
    ("search", |port| format!("meilisearch://127.0.0.1:{port}/?"), b"HTTP/1.1 200 OK\r\nX: xxxxxx"),
    (
        "postgres",
        |port| format!("postgres://u@127.0.0.1:{port}/d?sslmode=disable&"),
        b"R\0\0\0\x70\0",
    ),
    ("redis", |port| format!("redis://127.0.0.1:{port}/0?"), b"+PPPPPPPPPPPPPPPPPPPPPPPPPPPPPPP"),
    (
        "amqp",
        |port| format!("amqp://guest:guest-word@127.0.0.1:{port}/%2f?"),
        b"\x01\0\0\0\0\x01\0\0\x0a\0\x0a\0\x09",
    ),
    ("tls", |port| format!("tls://127.0.0.1:{port}?"), b"\x16\x03\x03\x20\0\x02\0\0\x46\x03\x03"),
];

/// What each fault may be called: by when it strikes, an error of the connection, of TLS or of the protocol. Garbage may
/// look like the beginning of a long message, whose rest is then waited for.
fn is_named_well(fault: Fault, class: &str) -> bool {
    let cut = ["connect_reset", "tls_failed", "protocol", "http_malformed"].contains(&class);
    match fault {
        Fault::Silence | Fault::Drip(_) => class == "timeout",
        Fault::ResetAtOnce | Fault::ResetWhenAsked | Fault::HalfClosed => cut,
        Fault::Garbage | Fault::Endless(_) if class == "timeout" => true,
        Fault::Garbage | Fault::Endless(_) => {
            ["protocol", "http_malformed", "tls_refused", "tls_failed"].contains(&class)
        }
    }
}

#[test]
fn each_fault_ends_at_its_deadline_with_class_and_stage_and_delays_nothing_else() {
    let app = App::new();
    let mut stead = app.watched();
    let mut servers = Vec::new();
    for (kind, url, beginning) in KINDS {
        for (what, fault) in [
            ("silence", Fault::Silence),
            ("drip", Fault::Drip(beginning)),
            ("reset-at-once", Fault::ResetAtOnce),
            ("reset-when-asked", Fault::ResetWhenAsked),
            ("garbage", Fault::Garbage),
            ("half-closed", Fault::HalfClosed),
            ("http", Fault::Endless(b"HTTP/1.1 200 OK\r\nX: y\r\n")),
            ("length", Fault::Endless(b"R\x7f\x7f\x7f\x7f\0\0\0")),
            ("frame", Fault::Endless(b"\x01\0\0\x7f\xff\xff\xff\0")),
            ("bulk", Fault::Endless(b"$99999999999\r\n")),
        ] {
            let server = Server::new(fault);
            let variable = format!("STEAD_CHECK_{kind}_{what}").to_uppercase().replace('-', "_");
            let options = "stead_timeout=1500ms&stead_required=false";
            stead = stead.env(variable, url(server.port()) + options);
            servers.push((format!("{kind}-{what}"), fault, server));
        }
    }
    let stead = stead.serve();
    becomes(&stead, "app", "up");
    for (name, fault, _server) in &servers {
        let check = becomes(&stead, name, "down");
        let class = check["class"].as_str().expect("a class");
        assert!(is_named_well(*fault, class), "{name}: {check}");
        assert!(check["stage"].is_string(), "{name}: {check}");
        let latency = check["latency_ms"].as_f64().expect("a latency");
        assert!(latency < 4000.0, "{name}: {check}");
        assert_eq!(class == "timeout", latency >= 1500.0, "{name}: {check}");
    }
    assert_eq!(checks(&stead)["app"]["status"], "up");
    assert_eq!(stead.status("/readyz"), 200);
    // Some announced lengths of gigabytes, for which no driver may make room.
    let most = processes::status(stead.pid(), "VmHWM").expect("a living process");
    let most: u64 = most.trim_end_matches(" kB").parse().expect("a number of KiB");
    assert!(most < 64 * 1024, "{most} KiB");
}

#[test]
fn a_server_that_does_not_even_accept_times_out_at_connect() {
    // A queue of one, full for ever: the kernel answers no further SYN; listen(2).
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&std::net::SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().expect("an address with a port");
    let port = address.port();
    let connect = |_| std::net::TcpStream::connect_timeout(&address, Duration::from_millis(300));
    let queued: Vec<_> = (0..4).map(connect).collect();
    assert!(queued.iter().any(Result::is_err), "the queue takes all");

    let stead = idle()
        .env("STEAD_CHECK_FULL", format!("tcp://127.0.0.1:{port}?stead_timeout=300ms"))
        .serve();
    let check = becomes(&stead, "full", "down");
    assert_eq!((&check["class"], &check["stage"]), (&"timeout".into(), &"connect".into()));
}

#[test]
fn a_hung_resolver_holds_up_neither_the_other_checks_nor_each_other() {
    in_own_network(|| {
        // It takes every question and answers none.
        let _deaf =
            UdpSocket::bind((Ipv4Addr::LOCALHOST, 53)).expect("port 53 of a network of its own");
        let app = App::new();
        let scratch = Scratch::new();
        let text = "nameserver 127.0.0.1\noptions timeout:30 attempts:1\n";
        let resolv_conf = scratch.file("resolv.conf", text, 0o644);
        let script = "mount --bind \"$0\" /etc/resolv.conf && exec \"$@\"";
        let resolv_conf = resolv_conf.to_str().expect("a plain path");
        let mut stead =
            app.watched().under(["unshare", "--mount", "sh", "-c", script, resolv_conf]);
        let names = 20;
        for number in 0..names {
            let url = format!("tcp://name{number}.test:1?stead_timeout=300ms&stead_required=false");
            stead = stead.env(format!("STEAD_CHECK_NAME{number}"), url);
        }
        let stead = stead.serve();
        becomes(&stead, "app", "up");
        for number in 0..names {
            let check = becomes(&stead, &format!("name{number}"), "down");
            let reason = (&check["class"], &check["stage"]);
            assert_eq!(reason, (&"timeout".into(), &"dns".into()), "{check}");
        }
        // Several attempts each, and one look-up: stead's own threads are at most three, and those that accept.
        assert!(until(LIMIT, || attempts(&stead, "name0") >= 5));
        let threads = processes::threads_that_do_not_accept(stead.pid());
        assert!(threads <= 3 + names, "{threads} threads");
        assert_eq!(stead.status("/readyz"), 200);
    });
}

#[test]
fn after_a_stop_of_the_process_no_old_pass_is_green_and_nothing_comes_in_a_burst() {
    let app = App::new();
    let url = format!("{}?stead_interval=1s&stead_timeout=1s&stead_max_age=2s", app.url("/"));
    let stead = idle().env("STEAD_CHECK_WEB", url).serve();
    becomes(&stead, "web", "up");
    stead.signal(libc::SIGSTOP);
    let stopped = until(LIMIT, || processes::state(stead.pid()) == Some('T'));
    assert!(stopped, "a stop that does not stop");
    pass(Duration::from_secs(4));
    // No new pass can hide the age of the old one.
    app.answers(Answer::Silence);
    let before = app.connections().len();
    let went_on = Instant::now();
    stead.signal(libc::SIGCONT);
    let answer = stead.get("/readyz");
    assert_eq!(answer.json()["checks"]["web"]["status"], "unknown", "{answer:?}");
    assert_eq!(answer.status, 503);
    app.answers(Answer::Status(200));
    becomes(&stead, "web", "up");
    let soon = app.connections().split_off(before);
    let soon = soon.iter().filter(|at| **at < went_on + Duration::from_millis(700)).count();
    assert!(soon <= 2, "{soon} connections at once after four seconds without any");
}

#[test]
fn a_stead_that_drains_opens_no_connection_and_says_no_more_of_its_checks() {
    let app = App::new();
    let options = "stead_interval=100ms&stead_timeout=1s&stead_max_age=1s";
    let stead = stubborn()
        .env("STEAD_CHECK_WEB", format!("{}?{options}", app.url("/")))
        .env("STEAD_CHECK_PORT", format!("tcp://127.0.0.1:{}?{options}", app.port()))
        .serve();
    stead.wait_ready();
    becomes(&stead, "web", "up");
    becomes(&stead, "port", "up");
    stead.signal(libc::SIGTERM);
    stead.wait_for_event("drain started", LIMIT);
    let told = stead.events_of("check changed").len();
    // An attempt may have begun before the drain did.
    pass(Duration::from_millis(300));
    let opened = app.connections().len();
    pass(Duration::from_millis(1500));
    assert_eq!(app.connections().len(), opened);
    assert_eq!(stead.events_of("check changed").len(), told);
    let answer = stead.get("/readyz").json();
    assert_eq!(answer["status"], "draining");
    assert_eq!(answer["checks"]["web"].get("failures"), None, "{answer}");
    assert_eq!(stead.status("/livez"), 200);
}

#[test]
fn what_only_the_start_needs_makes_a_running_app_degraded() {
    let port = free_port();
    let url = format!("tcp://127.0.0.1:{port}?stead_runtime=degraded");
    let stead = idle().env("STEAD_CHECK_SHARED", url).serve();
    becomes(&stead, "shared", "down");
    assert_eq!(stead.get("/readyz").json()["status"], "starting");
    assert_eq!(checks(&stead)["shared"]["required"], true);
    let app = App::on((Ipv4Addr::LOCALHOST, port));
    assert!(until(LIMIT, || stead.status("/readyz") == 200));
    assert_eq!(checks(&stead)["shared"]["required"], false);
    drop(app);
    becomes(&stead, "shared", "down");
    let answer = stead.get("/readyz");
    assert_eq!((answer.status, &answer.json()["status"]), (200, &"degraded".into()));
    let one = stead.get("/readyz/shared");
    assert_eq!((one.status, &one.json()["status"]), (503, &"unavailable".into()));
}

#[test]
fn each_check_counts_in_its_groups_alone() {
    let (app, gone) = (App::new(), free_port());
    let stead = app
        .watched()
        .env("STEAD_CHECK_GATE", format!("tcp://127.0.0.1:{gone}?stead_group=startup"))
        .env("STEAD_CHECK_SIDE", format!("tcp://127.0.0.1:{}", app.port()))
        .serve();
    becomes(&stead, "side", "up");
    assert!(until(LIMIT, || stead.status("/readyz") == 200));
    let names = |path: &str| {
        let checks = stead.get(path).json()["checks"].take();
        checks.as_object().map(|checks| checks.keys().cloned().collect::<Vec<_>>())
    };
    assert_eq!(names("/readyz"), Some(vec!["app".to_owned(), "side".to_owned()]));
    assert_eq!(names("/startupz"), Some(vec!["app".to_owned(), "gate".to_owned()]));
    assert_eq!(names("/livez"), Some(Vec::new()));
    assert_eq!(stead.get("/startupz").json()["status"], "starting");
    for (path, status) in [
        ("/startupz/gate", 503),
        ("/readyz/gate", 404),
        ("/readyz/side", 200),
        ("/startupz/side", 404),
        ("/livez/app", 404),
    ] {
        assert_eq!(stead.status(path), status, "{path}");
    }
}

#[test]
fn a_slow_check_is_told_of_once_a_minute() {
    let app = Server::new(Fault::Drip(b"HTTP/1.1 204 OK\r\n\r\n"));
    app.hurry();
    let options = "stead_slow=50ms&stead_interval=10ms&stead_timeout=5s";
    let url = format!("http://127.0.0.1:{}/?{options}", app.port());
    let stead = idle().env("STEAD_CHECK_SLOW", url).serve();
    assert!(until(LIMIT, || attempts(&stead, "slow") >= 5));
    let events = stead.events_of("check slow");
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!((&events[0]["level"], &events[0]["check"]), (&"warn".into(), &"slow".into()));
    assert!(events[0]["elapsed_ms"].as_f64() >= Some(50.0), "{events:?}");
}

#[test]
fn ten_thousand_rounds_leave_no_thread_descriptor_or_memory_behind() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a listener");
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || listener.incoming().for_each(drop));
    let mut stead = idle();
    let in_parallel = 20;
    for number in 0..in_parallel {
        let url = format!("tcp://localhost:{port}?stead_interval=1ms");
        stead = stead.env(format!("STEAD_CHECK_ROUND{number}"), url);
    }
    let stead = stead.serve();
    let rounds = || (0..in_parallel).map(|n| attempts(&stead, &format!("round{n}"))).sum::<u64>();
    let of = || (anonymous_kib(stead.pid()), descriptors(stead.pid()));
    assert!(until(LIMIT, || rounds() >= 2000));
    let ((memory, _), resident) = (of(), resident_kib(stead.pid()));
    assert!(until(3 * LIMIT, || rounds() >= 12_000), "{} rounds", rounds());
    let (later, open) = of();
    println!("anonymous: {memory} KiB, later {later} KiB");
    assert!(later < memory + 512, "{memory} KiB, later {later} KiB");
    // What is mapped from the file comes and goes: stead lets go of it after each attempt.
    let settles = until(LIMIT, || resident_kib(stead.pid()) < resident + 1024);
    assert!(settles, "resident: {resident} KiB, later {} KiB", resident_kib(stead.pid()));
    // One connection each at most, the look-ups' and stead's own.
    assert!(open < 3 * in_parallel + 20, "{open} descriptors");
    let threads = processes::threads_that_do_not_accept(stead.pid());
    assert!(threads <= 3 + 2 * in_parallel, "{threads} threads");
}

#[test]
fn health_json_has_the_state_and_the_reason_of_each_check() {
    let app = App::new();
    let url = format!("tcp://127.0.0.1:{}?stead_required=false", free_port());
    let stead = app.watched().env("STEAD_CHECK_GONE", url).serve();
    becomes(&stead, "gone", "down");
    becomes(&stead, "app", "up");
    let headers = [("Accept", "application/health+json")];
    let answer = request(stead.port(), "GET", "/readyz", &headers);
    assert_eq!(answer.header("content-type"), Some("application/health+json"));
    assert_eq!((answer.status, &answer.json()["status"]), (200, &"warn".into()));
    let checks = &answer.json()["checks"];
    assert_eq!(checks["app:responseTime"][0]["status"], "pass");
    assert_eq!(checks["gone:responseTime"][0]["status"], "warn");
    assert_eq!(checks["gone:responseTime"][0]["output"], "connect_refused at connect");
}
