//! The check of RabbitMQ against a real one: what it proves, what it tells apart, and that it leaves nothing behind.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::app::idle;
use crate::hardening::descriptors;
use crate::harness::processes::threads_of;
use crate::harness::servers::rabbitmq::{ENCODED, PASSWORD, RabbitMq, STRANGER, alone, shared};
use crate::harness::{LIMIT, Running, stead, until};

/// For a change of state: three attempts that run out of time, or the back-off while it is down.
const CHANGED_WITHIN: Duration = Duration::from_secs(90);

/// What `stead check URL` says, within a time that a busy machine keeps unless the URL has one of its own.
fn says(url: &str) -> String {
    let url = if url.contains("stead_timeout") { url.to_owned() } else { patient(url) };
    let output = stead(["check", &url]).output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    for secret in [PASSWORD, ENCODED] {
        assert!(!said.contains(secret), "{said}");
    }
    said
}

fn patient(url: &str) -> String {
    let join = if url.contains('?') { '&' } else { '?' };
    format!("{url}{join}stead_timeout=20s")
}

fn says_each(cases: &[(String, &str)]) {
    for (url, words) in cases {
        let said = says(url);
        assert!(said.contains(words), "not `{words}`: {said}");
    }
}

/// A stead that checks this URL, which has options already, every half second.
fn watching(url: &str) -> Running {
    let url = format!("{url}&stead_interval=500ms");
    let stead = idle().env("STEAD_CHECK_MQ", url).listening().start();
    stead.wait_for_event("child started", LIMIT);
    stead
}

fn check(stead: &Running) -> Value {
    stead.get("/readyz").json()["checks"]["mq"].take()
}

fn wait_for_status(stead: &Running, status: &str) {
    let reached = until(CHANGED_WITHIN, || check(stead)["status"] == status);
    assert!(reached, "not {status} within {CHANGED_WITHIN:?}: {}", check(stead));
}

/// Waits until so many attempts have passed since now.
fn passes(stead: &Running, count: usize) {
    let mut seen = 0;
    let mut last = u64::MAX;
    let passed = until(LIMIT, || {
        let age = check(stead)["age_ms"].as_u64().unwrap_or(u64::MAX);
        // A younger result than the last one that was looked at is another one.
        seen += usize::from(age < last);
        last = age;
        seen > count
    });
    assert!(passed, "{seen} attempts: {}", check(stead));
}

/// How many connections the broker has accepted, and how many vanished, since its log was this long.
fn logged_since(broker: &RabbitMq, start: usize) -> (usize, usize) {
    let log = broker.log();
    let count = |text: &str| log[start..].matches(text).count();
    (count("accepting AMQP connection"), count("closed TCP connection"))
}

#[test]
fn a_broker_is_up_in_each_spelling_of_its_virtual_host() {
    let broker = shared();
    let url = broker.url();
    for (path, vhost) in
        [("", "/"), ("/", "/"), ("/%2F", "/"), ("/codecave", "codecave"), ("/a%2Fb", "a/b")]
    {
        let said = says(&format!("{url}{path}"));
        assert!(said.contains(" up in ") && said.contains(&format!("vhost {vhost}")), "{said}");
    }
}

#[test]
fn what_is_wrong_with_a_login_is_told_apart() {
    let broker = shared();
    let url = broker.url();
    says_each(&[
        (broker.url_as("app:wrong"), "down: auth_failed at authenticate"),
        (broker.url_as("nobody:stranger"), "down: auth_failed at authenticate"),
        (format!("{url}/nowhere"), "down: not_found at state"),
        (format!("{}/codecave", broker.url_as(STRANGER)), "down: access_denied at authenticate"),
        (format!("{url}/full"), "down: too_many_connections at authenticate"),
    ]);
}

#[test]
fn a_queue_is_looked_at_and_never_made() {
    let broker = shared();
    let url = broker.url();
    broker.publish("jobs", 3);
    says_each(&[
        (format!("{url}?stead_queue=jobs"), "messages 3"),
        (format!("{url}?stead_queue=jobs&stead_max_messages=3"), " up in "),
        (
            format!("{url}?stead_queue=jobs&stead_max_messages=2"),
            "degraded: too_many_messages at state",
        ),
        (format!("{url}?stead_queue=idle&stead_max_messages=0"), " up in "),
        (
            format!("{url}?stead_queue=idle&stead_min_consumers=1"),
            "degraded: too_few_consumers at state",
        ),
        (format!("{url}?stead_queue=missing"), "down: not_found at state"),
        (format!("{url}?stead_queue=missing"), "down: not_found at state"),
    ]);
}

