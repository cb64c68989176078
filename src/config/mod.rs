//! The configuration: flags over `STEAD_*` variables over the file over what the app's environment says.
//! Pure over its arguments; nothing here reads the process's own environment.

mod environment;
mod file;
pub mod setting;
pub mod value;

use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use hyper::Uri;
use tracing::level_filters::LevelFilter;

pub use environment::{Environment, Labels};
use setting::by_key;
use value::Wrong;

use crate::signal::Signal;
use crate::supervisor::Terms;

/// Where the file is looked for when nothing names one.
const DEFAULT_FILE: &str = "/etc/stead.toml";
/// The endpoints' port when nothing names one.
const DEFAULT_PORT: u16 = 9321;

/// A mistake in the configuration: `place: what is wrong`, on one line, without the value.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
#[error("{place}: {wrong}")]
pub struct Mistake {
    place: String,
    wrong: String,
}

impl Mistake {
    /// What is wrong, and where.
    pub fn at(place: impl Into<String>, wrong: impl Into<String>) -> Self {
        Self { place: place.into(), wrong: wrong.into() }
    }
}

/// A flag as it was given: the setting's key and the text.
pub type Flag = (&'static str, String);

/// Where the endpoints listen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Listen {
    /// Nowhere.
    Off,
    /// On this port of every address of both families.
    Everywhere(u16),
    /// On this address alone.
    At(SocketAddr),
}

impl Listen {
    /// The port, if there is one.
    pub fn port(self) -> Option<u16> {
        match self {
            Self::Off => None,
            Self::Everywhere(port) => Some(port),
            Self::At(address) => Some(address.port()),
        }
    }
}

/// Who sees why a check fails, and the page.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Details {
    /// Whoever can reach the port.
    Always,
    /// Peers on a loopback address.
    Loopback,
    /// Nobody.
    Never,
}

/// The form of stead's own events.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogFormat {
    /// Text on a terminal, else JSON.
    Auto,
    /// One JSON object a line.
    Json,
    /// One line for people.
    Text,
}

/// What is checked of the app itself.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct App {
    /// The port that must accept connections.
    pub port: Option<u16>,
    /// The URL that must answer.
    pub url: Option<Uri>,
    /// Whether both count for liveness too.
    pub live: bool,
}

/// Where the events of stead's own go, and which.
#[derive(Clone, Copy, Debug)]
pub struct Events {
    /// Their form.
    pub format: LogFormat,
    /// The least level that is written.
    pub level: LevelFilter,
}

/// The configuration as understood.
#[derive(Debug)]
pub struct Config {
    /// What was agreed about the end.
    pub terms: Terms,
    /// Signals go to the child's process group.
    pub signal_group: bool,
    /// The app's own checks.
    pub app: App,
    /// Where the endpoints listen.
    pub listen: Listen,
    /// Who sees the details.
    pub details: Details,
    /// stead's own events.
    pub events: Events,
    /// What labels everything that stead says.
    pub labels: Labels,
    /// Values of the app's environment that stead does not understand: the variable, and why.
    pub ignored: Vec<(String, Wrong)>,
    /// Each setting as understood, and where it came from.
    pub rows: Vec<Row>,
}

/// One line of `stead config`.
#[derive(Debug, Eq, PartialEq, serde::Serialize)]
pub struct Row {
    /// The setting's key.
    pub key: &'static str,
    /// The value as understood, without secrets.
    pub value: String,
    /// The flag, the variable, the file and line, or `default`.
    pub from: String,
}

/// The texts of one setting, from the highest source that has it.
struct Raw {
    texts: Vec<String>,
    place: String,
}

/// Reads a file whole; `std::fs::read_to_string`, but for tests.
pub type ReadFile<'a> = &'a dyn Fn(&Path) -> io::Result<String>;

