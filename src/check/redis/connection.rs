//! One conversation with a Redis: a command, then its answer, in RESP2. What a command and an answer look like is the
//! redis crate's; the stream is stead's own. No task of its own: a conversation that is dropped is over.

use std::io;

use redis::{Cmd, ErrorKind, ServerError, Value, cmd, parse_redis_value};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::check::secret::Secret;
use crate::check::stream::Stream;
use crate::check::{Class, ProbeError, tls};

/// The longest answer that is read. INFO gives 5 KB, and 60 bytes more for each database in use.
const LONGEST_ANSWER: usize = 1024 * 1024;

/// The first byte of a TLS alert (RFC 8446, section 5.1): what a TLS server says to one who does not speak TLS.
const TLS_ALERT: u8 = 21;

/// Who stead is to a server.
#[derive(Debug, Default)]
pub(super) struct Login {
    /// The ACL user; without one it is the user `default`.
    pub(super) user: Option<String>,
    pub(super) password: Option<Secret>,
    /// The database to select; 0 is every connection's first.
    pub(super) database: u32,
}

/// A connection that was logged in.
#[derive(Debug)]
pub(super) struct Connection(Stream);

/// Why a command has no answer to work with.
#[derive(Debug)]
pub(super) enum Failure {
    /// The connection is gone.
    Lost(io::Error),
    /// The server said no.
    Refused(ServerError),
    /// What came is no answer to what was asked.
    Malformed(&'static str),
    /// Another node, which should have had the answer, could not be asked.
    Elsewhere(ProbeError),
}

impl Connection {
    /// Logs in over a stream, and selects the database. The error says what of that failed.
    pub(super) async fn log_in(stream: Stream, login: &Login) -> Result<Self, ProbeError> {
        let mut this = Self(stream);
        // Whatever an AUTH is refused for, these credentials do not work here: there is no password, for instance.
        this.authenticate(login).await.map_err(|failure| failure.explain(Class::AuthFailed))?;
        if login.database != 0 {
            let selected = this.ask(cmd("SELECT").arg(login.database)).await;
            selected.map_err(|failure| failure.explain(Class::NotFound))?;
        }
        Ok(this)
    }

    async fn authenticate(&mut self, login: &Login) -> Result<(), Failure> {
        let password = login.password.as_ref().map(Secret::reveal);
        let first = match (&login.user, password) {
            (None, None) => return Ok(()),
            (None, Some(password)) => self.ask(cmd("AUTH").arg(password)).await,
            // A user may need no password (`nopass`): Redis takes any then, the empty one too.
            (Some(user), password) => {
                self.ask(cmd("AUTH").arg(user).arg(password.unwrap_or_default())).await
            }
        };
        match (first, password) {
            // Up to version 5 there are no users: the name in a URL was for show, as all clients take it.
            (Err(Failure::Refused(error)), Some(password))
                if says(&error, "wrong number of arguments") =>
            {
                self.ask(cmd("AUTH").arg(password)).await?
            }
            (first, _) => first?,
        };
        Ok(())
    }

    /// Sends a command and reads its answer.
    pub(super) async fn ask(&mut self, command: &Cmd) -> Result<Value, Failure> {
        let sent = self.0.write_all(&command.get_packed_command()).await;
        // A server that is full says so before it is asked, and closes: its word counts more than the failed write.
        match (self.answer().await, sent) {
            (Err(Failure::Lost(_)), Err(error)) => Err(Failure::Lost(error)),
            (answer, _) => answer,
        }
    }

    async fn answer(&mut self) -> Result<Value, Failure> {
        let mut bytes = Vec::new();
        while bytes.len() < LONGEST_ANSWER {
            bytes.reserve(4096);
            if self.0.read_buf(&mut bytes).await.map_err(Failure::Lost)? == 0 {
                return Err(Failure::Lost(io::ErrorKind::UnexpectedEof.into()));
            }
            if let Some(answer) = parsed(&bytes)? {
                return Ok(answer);
            }
        }
        Err(Failure::Malformed("an answer without an end"))
    }

