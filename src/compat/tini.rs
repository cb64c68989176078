//! tini 0.19's command line, environment and words (tini.c).
//!
//! One difference is meant. Options end at the program, as in builds with musl (Alpine's): a build with
//! glibc (Debian's) also takes options from behind the program for its own, so that `tini sh -c true` is a mistake there.
//! The first `--`, right behind the program, is dropped, as glibc's builds do and as tini's own usage line writes it.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;

use super::getopt::{Getopt, Options};
use super::{Line, Stop, Style, Wrapper, leading_number};
use crate::exit::Exit;
use crate::signal::Signal;
use crate::supervisor::wrapping::{Fate, Notice};

const OPTIONS: Options = Options { program: "tini", flags: b"hvwgls", valued: b"pe", long: &[] };

/// dockerd splits this at " - " and wants "tini version " before and "git." and a word without a dot
/// behind it (moby, `parseInitVersion`).
const VERSION: &str =
    concat!("tini version 0.19.0 (stead ", env!("CARGO_PKG_VERSION"), ") - git.stead\n");

/// The signals of Linux below 32 that tini's `-p` has no name for.
const UNNAMED: [i32; 3] = [libc::SIGSTKFLT, libc::SIGIO, libc::SIGPWR];

const WARN: u32 = 1;
const INFO: u32 = 2;
const DEBUG: u32 = 3;

