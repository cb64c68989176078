//! Whether the app is ready, as stead finds out by its port or its URL, from the first try to the drain.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::app::{Answer, App, Serve, idle, stubborn};
use crate::hardening::resident_kib;
use crate::harness::{LIMIT, Running, Scratch, Stead, free_port, until};

/// Within this a check at its defaults is down after its app has gone: DESIGN, "Checks".
const DOWN_WITHIN: Duration = Duration::from_secs(18);

/// The last gap before a new try is found to pass, with the back-off of an app that is down.
const UP_AGAIN_WITHIN: Duration = Duration::from_secs(45);

fn reaches(stead: &Running, path: &str, status: u16, limit: Duration) {
    let reached = until(limit, || stead.status(path) == status);
    assert!(reached, "{path} is not {status} within {limit:?}: {:?}", stead.get(path));
}

/// The state of a check once it has failed with a class.
fn failure_of(stead: &Running, name: &str) -> Value {
    let mut check = Value::Null;
    let failed = until(LIMIT, || {
        check = stead.get("/readyz").json()["checks"][name].take();
        check["class"].is_string()
    });
    assert!(failed, "{name} has not failed: {:?}", stead.get("/readyz"));
    check
}

fn changes(stead: &Running) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let events = stead.events_of("check changed");
    events.iter().map(|e| (text(&e["check"]), text(&e["from"]), text(&e["status"]))).collect()
}

#[test]
fn a_stead_starts_not_ready_and_is_ready_soon_after_its_app_listens() {
    let port = free_port();
    let stead = idle().env("PORT", port.to_string()).serve();
    stead.wait_for_event("child started", LIMIT);
    assert_eq!(stead.get("/readyz").json()["status"], "starting");
    assert_eq!(stead.status("/readyz"), 503);
    assert_eq!(stead.status("/startupz"), 503);
    assert_eq!(stead.get("/startupz").json()["status"], "starting");
    assert_eq!(stead.status("/livez"), 200);
    failure_of(&stead, "app");
    assert_eq!(stead.get("/readyz").json()["status"], "starting");

    let _app = App::on((Ipv4Addr::LOCALHOST, port));
    // Tried every second; the rest is room for a busy machine.
    reaches(&stead, "/readyz", 200, Duration::from_secs(5));
    assert_eq!(stead.status("/startupz"), 200);
    assert_eq!(stead.get("/readyz").json()["status"], "ok");
}

#[test]
fn a_real_server_becomes_ready_gone_and_drained() {
    let port = free_port();
    let mut stead = Stead::script("sleep 0.5; exec hello").env("PORT", port.to_string()).serve();
    reaches(&stead, "/readyz", 200, LIMIT);
    let event = stead.wait_for_event("starting", LIMIT);
    assert!(event["app"].as_str().is_some_and(|app| app == "app"), "{event}");
    stead.signal(libc::SIGTERM);
    assert_eq!(stead.wait_exit(LIMIT), 0);
    let drained = stead.stdout();
    assert!(drained.iter().any(|line| line.contains("all requests are answered")), "{drained:?}");
}

