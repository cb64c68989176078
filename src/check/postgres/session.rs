//! One connection: its startup, its questions, its end. No task belongs to it: it is driven while a question is out, so
//! that a probe which is cut off leaves nothing behind.

use std::fmt;
use std::future::{Future, Ready, poll_fn, ready};
use std::io;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::config::{SslMode, SslNegotiation};
use tokio_postgres::tls::TlsConnect;
use tokio_postgres::{
    AsyncMessage, Client, Config, Connection, Error, SimpleQueryMessage, SimpleQueryRow,
};

use super::super::stream::Stream;
use super::super::{Class, ProbeError, Progress, Stage};
use super::failure::failed;
use super::limited::Limited;
use super::role::Role;

/// What every role may ask of every server since 9.0, and PgBouncer passes on.
const ROLE: &str = "SELECT pg_catalog.pg_is_in_recovery(), \
                    pg_catalog.current_setting('transaction_read_only')";

/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_millis(200);

/// A connection that has logged in.
pub(super) struct Session {
    client: Client,
    connection: Connection<Limited, Limited>,
    /// Which of the servers it leads to.
    pub(super) server: usize,
    /// Whether it is under TLS that nobody verified and nobody said should not be.
    pub(super) unverified: bool,
    /// What the server said last.
    pub(super) role: Role,
    /// The last of the notifications that have come, where any are listened for.
    pub(super) heard: Option<String>,
}

impl Session {
    /// Logs in over a stream on which TLS has been settled.
    pub(super) async fn start(stream: Stream, config: &mut Config) -> Result<Self, Error> {
        // TLS, or its absence, is agreed on already; to the driver the stream is what came of it.
        config.ssl_mode(SslMode::Require).ssl_negotiation(SslNegotiation::Direct);
        let (client, connection) = config.connect_raw(Limited::new(stream), Settled).await?;
        let (role, heard) = (Role::default(), None);
        Ok(Self { client, connection, server: 0, unverified: false, role, heard })
    }

    /// Asks for the role.
    pub(super) async fn learn_role(&mut self, progress: &Progress) -> Result<(), ProbeError> {
        progress.enter(Stage::Query);
        let row = self.ask(ROLE).await.map_err(failed)?;
        match (text(&row, 0), text(&row, 1)) {
            (Some(standby), Some(read_only)) => {
                self.role = Role { standby: standby == "t", read_only: read_only == "on" };
                Ok(())
            }
            _ => Err(ProbeError::new(Class::Protocol, "an answer without the role")),
        }
    }

    /// The version that the server announced, without what its packager calls it.
    pub(super) fn version(&self) -> Option<String> {
        let announced = self.connection.parameter("server_version")?;
        announced.split_whitespace().next().map(str::to_owned)
    }

    /// The first row of the answer to a query of the simple protocol.
    pub(super) async fn ask(&mut self, query: &str) -> Result<Option<SimpleQueryRow>, Error> {
        let Self { client, connection, heard, .. } = self;
        let mut answer = pin!(client.simple_query(query));
        let messages = poll_fn(|cx| {
            // The question first: the connection sends what it finds, and then reads.
            if let Poll::Ready(answer) = answer.as_mut().poll(cx) {
                return Poll::Ready(answer);
            }
            let end = loop {
                match connection.poll_message(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Some(Ok(AsyncMessage::Notification(notification)))) => {
                        *heard = Some(notification.payload().to_owned());
                    }
                    Poll::Ready(Some(Ok(_))) => {}
                    Poll::Ready(Some(Err(error))) => break Err(error),
                    Poll::Ready(None) => break Ok(()),
                }
            };
            // A server that ends the connection may have said why, in what has been read before its end.
            match (answer.as_mut().poll(cx), end) {
                (Poll::Ready(answer), _) => Poll::Ready(answer),
                (Poll::Pending, Err(error)) => Poll::Ready(Err(error)),
                (Poll::Pending, Ok(())) => Poll::Ready(Ok(Vec::new())),
            }
        });
        let rows = messages.await?.into_iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        Ok(rows.last())
    }

    /// Says goodbye; what cannot be said at once stays unsaid.
    pub(super) async fn close(self) {
        let Self { client, connection, .. } = self;
        drop(client);
        let _ = timeout(GOODBYE, connection).await;
    }
}

/// A column of an answer as text.
pub(super) fn text(row: &Option<SimpleQueryRow>, column: usize) -> Option<&str> {
    row.as_ref()?.try_get(column).ok().flatten()
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("server", &self.server).finish_non_exhaustive()
    }
}

/// TLS as the driver knows it: settled before it came.
struct Settled;

impl TlsConnect<Limited> for Settled {
    type Stream = Limited;
    type Error = io::Error;
    type Future = Ready<io::Result<Limited>>;

    fn connect(self, stream: Limited) -> Self::Future {
        ready(Ok(stream))
    }
}
