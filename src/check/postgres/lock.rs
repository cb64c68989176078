//! An advisory lock of Postgres, held by a session of its own. Polled for, and not waited for at the server: a statement
//! that waits keeps its snapshot, and with it every dead row of the database, for as long as a standby stands by.

use std::time::Duration;

use super::super::lock::{Name, Taken};
use super::super::options::Options;
use super::super::url::Url;
use super::super::{Class, ProbeError, Progress, Stage};
use super::dialect;
use super::failure::failed;
use super::role::Wanted;
use super::servers::Servers;
use super::session::{Session, text};
use crate::value::Wrong;

/// How often it is looked whether a connection keeps its session. Once would do, but for the other clients of a pooler.
const LOOKS: u32 = 5;

/// What a holder says when it has taken the lock, and when it is done.
const TAKEN: &str = "taken";
const RELEASED: &str = "released";

/// The servers of a URL, of which the primary has the lock.
#[derive(Debug)]
pub struct PostgresLock {
    servers: Servers,
    dead_after: Duration,
}

/// A session that waits for the lock or holds it.
#[derive(Debug)]
pub struct PostgresSession {
    link: Session,
    /// The server's process that is this session.
    backend: i32,
    key: i64,
}

impl PostgresLock {
    /// As for a check; the server and stead notice after about `dead_after` that the other one is gone.
    pub fn parse(url: &Url, options: &mut Options, dead_after: Duration) -> Result<Self, Wrong> {
        let servers = dialect::servers(url, options)?.noticing(dead_after);
        Ok(Self { servers, dead_after })
    }

    /// Logs in to the primary, has the server find out soon when this client is dead, and listens for what other
    /// holders say.
    pub(in crate::check) async fn open(
        &self,
        name: &Name,
        progress: &Progress,
    ) -> Result<PostgresSession, ProbeError> {
        let (link, _) = self.servers.connect(Wanted::Primary, progress).await?;
        let mut session = PostgresSession { link, backend: 0, key: name.key() };
        progress.enter(Stage::Query);
        session.backend = backend_of(&mut session.link).await?;
        self.refuse_shared(&mut session, progress).await?;
        // Not before: a pool's sessions would keep them, and the app's next statement would have them.
        session.ask(&settings(self.dead_after)).await?;
        session.ask(&format!("LISTEN {}", session.channel())).await?;
        Ok(session)
    }

    /// Fails where each transaction may get another session of the server, as behind PgBouncer in transaction mode:
    /// such a lock would be anybody's. A second connection, in a transaction, gets the session that the first one thinks
    /// its own, or takes it from it. Afterwards the first one gets the second one's, where that is given out first which
    /// was used last; where they are given out in turn, it gets another one each time.
    async fn refuse_shared(
        &self,
        session: &mut PostgresSession,
        progress: &Progress,
    ) -> Result<(), ProbeError> {
        let (mut other, _) = self.servers.connect(Wanted::Primary, &progress.aside()).await?;
        for _ in 0..LOOKS {
            // In statement mode there is no transaction.
            other.ask("BEGIN").await.map_err(|_| shared())?;
            // Where this is the pool's only session, the first one would wait for it.
            if backend_of(&mut other).await? == session.backend {
                return Err(shared());
            }
            session.must_be_itself().await?;
            other.ask("COMMIT").await.map_err(failed)?;
            session.must_be_itself().await?;
            session.must_be_itself().await?;
        }
        other.close().await;
        Ok(())
    }
}

/// Which process of the server answers.
const BACKEND: &str = "SELECT pg_catalog.pg_backend_pid()";

async fn backend_of(link: &mut Session) -> Result<i32, ProbeError> {
    let row = link.ask(BACKEND).await.map_err(failed)?;
    backend(text(&row, 0))
}

/// A process of the server, as an answer names it.
fn backend(text: Option<&str>) -> Result<i32, ProbeError> {
    let process = text.and_then(|text| text.parse().ok());
    process.ok_or_else(|| ProbeError::new(Class::Protocol, "an answer without the session"))
}

fn shared() -> ProbeError {
    let text = "a pooler that gives each transaction another session, in which no lock can be held: name the database \
                itself, or a pool of sessions";
    ProbeError::new(Class::NotSupported, text)
}