#[test]
fn tls_is_verified_unless_that_is_refused_in_words() {
    let broker = shared();
    let (url, ca) = (broker.tls_url(), broker.authority().display());
    says_each(&[
        (format!("{url}?stead_ca={ca}"), " up in "),
        (format!("{url}?cacertfile={ca}"), " up in "),
        (format!("{url}/codecave?stead_verify=off"), " up in "),
        (url.clone(), "down: tls_untrusted at tls"),
        (url.replace("amqps:", "amqp:"), "down: "),
        (format!("{}?stead_ca={ca}", broker.url().replace("amqp:", "amqps:")), "down: tls_"),
    ]);
}

#[test]
fn one_connection_is_held_and_closed_at_the_end_and_the_broker_misses_no_client() {
    let broker = alone();
    let start = broker.log().len();
    let mut stead = watching(&patient(&broker.url()));
    wait_for_status(&stead, "up");
    passes(&stead, 3);
    assert_eq!(logged_since(&broker, start), (1, 0), "one connection for all rounds");
    let names = threads_of(stead.pid()).into_iter().map(|thread| {
        fs::read_to_string(format!("/proc/{}/task/{thread}/comm", stead.pid())).unwrap_or_default()
    });
    assert_eq!(names.filter(|name| name.contains("lapin")).count(), 1);
    stead.signal(libc::SIGTERM);
    stead.wait_exit(LIMIT);
    let closed = until(LIMIT, || broker.log()[start..].contains("closing AMQP connection"));
    assert!(closed && logged_since(&broker, start) == (1, 0), "{}", &broker.log()[start..]);

    // A connection a round; one whose queue is missing; one by the command line.
    let start = broker.log().len();
    let stead = watching(&patient(&format!("{}?stead_reuse=false", broker.url())));
    wait_for_status(&stead, "up");
    passes(&stead, 3);
    drop(stead);
    says(&format!("{}?stead_queue=missing", broker.url()));
    let (accepted, missed) = logged_since(&broker, start);
    assert!(accepted > 3, "{accepted} connections for more than three rounds");
    assert_eq!(missed, 0, "{}", &broker.log()[start..]);
}

#[test]
fn a_connection_that_is_as_old_as_it_may_become_is_closed_and_made_anew() {
    let broker = alone();
    let start = broker.log().len();
    let stead = watching(&patient(&format!("{}?stead_reuse=2s", broker.url())));
    wait_for_status(&stead, "up");
    let closed = || broker.log()[start..].matches("closing AMQP connection").count();
    assert!(until(2 * LIMIT, || closed() >= 3), "{}", &broker.log()[start..]);
    // One takes leave while the next one is made.
    let one_is_left = until(LIMIT, || logged_since(&broker, start).0 <= closed() + 1);
    let log = &broker.log()[start..];
    assert!(one_is_left && logged_since(&broker, start).1 == 0, "{log}");
    let metrics = stead.get("/metrics").body;
    assert!(!metrics.contains("stead_check_failures_total{"), "{metrics}");
}

#[test]
fn an_alarm_is_a_concern_and_its_end_too() {
    let broker = alone();
    let asked = |management: &str| says(&format!("{}?stead_management={management}", broker.url()));
    let management = broker.management();
    let over_tls =
        format!("{}&stead_ca={}", broker.management_over_tls(), broker.authority().display());
    for management in [&management, &over_tls] {
        let said = asked(management);
        assert!(said.contains(" up in "), "{said}");
    }
    // No memory may be used, and more of the disk must be free than there is.
    for (setting, alarming, usual, name) in [
        ("set_vm_memory_high_watermark", "0", "0.4", "alarms: memory"),
        ("set_disk_free_limit", "1000000GB", "1MB", "alarms: disk"),
    ] {
        broker.ctl(&[setting, alarming]);
        let mut said = String::new();
        let alarmed = until(CHANGED_WITHIN, || {
            said = asked(&management);
            said.contains("degraded: blocked at state") && said.contains(name)
        });
        broker.ctl(&[setting, usual]);
        assert!(alarmed, "{said}");
        let over = until(CHANGED_WITHIN, || asked(&management).contains(" up in "));
        assert!(over, "{}", asked(&management));
    }

    // What cannot be asked is a concern too, and not the broker's end.
    let wrong = management.replace("http://", "http://app:wrong@");
    assert!(asked(&wrong).contains("degraded: auth_failed"), "{}", asked(&wrong));
    let closed = asked("http://127.0.0.1:1");
    assert!(closed.contains("degraded: connect_refused"), "{closed}");
}

