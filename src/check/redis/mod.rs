//! Redis, and what speaks its protocol: Valkey, Dragonfly, KeyDB. Not Sentinel: the server itself is asked.

mod connection;
mod location;
pub mod lock;
mod verdict;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::{Cmd, InfoDict, Value, cmd, from_redis_value};
use tokio::time::timeout;

use super::held::{Held, Slot};
use super::options::Options;
use super::stream::Place;
use super::url::Url;
use super::{Class, Pass, ProbeError, Progress, Stage};
use crate::value::Wrong;
use connection::{Connection, Failure, class_of};
use location::Location;
use verdict::{Facts, Role, Wanted};

/// How long a round waits to hear whether a name leads elsewhere.
const LOOKUP: Duration = Duration::from_millis(500);
/// How long a round takes leave of a connection that it gives up.
const GOODBYE: Duration = Duration::from_millis(200);

/// A Redis.
///
/// Up proves: it accepted the connection, over TLS where that is asked for; the password, or the ACL user's, is right;
/// the database could be selected; PING was answered with PONG. Where the user may ask INFO, also: it is not loading
/// its data, it is no Sentinel, it has the role that is wanted, and in a cluster the cluster is whole as this node sees
/// it. With a list, that the key is a list or not there. Nothing is written.
#[derive(Debug)]
pub struct RedisTarget {
    location: Location,
    wanted: Wanted,
    list: Option<String>,
    info: Question,
    cluster_info: Question,
    held: Slot<Session>,
}

/// A connection, and the role that the server had when it was new.
#[derive(Debug)]
struct Session {
    link: Connection,
    role: Option<Role>,
}

/// A question that the server may refuse. It is not asked again then: each denied command is an entry in the log of
/// Redis' ACL.
#[derive(Debug, Default)]
struct Question {
    refused: AtomicBool,
}

impl RedisTarget {
    /// The target of a URL: `redis://[[user]:password@]host[:port][/database]`, `rediss:`, `redis+unix:///path`.
    pub fn parse(url: &Url, options: &mut Options) -> Result<Self, Wrong> {
        let location = Location::parse(url, options)?;
        let role = options.take_as("role", Role::parse)?;
        let list = options.take("list").filter(|key| !key.is_empty());
        let messages = options.take_number("max_messages")?;
        if messages.is_some() && list.is_none() {
            return Err("stead_max_messages needs stead_list".to_owned());
        }
        Ok(Self {
            location,
            wanted: Wanted { role, messages },
            list,
            info: Question::default(),
            cluster_info: Question::default(),
            held: Slot::new(options)?,
        })
    }

    pub(super) async fn probe(&self, progress: &Progress) -> Result<Pass, ProbeError> {
        let (held, facts) = match self.ask_held(progress).await? {
            Some(answered) => answered,
            None => self.ask_new(progress).await?,
        };
        progress.enter(Stage::State);
        let pass = facts.judge(&self.wanted)?;
        if !self.held.holds() {
            held.connection.link.quit().await;
        } else if held.connection.role == facts.role() {
            self.held.put(held);
        }
        Ok(pass)
    }

    /// A round on the connection that is held, if it is still good; none where it was closed meanwhile, by a restart of
    /// the server for instance: that says nothing of the server as it is now.
    async fn ask_held(
        &self,
        progress: &Progress,
    ) -> Result<Option<(Held<Session>, Facts)>, ProbeError> {
        let Some(mut held) = self.still_good(progress).await else {
            return Ok(None);
        };
        match self.ask(&mut held.connection.link, progress).await {
            Ok(facts) => Ok(Some((held, facts))),
            Err(Failure::Lost(_)) => Ok(None),
            Err(failure) => Err(failure.explain(Class::Protocol)),
        }
    }

    /// The connection that is held, unless it is old or its name leads elsewhere by now: then its server may be gone, and
    /// leave is not taken for long. While none may be opened it is kept.
    async fn still_good(&self, progress: &Progress) -> Option<Held<Session>> {
        let held = self.held.take()?;
        let may_go = progress.connecting().is_ok();
        if may_go && (held.is_old() || self.leads_elsewhere(&held, progress).await) {
            let _ = timeout(GOODBYE, held.connection.link.quit()).await;
            return None;
        }
        Some(held)
    }

