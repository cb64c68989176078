//! Where the endpoints answer: every path and alias, each method, each address, from the start to the end.

use serde_json::Value;

use crate::app::{Answer, App, Serve, idle, stubborn};
use crate::harness::http::{Response, request};
use crate::harness::{LIMIT, Running, Scratch, Stead, free_port, until};
use crate::network::in_own_network;

/// The paths of each group, its own name first.
const LIVE: [&str; 4] = ["/livez", "/health", "/health/live", "/live"];
const READY: [&str; 3] = ["/readyz", "/ready", "/health/ready"];
const STARTUP: [&str; 1] = ["/startupz"];

pub fn paths() -> impl Iterator<Item = &'static str> {
    LIVE.into_iter().chain(READY).chain(STARTUP)
}

pub fn get(stead: &Running, path: &str, headers: &[(&str, &str)]) -> Response {
    request(stead.port(), "GET", path, headers)
}

/// Waits until the path answers with this status, and gives that answer.
pub fn answer_when(stead: &Running, path: &str, status: u16) -> Response {
    let mut last = stead.get(path);
    let came = until(LIMIT, || {
        last = stead.get(path);
        last.status == status
    });
    assert!(came, "{path} is not {status}: {last:?}");
    last
}

pub fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<_> = value
        .as_object()
        .unwrap_or_else(|| panic!("not an object: {value}"))
        .keys()
        .map(String::as_str)
        .collect();
    keys.sort_unstable();
    keys
}