#[test]
fn an_app_that_stops_listening_is_unavailable_after_three_failures() {
    let app = App::new();
    let port = app.port();
    let stead = app.watched().serve();
    reaches(&stead, "/readyz", 200, LIMIT);
    drop(app);
    let gone = Instant::now();
    reaches(&stead, "/readyz", 503, DOWN_WITHIN);
    let answer = stead.get("/readyz").json();
    assert_eq!(answer["status"], "unavailable");
    assert_eq!(answer["phase"], "running");
    let check = &answer["checks"]["app"];
    assert_eq!(check["status"], "down");
    assert_eq!(check["class"], "connect_refused");
    assert_eq!(check["stage"], "connect");
    assert!(check["failures"].as_u64() >= Some(3), "{check}");
    // Three failures are two rechecks of a second (and its jitter) apart.
    assert!(gone.elapsed() > Duration::from_millis(1500));
    assert_eq!(stead.status("/startupz"), 200, "the start-up is over for good");
    assert_eq!(stead.status("/livez"), 200);

    let event = stead.wait_for("check changed to down", LIMIT, |event| {
        event["message"] == "check changed" && event["status"] == "down"
    });
    assert_eq!(event["level"], "warn");
    assert_eq!(event["check"], "app");
    assert_eq!(event["class"], "connect_refused");
    assert_eq!(event["stage"], "connect");
    assert_eq!(event["attempts"], 3);
    assert!(event["in_state_s"].as_f64() > Some(0.0), "{event}");

    let _app = App::on((Ipv4Addr::LOCALHOST, port));
    reaches(&stead, "/readyz", 200, UP_AGAIN_WITHIN);
    assert_eq!(stead.get("/readyz").json()["status"], "ok");
    let change = |from: &str, to: &str| ("app".to_owned(), from.to_owned(), to.to_owned());
    let expected = [change("unknown", "up"), change("up", "down"), change("down", "up")];
    // The endpoints may tell of it before the log does.
    let told = until(LIMIT, || changes(&stead).len() >= expected.len());
    assert!(told && changes(&stead) == expected, "{:?}", changes(&stead));
    let levels: Vec<_> = stead.events_of("check changed");
    assert_eq!(levels[0]["level"], "info");
    assert_eq!(levels[2]["level"], "info");
}

#[test]
fn one_failure_is_not_yet_the_verdict() {
    let app = App::new();
    let stead = app.watched_at("/").serve();
    reaches(&stead, "/readyz", 200, LIMIT);
    app.answers(Answer::Status(500));
    let failed_once = until(DOWN_WITHIN, || {
        let check = stead.get("/readyz").json()["checks"]["app-url"].take();
        check["failures"].as_u64() >= Some(1)
    });
    assert!(failed_once, "{:?}", stead.get("/readyz"));
    app.answers(Answer::Status(200));
    let tries = app.requests().len();
    let tried_again = until(LIMIT, || app.requests().len() > tries);
    assert!(tried_again, "no recheck after a failure");
    assert_eq!(stead.status("/readyz"), 200);
    stead.wait_for_event("check changed", LIMIT);
    assert_eq!(changes(&stead).len(), 1, "{:?}", changes(&stead));
}

#[test]
fn an_app_that_accepts_on_ipv6_alone_is_found() {
    let app = App::on((Ipv6Addr::LOCALHOST, free_port()));
    let stead = app.watched().serve();
    reaches(&stead, "/readyz", 200, LIMIT);
}

#[test]
fn the_flag_the_variable_and_the_file_name_the_apps_port() {
    let app = App::new();
    let port = app.port().to_string();
    let scratch = Scratch::new();
    let file = scratch.file("stead.toml", format!("app_port = {port}\n"), 0o644);
    let steads = [
        idle().options(["--app-port", &port]),
        idle().env("STEAD_APP_PORT", &port),
        idle().env("STEAD_CONFIG", file),
        // stead's own setting is stronger than what the app's environment says.
        idle().env("STEAD_APP_PORT", &port).env("PORT", free_port().to_string()),
    ];
    for stead in steads {
        let stead = stead.serve();
        reaches(&stead, "/readyz", 200, LIMIT);
        assert!(stead.get("/readyz").json()["checks"]["app"].is_object());
    }
}

#[test]
fn statuses_from_200_to_399_are_up_and_redirects_are_not_followed() {
    for status in [200, 204, 302, 399] {
        let app = App::new();
        app.answers(Answer::Status(status));
        let stead = app.watched_at("/health?deep=1").serve();
        reaches(&stead, "/readyz", 200, LIMIT);
        let requests = app.requests();
        assert!(!requests.is_empty());
        for request in requests {
            assert!(request.starts_with("GET /health?deep=1 HTTP/1.1\r\n"), "{status}: {request}");
            let host = format!("\r\nhost: 127.0.0.1:{}\r\n", app.port());
            assert!(request.to_ascii_lowercase().contains(&host), "{request}");
        }
    }
}

