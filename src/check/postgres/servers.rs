//! The servers of one URL: which is tried when, and what of each attempt's end is final. As libpq does it ("Specifying
//! Multiple Hosts" in PostgreSQL's documentation), in tokio-postgres' stead, whose own loop knows less.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::Config;
use tokio_postgres::config::ChannelBinding;

use super::super::secret::Secret;
use super::super::stream::{Place, Stream};
use super::super::{Class, ProbeError, Progress, Stage};
use super::encryption::{Encryption, Way};
use super::failure::failed;
use super::passfile::Passfile;
use super::role::{Role, Wanted};
use super::session::Session;
use crate::sys::sockets;

/// Where the servers are, and how to log in to any of them.
#[derive(Debug)]
pub(super) struct Servers {
    servers: Vec<Server>,
    login: Login,
    encryption: Encryption,
    /// `target_session_attrs`.
    wanted: Wanted,
    /// For one server; the attempt has its own.
    connect_timeout: Option<Duration>,
    /// After how long a connection is given up whose server is silent; those of checks have a deadline for each answer.
    dead_after: Option<Duration>,
    /// The server to begin with.
    first: AtomicUsize,
}

/// One server.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) place: Place,
    /// The name that its certificate is for, and that the password file has.
    pub(super) host: String,
    pub(super) port: u16,
}

/// Who stead is. Of the keys of a URL only these reach the server: PgBouncer refuses a startup packet with others.
#[derive(Debug)]
pub(super) struct Login {
    pub(super) user: String,
    pub(super) password: Option<Secret>,
    /// Where the password is, if not in the URL.
    pub(super) passfile: Option<Passfile>,
    pub(super) database: String,
    pub(super) channel_binding: ChannelBinding,
}

/// A session, and the address that it leads to where it has one.
type Entered = (Session, Option<SocketAddr>);

/// How long a round waits to hear whether a name leads elsewhere.
const LOOKUP: Duration = Duration::from_millis(500);

impl Servers {
    pub(super) fn new(servers: Vec<Server>, login: Login, encryption: Encryption) -> Self {
        let (wanted, first) = (Wanted::Any, AtomicUsize::new(0));
        let (connect_timeout, dead_after) = (None, None);
        Self { servers, login, encryption, wanted, connect_timeout, dead_after, first }
    }

    pub(super) fn wanting(self, wanted: Wanted, connect_timeout: Option<Duration>) -> Self {
        Self { wanted, connect_timeout, ..self }
    }

    /// With connections that notice when their server is gone without a word.
    pub(super) fn noticing(self, dead_after: Duration) -> Self {
        Self { dead_after: Some(dead_after), ..self }
    }

    /// Where a server is.
    pub(super) fn place(&self, index: usize) -> Option<&Place> {
        self.servers.get(index).map(|server| &server.place)
    }

    /// A server's host and port.
    pub(super) fn name(&self, index: usize) -> String {
        let server = self.servers.get(index);
        server.map_or_else(String::new, |server| format!("{}:{}", server.host, server.port))
    }

    /// Fails where a role is not what the URL, or stead's own option, wants.
    pub(super) fn judge(
        &self,
        role: Role,
        required: Wanted,
        progress: &Progress,
    ) -> Result<(), ProbeError> {
        progress.enter(Stage::State);
        self.wanted.accept(role).and_then(|()| required.accept(role))
    }

    /// Logs in to the first server that lets stead in and has the role that is wanted.
    pub(super) async fn connect(
        &self,
        required: Wanted,
        progress: &Progress,
    ) -> Result<Entered, ProbeError> {
        let (wanted, second_choice) = self.wanted.choices();
        match (self.find([wanted, required], progress).await, second_choice) {
            (Err(error), Some(second)) if is_this_servers(&error) => {
                self.find([second, required], progress).await
            }
            (found, _) => found,
        }
    }

