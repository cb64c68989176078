//! Postgres, and what speaks its protocol: on one connection that is held between rounds.

mod dialect;
mod encryption;
mod failure;
mod limited;
pub mod lock;
mod numbers;
mod passfile;
mod role;
mod servers;
mod session;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::held::{Held, Slot};
use super::options::Options;
use super::url::Url;
use super::{Class, Detail, Fact, Pass, ProbeError, Progress, Stage};
use crate::value::Wrong;
use numbers::Numbers;
use role::{Role, Wanted};
use servers::{Servers, leads_to};
use session::Session;

/// A Postgres database.
///
/// Up proves: one of the servers was reached, by TLS as `sslmode` asks; it let this user into this database; it answers
/// a query of the simple protocol on a connection that is held (PgBouncer passes it in every pooling mode); and it has
/// the role that `target_session_attrs` and `stead_role` ask for. Nothing is written and no setting is changed.
///
/// A server that is full is up with a concern, once it has been up: the app's own connections may well work. Then no
/// connection is held, and the schedule waits before the next try.
#[derive(Debug)]
pub struct PostgresTarget {
    servers: Servers,
    /// What `stead_role` requires.
    role: Wanted,
    /// Percent of the connections that an ordinary user can have, from which on the server counts as full.
    max_saturation: u64,
    held: Slot<Session>,
    numbers: Mutex<Numbers>,
    /// The role and the version of the last pass.
    known: Mutex<Option<(Role, Option<String>)>>,
    warned: AtomicBool,
}

impl PostgresTarget {
    /// The target of a URL in any of the dialects that apps have (libpq, Prisma, SQLAlchemy, JDBC, node).
    pub fn parse(url: &Url, options: &mut Options) -> Result<Self, Wrong> {
        let percent = |text: &str| {
            let percent = text.trim().trim_end_matches('%').parse().ok();
            percent.filter(|percent| *percent <= 100).ok_or_else(|| "not a percentage".to_owned())
        };
        Ok(Self {
            role: options.take_as("role", Wanted::of_option)?.unwrap_or(Wanted::Any),
            max_saturation: options.take_as("max_saturation", percent)?.unwrap_or(80),
            servers: dialect::servers(url, options)?,
            held: Slot::new(options)?,
            numbers: Mutex::default(),
            known: Mutex::default(),
            warned: AtomicBool::new(false),
        })
    }

    pub(super) async fn probe(&self, progress: &Progress) -> Result<Pass, ProbeError> {
        if let Some(mut held) = self.still_good(progress).await {
            // Whatever ails the held connection (it was killed while idle, the server was restarted or has another role
            // now), a new one shows whether the server does too.
            if self.round(&mut held.connection, progress).await.is_ok() {
                return self.finish(held, progress).await;
            }
            held.connection.close().await;
        }
        let connected = self.servers.connect(self.role, progress).await;
        let (session, address) = match connected {
            Err(full) if full.class == Class::TooManyConnections => return self.full(full),
            connected => connected?,
        };
        self.warn_once(&session);
        self.finish(self.held.begin(session, address), progress).await
    }

    /// Closes the connection that is held.
    pub(super) async fn close(&self) {
        if let Some(held) = self.held.take() {
            held.connection.close().await;
        }
    }

    /// The held connection, unless it is old or its name leads elsewhere by now. While none may be opened it is kept.
    async fn still_good(&self, progress: &Progress) -> Option<Held<Session>> {
        let held = self.held.take()?;
        if progress.connecting().is_err() {
            return Some(held);
        }
        let server = held.connection.server;
        let elsewhere = match held.address {
            Some(address) => !leads_to(self.servers.place(server), address, progress).await,
            None => false,
        };
        if held.is_old() || elsewhere {
            held.connection.close().await;
            return None;
        }
        Some(held)
    }

    /// One round on a connection: the role that its server has now.
    async fn round(&self, session: &mut Session, progress: &Progress) -> Result<(), ProbeError> {
        session.learn_role(progress).await?;
        self.servers.judge(session.role, self.role, progress)
    }

    /// The numbers, if it is time for them; then the connection is kept, or given up where the server is too full.
    async fn finish(
        &self,
        mut held: Held<Session>,
        progress: &Progress,
    ) -> Result<Pass, ProbeError> {
        let session = &mut held.connection;
        progress.enter(Stage::Query);
        let mut numbers = lock(&self.numbers).clone();
        numbers.refresh(session).await?;
        progress.enter(Stage::State);
        let concern = numbers.concern(self.max_saturation);
        let known = (session.role, session.version());
        let detail = detail(&known, &numbers);
        *lock(&self.numbers) = numbers;
        *lock(&self.known) = Some(known);
        if self.held.holds() && concern.is_none() {
            self.held.put(held);
        } else {
            held.connection.close().await;
        }
        Ok(Pass { detail, concern })
    }

    /// What a server is that has no connection left for stead: full, if it was up before.
    fn full(&self, error: ProbeError) -> Result<Pass, ProbeError> {
        let known = lock(&self.known).clone().ok_or_else(|| error.clone())?;
        let mut numbers = lock(&self.numbers);
        // How many there are now nobody can say.
        *numbers = Numbers::default();
        Ok(Pass { detail: detail(&known, &numbers), concern: Some(error) })
    }

    fn warn_once(&self, session: &Session) {
        if session.unverified && !self.warned.swap(true, Ordering::Relaxed) {
            let target = self.servers.name(session.server);
            tracing::warn!(target, "TLS not verified");
        }
    }
}

fn detail((role, version): &(Role, Option<String>), numbers: &Numbers) -> Detail {
    let mut detail = vec![("role", Fact::Text(role.name().to_owned()))];
    detail.extend(version.clone().map(|version| ("version", Fact::Text(version))));
    detail.extend(numbers.facts());
    detail
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