#[test]
fn every_path_answers_200_to_get_in_a_stead_without_checks() {
    let stead = idle().serve();
    for path in paths() {
        let answer = answer_when(&stead, path, 200);
        assert_eq!(answer.json()["status"], "ok", "{path}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
    }
}

#[test]
fn aliases_say_what_the_first_of_their_names_says() {
    let app = App::new();
    let stead = app.watched().serve();
    answer_when(&stead, "/readyz", 200);
    let without_ages = |path: &str| {
        let mut said = stead.get(path).json();
        said["timestamp"] = Value::Null;
        if said["checks"]["app"].is_object() {
            said["checks"]["app"]["age_ms"] = Value::Null;
        }
        said
    };
    for group in [&LIVE[..], &READY[..]] {
        for alias in group {
            assert_eq!(without_ages(alias), without_ages(group[0]), "{alias}");
        }
    }
    assert_ne!(without_ages("/readyz"), without_ages("/livez"));
}

#[test]
fn head_gives_the_headers_of_get_and_no_body() {
    let stead = idle().serve();
    answer_when(&stead, "/readyz", 200);
    let others = ["/", "/nothing", "/readyz?verbose", "/readyz/nosuch"];
    for path in paths().chain(others) {
        let (get, head) = (stead.get(path), stead.head(path));
        let lasting = |answer: &Response| -> Vec<(String, String)> {
            let headers = answer.headers.iter().filter(|(name, _)| name != "date");
            headers.cloned().collect()
        };
        assert_eq!(head.status, get.status, "{path}");
        assert_eq!(head.body, "", "{path}");
        assert_eq!(lasting(&head), lasting(&get), "{path}");
        assert_eq!(
            head.header("content-length"),
            Some(get.body.len().to_string().as_str()),
            "{path}"
        );
    }
}

#[test]
fn methods_other_than_get_and_head_are_refused_with_405_and_the_two_named() {
    let stead = idle().serve();
    answer_when(&stead, "/livez", 200);
    let methods = ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW", "get"];
    for method in methods {
        for path in paths().chain(["/"]) {
            let answer = request(stead.port(), method, path, &[]);
            assert_eq!(answer.status, 405, "{method} {path}");
            assert_eq!(answer.header("allow"), Some("GET, HEAD"), "{method} {path}");
        }
    }
}

#[test]
fn unknown_paths_and_unknown_checks_are_404_with_a_json_body() {
    let stead = App::new().watched().serve();
    answer_when(&stead, "/livez", 200);
    let unknown = [
        "/nothing",
        "/livezz",
        "/LIVEZ",
        "//livez",
        "/readyz/nosuch",
        "/livez/nosuch",
        "/startupz/nosuch",
        "/readyz/app/app",
        "/health/nosuch",
        "/..",
        "/%2e%2e/etc/passwd",
        "/readyz/%00",
        "/readyz/app%0d%0aX-Injected:%201",
        // Known, but not one of the checks of that group.
        "/livez/app",
    ];
    for path in unknown {
        let answer = stead.get(path);
        assert_eq!(answer.status, 404, "{path}: {answer:?}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert!(answer.json().is_object(), "{path}: {answer:?}");
        assert!(answer.header("x-injected").is_none());
    }
}

#[test]
fn every_answer_forbids_caches() {
    let app = App::new();
    app.answers(Answer::Status(500));
    let stead = app.watched_at("/").serve();
    answer_when(&stead, "/readyz", 503);
    let others = ["/", "/nothing", "/readyz?verbose", "/readyz/app-url"];
    for path in paths().chain(others) {
        let answer = stead.get(path);
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
    }
    let refused = request(stead.port(), "POST", "/livez", &[]);
    assert_eq!(refused.header("cache-control"), Some("no-store"));
}

#[test]
fn only_the_checks_of_the_group_are_shown() {
    let app = App::new();
    let stead = app.watched().serve();
    answer_when(&stead, "/readyz", 200);
    let checks = |path: &str| stead.get(path).json()["checks"].take();
    assert_eq!(keys(&checks("/livez")), Vec::<&str>::new());
    assert_eq!(keys(&checks("/readyz")), ["app"]);
    assert_eq!(keys(&checks("/startupz")), ["app"]);

    let live = app.watched().env("STEAD_APP_LIVE", "on").serve();
    answer_when(&live, "/readyz", 200);
    assert_eq!(keys(&live.get("/livez").json()["checks"]), ["app"]);
}

#[test]
fn a_check_has_a_path_of_its_own() {
    let app = App::new();
    let stead =
        app.watched().env("STEAD_APP_URL", format!("http://127.0.0.1:{}/", free_port())).serve();
    let answer = answer_when(&stead, "/readyz/app", 200).json();
    assert_eq!(keys(&answer["checks"]), ["app"]);
    let answer = stead.get("/readyz/app-url");
    assert_eq!(answer.status, 503);
    assert_eq!(keys(&answer.json()["checks"]), ["app-url"]);
    assert_eq!(stead.status("/readyz"), 503);
    assert_eq!(stead.status("/startupz/app"), 200);
    let verbose = stead.get("/readyz/app?verbose").body;
    assert!(verbose.starts_with("[+]app ok\n"), "{verbose}");
    assert!(verbose.ends_with(" check passed\n"), "{verbose}");
}

#[test]
fn the_drain_turns_readiness_off_and_leaves_liveness_on() {
    let app = App::new();
    let stead =
        stubborn().env("PORT", app.port().to_string()).options(["--drain-delay", "1s"]).serve();
    stead.wait_ready();
    answer_when(&stead, "/readyz", 200);
    stead.signal(libc::SIGTERM);
    stead.wait_for_event("drain started", LIMIT);
    for phase in ["quiescing", "draining"] {
        let in_phase = until(LIMIT, || stead.get("/readyz").json()["phase"] == phase);
        assert!(in_phase, "{phase}: {:?}", stead.get("/readyz"));
        let ready = stead.get("/readyz");
        assert_eq!(ready.status, 503);
        assert_eq!(ready.json()["status"], "draining");
        assert_eq!(stead.get("/livez").json()["status"], "ok");
        assert_eq!(stead.status("/livez"), 200);
        assert_eq!(stead.status("/startupz"), 200);
        let verbose = stead.get("/readyz?verbose");
        assert_eq!(verbose.status, 503);
        assert!(verbose.body.ends_with("readyz check failed\n"), "{verbose:?}");
    }
}

#[test]
fn liveness_ends_with_the_child_while_stragglers_are_waited_for() {
    let stead = Stead::script(
        "(trap '' TERM; echo ready; exec sleep 1000) & while ! [ -e \"$LET_GO\" ]; do sleep 0.05; done",
    );
    let scratch = Scratch::new();
    let let_go = scratch.path().join("go");
    let stead = stead.env("LET_GO", &let_go).options(["--linger", "20s"]).serve();
    stead.wait_ready();
    assert_eq!(stead.status("/livez"), 200);
    std::fs::write(&let_go, "").expect("the sign to end");
    let answer = answer_when(&stead, "/livez", 503).json();
    assert_eq!(answer["status"], "unavailable");
    assert_eq!(answer["phase"], "finished");
    assert_eq!(stead.status("/readyz"), 503);
}

#[test]
fn both_address_families_are_answered_by_default() {
    in_own_network(|| {
        let stead = by_default(&[]);
        for address in ["127.0.0.1", "[::1]", "192.0.2.7"] {
            let url = format!("{address}:9321");
            let answered = until(LIMIT, || status_of(&url) == Some(200));
            assert!(answered, "no answer at {url}: {:?}", stead.stderr());
        }
        let event = stead.wait_for_event("starting", LIMIT);
        assert_eq!(event["listen"], "[::]:9321");
    });
}

#[test]
fn without_ipv6_the_default_is_every_address_of_ipv4() {
    // The kernel's answer where IPv6 is off (ipv6.disable=1), to the first socket of each thread.
    let no_ipv6 = "--inject=socket:error=EAFNOSUPPORT:when=1";
    in_own_network(|| {
        let stead = by_default(&["strace", "-D", "-f", "-o", "/dev/null", no_ipv6]);
        let event = stead.wait_for_event("starting", LIMIT);
        assert_eq!(event["listen"], "0.0.0.0:9321");
        for address in ["127.0.0.1:9321", "192.0.2.7:9321"] {
            let answered = until(LIMIT, || status_of(address) == Some(200));
            assert!(answered, "no answer at {address}: {:?}", stead.stderr());
        }
    });
}

/// A stead that is told nothing of where to listen.
fn by_default(under: &[&str]) -> Running {
    let prefix = under.iter().copied().chain(["env", "-u", "STEAD_LISTEN"]);
    idle().under(prefix).start()
}

/// The status of `/livez` at an address.
fn status_of(address: &str) -> Option<u16> {
    crate::protocol::ask(address, b"GET /livez HTTP/1.0\r\n\r\n").map(|answer| answer.status)
}