#[test]
fn a_frozen_broker_is_noticed_and_up_again_when_it_goes_on() {
    let broker = alone();
    let stead = watching(&format!("{}?stead_timeout=2s", broker.url()));
    wait_for_status(&stead, "up");
    broker.freeze(true);
    wait_for_status(&stead, "down");
    let failed = check(&stead);
    broker.freeze(false);
    assert_eq!(failed["class"], "timeout", "{failed}");
    wait_for_status(&stead, "up");
    assert_eq!(stead.status("/readyz"), 200);
}

#[test]
fn a_broker_that_was_restarted_is_up_again_without_a_restart_of_stead() {
    let mut broker = alone();
    let url = broker.url();
    let stead = watching(&patient(&format!("{url}?stead_queue=idle")));
    wait_for_status(&stead, "up");
    broker.down();
    wait_for_status(&stead, "down");
    let failed = check(&stead);
    broker.up();
    assert_eq!(failed["class"], "connect_refused", "{failed}");
    wait_for_status(&stead, "up");
}

/// Says this to whoever connects and hangs up; a thread that ends with the test program.
fn says_only(bytes: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            // What is closed unread is reset.
            let mut header = [0; 8];
            let _ = stream.read_exact(&mut header).and_then(|()| stream.write_all(bytes));
        }
    });
    port
}

#[test]
fn what_speaks_no_amqp_is_told_apart() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().unwrap().port();
    for (port, failure) in [
        (says_only(b""), "connect_reset at authenticate"),
        (says_only(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "protocol at authenticate"),
        // How a broker of another version answers: AMQP 0-9-1, 4.2.2.
        (says_only(b"AMQP\0\0\x08\0"), "protocol at authenticate"),
        (silent, "timeout at authenticate"),
    ] {
        let limit = if port == silent { "500ms" } else { "20s" };
        let said = says(&format!("amqp://127.0.0.1:{port}?stead_timeout={limit}"));
        assert!(said.contains(&format!("down: {failure}")), "not {failure}: {said}");
    }
}

#[test]
fn what_is_tried_in_vain_leaves_no_thread_no_descriptor_and_no_line_of_lapins() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().unwrap().port();
    let garbage = says_only(b"+PONG\r\n");
    let broker = shared();
    let mut stead = idle().listening();
    for (kind, url) in [
        ("LOGIN", broker.url_as("app:wrong")),
        ("VHOST", format!("{}/nowhere", broker.url())),
        ("QUEUE", format!("{}?stead_queue=missing", broker.url())),
    ] {
        stead = stead.env(format!("STEAD_CHECK_{kind}"), url);
    }
    // Each is tried once a second.
    for number in 0..20 {
        let silent = format!("amqp://127.0.0.1:{silent}?stead_timeout=50ms");
        stead = stead.env(format!("STEAD_CHECK_SILENT_{number}"), silent);
        let garbage = format!("amqp://127.0.0.1:{garbage}");
        stead = stead.env(format!("STEAD_CHECK_GARBAGE_{number}"), garbage);
    }
    let stead = stead.start();
    stead.wait_for_event("child started", LIMIT);
    let rounds = || -> u64 {
        let body = stead.get("/readyz").json();
        let checks = body["checks"].as_object().into_iter().flatten();
        checks.filter_map(|(_, check)| check["failures"].as_u64()).sum()
    };
    assert!(until(CHANGED_WITHIN, || rounds() >= 240), "{} rounds", rounds());
    // 43 attempts can be under way at one moment; each of the 240 has had a thread and a descriptor.
    let own = || (threads_of(stead.pid()).len(), descriptors(stead.pid()));
    let is_bounded = || own().0 < 60 && own().1 < 70;
    assert!(until(LIMIT, is_bounded), "{:?} threads and descriptors", own());
    // How lapin's own errors begin.
    let lapins = ["Connection", "Channel", "Socket", "Exponential", "error ", "parse error"];
    for event in stead.events() {
        let message = event["message"].as_str().unwrap();
        assert!(!lapins.iter().any(|begins| message.starts_with(begins)), "{event}");
    }
}
