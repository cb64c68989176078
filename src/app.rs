//! The only place that wires the parts together, and that knows them all.

mod check_urls;
mod hooks;
mod keeper;
mod live;
mod notify;
mod run;
mod serve;
mod show_config;
mod sidecar;
mod stand_in;
mod wait;

use std::ffi::{CString, OsString};
use std::io::{self, Write};
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::check::files;
use crate::check::secret::remember;
use crate::cli::{self, Request};
use crate::client;
use crate::compat;
use crate::config::value::show_duration;
use crate::config::{Config, DEFAULT_FILE, Environment, Flag, Mistake, Role};
use crate::errand;
use crate::exit::Exit;
use crate::hook;
use crate::install::{CannotInstall, install};
use crate::logs::child::redact::secrets_among;
use crate::supervisor::child::CannotRun;
use crate::sys::signals::Inherited;
use crate::sys::{descriptors, spawn};

/// Why nothing was started.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Mistake(#[from] Mistake),
    #[error("STEAD_LISTEN: cannot listen on {address}: {error}{}", hint(error))]
    Listen { address: String, error: io::Error },
    #[error(transparent)]
    Child(#[from] CannotRun),
    #[error(transparent)]
    Hook(#[from] hook::Failure),
    #[error(transparent)]
    Install(#[from] CannotInstall),
    #[error("not up after {}: {what}", show_duration(*limit))]
    NotUp { limit: Duration, what: String },
    #[error("the lock was lost before the command was started")]
    LockLost,
    #[error("cannot {what}: {error}")]
    System { what: &'static str, error: io::Error },
}

/// What to do about a port that is taken.
fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => " (name another port, or off)",
        _ => "",
    }
}

impl Failure {
    fn exit(&self) -> Exit {
        match self {
            Self::Mistake(_) => Exit::USAGE,
            Self::Child(error) => error.exit,
            Self::Hook(hook::Failure::Failed { exit, .. }) => *exit,
            Self::Hook(_)
            | Self::Install(_)
            | Self::Listen { .. }
            | Self::NotUp { .. }
            | Self::LockLost
            | Self::System { .. } => Exit::FAILURE,
        }
    }

    /// A system call's failure, as what stead was about to do.
    fn system(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::System { what, error }
    }
}

/// Everything that stead does, from its arguments (the program's name first) to its exit code. All signals are blocked
/// by now, and `inherited` is how they were before.
pub fn main(args: &[OsString], inherited: io::Result<Inherited>) -> Exit {
    let (name, rest) = args.split_first().unwrap_or((&NO_NAME, args));
    if let Some(style) = compat::style_of(name) {
        return stand_in::run(style, rest, inherited);
    }
    let inherited = inherited.map_err(Failure::system("block signals"));
    let done = inherited.and_then(|inherited| obey(cli::parse(rest)?, &inherited));
    done.unwrap_or_else(|failure| {
        say(&failure);
        let is_check = rest.first().is_some_and(|command| command == "check");
        if is_check { Exit::FAILURE } else { failure.exit() }
    })
}

/// For a program that was started without even a name.
static NO_NAME: OsString = OsString::new();

/// The one line of a failure; a name in it that holds a line break does not make it two.
fn say(failure: &dyn std::fmt::Display) {
    let line = format!("stead: {failure}").replace(char::is_control, "?");
    descriptors::write_to_stderr(format!("{line}\n").as_bytes());
}

fn obey(request: Request, inherited: &Inherited) -> Result<Exit, Failure> {
    errand::remember(*inherited);
    match request {
        Request::Run(flags, command) => run::run(&flags, &command, inherited),
        Request::Sidecar(flags) => sidecar::run(&flags, inherited),
        Request::Check { group, quiet } => Ok(check(group, quiet)),
        Request::CheckUrls { urls, quiet } => check_urls::run(urls, quiet),
        Request::CheckAll { quiet } => check_urls::run_all(quiet),
        Request::Wait { urls, patience, command } => wait::run(urls, patience, &command, inherited),
        Request::Drain { waits, quiet } => Ok(drain(waits, quiet, inherited)),
        Request::Config { role, flags, json } => show_config::run(role, &flags, json),
        Request::Install(path) => Ok(print(&format!("installed {}\n", install(&path)?.display()))),
        Request::Print(text) => Ok(print(&text)),
    }
}

/// Prints what a command was asked for; a reader that is gone does not make it fail.
fn print(text: &str) -> Exit {
    let mut out = io::stdout();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    Exit::OK
}

/// The configuration of a stead in this role. What its files add to the environment is given to all commands that are
/// started from now on, and what of that is secret is in no text that stead shows.
fn configure(role: Role, flags: &[Flag]) -> Result<Config, Mistake> {
    let config = Config::load_for(role, flags, &environment(), &read_file)?;
    secrets_among(config.environment.added()).iter().for_each(|secret| remember(secret));
    let added = config.environment.added().map(|(name, value)| format!("{name}={value}"));
    // None of them holds a NUL.
    spawn::add_to_environment(added.filter_map(|entry| CString::new(entry).ok()).collect());
    Ok(config)
}

/// The process's environment as data.
fn environment() -> Environment {
    let host_name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    Environment::new(std::env::vars_os(), host_name.trim().to_owned())
}

/// How long a file of the configuration may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Reads a file of the configuration, on a thread of its own: what is behind a dead mount must not keep stead from what
/// it is there for, nor from the signal that ends it. Of the file that nobody named there usually is none, and no thread
/// is worth finding that out.
fn read_file(path: &Path) -> io::Result<String> {
    if path == Path::new(DEFAULT_FILE) {
        return files::read(path);
    }
    let (sender, text) = mpsc::sync_channel(1);
    let path = path.to_path_buf();
    // Nobody takes what comes too late.
    let read = move || drop(sender.send(files::read(&path)));
    thread::Builder::new().name("stead-call".to_owned()).stack_size(64 * 1024).spawn(read)?;
    text.recv_timeout(PATIENCE).unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// `stead check`: 0 or 1 and nothing else, whatever is wrong.
fn check(group: cli::Group, quiet: bool) -> Exit {
    let outcome = match Config::load_listen(&environment(), &read_file) {
        Ok(listen) => client::ask(group, listen),
        Err(mistake) => client::Outcome::failed(group, mistake),
    };
    tell(&outcome, quiet)
}

/// `stead drain`: 0 when what was to be waited for is over, else 1.
fn drain(waits: bool, quiet: bool, inherited: &Inherited) -> Exit {
    // It can last, and whoever waits for it may want to end it.
    inherited.restore();
    let outcome = match Config::load_listen(&environment(), &read_file) {
        Ok(listen) => client::drain(listen, waits),
        Err(mistake) => client::Outcome { ok: false, line: format!("drain: {mistake}") },
    };
    tell(&outcome, quiet)
}

/// Prints what a question to the running stead came to.
fn tell(outcome: &client::Outcome, quiet: bool) -> Exit {
    if !quiet {
        print(&format!("{}\n", outcome.line));
    }
    if outcome.ok { Exit::OK } else { Exit::FAILURE }
}