#[test]
fn statuses_from_400_are_failures_of_class_http_status() {
    for status in [400, 404, 500, 503] {
        let app = App::new();
        app.answers(Answer::Status(status));
        let stead = app.watched_at("/").serve();
        assert_eq!(failure_of(&stead, "app-url")["class"], "http_status");
        assert_eq!(stead.status("/readyz"), 503);
    }
}

#[test]
fn an_app_that_hangs_times_out_after_two_seconds() {
    let app = App::new();
    app.answers(Answer::Silence);
    let stead = app.watched_at("/").serve();
    assert!(until(LIMIT, || !app.requests().is_empty()));
    let check = failure_of(&stead, "app-url");
    let waited = app.connections()[0].elapsed();
    assert_eq!(check["class"], "timeout");
    assert!(check["stage"].as_str().is_some_and(|s| !s.is_empty()));
    let limits = Duration::from_millis(1900)..Duration::from_secs(5);
    assert!(limits.contains(&waited), "{waited:?}");
}

#[test]
fn what_is_not_http_is_malformed() {
    let malformed: [&[u8]; 5] = [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon here\r\n\r\n",
        b"\0\0\0\0\0\0\0\0\r\n\r\n",
    ];
    for bytes in malformed {
        let app = App::new();
        app.answers(Answer::Bytes(bytes));
        let stead = app.watched_at("/").serve();
        let check = failure_of(&stead, "app-url");
        let text = String::from_utf8_lossy(bytes);
        assert_eq!(check["class"], "http_malformed", "{text:?}: {check}");
    }
}

#[test]
fn a_reset_a_refusal_and_an_empty_answer_have_their_classes() {
    let app = App::new();
    app.answers(Answer::Reset);
    let stead = app.watched_at("/").serve();
    assert_eq!(failure_of(&stead, "app-url")["class"], "connect_reset");

    let app = App::new();
    app.answers(Answer::Bytes(b""));
    let stead = app.watched_at("/").serve();
    let class = failure_of(&stead, "app-url")["class"].take();
    assert!(class == "http_malformed" || class == "connect_reset", "{class}");

    let nobody = format!("http://127.0.0.1:{}/", free_port());
    let stead = idle().env("STEAD_APP_URL", nobody).serve();
    let check = failure_of(&stead, "app-url");
    assert_eq!(check["class"], "connect_refused");
    assert_eq!(check["stage"], "connect");
}

#[test]
fn a_name_that_nobody_knows_is_a_failure_of_dns() {
    let url = "http://no-such-host.invalid:80/";
    let stead = idle().env("STEAD_APP_URL", url).serve();
    let check = failure_of(&stead, "app-url");
    // Where no name server answers, the look-up fails or takes its time; it is never more than that.
    let classes = ["dns_not_found", "dns_failed", "timeout"];
    let class = check["class"].as_str().unwrap_or_default();
    assert!(classes.contains(&class), "{check}");
    assert_eq!(check["stage"], "dns");
}

#[test]
fn localhost_is_a_name_for_the_app() {
    for address in [
        (Ipv4Addr::LOCALHOST, free_port()).into(),
        std::net::SocketAddr::from((Ipv6Addr::LOCALHOST, free_port())),
    ] {
        let app = App::on(address);
        let url = format!("http://localhost:{}/", app.port());
        let stead = idle().env("STEAD_APP_URL", url).serve();
        reaches(&stead, "/readyz", 200, LIMIT);
    }
}

#[test]
fn an_answer_without_end_is_judged_by_its_status_and_fills_no_memory() {
    let bodies = App::new();
    bodies.answers(Answer::Bytes(
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\nand then",
    ));
    let stead = bodies.watched_at("/").serve();
    reaches(&stead, "/readyz", 200, LIMIT);

    let headers = App::new();
    headers.answers(Answer::Endless(b"HTTP/1.1 200 OK\r\nX-Header: value\r\n"));
    let stead = headers.watched_at("/").serve();
    failure_of(&stead, "app-url");
    assert_eq!(stead.status("/readyz"), 503);
    let rss = resident_kib(stead.pid());
    assert!(rss < 16 * 1024, "{rss} KiB");
}

