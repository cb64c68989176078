//! The sources laid over each other, and each setting read from the highest that has it.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::time::Duration;

use tracing::level_filters::LevelFilter;

use super::setting::by_key;
use super::value::{self, Patience, Wrong};
use super::{
    Details, Environment, Events, Flag, Listen, LogFormat, Mistake, ReadFile, Role, Row, file,
};
use crate::signal::Signal;
use crate::supervisor::Terms;

/// Where the file is looked for when nothing names one.
pub const DEFAULT_FILE: &str = "/etc/stead.toml";
/// The endpoints' port when nothing names one.
const DEFAULT_PORT: u16 = 9321;

/// The texts of one setting, from the highest source that has it.
pub(super) struct Raw {
    pub(super) texts: Vec<String>,
    pub(super) place: String,
}

impl Raw {
    pub(super) fn of_variable(key: &str, text: String, place: String) -> Self {
        let list = by_key(key).is_some_and(|setting| setting.is_list_in_variable());
        Self { texts: if list { split_list(&text) } else { vec![text] }, place }
    }
}

/// All sources, laid over each other.
pub(super) struct Sources {
    pub(super) raw: HashMap<&'static str, Raw>,
    pub(super) checks: Vec<file::Table>,
    pub(super) hooks: Vec<file::Table>,
    pub(super) rows: Vec<Row>,
    pub(super) ignored: Vec<(String, Wrong)>,
}

impl Sources {
    pub(super) fn collect(
        flags: &[Flag],
        env: &Environment,
        read: ReadFile,
    ) -> Result<Self, Mistake> {
        let variables = env.settings()?;
        let flag = flags.iter().rfind(|(key, _)| *key == "config").map(|(_, path)| path);
        let variable = variables.iter().find(|(key, ..)| *key == "config").map(|(_, path, _)| path);
        let path = flag.or(variable).cloned();
        let (mut raw, checks, hooks) = read_file(path.as_deref(), read)?;
        for (key, text, place) in variables {
            raw.insert(key, Raw::of_variable(key, text, place));
        }
        let mut given: HashMap<&'static str, Raw> = HashMap::new();
        for (key, text) in flags {
            let place = by_key(key).map(|s| s.flag_name()).unwrap_or_default();
            given.entry(key).or_insert(Raw { texts: Vec::new(), place }).texts.push(text.clone());
        }
        raw.extend(given);
        Ok(Self { raw, checks, hooks, rows: Vec::new(), ignored: Vec::new() })
    }

    /// The setting's value; the last one where it was given more than once.
    pub(super) fn one<T>(
        &self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, Wrong>,
    ) -> Result<Option<T>, Mistake> {
        let Some(raw) = self.raw.get(key) else {
            return Ok(None);
        };
        let Some(text) = raw.texts.last() else {
            return Ok(None);
        };
        parse(text).map(Some).map_err(|wrong| Mistake::at(raw.place.clone(), wrong))
    }

    /// All values of a repeatable setting.
    pub(super) fn all<T>(
        &self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, Wrong>,
    ) -> Result<Vec<T>, Mistake> {
        let Some(raw) = self.raw.get(key) else {
            return Ok(Vec::new());
        };
        let parsed = raw.texts.iter().map(|text| parse(text));
        parsed.collect::<Result<_, _>>().map_err(|wrong| Mistake::at(raw.place.clone(), wrong))
    }

    /// Where the setting came from.
    pub(super) fn place(&self, key: &'static str) -> String {
        match self.raw.get(key) {
            Some(raw) => raw.place.clone(),
            None => by_key(key).map(|setting| setting.variable()).unwrap_or_default(),
        }
    }

    /// Whether a source has the setting.
    pub(super) fn has(&self, key: &'static str) -> bool {
        self.raw.contains_key(key)
    }

    /// Takes what the file says elsewhere, unless it or a source above it has the setting.
    pub(super) fn add(&mut self, key: &'static str, text: String, place: String) {
        self.raw.entry(key).or_insert(Raw { texts: vec![text], place });
    }

    /// Adds a row to `stead config`.
    pub(super) fn show(&mut self, key: &'static str, value: impl Into<String>) {
        let from = self.raw.get(key).map_or("default".to_owned(), |raw| raw.place.clone());
        self.rows.push(Row { key, value: value.into(), from });
    }

    pub(super) fn switch(&mut self, key: &'static str, default: bool) -> Result<bool, Mistake> {
        let on = self.one(key, value::switch)?.unwrap_or(default);
        self.show(key, if on { "on" } else { "off" });
        Ok(on)
    }

    pub(super) fn duration(
        &mut self,
        key: &'static str,
        default: Duration,
    ) -> Result<Duration, Mistake> {
        let duration = self.one(key, value::duration)?.unwrap_or(default);
        self.show(key, value::show_duration(duration));
        Ok(duration)
    }

