//! Hooks: the commands that run around the child. Those of one moment run one after the other on a thread of their own,
//! which asks the supervisor for each (`errand`), moves its output into the log, and is gone when they are over.

mod output;

use std::ffi::CString;
use std::io;
use std::os::fd::AsRawFd;
use std::panic::{self, AssertUnwindSafe};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use tracing::{info, warn};

use crate::config::Hook;
use crate::errand::{self, Errand, Moment, Outcome, Waiting};
use crate::exit::Exit;
use crate::logs::child::redact::Redactions;
use crate::signal::Signal;
use crate::supervisor::child::{CannotRun, Command};
use crate::sys::bell::Bell;
use crate::sys::clock::monotonic_micros;
use crate::sys::pipe::{self, Pipe};
use crate::sys::process::Change;
use crate::sys::spawn::{SpawnError, reported};
use output::Output;

/// Why the hooks of a moment were not all run well.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// One that must succeed has not.
    #[error("{text}")]
    Failed {
        /// Its exit code, or what stands for it.
        exit: Exit,
        /// Which, and how, on one line.
        text: String,
    },
    /// What follows the hook has panicked.
    #[error("a hook could not be followed to its end")]
    Panicked,
    /// stead runs no more hooks of that moment.
    #[error("no more hooks are run")]
    Refused,
}

/// How one attempt at a hook ended.
enum End {
    Changed(Change),
    TimedOut,
    Refused,
}

/// The end of a hook, for the log.
struct Ended {
    exit: Exit,
    signal: Option<Signal>,
    timeout: Option<Duration>,
    error: Option<String>,
}

/// The thread holds its buffers on the heap.
const STACK: usize = 128 * 1024;
/// How long a hook that was killed may take to be gone.
const PATIENCE: Duration = Duration::from_secs(5);

/// Starts the hooks of a moment, and has told what came of them. What they print is logged redacted.
pub fn start(
    moment: Moment,
    hooks: Vec<Hook>,
    redactions: Redactions,
    tell: impl FnOnce(Result<(), Failure>) + Send + 'static,
) -> io::Result<()> {
    let run = move || {
        let run = |hook: &Hook| Run { hook, moment, redactions: &redactions }.run();
        // Whoever waits is told in any case.
        let over = panic::catch_unwind(AssertUnwindSafe(|| hooks.iter().try_for_each(run)));
        tell(over.unwrap_or(Err(Failure::Panicked)));
    };
    thread::Builder::new().name("stead-hook".to_owned()).stack_size(STACK).spawn(run).map(drop)
}

/// Fails where the hook could not be started now, without starting it.
pub fn find(hook: &Hook, moment: Moment) -> Result<(), Failure> {
    let found = Command::new(&hook.words).and_then(|command| command.find());
    found.map_err(|error| Failure::cannot_run(moment, &error))
}

/// One hook that is run.
struct Run<'a> {
    hook: &'a Hook,
    moment: Moment,
    redactions: &'a Redactions,
}