#[test]
fn before_the_first_pass_the_app_is_tried_every_second() {
    let app = App::new();
    app.answers(Answer::Status(500));
    let _stead = app.watched_at("/").serve();
    assert!(until(LIMIT, || app.connections().len() >= 6));
    let times = app.connections();
    let gaps: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let total = times[5] - times[0];
    let usual = Duration::from_secs(3)..Duration::from_secs(9);
    assert!(usual.contains(&total), "{gaps:?}");
    assert!(gaps.iter().all(|gap| *gap > Duration::from_millis(300)), "{gaps:?}");
}

#[test]
fn a_passing_app_is_tried_every_ten_seconds_with_jitter() {
    let app = App::new();
    let _stead = app.watched().serve();
    assert!(until(Duration::from_secs(40), || app.connections().len() >= 3));
    let times = app.connections();
    for pair in times.windows(2) {
        let gap = pair[1] - pair[0];
        // 10 s, 20 % either way; the upper limit leaves room for a busy machine.
        let usual = Duration::from_millis(7_900)..Duration::from_secs(14);
        assert!(usual.contains(&gap), "{gap:?}");
    }
}

#[test]
fn with_app_live_the_app_counts_for_liveness_from_its_start_to_the_drain() {
    let port = free_port();
    let stead = stubborn().env("PORT", port.to_string()).options(["--app-live"]).serve();
    stead.wait_ready();
    let failed_often = until(LIMIT, || {
        stead.get("/livez").json()["checks"]["app"]["failures"].as_u64() >= Some(4)
    });
    assert!(failed_often, "{:?}", stead.get("/livez"));
    assert_eq!(stead.status("/livez"), 200, "before the app has started");

    let app = App::on((Ipv4Addr::LOCALHOST, port));
    reaches(&stead, "/startupz", 200, LIMIT);
    assert_eq!(stead.status("/livez"), 200);

    drop(app);
    reaches(&stead, "/livez", 503, DOWN_WITHIN);
    assert_eq!(stead.get("/livez").json()["status"], "unavailable");
    assert_eq!(stead.status("/startupz"), 200);

    stead.signal(libc::SIGTERM);
    reaches(&stead, "/livez", 200, LIMIT);
    assert_eq!(stead.get("/readyz").json()["status"], "draining");
}

#[test]
fn without_app_live_an_app_that_is_gone_is_alive_and_not_ready() {
    let app = App::new();
    let stead = app.watched().serve();
    reaches(&stead, "/readyz", 200, LIMIT);
    drop(app);
    reaches(&stead, "/readyz", 503, DOWN_WITHIN);
    assert_eq!(stead.status("/livez"), 200);
}

#[test]
fn without_a_check_of_the_app_readiness_says_that_it_knows_nothing() {
    let unwatched = [
        idle(),
        idle().env("PORT", "8080").env("STEAD_APP_PORT", "off"),
        idle().env("PORT", "8080").env("STEAD_DISCOVER", "off"),
        idle().env("PORT", "8080").options(["--discover", "off"]),
        idle().env("PORT", "8080").options(["--app-port=off"]),
        idle().env("PORT", ""),
    ];
    for stead in unwatched {
        let stead = stead.serve();
        let event = stead.wait_for_event("starting", LIMIT);
        assert_eq!(event["app"], "none: readiness knows nothing of the app");
        reaches(&stead, "/readyz", 200, LIMIT);
        let answer = stead.get("/readyz").json();
        assert_eq!(answer["checks"], serde_json::json!({}));
    }
}

#[test]
fn a_stuck_check_delays_no_answer_and_no_signal() {
    let app = App::new();
    app.answers(Answer::Silence);
    let mut stead = app.watched_at("/").serve();
    assert!(until(LIMIT, || !app.requests().is_empty()));
    let asked = Instant::now();
    assert_eq!(stead.status("/livez"), 200);
    assert_eq!(stead.status("/readyz"), 503);
    stead.signal(libc::SIGTERM);
    assert_eq!(stead.wait_exit(LIMIT), 143);
    // Well within the 2 s for which the check hangs.
    assert!(asked.elapsed() < Duration::from_millis(1500));
}
