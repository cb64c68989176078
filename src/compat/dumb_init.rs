//! dumb-init 1.2.5's command line, environment and words (dumb-init.c).

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use super::getopt::{Getopt, Options};
use super::{Line, Stop, Style, Wrapper, leading_number};
use crate::exit::Exit;
use crate::signal::Signal;
use crate::supervisor::wrapping::Notice;

const OPTIONS: Options = Options {
    program: "dumb-init",
    flags: b"hvVc",
    valued: b"r",
    long: &[
        ("help", b'h'),
        ("single-child", b'c'),
        ("rewrite", b'r'),
        ("verbose", b'v'),
        ("version", b'V'),
    ],
};

/// Whatever the reason was.
pub(super) const CANNOT_RUN: Exit = Exit::new(2);

const VERSION: &str = concat!("dumb-init v1.2.5 (stead ", env!("CARGO_PKG_VERSION"), ")\n");

/// The highest signal that `-r` takes.
const LAST: i64 = 31;

/// Reads dumb-init's arguments, then its variables.
pub(super) fn parse(
    args: &[OsString],
    env: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Wrapper, Stop> {
    let mut wrapper = Wrapper {
        command: Vec::new(),
        style: Style::DumbInit,
        group: true,
        new_session: true,
        subreaper: false,
        parent_death: None,
        rewrites: Vec::new(),
        expected: Vec::new(),
        warn_on_reap: false,
        verbosity: 0,
    };
    let mut options = Getopt::new(OPTIONS, args);
    while let Some(found) = options.next() {
        let (letter, value) = found.map_err(Stop::mistake)?;
        set(&mut wrapper, letter, value)?;
    }
    wrapper.command = options.rest().to_vec();
    if wrapper.command.is_empty() {
        return Err(Stop::mistake(NO_COMMAND.to_owned()));
    }
    if env("DUMB_INIT_DEBUG").is_some_and(|value| value == "1") {
        wrapper.verbosity = 1;
    }
    if env("DUMB_INIT_SETSID").is_some_and(|value| value == "0") {
        only_the_child(&mut wrapper);
    }
    if wrapper.new_session {
        stop_for_the_terminal(&mut wrapper.rewrites);
    }
    Ok(wrapper)
}

fn set(wrapper: &mut Wrapper, letter: u8, value: &OsStr) -> Result<(), Stop> {
    match letter {
        b'h' => return Err(said(usage())),
        b'V' => return Err(said(VERSION.to_owned())),
        b'v' => wrapper.verbosity = 1,
        b'c' => only_the_child(wrapper),
        _ => {
            let (from, to) = rewrite(value).ok_or_else(|| Stop::mistake(BAD_REWRITE.to_owned()))?;
            wrapper.rewrites.retain(|(known, _)| *known != from);
            wrapper.rewrites.push((from, to));
        }
    }
    Ok(())
}

fn only_the_child(wrapper: &mut Wrapper) {
    wrapper.group = false;
    wrapper.new_session = false;
}

/// `from:to`, each as scanf(3) reads `%d`; what follows the second number does not matter.
fn rewrite(value: &OsStr) -> Option<(Signal, Option<Signal>)> {
    let (from, rest) = leading_number(value.as_bytes());
    let (to, _) = leading_number(rest.strip_prefix(b":")?);
    let (from, to) = (from?, to?);
    if from > LAST || to > LAST {
        return None;
    }
    let from = Signal::from_number(i32::try_from(from).ok()?)?;
    match i32::try_from(to).ok()? {
        0 => Some((from, None)),
        to => Some((from, Some(Signal::from_number(to)?))),
    }
}

/// The group of a session's leader is an orphaned one, in which the kernel lets these three stop
/// nobody (setpgid(2)); STOP does. A rewrite that was asked for stays.
fn stop_for_the_terminal(rewrites: &mut Vec<(Signal, Option<Signal>)>) {
    for signal in [Signal::TSTP, Signal::TTOU, Signal::TTIN] {
        if rewrites.iter().all(|(from, _)| *from != signal) {
            rewrites.push((signal, Some(Signal::STOP)));
        }
    }
}

/// Help and version go to stderr too.
fn said(text: String) -> Stop {
    Stop { text, to_stderr: true, exit: Exit::OK }
}

/// What dumb-init would write: all but a failure only when it is verbose.
pub(super) fn line(verbosity: u32, event: &Notice<'_>) -> Option<Line> {
    let text = match event {
        Notice::CannotRun(program, error) => {
            return Some(prefixed(&format!("{}: {}", program.display(), super::reason(error))));
        }
        Notice::CannotReap | Notice::ChildGone | Notice::Over => return None,
        Notice::Spawned(_, child) => format!("The child runs with pid {child}."),
        Notice::Received(signal) => format!("Signal {} came.", signal.number()),
        Notice::Forwarded(from, to) if from == to => format!("Sent signal {} on.", to.number()),
        Notice::Forwarded(from, to) => {
            format!("Sent signal {} on as {}.", from.number(), to.number())
        }
        Notice::Dropped(signal) => format!("Did not send signal {} on.", signal.number()),
        Notice::Reaped(child) => format!("Reaped pid {child}."),
        Notice::Exited(child, code) => format!("The child, pid {child}, exited with {code}."),
        Notice::Killed(child, signal) => {
            format!("The child, pid {child}, was ended by signal {}.", signal.number())
        }
    };
    (verbosity > 0).then(|| prefixed(&text))
}

fn prefixed(text: &str) -> Line {
    Line { text: format!("[dumb-init] {text}\n"), to_stderr: true }
}

const NO_COMMAND: &str =
    "Usage: dumb-init [OPTIONS] COMMAND [ARG...] (dumb-init --help tells more)\n";

const BAD_REWRITE: &str = "dumb-init: -r takes FROM:TO, each the number of a signal, 1 to 31; TO may be 0, which drops it\n";

fn usage() -> String {
    format!(
        "{VERSION}Usage: dumb-init [OPTIONS] COMMAND [ARG...]

stead in dumb-init's place: runs COMMAND in a session of its own and hands signals on to all of it.

  -c, --single-child    no session; signals go to COMMAND alone (DUMB_INIT_SETSID=0)
  -r, --rewrite FROM:TO send TO when FROM comes, by number; 0 drops it; repeatable
  -v, --verbose         tell on stderr what happens (DUMB_INIT_DEBUG=1)
  -h, --help            this text
  -V, --version         the version
"
    )
}
