//! Checks: what is asked of a target, what came of it, and when it is asked again.
//!
//! The set of targets is closed: an enum, one file a kind. Each check runs on its own schedule in the background
//! (`monitor`); the endpoints render what is known (`registry`) and never ask.

mod address;
mod amqp;
mod class;
mod exchange;
mod exec;
mod file;
pub mod files;
mod flight;
mod held;
mod http;
pub mod lock;
mod meilisearch;
pub mod monitor;
pub mod options;
mod postgres;
mod process;
pub mod recipe;
mod redis;
pub mod registry;
mod schedule;
pub mod secret;
pub mod status;
mod stream;
mod tcp;
#[cfg(test)]
mod tests;
mod tls;
mod tls_target;
pub mod url;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

pub use self::redis::RedisTarget;
pub use self::redis::lock::{RedisLock, RedisSession};
use crate::value::Wrong;
pub use amqp::AmqpTarget;
pub use class::{Class, Stage};
pub use exec::ExecTarget;
pub use file::FileTarget;
pub use http::HttpTarget;
pub use meilisearch::MeilisearchTarget;
use options::Options;
pub use postgres::PostgresTarget;
pub use postgres::lock::{PostgresLock, PostgresSession};
pub use process::ProcessTarget;
pub use status::{State, Status};
pub use tcp::TcpTarget;
pub use tls_target::TlsTarget;
use url::Url;

/// Something that can be up or down.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "there are a few of them, each made once and kept behind a pointer"
)]
pub enum Target {
    /// A TCP port, or a Unix socket, that accepts connections.
    Tcp(TcpTarget),
    /// A TLS server with a certificate that lasts.
    Tls(TlsTarget),
    /// A URL that answers well.
    Http(HttpTarget),
    /// A Postgres database.
    Postgres(PostgresTarget),
    /// A Redis, or what speaks its protocol.
    Redis(Box<RedisTarget>),
    /// A RabbitMQ.
    Amqp(Box<AmqpTarget>),
    /// A Meilisearch.
    Meilisearch(MeilisearchTarget),
    /// A command.
    Exec(ExecTarget),
    /// A file.
    File(FileTarget),
    /// A process of the app's.
    Process(ProcessTarget),
}

/// What is wrong with a URL of no kind.
const UNKNOWN: &str = "a scheme that stead does not know (it knows postgres, redis, amqp, meilisearch, http, https, \
                       kong+http, tcp, unix, tls, exec and file)";

impl Target {
    /// The target that a URL names; takes the options that its kind knows.
    pub fn parse(url: &Url, options: &mut Options) -> Result<Self, Wrong> {
        match url.kind() {
            "postgres" | "postgresql" | "postgis" => {
                PostgresTarget::parse(url, options).map(Self::Postgres)
            }
            "redis" | "rediss" | "redis-socket" | "redis-sentinel" | "valkey" | "valkeys"
            | "dragonfly" => RedisTarget::parse(url, options).map(Box::new).map(Self::Redis),
            "amqp" | "amqps" => AmqpTarget::parse(url, options).map(Box::new).map(Self::Amqp),
            "meilisearch" => MeilisearchTarget::parse(url, options).map(Self::Meilisearch),
            "http" | "https" | "kong" => HttpTarget::parse(url, options).map(Self::Http),
            "tcp" | "unix" => TcpTarget::parse(url, options).map(Self::Tcp),
            "tls" => TlsTarget::parse(url, options).map(Self::Tls),
            "exec" => ExecTarget::parse(url, options).map(Self::Exec),
            "file" => FileTarget::parse(url, options).map(Self::File),
            _ => Err(UNKNOWN.to_owned()),
        }
    }

    /// The kind's name.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Tcp(_) => "tcp",
            Self::Tls(_) => "tls",
            Self::Http(_) => "http",
            Self::Postgres(_) => "postgres",
            Self::Redis(_) => "redis",
            Self::Amqp(_) => "amqp",
            Self::Meilisearch(_) => "meilisearch",
            Self::Exec(_) => "exec",
            Self::File(_) => "file",
            Self::Process(_) => "process",
        }
    }

    /// One attempt. What "up" proves stands with each kind.
    pub async fn probe(&self, progress: &Progress) -> Result<Pass, ProbeError> {
        match self {
            Self::Tcp(target) => target.probe(progress).await,
            Self::Tls(target) => target.probe(progress).await,
            Self::Http(target) => target.probe(progress).await,
            Self::Postgres(target) => target.probe(progress).await,
            Self::Redis(target) => target.probe(progress).await,
            Self::Amqp(target) => target.probe(progress).await,
            Self::Meilisearch(target) => target.probe(progress).await,
            Self::Exec(target) => target.probe(progress).await,
            Self::File(target) => target.probe(progress).await,
            Self::Process(target) => target.probe(progress).await,
        }
    }

    /// Closes the connection that is held, if one is, as its protocol wants it.
    pub async fn close(&self) {
        match self {
            Self::Postgres(target) => target.close().await,
            Self::Redis(target) => target.close().await,
            Self::Amqp(target) => target.close().await,
            Self::Tcp(_)
            | Self::Tls(_)
            | Self::Http(_)
            | Self::Meilisearch(_)
            | Self::Exec(_)
            | Self::File(_)
            | Self::Process(_) => {}
        }
    }
}

/// What a passed attempt found out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pass {
    /// What is reported of the target, by name.
    pub detail: Detail,
    /// What is wrong with it though it works: saturation, a backlog, an alarm.
    pub concern: Option<ProbeError>,
}

/// Facts about a target, in the order in which they are shown.
pub type Detail = Vec<(&'static str, Fact)>;

/// One fact.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    /// A word or a version.
    Text(String),
    /// A count, or a size in bytes.
    Count(u64),
    /// Seconds, or a share in percent.
    Number(f64),
    /// Yes or no.
    Flag(bool),
}

/// One attempt under way: its stage, written by the probe and read by the monitor also when the attempt ran out of time,
/// and whether it may still open connections.
#[derive(Clone, Debug)]
pub struct Progress {
    stage: Arc<Mutex<Stage>>,
    may_connect: bool,
}

impl Progress {
    /// An attempt that has not begun. While stead drains, `may_connect` is false.
    pub fn new(may_connect: bool) -> Self {
        Self { stage: Arc::new(Mutex::new(Stage::Connect)), may_connect }
    }

    /// The same attempt, which may open no connection.
    fn without_connecting(self) -> Self {
        Self { may_connect: false, ..self }
    }

    /// The attempt has come to this stage.
    pub fn enter(&self, stage: Stage) {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner) = stage;
    }

    /// The stage that it has come to.
    pub fn stage(&self) -> Stage {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For what is asked beside the target itself, and must not be taken for how far the attempt came.
    fn aside(&self) -> Self {
        Self::new(self.may_connect)
    }

    /// Fails where no connection may be opened any more.
    fn connecting(&self) -> Result<(), ProbeError> {
        self.enter(Stage::Connect);
        if self.may_connect {
            Ok(())
        } else {
            Err(ProbeError::new(Class::Draining, "stead drains"))
        }
    }
}

/// Why an attempt failed: the class for everybody, the text for the log alone.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{text}")]
pub struct ProbeError {
    /// What kind of failure.
    pub class: Class,
    /// In words, for the log; scrubbed of secrets.
    pub text: String,
}

impl ProbeError {
    fn new(class: Class, text: impl fmt::Display) -> Self {
        Self { class, text: secret::scrub(&text.to_string()) }
    }

    /// No answer in time.
    pub fn timed_out() -> Self {
        Self::new(Class::Timeout, "no answer in time")
    }
}
