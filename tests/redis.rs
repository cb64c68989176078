//! Redis as a target: real servers that stop, freeze, load, refuse, lose their role, their memory or their cluster, and
//! scripted ones for what cannot be had.

pub mod cluster;
mod login;
mod replication;
mod scripted;
mod state;
mod tls;

use serde_json::Value;

use crate::app::{Serve, idle};
use crate::harness::{LIMIT, Running, stead, until};

/// What `stead check` says of a URL, after its name.
fn check(url: &str) -> String {
    let output = stead(["check", url]).output().expect("stead check");
    let line = String::from_utf8(output.stdout).expect("text");
    let (_, said) = line.split_once(' ').unwrap_or_else(|| panic!("{url}: {line:?}"));
    assert_eq!(output.status.success(), !said.starts_with("down:"), "{url}: {line}");
    said.trim_end().to_owned()
}

/// `stead check` says that it is up; what more it says.
fn assert_up(url: &str) -> String {
    let said = check(url);
    assert!(said.starts_with("up in "), "{url}: {said}");
    said
}

/// `stead check` says that it is down, or degraded, for this reason; what more it says.
fn assert_not_up(url: &str, reason: &str) -> String {
    let said = check(url);
    assert!(said.starts_with(reason), "{url}: {said}");
    said
}

/// Waits until `stead check` begins with this.
fn becomes(url: &str, wanted: &str) {
    let mut said = String::new();
    let came = until(LIMIT, || {
        said = check(url);
        said.starts_with(wanted)
    });
    assert!(came, "{url} is never {wanted}: {said}");
}

/// A stead with one check, asked every half a second and down at the first failure.
fn watching(url: &str) -> Running {
    let and = if url.contains('?') { '&' } else { '?' };
    let url = format!("{url}{and}stead_interval=500ms&stead_fail_after=1");
    idle().env("STEAD_CHECK_CACHE", url).serve()
}

/// What the running stead knows of its check.
fn finding(stead: &Running) -> Value {
    stead.get("/readyz").json()["checks"]["cache"].take()
}

/// Waits until the running stead says that its check is up, which makes it ready.
fn wait_up(stead: &Running) {
    let up = until(2 * LIMIT, || finding(stead)["status"] == "up");
    assert!(up, "never up: {}", finding(stead));
    assert_eq!(stead.status("/readyz"), 200);
}

/// Waits until the running stead says that its check is down for this reason, which makes it not ready.
fn wait_down(stead: &Running, class: &str, stage: &str) {
    let down = until(LIMIT, || {
        let finding = finding(stead);
        finding["status"] == "down" && finding["class"] == class && finding["stage"] == stage
    });
    assert!(down, "never down by {class} at {stage}: {}", finding(stead));
    assert_eq!(stead.status("/readyz"), 503);
}
