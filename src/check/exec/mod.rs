//! A command whose exit status says whether all is well.

mod alone;
mod output;

use std::ffi::{CString, OsString};
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStringExt;

use tokio::net::unix::pipe::{self, Receiver};

use super::options::Options;
use super::url::Url;
use super::{Class, Fact, Pass, ProbeError, Progress, Stage};
use crate::errand::{self, Errand};
use crate::sys::process::Change;
use crate::sys::spawn::reported;
use crate::value::Wrong;
use output::Output;

/// A command.
///
/// Up proves: it exited with 0 within the time of the attempt. It runs with nothing to read, with the environment and
/// the signal state that stead was started with, and leads a process group, which is killed with KILL when the time is
/// over, together with what has left it and still descends from the command, and what is left of it when the command has
/// ended. The detail is the last line that it printed, on stdout or stderr. While stead drains none is started, and those
/// that run are killed.
pub struct ExecTarget {
    args: Vec<CString>,
}

impl ExecTarget {
    /// `exec:///path/to/program`, its arguments in `stead_args`.
    pub fn parse(url: &Url, options: &mut Options) -> Result<Self, Wrong> {
        if !url.raw_query.is_empty() {
            return Err("a command takes its arguments by stead_args".to_owned());
        }
        let program = url.only_path()?.into_os_string();
        let further = options.take("args").map(|text| split(&text)).unwrap_or_default();
        let args = [program].into_iter().chain(further.into_iter().map(OsString::from));
        let args: Result<_, _> = args.map(|arg| CString::new(arg.into_vec())).collect();
        Ok(Self { args: args.map_err(|_| "stead_args: a NUL in it")? })
    }

    pub(super) async fn probe(&self, progress: &Progress) -> Result<Pass, ProbeError> {
        progress.connecting()?;
        let (output, report, errand) = self.errand().map_err(cannot_start)?;
        let output = Output::new(output);
        progress.enter(Stage::Query);
        let (outcome, line) = match errand::desk() {
            Some(desk) => output.read_until(desk.ask(errand, None).map_err(cannot_start)?).await,
            None => output.read_until(alone::run(errand).map_err(cannot_start)?).await,
        };
        let outcome = outcome
            .ok_or_else(|| ProbeError::new(Class::Draining, "stead runs no more commands"))?;
        let change = outcome.map_err(cannot_start)?;
        if let Some(error) = not_executed(report) {
            return Err(error);
        }
        progress.enter(Stage::State);
        judged(change, line)
    }

    /// The command as it is asked for, and our ends of its pipes.
    fn errand(&self) -> io::Result<(Receiver, File, Errand)> {
        let (output, ours) = pipe::pipe()?;
        let (report, why) = pipe::pipe()?;
        let (output, report) = (output.into_blocking_fd()?, report.into_blocking_fd()?);
        let why = why.into_nonblocking_fd()?.into();
        let args = self.args.clone();
        let paths = args.first().cloned().into_iter().collect();
        Ok((ours, why, Errand { paths, args, output, report }))
    }
}

impl fmt::Debug for ExecTarget {
    /// Without the arguments, which can hold a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ExecTarget").field(&self.args.first()).finish()
    }
}

/// Arguments separated by spaces, or each on a line of its own where one of them holds spaces.
fn split(text: &str) -> Vec<String> {
    if text.contains('\n') {
        text.trim_matches('\n').split('\n').map(str::to_owned).collect()
    } else {
        text.split_whitespace().map(str::to_owned).collect()
    }
}

/// What the end of a command means.
fn judged(change: Change, line: String) -> Result<Pass, ProbeError> {
    let how = match change {
        Change::Exited(exit) if exit.code() == 0 => {
            let said = (!line.is_empty()).then_some(("output", Fact::Text(line)));
            return Ok(Pass { detail: said.into_iter().collect(), concern: None });
        }
        Change::Exited(exit) => format!("exit status {}", exit.code()),
        Change::Killed(signal) => format!("ended by {signal}"),
        Change::Stopped(_) | Change::Continued => "no end".to_owned(),
    };
    let text = if line.is_empty() { how } else { format!("{how}: {line}") };
    Err(ProbeError::new(Class::ExecFailed, text))
}

/// Why the program could not be executed, if it could not.
fn not_executed(mut report: File) -> Option<ProbeError> {
    let mut bytes = [0; 8];
    let read = report.read(&mut bytes).unwrap_or_default();
    let error = reported(bytes.get(..read)?)?.into_io();
    let class = match error.kind() {
        io::ErrorKind::NotFound => Class::NotFound,
        io::ErrorKind::PermissionDenied => Class::AccessDenied,
        _ => Class::ExecFailed,
    };
    Some(ProbeError::new(class, format!("cannot run it: {error}")))
}

fn cannot_start(error: io::Error) -> ProbeError {
    ProbeError::new(Class::ExecFailed, format!("cannot start it: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_separated_by_spaces_or_by_lines() {
        assert_eq!(split(" -h  db "), ["-h", "db"]);
        assert_eq!(split("-c\nSELECT 1\n"), ["-c", "SELECT 1"]);
        assert_eq!(split("a\n\nb"), ["a", "", "b"]);
        assert_eq!(split(""), [] as [&str; 0]);
    }
}