    async fn find(&self, wanted: [Wanted; 2], progress: &Progress) -> Result<Entered, ProbeError> {
        let count = self.servers.len();
        let start = self.first.load(Ordering::Relaxed);
        let mut last = ProbeError::new(Class::NotFound, "no server");
        for step in 0..count {
            let index = (start + step) % count;
            // A server that lets the whole attempt run out of time is the last one to be tried by the next attempt.
            self.first.store(index + 1, Ordering::Relaxed);
            match self.enter(index, wanted, progress).await {
                Ok(entered) => {
                    self.first.store(index, Ordering::Relaxed);
                    return Ok(entered);
                }
                Err(error) if is_this_servers(&error) => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }

    /// Logs in to one server, and asks for its role.
    async fn enter(
        &self,
        index: usize,
        wanted: [Wanted; 2],
        progress: &Progress,
    ) -> Result<Entered, ProbeError> {
        let server =
            self.servers.get(index).ok_or_else(|| ProbeError::new(Class::NotFound, "no server"))?;
        let limit = self.connect_timeout.unwrap_or(Duration::MAX);
        let (mut session, address) = timeout(limit, self.log_in(server, progress))
            .await
            .map_err(|_| ProbeError::new(Class::Timeout, "connect_timeout is over"))??;
        session.server = index;
        session.learn_role(progress).await?;
        progress.enter(Stage::State);
        let fits = wanted.iter().try_for_each(|wanted| wanted.accept(session.role));
        match fits {
            Ok(()) => Ok((session, address)),
            Err(error) => {
                session.close().await;
                Err(error)
            }
        }
    }

    /// Logs in with TLS or without, and where `sslmode` allows it the other way when the first was refused for that.
    async fn log_in(&self, server: &Server, progress: &Progress) -> Result<Entered, ProbeError> {
        let (way, other) = match server.place {
            // libpq too never asks for TLS here.
            Place::Path(_) => (Way::Clear, None),
            Place::Host(_) => self.encryption.ways(),
        };
        let (stream, address) = self.reach(server, progress).await?;
        let settled = self.encryption.settle(stream, &server.host, (way, progress)).await;
        let (error, was_clear) = match settled {
            Err(error) => (error, false),
            Ok(stream) => {
                let is_clear = !matches!(stream, Stream::Tls(_));
                match self.start(stream, server, progress).await {
                    Ok(session) => return Ok((session, address)),
                    Err(error) => (error, is_clear),
                }
            }
        };
        let Some(other) =
            other.filter(|other| is_about_tls(&error) && was_clear != other.is_clear())
        else {
            return Err(error);
        };
        let (stream, address) = self.reach(server, progress).await?;
        let stream = self.encryption.settle(stream, &server.host, (other, progress)).await?;
        match self.start(stream, server, progress).await {
            // Refused both ways: it was not the want of TLS, of which the second refusal would speak.
            Err(second) if second.class == error.class && !was_clear => Err(error),
            started => Ok((started?, address)),
        }
    }

    async fn reach(
        &self,
        server: &Server,
        progress: &Progress,
    ) -> Result<(Stream, Option<SocketAddr>), ProbeError> {
        let (stream, address) = server.place.connect(progress).await?;
        if let (Stream::Tcp(stream), Some(after)) = (&stream, self.dead_after) {
            sockets::notice_dead_peer(stream, after);
        }
        Ok((stream, address))
    }

    async fn start(
        &self,
        stream: Stream,
        server: &Server,
        progress: &Progress,
    ) -> Result<Session, ProbeError> {
        progress.enter(Stage::Authenticate);
        let Login { user, password, passfile, database, channel_binding } = &self.login;
        let unverified = matches!(stream, Stream::Tls(_)) && self.encryption.is_careless();
        let mut password = password.clone();
        if let (None, Some(passfile)) = (&password, passfile) {
            let port = server.port.to_string();
            password = passfile.password([&server.host, &port, database, user]).await?;
        }
        let mut config = Config::new();
        config.user(user).dbname(database).application_name("stead");
        config.channel_binding(*channel_binding);
        if let Some(password) = password {
            config.password(password.reveal());
        }
        let mut session = Session::start(stream, &mut config).await.map_err(failed)?;
        session.unverified = unverified;
        Ok(session)
    }
}

/// Whether a name still leads to an address. That the resolver is gone says nothing about the server.
pub(super) async fn leads_to(
    place: Option<&Place>,
    address: SocketAddr,
    progress: &Progress,
) -> bool {
    let Some(Place::Host(host)) = place else { return true };
    match timeout(LOOKUP, host.resolve(progress)).await {
        Ok(Ok(found)) => found.iter().any(|found| found.ip() == address.ip()),
        _ => true,
    }
}

/// Whether another server may do better; who was let in by none of them for want of a password is not.
fn is_this_servers(error: &ProbeError) -> bool {
    matches!(
        error.class,
        Class::DnsNotFound
            | Class::DnsFailed
            | Class::ConnectRefused
            | Class::ConnectUnreachable
            | Class::ConnectReset
            | Class::ConnectFailed
            | Class::Timeout
            | Class::Starting
            | Class::ShuttingDown
            | Class::WrongRole
    )
}

/// Whether it may have been TLS, or its absence, that was refused.
fn is_about_tls(error: &ProbeError) -> bool {
    matches!(
        error.class,
        Class::AccessDenied
            | Class::TlsUntrusted
            | Class::TlsWrongName
            | Class::TlsExpired
            | Class::TlsClientCertificate
            | Class::TlsRefused
            | Class::TlsFailed
    )
}