    async fn leads_elsewhere(&self, held: &Held<Session>, progress: &Progress) -> bool {
        let (Place::Host(host), Some(peer)) = (&self.location.place, held.address) else {
            return false;
        };
        match timeout(LOOKUP, host.resolve(progress)).await {
            Ok(Ok(found)) => !found.contains(&peer),
            // That the resolver is gone says nothing of the server.
            _ => false,
        }
    }

    /// A round on a new connection.
    async fn ask_new(&self, progress: &Progress) -> Result<(Held<Session>, Facts), ProbeError> {
        let (mut link, address) = self.location.open(&self.location.place, progress).await?;
        let facts = self.ask(&mut link, progress).await.map_err(|failure| {
            let error = failure.explain(Class::Protocol);
            stage_of(&error, progress);
            error
        })?;
        let session = Session { role: facts.role(), link };
        Ok((self.held.begin(session, address), facts))
    }

    /// All questions of a round.
    async fn ask(&self, link: &mut Connection, progress: &Progress) -> Result<Facts, Failure> {
        progress.enter(Stage::Query);
        match link.ask(&cmd("PING")).await? {
            Value::SimpleString(answer) if answer == "PONG" => {}
            _ => return Err(Failure::Malformed("no PONG to a PING")),
        }
        let mut facts =
            Facts { info: self.info.ask(link, &cmd("INFO")).await?, ..Facts::default() };
        if facts.is_clustered() {
            facts.cluster = self.cluster_info.ask(link, cmd("CLUSTER").arg("INFO")).await?;
        }
        if let Some(list) = &self.list {
            facts.length = Some(self.length(link, cmd("LLEN").arg(list), progress).await?);
        }
        Ok(facts)
    }

    /// The length of the list; in a cluster another node may have it, and is asked on a connection of its own.
    async fn length(
        &self,
        link: &mut Connection,
        question: &Cmd,
        progress: &Progress,
    ) -> Result<u64, Failure> {
        let answer = match link.ask(question).await {
            Err(Failure::Refused(error)) if error.code() == "MOVED" => {
                let place = location::moved_to(&error, &self.location.place);
                let place = place.ok_or(Failure::Malformed("moved to no address"))?;
                let (mut node, _) =
                    self.location.open(&place, progress).await.map_err(Failure::Elsewhere)?;
                progress.enter(Stage::Query);
                let answer = node.ask(question).await?;
                node.quit().await;
                answer
            }
            answer => answer?,
        };
        from_redis_value(answer).map_err(|_| Failure::Malformed("no length of a list"))
    }

    /// Closes the connection that is held.
    pub(super) async fn close(&self) {
        if let Some(held) = self.held.take() {
            held.connection.link.quit().await;
        }
    }
}

impl Question {
    /// The answer; none where the server refuses one for good.
    async fn ask(&self, link: &mut Connection, command: &Cmd) -> Result<Option<InfoDict>, Failure> {
        if self.refused.load(Ordering::Relaxed) {
            return Ok(None);
        }
        match link.ask(command).await {
            Ok(answer) => {
                let info = from_redis_value(answer);
                info.map(Some).map_err(|_| Failure::Malformed("no text to an INFO"))
            }
            // The user may not, or the server (a proxy, say) does not know the command.
            Err(Failure::Refused(error))
                if matches!(class_of(&error), None | Some(Class::AccessDenied)) =>
            {
                self.refused.store(true, Ordering::Relaxed);
                Ok(None)
            }
            Err(failure) => Err(failure),
        }
    }
}

/// A server that wants a client's certificate says so after TLS is agreed on for all that the client knows: whatever
/// was asked meanwhile, the attempt came no further than that.
fn stage_of(error: &ProbeError, progress: &Progress) {
    if error.class == Class::TlsClientCertificate {
        progress.enter(Stage::Tls);
    }
}
