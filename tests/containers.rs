//! The static binary as PID 1 of real containers: real servers, the engine's flags, its health checks,
//! its stop and its terminals.

mod draining;
mod health;
mod installing;
mod lines;
mod not_pid1;
mod refusals;
mod servers;
mod sidecar;
mod stopping;
mod streams;
mod systemd;

use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::harness::engine::files::APP;
use crate::harness::engine::images;
use crate::harness::engine::{Container, ENDPOINTS, publish};
use crate::harness::{LIMIT, http};

/// No options.
const NONE: &[&str] = &[];

/// What `docker stop` is given where the test is not about its time.
const STOP: Duration = Duration::from_secs(30);

/// With the endpoints and the app reachable.
fn published() -> [String; 2] {
    [publish(ENDPOINTS), publish(APP)]
}

/// The time from one event to another, by their timestamps.
fn between(container: &Container, from: &str, to: &str) -> Duration {
    let at = |message: &str| -> SystemTime {
        let event = container.event(message);
        let timestamp = event["timestamp"].as_str().expect("a timestamp");
        humantime::parse_rfc3339(timestamp).expect("RFC 3339")
    };
    at(to).duration_since(at(from)).expect("events in their order")
}

/// A daemon in a session of its own that does `at_term`, and a leader that ends with 3 once it is there,
/// or at a TERM with 9.
fn daemon(at_term: &str, leader: &str) -> String {
    format!(
        "setsid sh -c 'trap \"{at_term}\" TERM; echo ready > /tmp/ready; while :; do sleep 0.1; done' & \
         trap 'exit 9' TERM; while [ ! -s /tmp/ready ]; do sleep 0.05; done; {leader}"
    )
}

/// Whether a connection to the app's port is established, by /proc/net/tcp of proc(5).
fn has_connection(container: &Container) -> bool {
    let sockets = container.exec(&["cat", "/proc/net/tcp"]).stdout;
    sockets.lines().any(|line| line.contains(":1F90 ") && line.contains(" 01 "))
}

const LEADER_ENDS: &str = "exit 3";
const LEADER_STAYS: &str = "echo ready; while :; do sleep 0.1; done";

#[test]
fn a_static_program_runs_in_a_scratch_image_with_endpoints_that_tell_of_it() {
    let container = Container::run(images::hello(), &published(), &[]);
    container.wait_for_status(ENDPOINTS, "/readyz", 200);
    let live = http::request(container.port(ENDPOINTS), "GET", "/livez", &[]);
    assert_eq!(live.status, 200, "{live:?}");
    let check = container.exec(&["/stead", "check", "ready"]);
    assert_eq!((check.code, check.stdout.as_str()), (0, "ready: ok\n"), "{check:?}");

    let starting = container.event("starting");
    assert_eq!(starting["pid"], 1, "{starting}");
    assert_eq!(starting["pid1"], true, "{starting}");
    assert_eq!(container.event("child started")["command"], "/hello");

    container.stop(STOP);
    assert_eq!(container.wait_exit(LIMIT), 0);
    assert_eq!(container.event("finished")["code"], 0);
}

#[test]
fn every_line_of_steads_is_json_on_stderr_and_stdout_is_the_apps_alone() {
    let container = Container::run(images::hello(), NONE, &[]);
    container.wait_ready();
    container.signal("HUP");
    container.wait_for_output("read the configuration again");
    container.stop(STOP);
    container.wait_exit(LIMIT);

    let logs = container.logs();
    for line in logs.stderr.lines() {
        let event: Value =
            serde_json::from_str(line).unwrap_or_else(|e| panic!("no JSON ({e}): {line}"));
        for field in ["timestamp", "level", "message", "instance"] {
            assert!(event[field].is_string(), "no {field}: {line}");
        }
    }
    for line in logs.stdout.lines() {
        assert!(line.starts_with("hello: "), "not the app's: {line}");
    }
    let messages: Vec<_> = container
        .events()
        .iter()
        .map(|event| event["message"].as_str().unwrap().to_owned())
        .collect();
    for message in [
        "starting",
        "child started",
        "signal forwarded",
        "drain started",
        "stop signal sent",
        "finished",
    ] {
        assert!(messages.iter().any(|m| m == message), "no `{message}` among {messages:?}");
    }
}

#[test]
fn it_runs_under_every_restriction_of_the_engine() {
    let restrictions = ["--read-only", "--user=65534", "--cap-drop=ALL", "--network=none"];
    let alone = restrictions.map(|restriction| vec![restriction]);
    let all =
        [&restrictions[..], &["--security-opt=no-new-privileges", "--pids-limit=20"]].concat();
    for options in alone.into_iter().chain([all]) {
        for image in [images::hello(), images::redis()] {
            let container = Container::run(image, &options, &[]);
            container.wait_ready();
            container.stop(STOP);
            assert_eq!(container.wait_exit(LIMIT), 0, "{options:?}");
            let events = container.events();
            for event in events {
                let level = event["level"].as_str().unwrap();
                assert!(!["warn", "error"].contains(&level), "under {options:?}: {event}");
            }
        }
    }
}

#[test]
fn signals_of_docker_kill_reach_the_app() {
    let container = Container::run(images::hello(), NONE, &[]);
    container.wait_ready();
    container.signal("HUP");
    container.wait_for_output("hello: read the configuration again");
    let forwarded = container.event("signal forwarded");
    assert_eq!((&forwarded["signal"], &forwarded["from_pid"]), (&"HUP".into(), &0.into()));
    assert_eq!(container.inspect("{{.State.Status}}"), "running");
}
