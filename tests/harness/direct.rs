//! `stead check URL`: one attempt at a target, and what is said of it.

use std::process::Output;

use super::stead;

/// Whether a `stead check` was well with its targets, and all that it said.
pub fn said(output: Output) -> (bool, String) {
    let line = [output.stdout, output.stderr].concat();
    let line = String::from_utf8_lossy(&line).into_owned();
    assert!(matches!(output.status.code(), Some(0 | 1)), "{:?} {line}", output.status);
    (output.status.success(), line)
}

/// Checks one URL.
pub fn check(url: &str) -> (bool, String) {
    said(stead(["check", url]).output().expect("stead"))
}

/// Fails unless the URL is up.
#[track_caller]
pub fn is_up(url: &str) -> String {
    let (up, line) = check(url);
    assert!(up, "{url}: {line}");
    line
}

/// Fails unless the URL is down for this reason: `class at stage`.
#[track_caller]
pub fn is_down(url: &str, reason: &str) -> String {
    let (up, line) = check(url);
    assert!(!up && line.contains(&format!(" down: {reason} after ")), "{url}: {line}");
    line
}
