//! Checks: what is asked of a target, what came of it, and when it is asked again.
//!
//! The set of targets is closed: an enum, one file a kind. Each check runs on its own schedule in the background
//! (`monitor`); the endpoints render what is known (`registry`) and never ask.

mod address;
mod amqp;
mod exchange;
mod exec;
mod file;
mod flight;
mod held;
mod http;
mod meilisearch;
pub mod monitor;
pub mod options;
mod postgres;
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
use crate::value::Wrong;
pub use amqp::AmqpTarget;
pub use exec::ExecTarget;
pub use file::FileTarget;
pub use http::HttpTarget;
pub use meilisearch::MeilisearchTarget;
use options::Options;
pub use postgres::PostgresTarget;
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
}

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
            _ => Err("a scheme that stead does not know".to_owned()),
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
            | Self::File(_) => {}
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

/// How far an attempt came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stage {
    /// Its name was being resolved.
    Dns,
    /// The connection was being made.
    Connect,
    /// TLS was being agreed on.
    Tls,
    /// stead was saying who it is.
    Authenticate,
    /// The question was out.
    Query,
    /// The answer said something about the target's state.
    State,
}

impl Stage {
    /// The stage's public name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Authenticate => "authenticate",
            Self::Query => "query",
            Self::State => "state",
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
    /// Its certificate is of nobody who is trusted.
    TlsUntrusted,
    /// Its certificate is for other names.
    TlsWrongName,
    /// Its certificate is over, or not valid yet.
    TlsExpired,
    /// It wants a certificate of stead's, or another one.
    TlsClientCertificate,
    /// What is there does not speak TLS.
    TlsRefused,
    /// TLS could not be agreed on for another reason.
    TlsFailed,
    /// The password or the key is wrong, or one is missing.
    AuthFailed,
    /// The credentials are right, and not allowed to do this.
    AccessDenied,
    /// What was asked for is not there: a database, a vhost, a queue, an index, a file.
    NotFound,
    /// The server is full.
    TooManyConnections,
    /// The server is starting, loading or recovering.
    Starting,
    /// The server is shutting down.
    ShuttingDown,
    /// The server has another role than the one that is required (a standby, a replica).
    WrongRole,
    /// The cluster is not whole.
    ClusterDown,
    /// A replica has lost its master.
    MasterDown,
    /// The server has no memory left to write to.
    OutOfMemory,
    /// The server takes no writes, or nothing at all: an alarm, a snapshot that failed, a script that does not end.
    Blocked,
    /// More wait in the queue than should.
    TooManyMessages,
    /// Fewer take from the queue than should.
    TooFewConsumers,
    /// The certificate is over soon.
    CertificateExpires,
    /// The server says that it must be restarted.
    MustRestart,
    /// What came is not the protocol that was expected, or an error of it that has no class of its own.
    Protocol,
    /// The body of the answer is not as it should be.
    HttpBody,
    /// The command failed.
    ExecFailed,
    /// The file is older than it should be.
    FileTooOld,
    /// It asks for what stead cannot do.
    NotSupported,
    /// stead drains, and opens no connection any more.
    Draining,
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
            Self::TlsUntrusted => "tls_untrusted",
            Self::TlsWrongName => "tls_wrong_name",
            Self::TlsExpired => "tls_expired",
            Self::TlsClientCertificate => "tls_client_certificate",
            Self::TlsRefused => "tls_refused",
            Self::TlsFailed => "tls_failed",
            Self::AuthFailed => "auth_failed",
            Self::AccessDenied => "access_denied",
            Self::NotFound => "not_found",
            Self::TooManyConnections => "too_many_connections",
            Self::Starting => "starting",
            Self::ShuttingDown => "shutting_down",
            Self::WrongRole => "wrong_role",
            Self::ClusterDown => "cluster_down",
            Self::MasterDown => "master_down",
            Self::OutOfMemory => "out_of_memory",
            Self::Blocked => "blocked",
            Self::TooManyMessages => "too_many_messages",
            Self::TooFewConsumers => "too_few_consumers",
            Self::CertificateExpires => "certificate_expires",
            Self::MustRestart => "must_restart",
            Self::Protocol => "protocol",
            Self::HttpBody => "http_body",
            Self::ExecFailed => "exec_failed",
            Self::FileTooOld => "file_too_old",
            Self::NotSupported => "not_supported",
            Self::Draining => "draining",
            Self::ProbePanicked => "probe_panicked",
        }
    }

    /// Whether asking again soon would do harm: the server counts the attempts, or has no room for another one.
    const fn wants_patience(self) -> bool {
        matches!(self, Self::AuthFailed | Self::AccessDenied | Self::TooManyConnections)
    }

    /// The class of a failed system call on a connection.
    fn of(error: &std::io::Error) -> Self {
        use std::io::ErrorKind;
        match error.kind() {
            ErrorKind::ConnectionRefused => Self::ConnectRefused,
            ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
            | ErrorKind::AddrNotAvailable => Self::ConnectUnreachable,
            ErrorKind::ConnectionReset
            | ErrorKind::BrokenPipe
            | ErrorKind::ConnectionAborted
            | ErrorKind::UnexpectedEof => Self::ConnectReset,
            ErrorKind::TimedOut => Self::Timeout,
            _ => Self::ConnectFailed,
        }
    }
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
}
