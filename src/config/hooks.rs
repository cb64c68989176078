//! What is run around the command: hooks, from flags and variables, or from tables of the file.

use std::borrow::Cow;
use std::ffi::OsString;
use std::fmt;
use std::time::Duration;

use super::file::{Key, Table};
use super::setting::suggestion;
use super::sources::Sources;
use super::value::{self, Wrong, show_duration};
use super::{Mistake, Row, words};
use crate::errand::Moment;
use crate::supervisor::Terms;

/// How long each but a `pre_start` hook may take where nobody says.
const TIMEOUT: Duration = Duration::from_secs(10);

/// One command.
#[derive(Clone)]
pub struct Hook {
    /// Its words, the program first. They can hold secrets.
    pub words: Vec<OsString>,
    /// How long it may take.
    pub timeout: Option<Duration>,
    /// Whether its failure is more than a warning.
    pub must_succeed: bool,
}

/// All of them by their moments.
#[derive(Clone, Debug, Default)]
pub struct Hooks([Vec<Hook>; 4]);

/// What is said of hooks beside their commands.
#[derive(Clone, Default)]
struct Options {
    /// None within is no limit.
    timeout: Option<(Option<Duration>, String)>,
    must_succeed: Option<bool>,
}

/// The hooks of one moment, as they were asked for.
struct Asked {
    moment: Moment,
    commands: Vec<(Vec<String>, Options)>,
    /// The flag, the variable, or the file and line.
    place: String,
}

impl Hook {
    /// The program's name; the arguments are never shown.
    pub fn program(&self) -> Cow<'_, str> {
        self.words.first().map(|word| word.to_string_lossy()).unwrap_or_default()
    }
}

impl fmt::Debug for Hook {
    /// Without the arguments.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Hook").field(&self.program()).finish()
    }
}

impl Hooks {
    /// Those of a moment, in their order.
    pub fn of(&self, moment: Moment) -> &[Hook] {
        let [pre_start, post_start, pre_stop, post_stop] = &self.0;
        match moment {
            Moment::PreStart => pre_start,
            Moment::PostStart => post_start,
            Moment::PreStop => pre_stop,
            Moment::PostStop => post_stop,
        }
    }

    /// How long those of a moment may take together, as far as there is a limit.
    pub fn time_of(&self, moment: Moment) -> Duration {
        self.of(moment).iter().filter_map(|hook| hook.timeout).sum()
    }
}

impl Sources {
    pub(super) fn hooks(&mut self, terms: &Terms) -> Result<Hooks, Mistake> {
        let names = || Moment::ALL.iter().map(|moment| moment.name().to_owned());
        let mut tables = std::mem::take(&mut self.hooks);
        if let Some(table) = tables.iter().find(|table| names().all(|name| name != table.name)) {
            let hint = suggestion(&table.name, names());
            return Err(Mistake::at(&*table.place, format!("no such hook{hint}")));
        }
        let mut all = Hooks::default();
        for (moment, hooks) in Moment::ALL.into_iter().zip(&mut all.0) {
            let of_moment = tables.extract_if(.., |table| table.name == moment.name()).collect();
            let asked = self.asked(moment, of_moment)?;
            *hooks = asked.hooks(terms)?;
            self.rows.push(Row { key: moment.name(), value: shown(hooks), from: asked.place });
        }
        Ok(all)
    }

    /// What a flag or a variable says is over what the file says, but for the options in a table without a command.
    fn asked(&self, moment: Moment, tables: Vec<Table>) -> Result<Asked, Mistake> {
        let key = moment.name();
        let given = self.all(key, words::split)?;
        let is_given = !given.is_empty();
        let place = match tables.first() {
            _ if is_given => self.place(key),
            Some(table) => table.place.clone(),
            None => "default".to_owned(),
        };
        let mut commands: Vec<_> =
            given.into_iter().map(|words| (words, Options::default())).collect();
        for table in tables {
            let place = table.place.clone();
            match (of_table(moment, table)?, is_given) {
                ((None, options), true) => {
                    commands.iter_mut().for_each(|(_, all)| *all = options.clone())
                }
                ((None, _), false) => {
                    let wrong = "no command, and none by a flag or a variable";
                    return Err(Mistake::at(place, wrong));
                }
                ((Some(_), _), true) => {}
                ((Some(words), options), false) => commands.push((words, options)),
            }
        }
        Ok(Asked { moment, commands, place })
    }
}

