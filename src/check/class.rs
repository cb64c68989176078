//! What is told to everybody of a failure: its class and its stage. Both are public names; a text never is.

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
    /// The lock is somebody else's, or nobody's.
    NotHeld,
    /// No process of the name is there.
    ProcessNotFound,
    /// What is left of the process is what its parent has not taken note of.
    ProcessEnded,
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
            Self::NotHeld => "not_held",
            Self::ProcessNotFound => "process_not_found",
            Self::ProcessEnded => "process_ended",
            Self::NotSupported => "not_supported",
            Self::Draining => "draining",
            Self::ProbePanicked => "probe_panicked",
        }
    }

    /// Whether asking again soon would do harm: the server counts the attempts, or has no room for another one.
    pub const fn wants_patience(self) -> bool {
        matches!(self, Self::AuthFailed | Self::AccessDenied | Self::TooManyConnections)
    }

    /// The class of a failed system call on a connection.
    pub(super) fn of(error: &std::io::Error) -> Self {
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