impl Config {
    /// Puts the configuration together, or says the first mistake.
    pub fn load(flags: &[Flag], env: &Environment, read: ReadFile) -> Result<Self, Mistake> {
        let mut from = Sources::collect(flags, env, read)?;
        let listen = from.listen()?;
        let terms = from.terms()?;
        let signal_group = from.switch("signal_group")?;
        let discover = from.one("discover", value::switch)?.unwrap_or(true);
        from.show("discover", if discover { "on" } else { "off" });
        let app = from.app(env, discover)?;
        let details = from.one("details", value::details)?.unwrap_or(Details::Always);
        from.show("details", format!("{details:?}").to_lowercase());
        from.one("logs", value::logs)?;
        from.show("logs", "raw");
        let events = from.events(env)?;
        if let (Some(listen), true) = (listen.port(), listen.port() == app.port) {
            let wrong = format!("{listen} is the app's own port; the endpoints need another one");
            return Err(Mistake::at(from.place("listen"), wrong));
        }
        Ok(Self {
            terms,
            signal_group,
            app,
            listen,
            details,
            events,
            labels: env.labels(),
            ignored: from.ignored,
            rows: from.rows,
        })
    }

    /// Where the endpoints listen, for a client that needs no more of the configuration.
    pub fn load_listen(env: &Environment, read: ReadFile) -> Result<Listen, Mistake> {
        Sources::collect(&[], env, read)?.listen()
    }
}

/// All sources, laid over each other.
struct Sources {
    raw: HashMap<&'static str, Raw>,
    rows: Vec<Row>,
    ignored: Vec<(String, Wrong)>,
}

impl Sources {
    fn collect(flags: &[Flag], env: &Environment, read: ReadFile) -> Result<Self, Mistake> {
        let variables = env.settings()?;
        let named = |list: &[Flag]| {
            list.iter().rfind(|(key, _)| *key == "config").map(|(_, path)| path.clone())
        };
        let path = named(flags).or_else(|| named(&variables));
        let mut raw = HashMap::new();
        for entry in read_file(path.as_deref(), read)? {
            raw.insert(entry.0, entry.1);
        }
        for (key, text) in variables {
            let place = by_key(key).map(|s| s.variable()).unwrap_or_default();
            let list = by_key(key).is_some_and(|s| s.repeatable);
            let texts = if list { split_list(&text) } else { vec![text] };
            raw.insert(key, Raw { texts, place });
        }
        let mut given: HashMap<&'static str, Raw> = HashMap::new();
        for (key, text) in flags {
            let place = by_key(key).map(|s| s.flag_name()).unwrap_or_default();
            given.entry(key).or_insert(Raw { texts: Vec::new(), place }).texts.push(text.clone());
        }
        raw.extend(given);
        Ok(Self { raw, rows: Vec::new(), ignored: Vec::new() })
    }