/// The command and the options of a table.
fn of_table(moment: Moment, table: Table) -> Result<(Option<Vec<String>>, Options), Mistake> {
    let (mut command, mut options) = (None, Options::default());
    for key in table.keys {
        let place = key.place.clone();
        let at_key = |wrong: Wrong| Mistake::at(&*place, wrong);
        match key.name.as_str() {
            "command" => command = Some(words_of(key).map_err(at_key)?),
            "timeout" => {
                let timeout = timeout(moment, &key.value).map_err(at_key)?;
                options.timeout = Some((timeout, key.place));
            }
            "on_failure" => {
                options.must_succeed = Some(must_succeed(moment, &key.value).map_err(at_key)?);
            }
            name => {
                let names = ["command", "timeout", "on_failure"].into_iter().map(str::to_owned);
                return Err(at_key(format!("no such key{}", suggestion(name, names))));
            }
        }
    }
    Ok((command, options))
}

/// A list of words, or a text to be split into words.
fn words_of(key: Key) -> Result<Vec<String>, Wrong> {
    match key.items {
        Some(items) => words::fit(items),
        None => words::split(&key.value),
    }
}

fn timeout(moment: Moment, text: &str) -> Result<Option<Duration>, Wrong> {
    if text.trim() == "off" {
        return match moment {
            Moment::PreStart => Ok(None),
            _ => Err("only pre_start can do without a limit".to_owned()),
        };
    }
    match value::duration(text)? {
        Duration::ZERO => Err("not longer than nothing".to_owned()),
        limit => Ok(Some(limit)),
    }
}

fn must_succeed(moment: Moment, text: &str) -> Result<bool, Wrong> {
    match text.trim() {
        "ignore" => Ok(false),
        "fail" if moment < Moment::PreStop => Ok(true),
        "fail" => Err("stead's exit code is the command's by then: only ignore".to_owned()),
        _ => Err("neither fail nor ignore".to_owned()),
    }
}

impl Asked {
    fn hooks(&self, terms: &Terms) -> Result<Vec<Hook>, Mistake> {
        let usual = match self.moment {
            Moment::PreStart => None,
            Moment::PreStop => Some(TIMEOUT.min(self.share(terms))),
            Moment::PostStart | Moment::PostStop => Some(TIMEOUT),
        };
        let hook = |(words, options): &(Vec<String>, Options)| Hook {
            words: words.iter().map(OsString::from).collect(),
            timeout: options.timeout.as_ref().map_or(usual, |(timeout, _)| *timeout),
            must_succeed: options.must_succeed.unwrap_or(self.moment == Moment::PreStart),
        };
        let hooks: Vec<Hook> = self.commands.iter().map(hook).collect();
        let time: Duration = hooks.iter().filter_map(|hook| hook.timeout).sum();
        let is_too_long = terms.drain_delay.saturating_add(time) >= terms.grace;
        if self.moment == Moment::PreStop && !hooks.is_empty() && is_too_long {
            let set = self.commands.iter().find_map(|(_, options)| options.timeout.as_ref());
            let place = set.map_or(&self.place, |(_, place)| place);
            let wrong = "delay and timeouts together are not shorter than the grace: no time would be left to stop in";
            return Err(Mistake::at(place, wrong));
        }
        Ok(hooks)
    }

    /// What one of several has of half of the time between delay and deadline: the other half is the command's.
    fn share(&self, terms: &Terms) -> Duration {
        let count = u32::try_from(self.commands.len()).unwrap_or(u32::MAX).max(1);
        terms.grace.saturating_sub(terms.drain_delay) / 2 / count
    }
}

/// `npx (no limit, fail), sh (10s, ignore)`.
fn shown(hooks: &[Hook]) -> String {
    let one = |hook: &Hook| {
        let limit = hook.timeout.map_or("no limit".to_owned(), show_duration);
        let failure = if hook.must_succeed { "fail" } else { "ignore" };
        format!("{} ({limit}, {failure})", hook.program())
    };
    let all: Vec<String> = hooks.iter().map(one).collect();
    if all.is_empty() { "none".to_owned() } else { all.join(", ") }
}
