//! Prints what it was started with (signals, descriptors, directory, limits, arguments, environment),
//! a line each, so that two ways of starting it can be compared. `--to FILE` writes there instead.
//!
//! It has no Rust runtime before its first line, which would open closed streams and ignore SIGPIPE.
#![no_main]

use std::ffi::{CStr, OsStr, c_char, c_int};
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;

/// The lines of /proc/self/status that a child inherits.
const INHERITED: [&str; 10] = [
    "SigBlk",
    "SigIgn",
    "SigCgt",
    "Uid",
    "Gid",
    "Groups",
    "CapInh",
    "CapEff",
    "CapBnd",
    "NoNewPrivs",
];

/// The entry point of C's runtime.
///
/// # Safety
/// `argv` has `argc` strings, each ended by a zero: what C's runtime promises.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn main(argc: c_int, argv: *const *const c_char) -> c_int {
    let args: Vec<&OsStr> = (0..argc as usize)
        // SAFETY: what this function's callers promise.
        .map(|n| OsStr::from_bytes(unsafe { CStr::from_ptr(*argv.add(n)) }.to_bytes()))
        .collect();
    let mut text = String::new();
    let written = describe(&mut text, &args);
    let target = args.iter().position(|arg| *arg == "--to").and_then(|at| args.get(at + 1));
    let done = match target {
        Some(path) => std::fs::write(path, &text),
        None => std::io::Write::write_all(&mut std::io::stdout(), text.as_bytes()),
    };
    c_int::from(written.is_err() || done.is_err())
}

fn describe(text: &mut String, args: &[&OsStr]) -> std::fmt::Result {
    descriptors(text)?;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    for line in status.lines() {
        if INHERITED.iter().any(|name| line.split(':').next() == Some(name)) {
            writeln!(text, "{}", line.split_whitespace().collect::<Vec<_>>().join(" "))?;
        }
    }
    writeln!(text, "cwd {:?}", std::env::current_dir())?;
    // SAFETY: these take no argument, or integers, and touch no memory.
    let (pid, group, session, umask, priority) = unsafe {
        (libc::getpid(), libc::getpgrp(), libc::getsid(0), libc::umask(0), libc::getpriority(0, 0))
    };
    writeln!(text, "pid {pid}")?;
    writeln!(text, "leads its group {}", pid == group)?;
    writeln!(text, "leads its session {}", pid == session)?;
    writeln!(text, "umask {umask:o} priority {priority}")?;
    limits(text)?;
    for arg in args {
        writeln!(text, "argument {arg:?}")?;
    }
    for (name, value) in std::env::vars_os() {
        writeln!(text, "variable {name:?}={value:?}")?;
    }
    Ok(())
}

/// Descriptors with what is behind them; of pipes and sockets the kind alone, their numbers differ.
fn descriptors(text: &mut String) -> std::fmt::Result {
    let mut lines = Vec::new();
    for entry in std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten() {
        let Ok(target) = std::fs::read_link(entry.path()) else {
            continue;
        };
        let target = target.to_string_lossy().into_owned();
        // The directory that is being read is this function's own.
        if !target.ends_with("/fd") {
            let kind = target.split_once(":[").map_or(target.as_str(), |(kind, _)| kind);
            lines.push(format!("descriptor {:?} {kind}", entry.file_name()));
        }
    }
    lines.sort();
    lines.iter().try_for_each(|line| writeln!(text, "{line}"))
}

/// The resource limits, getrlimit(2).
fn limits(text: &mut String) -> std::fmt::Result {
    (0..16).try_for_each(|resource| {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: the limit is valid for the call.
        unsafe { libc::getrlimit(resource, &mut limit) };
        writeln!(text, "limit {resource} {} {}", limit.rlim_cur, limit.rlim_max)
    })
}