    pub(super) fn listen(&mut self) -> Result<Listen, Mistake> {
        let listen = self.one("listen", value::listen)?.unwrap_or(Listen::Everywhere(DEFAULT_PORT));
        let shown = match listen {
            Listen::Off => "off".to_owned(),
            Listen::Everywhere(port) => format!("[::]:{port}"),
            Listen::At(address) => address.to_string(),
        };
        self.show("listen", shown);
        Ok(listen)
    }

    pub(super) fn wait(&mut self) -> Result<Patience, Mistake> {
        let wait = self.one("wait", value::wait)?.unwrap_or_default();
        self.show("wait", value::show_patience(wait));
        Ok(wait)
    }

    pub(super) fn details(&mut self) -> Result<Details, Mistake> {
        let details = self.one("details", value::details)?.unwrap_or(Details::Always);
        self.show("details", format!("{details:?}").to_lowercase());
        Ok(details)
    }

    pub(super) fn terms(&mut self, role: Role) -> Result<Terms, Mistake> {
        let grace = self.duration("grace", Duration::from_secs(30))?;
        let drain_delay = self.duration("drain_delay", Duration::ZERO)?;
        if !drain_delay.is_zero() && drain_delay >= grace {
            let wrong = "not shorter than the grace, which it is a part of: no time would be left to stop in";
            return Err(Mistake::at(self.place("drain_delay"), wrong));
        }
        let linger = self.duration("linger", Duration::from_secs(5))?;
        let stop_signal = self.one("stop_signal", value::signal)?;
        self.show(
            "stop_signal",
            stop_signal.map_or("what came".to_owned(), |signal| signal.to_string()),
        );
        let rewrites = self.all("rewrite", value::rewrite)?;
        let shown = rewrites.iter().map(|(from, to): &(Signal, Option<Signal>)| {
            format!("{from}:{}", to.map_or("0".to_owned(), |to| to.to_string()))
        });
        self.show("rewrite", list_or_none(shown));
        let remap_exit = self.all("remap_exit", value::remap)?;
        self.show(
            "remap_exit",
            list_or_none(remap_exit.iter().map(|(from, to)| format!("{from}:{to}"))),
        );
        let clean_stop_ok = self.switch("clean_stop_ok", false)?;
        Ok(Terms {
            grace,
            drain_delay,
            until_idle: None,
            pre_stop: false,
            linger,
            stop_signal,
            rewrites,
            clean_stop_ok,
            remap_exit,
            drains: true,
            child: role.has_child(),
        })
    }

    pub(super) fn events(&mut self, env: &Environment) -> Result<Events, Mistake> {
        let format = self.one("log_format", value::log_format)?.unwrap_or(LogFormat::Auto);
        self.show("log_format", format!("{format:?}").to_lowercase());
        let schema = self.one("log_schema", value::log_schema)?.unwrap_or_default();
        self.show("log_schema", format!("{schema:?}").to_lowercase());
        let level = match self.one("log_level", value::log_level)? {
            Some(level) => level,
            // LOG_LEVEL is the app's: where it is none of stead's levels, it says nothing to stead.
            None => match env
                .found("LOG_LEVEL")
                .and_then(|text| Some((value::log_level(&text).ok()?, text)))
            {
                Some((level, text)) => {
                    self.raw.insert(
                        "log_level",
                        Raw { texts: vec![text], place: "LOG_LEVEL".to_owned() },
                    );
                    level
                }
                None => LevelFilter::INFO,
            },
        };
        self.show("log_level", level.to_string());
        Ok(Events { format, schema, level })
    }
}

/// What the file says: settings, and the tables of checks and of hooks.
type Said = (HashMap<&'static str, Raw>, Vec<file::Table>, Vec<file::Table>);

/// What the file at `path` says, which must be there when it was asked for.
fn read_file(path: Option<&str>, read: ReadFile) -> Result<Said, Mistake> {
    let text = match (path, read(Path::new(path.unwrap_or(DEFAULT_FILE)))) {
        (_, Ok(text)) => text,
        (None, Err(error)) if error.kind() == io::ErrorKind::NotFound => return Ok(Said::default()),
        (_, Err(error)) => {
            let path = path.unwrap_or(DEFAULT_FILE);
            return Err(Mistake::at(path, format!("cannot read the configuration file: {error}")));
        }
    };
    let path = path.unwrap_or(DEFAULT_FILE);
    let file::File { entries, checks, hooks } = file::parse(path, &text)?;
    let raw = entries.into_iter().filter_map(|entry| {
        let place = format!("{path}:{}: {}", entry.line, entry.key);
        Some((by_key(&entry.key)?.key, Raw { texts: entry.values, place }))
    });
    Ok((raw.collect(), checks, hooks))
}

/// The parts of a variable that holds a list.
fn split_list(text: &str) -> Vec<String> {
    text.split([',', ' ', '\t', '\n']).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

fn list_or_none(parts: impl Iterator<Item = String>) -> String {
    let parts: Vec<String> = parts.collect();
    if parts.is_empty() { "none".to_owned() } else { parts.join(" ") }
}
