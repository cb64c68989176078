//! The locks under which the command, or what comes before it, runs at one place alone.

use std::time::Duration;

use super::file::Key;
use super::plan::show;
use super::source::{Source, Text};
use super::sources::Sources;
use super::value::Wrong;
use super::{Environment, Hooks, Mistake, ReadFile};
use crate::check::lock::Target;
use crate::check::options::Options;
use crate::errand::Moment;
use crate::lock::{Lock, Times};

/// What a holder that has lost its lock may take to be gone, where nobody says.
const GRACE: Duration = Duration::from_secs(5);
/// A shorter one leaves no time for an answer, a longer one is no bound.
const GRACES: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(200)..=Duration::from_secs(3600);

/// Where the app has its database for what no pooler may stand before, and where it has it else.
const OWN: [&str; 2] = ["DIRECT_URL", "DATABASE_URL"];

/// The locks.
#[derive(Debug, Default)]
pub struct Locks {
    /// The one that the command runs under.
    pub singleton: Option<Lock>,
    /// The one that the `pre_start` hooks run under.
    pub pre_start: Option<Lock>,
}

impl Sources {
    pub(super) fn locks(&mut self, env: &Environment, read: ReadFile) -> Result<Locks, Mistake> {
        let grace = self.duration("singleton_grace", GRACE)?;
        if !GRACES.contains(&grace) {
            return Err(Mistake::at(self.place("singleton_grace"), "not from 200ms to 1h"));
        }
        let tables = self.hooks.iter_mut().filter(|table| table.name == Moment::PreStart.name());
        let found: Vec<Key> =
            tables.flat_map(|table| table.keys.extract_if(.., |key| key.name == "lock")).collect();
        found.into_iter().for_each(|key| self.add("lock", key.value, key.place));
        let singleton = self.lock("singleton", grace, (env, read))?;
        let pre_start = self.lock("lock", grace, (env, read))?;
        Ok(Locks { singleton, pre_start })
    }

    /// A lock of hooks is of no use without a hook.
    pub(super) fn must_lock_something(&self, locks: &Locks, hooks: &Hooks) -> Result<(), Mistake> {
        if locks.pre_start.is_none() || !hooks.of(Moment::PreStart).is_empty() {
            return Ok(());
        }
        Err(Mistake::at(self.place("lock"), "there is no pre_start hook to run under it"))
    }

    /// The lock of a setting: a URL, or `on` for the app's own database.
    fn lock(
        &mut self,
        key: &'static str,
        grace: Duration,
        (env, read): (&Environment, ReadFile),
    ) -> Result<Option<Lock>, Mistake> {
        let text = self.one(key, |text| Ok(text.trim().to_owned()))?.unwrap_or_default();
        let (place, text) = match text.to_ascii_lowercase().as_str() {
            "" | "off" => {
                self.show(key, "off");
                return Ok(None);
            }
            "on" => OWN
                .iter()
                .find_map(|name| env.text(name).filter(|(_, text)| !text.is_empty()))
                .ok_or_else(|| {
                    Mistake::at(
                        self.place(key),
                        "on, and neither DIRECT_URL nor DATABASE_URL is set",
                    )
                })?,
            _ => (self.place(key), Text::Given(text)),
        };
        let service = env.labels().service.ok_or_else(|| {
            let wrong = "needs SERVICE_NAME, by which two services at one server have two locks";
            Mistake::at(self.place(key), wrong)
        })?;
        let times = Times::of(grace);
        let (target, shown) =
            target(text, times, read).map_err(|wrong| Mistake::at(place, wrong))?;
        self.show(key, shown);
        Ok(Some(Lock { target, service, times, place: self.place(key) }))
    }
}

/// The place of a lock, and its URL without secrets.
fn target(text: Text, times: Times, read: ReadFile) -> Result<(Target, String), Wrong> {
    let mut options = Options::default();
    let url = Source::url(text).read(read, &mut options)?;
    let target = Target::parse(&url, &mut options, times.dead_after())?;
    match options.left() {
        Some(left) => Err(format!("stead_{left}: no such option of a lock")),
        None => Ok((target, show(&url))),
    }
}