/// The settings of the session, as far as the server knows them (`tcp_user_timeout` since 12, `idle_session_timeout` and
/// `client_connection_check_interval` since 14): a client that is silent is probed, one that is dead is noticed, one
/// that is merely quiet is kept, and no statement is.
fn settings(dead_after: Duration) -> String {
    let seconds = dead_after.as_secs().max(2);
    let millis = dead_after.as_millis();
    let values = [
        ("tcp_keepalives_idle", "1".to_owned()),
        ("tcp_keepalives_interval", "1".to_owned()),
        ("tcp_keepalives_count", seconds.to_string()),
        ("tcp_user_timeout", millis.to_string()),
        ("client_connection_check_interval", "1000".to_owned()),
        ("statement_timeout", millis.to_string()),
        ("idle_session_timeout", "0".to_owned()),
    ];
    let values = values.map(|(name, value)| format!("('{name}', '{value}')")).join(", ");
    format!(
        "SELECT pg_catalog.count(pg_catalog.set_config(name, value, false)) FROM (VALUES {values}) \
         AS wanted (name, value) WHERE name IN (SELECT known.name FROM pg_catalog.pg_settings known)"
    )
}

impl PostgresSession {
    /// Takes the lock if nobody has it. The fence is a transaction's number: they grow for as long as the database
    /// lives, and go with it to its standbys.
    pub(in crate::check) async fn take(
        &mut self,
        progress: &Progress,
    ) -> Result<Option<Taken>, ProbeError> {
        progress.enter(Stage::Query);
        let (key, own) = (self.key, self.backend);
        // Not by another session: a pooler would keep it for hours, and the lock with it.
        let query = format!(
            "SELECT backend, CASE WHEN backend = {own} THEN CASE WHEN pg_catalog.pg_try_advisory_lock({key}) \
             THEN pg_catalog.txid_current() END END FROM (SELECT pg_catalog.pg_backend_pid() AS backend) AS session"
        );
        let row = self.link.ask(&query).await.map_err(failed)?;
        self.must_be(backend(text(&row, 0))?)?;
        let Some(fence) = text(&row, 1) else { return Ok(None) };
        let fence = fence.parse().map_err(|_| ProbeError::new(Class::Protocol, "no number"))?;
        // It was heard before the answer: who releases says so, and is understood to have, before the lock is free.
        let was_released = self.link.heard.as_deref() == Some(RELEASED);
        // A server that grants what it does not hold is found out here.
        self.prove(progress).await.map_err(|error| match error.class {
            Class::NotHeld => ProbeError::new(Class::NotSupported, error.text),
            _ => error,
        })?;
        self.say(TAKEN).await?;
        Ok(Some(Taken { fence, was_released }))
    }

    /// Fails unless this very session holds the lock, at a primary.
    pub(in crate::check) async fn prove(&mut self, progress: &Progress) -> Result<(), ProbeError> {
        progress.enter(Stage::Query);
        let bytes = self.key.to_be_bytes();
        let half =
            |index: usize| bytes.iter().skip(index).take(4).fold(0, |n, b| n << 8 | u32::from(*b));
        let query = format!(
            "SELECT pg_catalog.pg_backend_pid(), pg_catalog.pg_is_in_recovery(), EXISTS (SELECT FROM \
             pg_catalog.pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1 AND classid = {} \
             AND objid = {} AND pid = pg_catalog.pg_backend_pid())",
            half(0),
            half(4)
        );
        let row = self.link.ask(&query).await.map_err(failed)?;
        progress.enter(Stage::State);
        self.must_be(backend(text(&row, 0))?)?;
        match (text(&row, 1), text(&row, 2)) {
            (Some("t"), _) => {
                Err(ProbeError::new(Class::WrongRole, "the server is not the primary any more"))
            }
            (_, Some("t")) => Ok(()),
            _ => Err(ProbeError::new(Class::NotHeld, "the session does not hold the lock")),
        }
    }

    /// Says that it is done, so that the next holder need not wait, and frees the lock.
    pub(in crate::check) async fn release(mut self) -> Result<(), ProbeError> {
        self.say(RELEASED).await?;
        let key = self.key;
        self.ask(&format!("SELECT pg_catalog.pg_advisory_unlock({key})")).await?;
        self.close().await;
        Ok(())
    }

    pub(in crate::check) async fn close(self) {
        self.link.close().await;
    }

    /// Where holders say what they do.
    fn channel(&self) -> String {
        format!("stead_{:016x}", self.key)
    }

    async fn say(&mut self, what: &str) -> Result<(), ProbeError> {
        let query = format!("NOTIFY {}, '{what}'", self.channel());
        self.ask(&query).await
    }

    async fn ask(&mut self, query: &str) -> Result<(), ProbeError> {
        self.link.ask(query).await.map(drop).map_err(failed)
    }

    /// Fails where another session of the server answers than the one that this connection was given.
    async fn must_be_itself(&mut self) -> Result<(), ProbeError> {
        let backend = backend_of(&mut self.link).await?;
        self.must_be(backend)
    }

    fn must_be(&self, backend: i32) -> Result<(), ProbeError> {
        if backend == self.backend { Ok(()) } else { Err(shared()) }
    }
}
