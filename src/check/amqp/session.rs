//! One AMQP connection: opened, asked in each round, and closed so that the broker sees no client vanish.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_rs::Runtime;
use lapin::options::QueueDeclareOptions;
use lapin::protocol::AMQPError;
use lapin::types::FieldTable;
use lapin::uri::AMQPUri;
use lapin::{AsyncTcpStream, Connection, ConnectionProperties, Error, ErrorKind};
use tokio::time::timeout;

use super::runtime::Kit;
use super::wire::{Cord, Wire};
use crate::check::stream::Stream;
use crate::check::{Class, ProbeError};

/// For the farewell: after it the connection is cut. A broker that works answers within milliseconds.
const FAREWELL: Duration = Duration::from_secs(1);

/// Reply code of a normal end: AMQP 0-9-1, "constants".
const SUCCESS: u16 = 200;

/// An open connection. Dropping it says farewell too, in the background.
#[derive(Debug)]
pub(super) struct Session {
    connection: Connection,
    line: Option<Line>,
}

/// What a queue holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Queue {
    pub(super) messages: u32,
    pub(super) consumers: u32,
}

/// What ends with a connection: its stream, with it lapin's thread, and its tasks. All at once when it is dropped.
#[derive(Debug)]
struct Line {
    cord: Cord,
    kit: Kit,
}

impl Session {
    /// Logs in and opens the virtual host. Cancelling it leaves nothing behind.
    pub(super) async fn open(stream: Stream, uri: AMQPUri) -> Result<Self, Error> {
        let (wire, cord) = Wire::new(stream);
        let line = Line { cord, kit: Kit::new() };
        let wire = Mutex::new(Some(wire));
        // lapin comes back for another stream when it wants to reconnect, which is the schedule's business.
        let connect = async move |_: AMQPUri, _: Runtime<Kit>| {
            let wire = wire.lock().unwrap_or_else(PoisonError::into_inner).take();
            let wire = wire.ok_or(std::io::Error::from(std::io::ErrorKind::ConnectionAborted))?;
            Ok(AsyncTcpStream::Plain(wire))
        };
        let properties = ConnectionProperties::default()
            .with_connection_name("stead".into())
            .with_client_property("product".into(), "stead".into())
            .with_client_property("version".into(), env!("CARGO_PKG_VERSION").into());
        let runtime = Runtime::new(line.kit.clone());
        let connection = Connection::connector(uri, runtime, connect, properties).await?;
        Ok(Self { connection, line: Some(line) })
    }

    /// Whether the broker has told this connection that it takes no messages. lapin remembers that beyond the end.
    pub(super) fn is_blocked(&self) -> bool {
        let status = self.connection.status();
        status.connected() && status.blocked()
    }

    /// Opens a channel, looks at a queue if one is named, and closes the channel.
    pub(super) async fn round(&self, queue: Option<&str>) -> Result<Option<Queue>, Error> {
        let channel = self.connection.create_channel().await?;
        let mut found = None;
        if let Some(name) = queue {
            // Passive: it is looked up, and never made.
            let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
            let queue = channel.queue_declare(name.into(), options, FieldTable::default()).await?;
            let (messages, consumers) = (queue.message_count(), queue.consumer_count());
            found = Some(Queue { messages, consumers });
        }
        channel.close(SUCCESS, "OK".into()).await?;
        Ok(found)
    }

    /// Closes it as the protocol wants it, and waits for that.
    pub(super) async fn close(mut self) {
        let _ = timeout(FAREWELL, self.connection.close(SUCCESS, "OK".into())).await;
        if let Some(line) = self.line.take() {
            line.end().await;
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // lapin sends the Connection.Close when its connection is dropped, which comes next.
        if let Some(line) = self.line.take() {
            line.kit.handle().clone().spawn(line.end());
        }
    }
}

impl Line {
    /// Waits until lapin has let go of the stream, and cuts it if that takes too long.
    async fn end(mut self) {
        let _ = timeout(FAREWELL, self.cord.is_free()).await;
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.kit.end();
    }
}

/// What an error says about the target, while the connection was being opened.
pub(super) fn refused(error: &Error) -> ProbeError {
    match error.kind() {
        ErrorKind::ProtocolError(answer) => answered(answer, |code| match code {
            ACCESS_REFUSED => Some(Class::AuthFailed),
            NOT_ALLOWED => Some(not_allowed(answer)),
            _ => None,
        }),
        _ => failed(error),
    }
}

/// What an error says about the target, on an open connection.
pub(super) fn failed(error: &Error) -> ProbeError {
    let class = match error.kind() {
        ErrorKind::ProtocolError(answer) => return answered(answer, |_| None),
        ErrorKind::IOError(error) => Class::of(error),
        ErrorKind::InvalidConnectionState(_)
        | ErrorKind::InvalidChannelState(..)
        | ErrorKind::InvalidChannel(_)
        | ErrorKind::RuntimeShutdownError(_) => Class::ConnectReset,
        ErrorKind::MissingHeartbeatError => Class::Timeout,
        _ => Class::Protocol,
    };
    ProbeError::new(class, error)
}

/// What the broker itself says; its text begins with the name of the code.
fn answered(answer: &AMQPError, special: impl Fn(u16) -> Option<Class>) -> ProbeError {
    let class = special(answer.get_id()).unwrap_or(match answer.get_id() {
        CONNECTION_FORCED => Class::ShuttingDown,
        ACCESS_REFUSED | RESOURCE_LOCKED => Class::AccessDenied,
        NOT_FOUND => Class::NotFound,
        _ => Class::Protocol,
    });
    ProbeError::new(class, answer.get_message())
}

/// Why a virtual host was not opened. RabbitMQ has one code for all of it, and these texts (`rabbit_reader` and
/// `rabbit_access_control` of its source).
fn not_allowed(reason: &AMQPError) -> Class {
    let text = reason.get_message().as_str();
    if text.contains("limit (") {
        Class::TooManyConnections
    } else if text.contains("not found") {
        Class::NotFound
    } else {
        Class::AccessDenied
    }
}

// Reply codes: AMQP 0-9-1, "constants".
const CONNECTION_FORCED: u16 = 320;
const ACCESS_REFUSED: u16 = 403;
const NOT_FOUND: u16 = 404;
const RESOURCE_LOCKED: u16 = 405;
const NOT_ALLOWED: u16 = 530;