/// Reads tini's arguments, then its variables, which override them.
pub(super) fn parse(
    args: &[OsString],
    env: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Wrapper, Stop> {
    // Elsewhere than alone `--version` is no option.
    if let [only] = args
        && only == "--version"
    {
        return Err(said(VERSION.to_owned()));
    }
    let mut wrapper = Wrapper {
        command: Vec::new(),
        style: Style::Tini,
        group: false,
        new_session: false,
        subreaper: false,
        parent_death: None,
        rewrites: Vec::new(),
        expected: Vec::new(),
        warn_on_reap: false,
        verbosity: WARN,
    };
    let mut options = Getopt::new(OPTIONS, args);
    while let Some(found) = options.next() {
        let (letter, value) = found.map_err(|line| Stop::mistake(line + &usage()))?;
        set(&mut wrapper, letter, value)?;
    }
    wrapper.command = command(&options);
    if wrapper.command.is_empty() {
        return Err(Stop::mistake(usage()));
    }
    wrapper.subreaper |= env("TINI_SUBREAPER").is_some();
    wrapper.group |= env("TINI_KILL_PROCESS_GROUP").is_some();
    if let Some(text) = env("TINI_VERBOSITY") {
        // As atoi(3) into an unsigned number: no number is 0, a negative one says everything.
        let number = leading_number(text.as_bytes()).0.unwrap_or(0);
        wrapper.verbosity = number as i32 as u32;
    }
    Ok(wrapper)
}

fn set(wrapper: &mut Wrapper, letter: u8, value: &OsStr) -> Result<(), Stop> {
    match letter {
        b'h' => return Err(said(usage())),
        b'l' => return Err(said(LICENSE.to_owned())),
        b's' => wrapper.subreaper = true,
        b'g' => wrapper.group = true,
        b'w' => wrapper.warn_on_reap = true,
        b'v' => wrapper.verbosity = wrapper.verbosity.saturating_add(1),
        b'p' => {
            wrapper.parent_death = Some(named_signal(value).ok_or_else(|| refused('p', value))?)
        }
        _ => wrapper.expected.push(exit_code(value).ok_or_else(|| refused('e', value))?),
    }
    Ok(())
}

/// The program and its arguments, without the first `--` if it is right behind the program.
fn command(options: &Getopt<'_>) -> Vec<OsString> {
    match options.rest() {
        [program, dashes, args @ ..] if dashes == "--" && !options.dashes_read() => {
            [std::slice::from_ref(program), args].concat()
        }
        rest => rest.to_vec(),
    }
}

/// Only whole names in capitals are known: `SIGTERM`, not `TERM` or `15`.
fn named_signal(value: &OsStr) -> Option<Signal> {
    Signal::all()
        .take(31)
        .filter(|signal| !UNNAMED.contains(&signal.number()))
        .find(|signal| *value == *format!("SIG{signal}"))
}

/// A number from 0 to 255; no text at all is 0, as strtol(3) has it.
fn exit_code(value: &OsStr) -> Option<u8> {
    match leading_number(value.as_bytes()) {
        (number, []) => u8::try_from(number.unwrap_or(0)).ok(),
        _ => None,
    }
}

fn refused(letter: char, value: &OsStr) -> Stop {
    let text = format!("Not a valid option for -{letter}: {}", value.display());
    Stop::mistake(prefixed("FATAL", std::process::id(), &text))
}

fn said(text: String) -> Stop {
    Stop { text, to_stderr: false, exit: Exit::OK }
}

/// TTIN and TTOU are ignored; what a fault would send is not caught, and ends tini itself.
pub(super) fn fate(signal: Signal) -> Fate {
    match signal.number() {
        libc::SIGTTIN | libc::SIGTTOU => Fate::Ignored,
        libc::SIGFPE
        | libc::SIGILL
        | libc::SIGSEGV
        | libc::SIGBUS
        | libc::SIGABRT
        | libc::SIGTRAP
        | libc::SIGSYS => Fate::Default,
        _ => Fate::Forwarded,
    }
}

/// ENOENT is 127, EACCES 126, anything else 1.
pub(super) fn cannot_run(error: &io::Error) -> Exit {
    match error.raw_os_error() {
        Some(libc::ENOENT) => Exit::NOT_FOUND,
        Some(libc::EACCES) => Exit::CANNOT_EXECUTE,
        _ => Exit::FAILURE,
    }
}

/// What tini would write; from `INFO` on it goes to stdout.
pub(super) fn line(wrapper: &Wrapper, pid: u32, event: &Notice<'_>) -> Option<Line> {
    let (level, label, text) = match event {
        Notice::CannotReap => (WARN, "WARN ", CANNOT_REAP.to_owned()),
        Notice::CannotRun(program, error) => (0, "FATAL", cannot_run_text(program, error)),
        Notice::Spawned(program, child) => {
            let text = format!("Started '{}' with pid {child}", program.display());
            (INFO, "INFO ", text)
        }
        Notice::Received(Signal::CHLD) => (DEBUG, "DEBUG", "A child has changed".to_owned()),
        Notice::Received(_) | Notice::Dropped(_) | Notice::Over => return None,
        Notice::Forwarded(_, signal) => (DEBUG, "DEBUG", format!("Passing on {signal}")),
        Notice::ChildGone => {
            (WARN, "WARN ", "The child was gone before a signal reached it".to_owned())
        }
        Notice::Reaped(child) if wrapper.warn_on_reap => {
            (WARN, "WARN ", format!("Reaped an orphan with pid={child}"))
        }
        Notice::Reaped(child) => (DEBUG, "DEBUG", format!("Reaped pid {child}")),
        Notice::Exited(_, code) => (INFO, "INFO ", format!("The child exited with {code}")),
        Notice::Killed(_, signal) => (INFO, "INFO ", format!("The child was ended by {signal}")),
    };
    (wrapper.verbosity >= level)
        .then(|| Line { text: prefixed(label, pid, &text), to_stderr: level <= WARN })
}

fn cannot_run_text(program: &OsStr, error: &io::Error) -> String {
    format!("exec {} failed: {}", program.display(), super::reason(error))
}

fn prefixed(label: &str, pid: u32, text: &str) -> String {
    format!("[{label} tini ({pid})] {text}\n")
}

const CANNOT_REAP: &str = "Neither PID 1 nor a subreaper: orphans go to another process and are not reaped here. \
    -s or TINI_SUBREAPER changes that.";

const LICENSE: &str = concat!(
    "This is stead ",
    env!("CARGO_PKG_VERSION"),
    " in tini's place: ",
    env!("CARGO_PKG_LICENSE"),
    ".\n"
);

fn usage() -> String {
    format!(
        "tini ({})
Usage: tini [OPTIONS] PROGRAM [ARGS] | --version

stead in tini's place: runs PROGRAM, hands signals on to it and reaps what has ended.

  -s             adopt and reap orphans without being PID 1 (TINI_SUBREAPER)
  -p SIGNAL      what comes when the parent ends, for instance SIGKILL
  -g             signals go to PROGRAM's process group (TINI_KILL_PROCESS_GROUP)
  -e CODE        exit with 0 when PROGRAM exits with CODE, 0 to 255; repeatable
  -w             warn when an orphan is reaped
  -v             say more; repeatable (TINI_VERBOSITY, 1 unless set)
  -l             the licence
  -h             this text
  --version      the version, alone
",
        VERSION.trim_end()
    )
}
