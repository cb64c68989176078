//! stead in the place of tini and dumb-init: their command lines, environments, exit codes and words. Acting on them is the supervisor's.
//!
//! What the supervisor shows in each style, from tini.c (0.19) and dumb-init.c (1.2.5), and as Debian's builds
//! were seen to behave. No endpoints, no deadline, no KILL, no waiting for others: neither program has them.
//!
//! | | tini | dumb-init |
//! |---|---|---|
//! | forwarded | all but CHLD, TTIN, TTOU (ignored) and FPE ILL SEGV BUS ABRT TRAP SYS (they end tini itself) | all but CHLD, the real-time ones too |
//! | sent to | the child; `-g`: its process group | the child's group; `-c`: the child |
//! | child's place | own process group, the foreground one of stdin's terminal | own session that takes stdin's terminal; `-c`: nothing changes |
//! | child's mask and dispositions | as inherited | nothing blocked, all of 1-31 at their default |
//! | TSTP, TTIN, TTOU | TSTP is forwarded | forwarded (as STOP in a session of its own), then it stops itself |
//! | first HUP and CONT | forwarded | swallowed if giving up the terminal as session leader made them |
//! | orphans | reaped; as subreaper with `-s` | reaped |
//! | working directory | kept | `/`, once the child runs |
//! | child's end | reaps what has ended, exits at once | TERM, rewritten like any, to where signals go; exits at once |
//! | exit code | the child's or 128+n; 0 where `-e` names it | the child's or 128+n |
//! | parent's end | `-p`: the kernel sends that signal to tini, which forwards it | - |
//! | says | stderr, from verbosity 2 stdout | stderr |
//!
//! A file that the kernel cannot execute is run by `/bin/sh`, as with execvp(3), but not if it is a binary: both
//! programs have the shell read a program for another processor as a script.

mod dumb_init;
mod getopt;
mod tini;

use std::ffi::{OsStr, OsString};
use std::io;

use crate::exit::Exit;
use crate::signal::Signal;
use crate::supervisor::wrapping::{Fate, Notice};

/// What a command line of tini or dumb-init asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Request {
    /// Run a command as that program would.
    Run(Wrapper),
    /// Say something and end: help, version or a mistake.
    Print {
        /// The whole text with its last newline.
        text: String,
        /// Whether it goes to stderr, else to stdout.
        to_stderr: bool,
        /// The exit code.
        exit: Exit,
    },
}

/// How the supervisor is to behave in the other program's place.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Wrapper {
    /// The program and its arguments; never empty.
    pub command: Vec<OsString>,
    /// Whose place it is.
    pub style: Style,
    /// Signals go to the child's process group.
    pub group: bool,
    /// The child leads a session of its own and takes the terminal of stdin.
    pub new_session: bool,
    /// Be the reaper of all descendants without being PID 1.
    pub subreaper: bool,
    /// What the kernel sends to the wrapper when its parent ends.
    pub parent_death: Option<Signal>,
    /// What is sent on in place of a signal, none twice; `None` drops it.
    pub rewrites: Vec<(Signal, Option<Signal>)>,
    /// Exit codes that become 0.
    pub expected: Vec<u8>,
    /// Say (as a warning) when another process than the child was reaped.
    pub warn_on_reap: bool,
    /// As the program counts it: tini's from 0 (only what is fatal) to 4, 1 unless asked; dumb-init's 0 or 1.
    pub verbosity: u32,
}

/// One of the programs that stead stands in for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Style {
    /// tini, which engines also install as `docker-init`.
    Tini,
    /// dumb-init.
    DumbInit,
}

/// A line that the other program would write.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Line {
    /// The text with its newline.
    pub text: String,
    /// Whether it goes to stderr, else to stdout.
    pub to_stderr: bool,
}

impl Style {
    /// The exit code when the command could not be executed.
    pub fn cannot_run(self, error: &io::Error) -> Exit {
        match self {
            Self::Tini => tini::cannot_run(error),
            Self::DumbInit => dumb_init::CANNOT_RUN,
        }
    }
}

impl Wrapper {
    /// What becomes of a signal in the other program.
    pub fn fate(&self) -> fn(Signal) -> Fate {
        match self.style {
            Style::Tini => tini::fate,
            Style::DumbInit => |_| Fate::Forwarded,
        }
    }

    /// What the program would write about an event at this verbosity, with the wrapper's own pid.
    pub fn line(&self, pid: u32, event: &Notice<'_>) -> Option<Line> {
        match self.style {
            Style::Tini => tini::line(self, pid, event),
            Style::DumbInit => dumb_init::line(self.verbosity, event),
        }
    }
}

/// Which program a name (`argv[0]`) asks for, by its last part.
pub fn style_of(name: &OsStr) -> Option<Style> {
    match std::path::Path::new(name).file_name()?.to_str()? {
        "tini" | "tini-static" | "docker-init" => Some(Style::Tini),
        "dumb-init" => Some(Style::DumbInit),
        _ => None,
    }
}

/// Reads the arguments after the program's name, and the environment through `env`.
pub fn parse(style: Style, args: &[OsString], env: &dyn Fn(&str) -> Option<OsString>) -> Request {
    let parsed = match style {
        Style::Tini => tini::parse(args, env),
        Style::DumbInit => dumb_init::parse(args, env),
    };
    match parsed {
        Ok(wrapper) => Request::Run(wrapper),
        Err(Stop { text, to_stderr, exit }) => Request::Print { text, to_stderr, exit },
    }
}

/// Why a command line runs nothing.
#[derive(Debug)]
struct Stop {
    text: String,
    to_stderr: bool,
    exit: Exit,
}

impl Stop {
    /// A mistake: the line goes to stderr, and both programs exit with 1.
    fn mistake(text: String) -> Self {
        Self { text, to_stderr: true, exit: Exit::FAILURE }
    }
}

/// The system's words for an error, as strerror(3) has them: without Rust's "(os error 2)".
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}

/// The number at the start of `text` as strtol(3) reads it in base 10, and what follows it.
/// Without a digit nothing is read: `None`, and the whole text follows.
fn leading_number(text: &[u8]) -> (Option<i64>, &[u8]) {
    let blanks = text.iter().take_while(|b| matches!(b, b' ' | b'\t'..=b'\r')).count();
    let (negative, digits) = match text.split_at(blanks).1 {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let count = digits.iter().take_while(|b| b.is_ascii_digit()).count();
    let (digits, rest) = digits.split_at(count);
    if digits.is_empty() {
        return (None, text);
    }
    let magnitude = digits
        .iter()
        .fold(0_i64, |sum, digit| sum.saturating_mul(10).saturating_add(i64::from(digit - b'0')));
    (Some(if negative { -magnitude } else { magnitude }), rest)
}

#[cfg(test)]
mod tests;
