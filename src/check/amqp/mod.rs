//! RabbitMQ, by AMQP 0-9-1: a connection that is held, a channel in each round, a queue's depth, the broker's alarms.

mod login;
mod management;
mod runtime;
mod session;
mod wanted;
mod wire;

use std::net::SocketAddr;

use super::address::Address;
use super::held::{Held, Slot};
use super::options::Options;
use super::stream::{Stream, connect};
use super::tls::Tls;
use super::url::Url;
use super::{Class, Fact, Pass, ProbeError, Progress, Stage, UNKNOWN};
use crate::value::Wrong;
use login::Login;
use management::Management;
use session::{Queue, Session, failed, refused};
use wanted::Wanted;

/// A RabbitMQ, or what else speaks AMQP 0-9-1.
///
/// Up proves: the host resolves, the port accepts (for `amqps` with a certificate as asked), user and password are right,
/// the virtual host is there and open to that user, and the broker opens and closes a channel on the connection that is
/// held. With `stead_queue` the queue is there. Nothing is declared or published.
#[derive(Debug)]
pub struct AmqpTarget {
    address: Address,
    secure: bool,
    /// For `amqps`, and for a management API over https.
    tls: Tls,
    login: Login,
    wanted: Wanted,
    management: Option<Management>,
    slot: Slot<Session>,
}

/// What a round found out.
enum Seen {
    /// A channel was opened and closed; what the queue holds, where one was asked for.
    Works(Option<Queue>),
    /// The broker takes no messages on this connection.
    Blocked,
}

impl AmqpTarget {
    /// `amqp://user:password@host:5672/vhost`, `amqps` for TLS.
    pub fn parse(url: &Url, options: &mut Options) -> Result<Self, Wrong> {
        let (secure, port) = match url.scheme.as_str() {
            "amqp" => (false, 5672),
            "amqps" => (true, 5671),
            _ => return Err(UNKNOWN.to_owned()),
        };
        let host = url.only_host()?;
        let login = Login::parse(url)?;
        let user = (login.user(), login.password());
        let management = options.take_as("management", |text| Management::parse(text, user))?;
        let uses_tls = secure || management.as_ref().is_some_and(Management::is_secure);
        if uses_tls {
            add_keys_of_drivers(url, options);
        }
        let wanted = Wanted::take(options)?;
        Ok(Self {
            address: Address::new(&host.name, host.port.unwrap_or(port)),
            tls: if uses_tls { Tls::take(options)? } else { Tls::default() },
            secure,
            login,
            wanted,
            management,
            slot: Slot::new(options)?,
        })
    }

    pub(super) async fn probe(&self, progress: &Progress) -> Result<Pass, ProbeError> {
        let addresses = self.address.resolve(progress).await?;
        // One that is not fit says farewell in the background, because nobody knows whether its broker is still there.
        let held = self.slot.take().filter(|held| is_fit(held, &addresses));
        let seen = match held {
            Some(held) => match self.ask(held, progress).await {
                // It was closed between the rounds: what counts is whether there can be another one.
                Err(error) if is_lost(error.class) => {
                    self.ask(self.open(&addresses, progress).await?, progress).await?
                }
                answer => answer?,
            },
            None => self.ask(self.open(&addresses, progress).await?, progress).await?,
        };
        let alarm = match &self.management {
            Some(management) => management.concern(&self.tls, progress).await,
            None => None,
        };
        progress.enter(Stage::State);
        Ok(self.pass(seen, alarm))
    }

    async fn open(
        &self,
        addresses: &[SocketAddr],
        progress: &Progress,
    ) -> Result<Held<Session>, ProbeError> {
        let tcp = connect(addresses, progress).await?;
        let peer = tcp.peer_addr().ok();
        let _ = tcp.set_nodelay(true);
        let mut stream = Stream::Tcp(tcp);
        if self.secure {
            stream = self.tls.handshake(stream, self.address.host(), progress).await?;
        }
        progress.enter(Stage::Authenticate);
        let session = Session::open(stream, self.login.uri()).await;
        let session = session.map_err(|error| {
            let error = refused(&error);
            if error.class == Class::NotFound {
                progress.enter(Stage::State);
            }
            error
        })?;
        Ok(self.slot.begin(session, peer))
    }

    /// One round on a connection, which is held on to unless it broke.
    async fn ask(&self, held: Held<Session>, progress: &Progress) -> Result<Seen, ProbeError> {
        progress.enter(Stage::Query);
        // lapin writes nothing on a connection that is blocked, no question either.
        let seen = if held.connection.is_blocked() {
            Ok(Seen::Blocked)
        } else {
            let round = held.connection.round(self.wanted.queue()).await;
            round.map(Seen::Works).map_err(|error| failed(&error))
        };
        let is_answer = match &seen {
            Ok(_) => true,
            Err(error) => matches!(error.class, Class::NotFound | Class::AccessDenied),
        };
        if seen.is_err() && is_answer {
            progress.enter(Stage::State);
        }
        match is_answer {
            true if self.slot.holds() => self.slot.put(held),
            true => held.connection.close().await,
            false => drop(held),
        }
        seen
    }

    /// Closes the connection that is held.
    pub(super) async fn close(&self) {
        if let Some(held) = self.slot.take() {
            held.connection.close().await;
        }
    }

    fn pass(&self, seen: Seen, alarm: Option<ProbeError>) -> Pass {
        let mut detail = vec![("vhost", Fact::Text(self.login.vhost().to_owned()))];
        let concern = match seen {
            Seen::Works(Some(queue)) => {
                detail.push(("messages", Fact::Count(queue.messages.into())));
                detail.push(("consumers", Fact::Count(queue.consumers.into())));
                self.wanted.concern(queue)
            }
            Seen::Works(None) => None,
            Seen::Blocked => {
                let text = "the broker takes no messages on this connection";
                Some(ProbeError::new(Class::Blocked, text))
            }
        };
        Pass { detail, concern: alarm.or(concern) }
    }
}

/// Whether the connection may be asked once more.
fn is_fit(held: &Held<Session>, addresses: &[SocketAddr]) -> bool {
    let leads_there = |peer: SocketAddr| addresses.iter().any(|found| found.ip() == peer.ip());
    !held.is_old() && held.address.is_none_or(leads_there)
}

/// Whether a held connection failed for its own end, and not for an answer of the broker.
fn is_lost(class: Class) -> bool {
    matches!(class, Class::ConnectReset | Class::ShuttingDown | Class::Timeout)
}

/// The Erlang client's keys for TLS, as RabbitMQ's "URI query parameters" lists them; stead's own options win.
fn add_keys_of_drivers(url: &Url, options: &mut Options) {
    for (key, option) in [("cacertfile", "ca"), ("certfile", "cert"), ("keyfile", "key")] {
        if let Some(file) = url.value(key) {
            options.add(option, file);
        }
    }
    if url.value("verify") == Some("verify_none") {
        options.add("verify", "off");
    }
}

#[cfg(test)]
mod tests;
