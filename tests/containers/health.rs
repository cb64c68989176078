//! The engine's health checks, which run `stead check`.

use std::io::Write;
use std::time::Duration;

use super::published;
use crate::harness::engine::Container;
use crate::harness::engine::files::APP;
use crate::harness::engine::images;
use crate::harness::{LIMIT, http};

/// Longest that a check of the app takes to notice that it is gone, three times a two-second timeout
/// included; twice that on a busy machine.
const NOTICED: Duration = Duration::from_secs(60);

#[test]
fn the_health_check_ready_follows_the_apps_port() {
    let container = Container::run(images::hello(), &published(), &[]);
    container.wait_for_health("healthy", LIMIT);
    assert_eq!(container.health_output(), "ready: ok");

    container.wait_for_status(APP, "/gone", 200);
    container.wait_for_health("unhealthy", NOTICED);
    assert_eq!(
        container.health_output(),
        "ready: unavailable: app down: connect_refused at connect"
    );
    // Nobody restarts what only is not ready.
    assert!(container.exec(&["/stead", "check"]).code == 0);
    assert_eq!(container.inspect("{{.State.Status}}"), "running");
}

#[test]
fn the_health_check_live_follows_an_app_that_hangs_where_it_is_asked_to() {
    let url = format!("--env=STEAD_APP_URL=http://127.0.0.1:{APP}/");
    let asked = [&published()[..], &[url, "--env=STEAD_APP_LIVE=on".into()]].concat();
    let container = Container::run(images::hello_live(), &asked, &[]);
    container.wait_for_health("healthy", LIMIT);
    assert_eq!(container.health_output(), "live: ok");

    // The app still accepts connections and answers none, this one neither.
    let mut stream = http::connect(container.port(APP)).unwrap();
    stream.write_all(b"GET /hang HTTP/1.1\r\n\r\n").unwrap();
    container.wait_for_health("unhealthy", NOTICED);
    let output = container.health_output();
    assert!(output.starts_with("live: unavailable: app-url down: timeout at "), "{output}");
}

#[test]
fn a_stead_that_stands_still_is_unhealthy_and_recovers() {
    let container = Container::run(images::hello_live(), &published(), &[]);
    container.wait_for_health("healthy", LIMIT);
    // Only from outside its pid namespace can PID 1 be stopped.
    container.signal("STOP");
    container.wait_for_health("unhealthy", NOTICED);
    container.signal("CONT");
    container.wait_for_health("healthy", NOTICED);
}
