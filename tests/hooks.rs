//! Hooks: what runs around the command, when it runs, what becomes of it, and what of it is in the log.

mod before;
mod behind;
mod beside;
mod output;
mod settings;

use std::time::Duration;

use serde_json::Value;

use crate::harness::{Running, Scratch, Stead, until};

/// A hook that is a shell's script, as a flag has it.
fn script(text: &str) -> String {
    assert!(!text.contains('\''), "{text}");
    format!("sh -c '{text}'")
}

/// A command that says so and then waits for a signal.
fn waits() -> Stead {
    Stead::script("echo ready; exec sleep 1000")
}

/// The configuration file with this text.
fn file(scratch: &Scratch, text: &str) -> String {
    scratch.file("stead.toml", text, 0o644).into_os_string().into_string().expect("UTF-8")
}

/// Waits for the end of a hook; fails when it does not come within `limit`.
fn ended(stead: &Running, hook: &str, limit: Duration) -> Value {
    stead.wait_for(&format!("hook ended: {hook}"), limit, |event| {
        event["message"] == "hook ended" && event["hook"] == hook
    })
}

/// What the hooks of a moment have printed, by lines.
fn printed(stead: &Running, hook: &str) -> Vec<String> {
    let lines = stead.events_of("hook output").into_iter().filter(|event| event["hook"] == hook);
    lines.map(|event| event["line"].as_str().expect("a line").to_owned()).collect()
}

/// Waits for a line of a hook.
fn wait_printed(stead: &Running, hook: &str, line: &str, limit: Duration) {
    let came = until(limit, || printed(stead, hook).iter().any(|printed| printed == line));
    assert!(came, "{hook} has never printed {line}: {:?}", printed(stead, hook));
}
