//! Locks at a server, each held by one session at a time: what a server can say of one. When it is asked is the
//! business of the module `lock`.

use std::time::Duration;

use ring::digest::{SHA256, digest};

use super::options::Options;
use super::url::Url;
use super::{PostgresLock, PostgresSession, ProbeError, Progress, RedisLock, RedisSession};
use crate::value::Wrong;

/// What a lock is for: no two services on one server share one, and no two purposes of a service.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Name {
    text: String,
}

impl Name {
    /// The lock of a service for a purpose: `singleton`, or a hook's name.
    pub fn new(service: &str, purpose: &str) -> Self {
        Self { text: format!("{service}/{purpose}") }
    }

    /// `service/purpose`.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The number by which Postgres knows it: the first eight bytes, big-endian and signed, of the SHA-256 of
    /// `stead/service/purpose`.
    pub fn key(&self) -> i64 {
        let hash = digest(&SHA256, format!("stead/{}", self.text).as_bytes());
        hash.as_ref().first_chunk().map_or(0, |bytes| i64::from_be_bytes(*bytes))
    }
}

/// A lock that was taken just now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Taken {
    /// The number of this holder, which is greater than that of any before.
    pub fence: u64,
    /// The holder before has said that it is done; else it may only have been lost to the server.
    pub was_released: bool,
}

/// Where a lock is, and how to get in there.
#[derive(Debug)]
pub enum Target {
    /// An advisory lock of a Postgres.
    Postgres(PostgresLock),
    /// A key of a Redis.
    Redis(RedisLock),
}

/// A connection on which a lock can be taken and held.
#[derive(Debug)]
pub enum Session<'a> {
    /// To a Postgres.
    Postgres(Box<PostgresSession>),
    /// To a Redis.
    Redis(RedisSession<'a>),
}

impl Target {
    /// The place that a URL names; takes the options that its kind knows. A server finds out within about `dead_after`
    /// that its client is gone without a word.
    pub fn parse(url: &Url, options: &mut Options, dead_after: Duration) -> Result<Self, Wrong> {
        match url.kind() {
            "postgres" | "postgresql" | "postgis" => {
                PostgresLock::parse(url, options, dead_after).map(Self::Postgres)
            }
            "redis" | "rediss" | "redis-socket" | "valkey" | "valkeys" | "dragonfly" => {
                RedisLock::parse(url, options, dead_after).map(Self::Redis)
            }
            _ => Err("a lock is held at a Postgres or a Redis alone".to_owned()),
        }
    }

    /// A new session. Fails with `not_supported` where no lock can be held for good.
    pub async fn open(&self, name: &Name, progress: &Progress) -> Result<Session<'_>, ProbeError> {
        match self {
            Self::Postgres(lock) => {
                lock.open(name, progress).await.map(Box::new).map(Session::Postgres)
            }
            Self::Redis(lock) => lock.open(name, progress).await.map(Session::Redis),
        }
    }
}

impl Session<'_> {
    /// Takes the lock, unless another session holds it.
    pub async fn take(&mut self, progress: &Progress) -> Result<Option<Taken>, ProbeError> {
        match self {
            Self::Postgres(session) => session.take(progress).await,
            Self::Redis(session) => session.take(progress).await,
        }
    }

    /// Fails unless the server says that this session holds the lock now.
    pub async fn prove(&mut self, progress: &Progress) -> Result<(), ProbeError> {
        match self {
            Self::Postgres(session) => session.prove(progress).await,
            Self::Redis(session) => session.prove(progress).await,
        }
    }

    /// Says that what was done under the lock is done, and gives it back.
    pub async fn release(self) -> Result<(), ProbeError> {
        match self {
            Self::Postgres(session) => session.release().await,
            Self::Redis(session) => session.release().await,
        }
    }

    /// Takes leave without a word of the lock, which the server frees.
    pub async fn close(self) {
        match self {
            Self::Postgres(session) => session.close().await,
            Self::Redis(session) => session.close().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_beginning_of_a_hash_of_service_and_purpose() {
        // printf stead/api/singleton | sha256sum
        let name = Name::new("api", "singleton");
        assert_eq!(format!("{:016x}", name.key()), "eb1535e80345b009");
        assert_ne!(name.key(), Name::new("api", "migrate").key());
        assert_ne!(name.key(), Name::new("apis", "ingleton").key());
    }
}