    /// Takes leave, so that the server need not find out.
    pub(super) async fn quit(mut self) {
        // The connection is over, whatever comes of it.
        let _ = self.ask(&cmd("QUIT")).await;
    }
}

/// The answer that these bytes are, once they are all there. None of the commands here is answered with an array, and
/// an array's announced length is something that the parser trusts.
fn parsed(bytes: &[u8]) -> Result<Option<Value>, Failure> {
    match bytes.first() {
        Some(b'+' | b'-' | b':' | b'$') => {}
        Some(&TLS_ALERT) => {
            return Err(Failure::Malformed("the server speaks TLS (write rediss:)"));
        }
        _ => return Err(Failure::Malformed("no answer of a Redis")),
    }
    match parse_redis_value(bytes) {
        Ok(Value::ServerError(error)) => Err(Failure::Refused(error)),
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.kind() == ErrorKind::Io => Ok(None),
        Err(_) => Err(Failure::Malformed("no answer of a Redis")),
    }
}

impl Failure {
    /// The error of an attempt; of the class `otherwise` where a refusal has none of its own.
    pub(super) fn explain(self, otherwise: Class) -> ProbeError {
        match self {
            // A server that wants a client's certificate says so when TLS is agreed on for all that the client knows.
            Self::Lost(error) => tls::failed(error),
            Self::Malformed(text) => ProbeError::new(Class::Protocol, text),
            Self::Elsewhere(error) => error,
            Self::Refused(error) => {
                let text = format!("{} {}", error.code(), error.details().unwrap_or_default());
                ProbeError::new(class_of(&error).unwrap_or(otherwise), text.trim_end())
            }
        }
    }
}

/// What a refusal means, whatever was asked.
pub(super) fn class_of(error: &ServerError) -> Option<Class> {
    match error.code() {
        "NOAUTH" | "WRONGPASS" => Some(Class::AuthFailed),
        "NOPERM" | "DENIED" => Some(Class::AccessDenied),
        "READONLY" => Some(Class::WrongRole),
        "LOADING" => Some(Class::Starting),
        "MASTERDOWN" => Some(Class::MasterDown),
        "CLUSTERDOWN" => Some(Class::ClusterDown),
        // A script that does not end; a snapshot that cannot be written, after which writes are refused.
        "BUSY" | "MISCONF" => Some(Class::Blocked),
        "OOM" => Some(Class::OutOfMemory),
        "ERR" if says(error, "max number of clients") => Some(Class::TooManyConnections),
        _ => None,
    }
}

fn says(error: &ServerError, text: &str) -> bool {
    error.details().is_some_and(|details| details.contains(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_one_only_when_it_is_whole() {
        for whole in ["+PONG\r\n", ":12\r\n", "$5\r\na\r\nb:\r\n", "$-1\r\n", "$0\r\n\r\n"] {
            for end in 1..whole.len() {
                assert!(matches!(parsed(&whole.as_bytes()[..end]), Ok(None)), "{whole:?} to {end}");
            }
            assert!(matches!(parsed(whole.as_bytes()), Ok(Some(_))), "{whole:?}");
        }
    }

    #[test]
    fn what_is_no_answer_is_told_and_never_believed() {
        let lengths = ["*99999999999999\r\n", "%99999999999999\r\n", ">9999999999999\r\n"];
        let others =
            ["HTTP/1.1 400 Bad Request\r\n", "\x15\x03\x01\0\x02", ":x\r\n", "$x\r\n", "\0"];
        for text in lengths.iter().chain(&others) {
            let failure = parsed(text.as_bytes());
            assert!(matches!(failure, Err(Failure::Malformed(_))), "{text:?}: {failure:?}");
        }
        // What it announces is not reserved.
        assert!(matches!(parsed(b"$999999999999999\r\nabc"), Ok(None)));
        assert!(matches!(parsed(b"+\xff\xfe\r\n"), Err(Failure::Malformed(_))));
    }

    #[test]
    fn refusals_are_told_apart() {
        for (text, class) in [
            ("-NOAUTH Authentication required.\r\n", Class::AuthFailed),
            (
                "-WRONGPASS invalid username-password pair or user is disabled.\r\n",
                Class::AuthFailed,
            ),
            (
                "-NOPERM this user has no permissions to run the 'ping' command\r\n",
                Class::AccessDenied,
            ),
            ("-DENIED Redis is running in protected mode\r\n", Class::AccessDenied),
            ("-LOADING Redis is loading the dataset in memory\r\n", Class::Starting),
            ("-MASTERDOWN Link with MASTER is down\r\n", Class::MasterDown),
            ("-CLUSTERDOWN The cluster is down\r\n", Class::ClusterDown),
            ("-BUSY Redis is busy running a script\r\n", Class::Blocked),
            ("-MISCONF Redis is configured to save RDB snapshots\r\n", Class::Blocked),
            ("-OOM command not allowed when used memory > 'maxmemory'.\r\n", Class::OutOfMemory),
            ("-ERR max number of clients reached\r\n", Class::TooManyConnections),
            (
                "-ERR max number of clients + cluster connections reached\r\n",
                Class::TooManyConnections,
            ),
            ("-WRONGTYPE Operation against a key\r\n", Class::Protocol),
            ("-\r\n", Class::Protocol),
        ] {
            let failure = parsed(text.as_bytes()).unwrap_err();
            let error = failure.explain(Class::Protocol);
            assert_eq!(error.class, class, "{text}");
            assert_eq!(error.text, text[1..].trim_end(), "{text}");
        }
    }
}
