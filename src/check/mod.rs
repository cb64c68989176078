//! Checks: what is asked of a target, what came of it, and when it is asked again.
//!
//! The set of targets is closed: an enum, one file a kind. Each check runs on its own schedule in the background
//! (`monitor`); the endpoints render what is known (`registry`) and never ask.

mod address;
mod http;
pub mod monitor;
pub mod registry;
mod tcp;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

pub use http::HttpTarget;
pub use tcp::TcpTarget;

/// Something that can be up or down.
#[derive(Debug)]
pub enum Target {
    /// A port of this host that accepts connections.
    Tcp(TcpTarget),
    /// A URL that answers well.
    Http(HttpTarget),
}

impl Target {
    /// One attempt. What "up" proves stands with each kind.
    pub async fn probe(&self, progress: &Progress) -> Result<(), ProbeError> {
        match self {
            Self::Tcp(target) => target.probe(progress).await,
            Self::Http(target) => target.probe(progress).await,
        }
    }
}

/// How far an attempt came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stage {
    /// Its name was being resolved.
    Dns,
    /// The connection was being made.
    Connect,
    /// The question was out.
    Query,
}

impl Stage {
    /// The stage's public name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Query => "query",
        }
    }
}

/// What kind of failure it was: public, free of names and secrets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Class {
    /// The name does not exist.
    DnsNotFound,
    /// The resolver gave no answer.
    DnsFailed,
    /// Nothing listens there.
    ConnectRefused,
    /// There is no way there.
    ConnectUnreachable,
    /// The connection was cut.
    ConnectReset,
    /// The connection could not be made for another reason (no descriptor left, say).
    ConnectFailed,
    /// No answer in time.
    Timeout,
    /// The answer's status says no.
    HttpStatus,
    /// What came is no HTTP answer.
    HttpMalformed,
    /// stead's own probe broke.
    ProbePanicked,
}

impl Class {
    /// The class's public name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DnsNotFound => "dns_not_found",
            Self::DnsFailed => "dns_failed",
            Self::ConnectRefused => "connect_refused",
            Self::ConnectUnreachable => "connect_unreachable",
            Self::ConnectReset => "connect_reset",
            Self::ConnectFailed => "connect_failed",
            Self::Timeout => "timeout",
            Self::HttpStatus => "http_status",
            Self::HttpMalformed => "http_malformed",
            Self::ProbePanicked => "probe_panicked",
        }
    }

    /// The class of a failed system call on a connection.
    fn of(error: &std::io::Error) -> Self {
        use std::io::ErrorKind;
        match error.kind() {
            ErrorKind::ConnectionRefused => Self::ConnectRefused,
            ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
            | ErrorKind::AddrNotAvailable => Self::ConnectUnreachable,
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted => {
                Self::ConnectReset
            }
            ErrorKind::TimedOut => Self::Timeout,
            _ => Self::ConnectFailed,
        }
    }
}

/// The stage that an attempt is in: written by the probe, read by the monitor, also when the attempt ran out of time.
#[derive(Clone, Debug)]
pub struct Progress(Arc<Mutex<Stage>>);

impl Progress {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Stage::Connect)))
    }

    /// The attempt has come to this stage.
    pub fn enter(&self, stage: Stage) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = stage;
    }

    fn stage(&self) -> Stage {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why an attempt failed: the class for everybody, the text for the log alone.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{text}")]
pub struct ProbeError {
    /// What kind of failure.
    pub class: Class,
    /// In words, for the log.
    pub text: String,
}

impl ProbeError {
    fn new(class: Class, text: impl fmt::Display) -> Self {
        Self { class, text: text.to_string() }
    }
}

/// What is believed of a target.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    /// Nothing yet, or nothing recent enough.
    Unknown,
    /// It works.
    Up,
    /// It does not.
    Down,
}

impl State {
    /// `unknown`, `up` or `down`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// What is known of a target: what its monitor writes, and everybody else reads.
#[derive(Clone, Debug)]
pub struct Status {
    /// The state, by the thresholds of its schedule.
    pub state: State,
    /// Since when, for people.
    pub since: SystemTime,
    /// Since when, on the monotonic clock.
    pub changed: Instant,
    /// Whether it has ever passed.
    pub passed: bool,
    /// When it passed last.
    pub last_pass: Option<Instant>,
    /// When the last attempt ended.
    pub last_attempt: Option<Instant>,
    /// How long the last attempt took.
    pub latency: Option<Duration>,
    /// Failures since the last pass.
    pub failures: u32,
    /// Attempts since the state changed.
    pub attempts: u32,
    /// Why the last attempt failed, if it did.
    pub failure: Option<(Class, Stage)>,
}

impl Status {
    /// Before the first attempt.
    pub fn new() -> Self {
        Self {
            state: State::Unknown,
            since: SystemTime::now(),
            changed: Instant::now(),
            passed: false,
            last_pass: None,
            last_attempt: None,
            latency: None,
            failures: 0,
            attempts: 0,
            failure: None,
        }
    }
}

impl Default for Status {
    fn default() -> Self {
        Self::new()
    }
}
