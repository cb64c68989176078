//! Postgres as stead checks it: real servers, pairs of them, and PgBouncer.

mod encryption;
mod faults;
mod held;
mod logins;
mod outages;
mod roles;

use crate::app::{Serve, idle};
use crate::harness::{LIMIT, Running, stead, until};

/// What `stead check URL` says of a URL, and whether it is up.
pub fn checked(url: &str) -> (bool, String) {
    // Time is not what these tests are about, and their machine may be busy.
    let join = if url.contains('?') { '&' } else { '?' };
    let limit = if url.contains("stead_timeout") { "" } else { "stead_timeout=15s" };
    let url = format!("{url}{join}{limit}");
    let output = stead(["check", &url]).output().expect("stead check");
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

/// Asserts that a URL is up; what was said.
#[track_caller]
pub fn is_up(url: &str) -> String {
    let (up, said) = checked(url);
    assert!(up && said.contains(" up in "), "{url}: {said}");
    said
}

/// Asserts that a URL is down with `class at stage`; what was said.
#[track_caller]
pub fn is_down(url: &str, failure: &str) -> String {
    let (up, said) = checked(url);
    assert!(!up && said.contains(&format!(" down: {failure} ")), "{url}: not {failure}: {said}");
    said
}

/// A stead with this check, `database`, at a pace for tests.
pub fn watching(url: &str) -> Running {
    let join = if url.contains('?') { '&' } else { '?' };
    let url = format!("{url}{join}stead_interval=300ms&stead_timeout=3s");
    idle().env("STEAD_CHECK_DATABASE", url).serve()
}

/// Waits until the check is up.
#[track_caller]
pub fn gets_up(stead: &Running) {
    let up = || stead.get("/readyz").json()["checks"]["database"]["status"] == "up";
    // While it is down, tries are up to 30 s apart.
    assert!(until(3 * LIMIT, up), "not up: {}", stead.get("/readyz").json());
}

/// Waits until the check is down with this class.
#[track_caller]
pub fn gets_down(stead: &Running, class: &str) {
    let down = || {
        let check = stead.get("/readyz").json()["checks"]["database"].take();
        check["status"] == "down" && check["class"] == class
    };
    assert!(until(LIMIT, down), "not down by {class}: {}", stead.get("/readyz").json());
    assert_eq!(stead.status("/readyz"), 503);
}