    /// The setting's value; the last one where it was given more than once.
    fn one<T>(
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
    fn all<T>(
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
    fn place(&self, key: &'static str) -> String {
        match self.raw.get(key) {
            Some(raw) => raw.place.clone(),
            None => by_key(key).map(|setting| setting.variable()).unwrap_or_default(),
        }
    }

    /// Adds a row to `stead config`.
    fn show(&mut self, key: &'static str, value: impl Into<String>) {
        let from = self.raw.get(key).map_or("default".to_owned(), |raw| raw.place.clone());
        self.rows.push(Row { key, value: value.into(), from });
    }

    fn switch(&mut self, key: &'static str) -> Result<bool, Mistake> {
        let on = self.one(key, value::switch)?.unwrap_or(false);
        self.show(key, if on { "on" } else { "off" });
        Ok(on)
    }

    fn duration(&mut self, key: &'static str, default: Duration) -> Result<Duration, Mistake> {
        let duration = self.one(key, value::duration)?.unwrap_or(default);
        self.show(key, value::show_duration(duration));
        Ok(duration)
    }

    fn listen(&mut self) -> Result<Listen, Mistake> {
        let listen = self.one("listen", value::listen)?.unwrap_or(Listen::Everywhere(DEFAULT_PORT));
        let shown = match listen {
            Listen::Off => "off".to_owned(),
            Listen::Everywhere(port) => format!("[::]:{port}"),
            Listen::At(address) => address.to_string(),
        };
        self.show("listen", shown);
        Ok(listen)
    }

    fn terms(&mut self) -> Result<Terms, Mistake> {
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
        let clean_stop_ok = self.switch("clean_stop_ok")?;
        Ok(Terms {
            grace,
            drain_delay,
            linger,
            stop_signal,
            rewrites,
            clean_stop_ok,
            remap_exit,
            drains: true,
        })
    }

    fn app(&mut self, env: &Environment, discover: bool) -> Result<App, Mistake> {
        let set = self.one("app_port", value::port_or_off)?;
        let port = match set {
            Some(port) => port,
            None if discover => self.discovered_port(env),
            None => None,
        };
        let shown = match (port, set) {
            (Some(port), _) => port.to_string(),
            (None, Some(None)) => "off".to_owned(),
            (None, _) => "none".to_owned(),
        };
        self.show("app_port", shown);
        let url = self.one("app_url", value::app_url)?;
        self.show("app_url", url.as_ref().map_or("none".to_owned(), value::show_url));
        let live = self.switch("app_live")?;
        // A worker that shares an environment file switches its port off knowingly.
        if live && port.is_none() && url.is_none() && set.is_none() {
            let wrong = "there is no check of the app (set --app-port or --app-url)";
            return Err(Mistake::at(self.place("app_live"), wrong));
        }
        Ok(App { port, url, live })
    }

    /// `PORT` of the app's environment; what is no port is not the app's fault, and no check.
    fn discovered_port(&mut self, env: &Environment) -> Option<u16> {
        let text = env.found("PORT")?;
        match value::port(&text) {
            Ok(port) => {
                self.raw.insert("app_port", Raw { texts: vec![text], place: "PORT".to_owned() });
                Some(port)
            }
            Err(wrong) => {
                self.ignored.push(("PORT".to_owned(), wrong));
                None
            }
        }
    }

    fn events(&mut self, env: &Environment) -> Result<Events, Mistake> {
        let format = self.one("log_format", value::log_format)?.unwrap_or(LogFormat::Auto);
        self.show("log_format", format!("{format:?}").to_lowercase());
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
        Ok(Events { format, level })
    }
}

/// The entries of the file at `path`, which must be there when it was asked for.
fn read_file(path: Option<&str>, read: ReadFile) -> Result<Vec<(&'static str, Raw)>, Mistake> {
    let text = match (path, read(Path::new(path.unwrap_or(DEFAULT_FILE)))) {
        (_, Ok(text)) => text,
        (None, Err(error)) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        (_, Err(error)) => {
            let path = path.unwrap_or(DEFAULT_FILE);
            return Err(Mistake::at(path, format!("cannot read the configuration file: {error}")));
        }
    };
    let path = path.unwrap_or(DEFAULT_FILE);
    let entries = file::parse(path, &text)?;
    let raw = entries.into_iter().filter_map(|entry| {
        let place = format!("{path}:{}: {}", entry.line, entry.key);
        Some((by_key(&entry.key)?.key, Raw { texts: entry.values, place }))
    });
    Ok(raw.collect())
}

/// The parts of a variable that holds a list.
fn split_list(text: &str) -> Vec<String> {
    text.split([',', ' ', '\t', '\n']).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

fn list_or_none(parts: impl Iterator<Item = String>) -> String {
    let parts: Vec<String> = parts.collect();
    if parts.is_empty() { "none".to_owned() } else { parts.join(" ") }
}

/// Flags that were given as OS strings, for instance on a command line, must be text.
pub fn text(place: &str, value: OsString) -> Result<String, Mistake> {
    value.into_string().map_err(|_| Mistake::at(place, "not valid UTF-8"))
}

#[cfg(test)]
mod tests;