impl Run<'_> {
    /// Runs it to its end. That of one that need not succeed is a warning at most.
    fn run(&self) -> Result<(), Failure> {
        let (hook, command) = (self.moment.name(), self.hook.program());
        let began = monotonic_micros();
        let end = Command::new(&self.hook.words)
            .and_then(|it| it.execute(&|paths, args| self.attempt(paths.to_vec(), args.to_vec())));
        let elapsed_ms = monotonic_micros().saturating_sub(began) / 1000;
        let ended = match end {
            Ok(End::Refused) => return Err(Failure::Refused),
            end => self.ended(end),
        };
        let code = ended.exit.code();
        if ended.exit == Exit::OK {
            info!(hook, %command, elapsed_ms, code, "hook ended");
            return Ok(());
        }
        let signal = ended.signal.map(|signal| signal.to_string());
        let timeout_s = ended.timeout.map(|timeout| timeout.as_secs_f64());
        warn!(hook, %command, elapsed_ms, code, signal, timeout_s, error = ended.error, "hook ended");
        match self.hook.must_succeed {
            true => Err(ended.failure(hook, &command)),
            false => Ok(()),
        }
    }

    /// What an end comes to. A hook whose time was over has failed as anything that is over too late before the child.
    fn ended(&self, end: Result<End, CannotRun>) -> Ended {
        let ended = |exit| Ended { exit, signal: None, timeout: None, error: None };
        match end {
            Ok(End::Changed(Change::Exited(exit))) => ended(exit),
            Ok(End::Changed(Change::Killed(signal))) => {
                Ended { signal: Some(signal), ..ended(Exit::killed_by(signal)) }
            }
            Ok(_) => Ended { timeout: self.hook.timeout, ..ended(Exit::FAILURE) },
            Err(error) => Ended { error: Some(error.to_string()), ..ended(error.exit) },
        }
    }

    /// Has the supervisor run it, and follows it to its end.
    fn attempt(&self, paths: Vec<CString>, args: Vec<CString>) -> Result<End, SpawnError> {
        let failed = SpawnError::Fork;
        let (said, into) = pipe::open().map_err(failed)?;
        let (why, report) = pipe::open().map_err(failed)?;
        let errand = Errand { paths, args, output: into, report };
        let Some(desk) = errand::desk() else { return Ok(End::Refused) };
        let waiting = desk.ask(errand, Some(self.moment)).map_err(failed)?;
        let end = self.follow(waiting, &said).map_err(failed)?;
        let mut bytes = [0; 8];
        let read = why.read(&mut bytes).unwrap_or_default();
        match reported(bytes.get(..read).unwrap_or_default()) {
            Some(error) => Err(error),
            None => Ok(end),
        }
    }

    /// Moves what it says into the log until it has ended. What it has left running may hold the pipe open, and is not
    /// waited for.
    fn follow(&self, mut waiting: Waiting, said: &Pipe) -> io::Result<End> {
        let mut output = Output::new(self.moment, self.redactions);
        let bell = Arc::new(Bell::new()?);
        let waker = Waker::from(bell.clone());
        let mut cx = Context::from_waker(&waker);
        let mut deadline = self.hook.timeout.map(after);
        let mut is_killed = false;
        loop {
            bell.quiet();
            let outcome = Pin::new(&mut waiting).poll(&mut cx);
            let is_open = output.take(said);
            if let Poll::Ready(outcome) = outcome {
                output.finish();
                return end(outcome, is_killed);
            }
            let left = deadline.map(|at| at.saturating_sub(monotonic_micros()));
            if left == Some(0) {
                if is_killed {
                    return Ok(End::TimedOut);
                }
                is_killed = true;
                waiting.kill();
                deadline = Some(after(PATIENCE));
                continue;
            }
            // poll(2) passes over what is negative.
            let fd = if is_open { said.as_raw_fd() } else { -1 };
            pipe::wait(fd, &bell, left.map(Duration::from_micros));
        }
    }
}

/// The moment after this time, in microseconds.
fn after(time: Duration) -> u64 {
    let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    monotonic_micros().saturating_add(micros)
}

fn end(outcome: Option<Outcome>, is_killed: bool) -> io::Result<End> {
    match outcome {
        None => Ok(End::Refused),
        Some(Err(error)) => Err(error),
        Some(Ok(_)) if is_killed => Ok(End::TimedOut),
        Some(Ok(change)) => Ok(End::Changed(change)),
    }
}

impl Failure {
    fn cannot_run(moment: Moment, error: &CannotRun) -> Self {
        Self::Failed { exit: error.exit, text: format!("{}: {error}", moment.name()) }
    }
}

impl Ended {
    fn failure(self, hook: &str, command: &str) -> Failure {
        let code = self.exit.code();
        let text = match (self.error, self.signal, self.timeout) {
            (Some(error), ..) => format!("{hook}: {error}"),
            (_, Some(signal), _) => format!("{hook}: {command} was ended by {signal}"),
            (.., Some(limit)) => format!("{hook}: {command} was not over after {limit:?}"),
            _ => format!("{hook}: {command} ended with exit code {code}"),
        };
        Failure::Failed { exit: self.exit, text }
    }
}
