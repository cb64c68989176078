//! A lock as a key of Redis that runs out unless it is renewed. Each step is a script, which Redis runs as one: what it
//! does depends on who holds the key.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use redis::{Cmd, Value, cmd};

use super::connection::{Connection, Failure};
use super::location::{Location, moved_to};
use crate::check::lock::{Name, Taken};
use crate::check::options::Options;
use crate::check::stream::Place;
use crate::check::url::Url;
use crate::check::{Class, ProbeError, Progress, Stage};
use crate::sys::clock;
use crate::value::Wrong;

/// Takes the key if nobody has it. Empty it was released; where there is none it ran out, or was lost with the server's
/// memory. The fence is one more than the last one and no less than the time in milliseconds, so that it grows also where
/// the last one was lost. Keys: the lock, its fence. Arguments: who asks, for how many milliseconds, the time.
const TAKE: &str = "local held = redis.call('GET', KEYS[1])\n\
    if held and held ~= '' and held ~= ARGV[1] then return '' end\n\
    redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])\n\
    local fence = redis.call('INCR', KEYS[2])\n\
    if fence < tonumber(ARGV[3]) then fence = ARGV[3]; redis.call('SET', KEYS[2], fence) end\n\
    return (held == '' and '+' or '-') .. fence";

/// Renews the key if it is the asker's.
const RENEW: &str = "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end\n\
    return redis.call('PEXPIRE', KEYS[1], ARGV[2])";

/// Empties the key if it is the asker's.
const RELEASE: &str = "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end\n\
    redis.call('SET', KEYS[1], '')\n\
    return 1";

/// The server of a URL; in a cluster, the one to begin with.
#[derive(Debug)]
pub struct RedisLock {
    location: Location,
    /// How long the key lives without a renewal.
    life: Duration,
}

/// A connection by which the lock is waited for or held. The key is what holds it: a connection that is lost is made
/// anew.
#[derive(Debug)]
pub struct RedisSession<'a> {
    lock: &'a RedisLock,
    link: Connection,
    /// Where the key is, if it is elsewhere in the cluster.
    moved: Option<Place>,
    key: String,
    token: String,
}

impl RedisLock {
    /// As for a check; the lock is free `life` after its holder was heard of last.
    pub fn parse(url: &Url, options: &mut Options, life: Duration) -> Result<Self, Wrong> {
        Ok(Self { location: Location::parse(url, options)?, life })
    }

    /// Logs in.
    pub(in crate::check) async fn open(
        &self,
        name: &Name,
        progress: &Progress,
    ) -> Result<RedisSession<'_>, ProbeError> {
        let (link, _) = self.location.open(&self.location.place, progress).await?;
        let random = RandomState::new();
        let token = format!("{:016x}{:016x}", random.hash_one(0), random.hash_one(1));
        // What is in braces decides the node in a cluster (redis.io, "Redis cluster specification").
        let key = format!("stead:{{{}}}", name.text());
        Ok(RedisSession { lock: self, link, moved: None, key, token })
    }
}

impl RedisSession<'_> {
    pub(in crate::check) async fn take(
        &mut self,
        progress: &Progress,
    ) -> Result<Option<Taken>, ProbeError> {
        let answer = self.run(TAKE, progress).await?;
        let answer: String = redis::from_redis_value(answer)
            .map_err(|_| ProbeError::new(Class::Protocol, "no text to a script"))?;
        if answer.is_empty() {
            return Ok(None);
        }
        let fence = answer.get(1..).and_then(|number| number.parse().ok());
        let fence = fence.ok_or_else(|| ProbeError::new(Class::Protocol, "no number"))?;
        Ok(Some(Taken { fence, was_released: answer.starts_with('+') }))
    }

    /// Fails unless the key is this session's, and renews it.
    pub(in crate::check) async fn prove(&mut self, progress: &Progress) -> Result<(), ProbeError> {
        let answer = self.run(RENEW, progress).await?;
        progress.enter(Stage::State);
        match answer {
            Value::Int(1) => Ok(()),
            _ => Err(ProbeError::new(Class::NotHeld, "the key is not this session's any more")),
        }
    }

    /// Says that it is done, so that the next holder need not wait.
    pub(in crate::check) async fn release(mut self) -> Result<(), ProbeError> {
        self.run(RELEASE, &Progress::new(true)).await?;
        self.close().await;
        Ok(())
    }

    pub(in crate::check) async fn close(self) {
        self.link.quit().await;
    }

    /// Runs a script, where the key is, and once more where the connection is gone: each may be run twice.
    async fn run(&mut self, script: &str, progress: &Progress) -> Result<Value, ProbeError> {
        progress.enter(Stage::Query);
        let command = self.command(script);
        match self.link.ask(&command).await {
            Err(Failure::Refused(error)) if error.code() == "MOVED" => {
                self.moved = moved_to(&error, self.place());
            }
            Err(Failure::Lost(_)) => {}
            answer => return answer.map_err(explain),
        }
        (self.link, _) = self.lock.location.open(self.place(), progress).await?;
        progress.enter(Stage::Query);
        self.link.ask(&command).await.map_err(explain)
    }

    fn command(&self, script: &str) -> Cmd {
        let Self { lock, key, token, .. } = self;
        let now = clock::wall_micros() / 1000;
        let mut command = cmd("EVAL");
        command.arg(script).arg(2).arg(key).arg(format!("{key}:fence"));
        command.arg(token).arg(lock.life.as_millis().to_string()).arg(now);
        command
    }

    fn place(&self) -> &Place {
        self.moved.as_ref().unwrap_or(&self.lock.location.place)
    }
}

fn explain(failure: Failure) -> ProbeError {
    failure.explain(Class::Protocol)
}
