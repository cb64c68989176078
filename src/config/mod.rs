//! The configuration: flags over `STEAD_*` variables over the file over what the app's environment says.
//! Pure over its arguments; nothing here reads the process's own environment.

mod app;
mod checks;
mod common;
mod configured;
mod discovery;
mod drain;
mod env_file;
mod environment;
mod file;
mod hooks;
mod libpq;
mod locks;
mod notify;
mod output;
mod plan;
mod role;
pub mod setting;
mod source;
mod sources;
mod urls;
pub mod value;
mod words;

use std::ffi::OsString;
use std::net::SocketAddr;

use tracing::level_filters::LevelFilter;

pub use app::App;
use checks::Plans;
pub use environment::{Environment, FENCE, Labels};
pub use hooks::{Hook, Hooks};
pub use locks::Locks;
pub use output::{Logs, Output};
use plan::Counting;
pub use plan::Shown;
pub use role::Role;
pub use sources::DEFAULT_FILE;
use sources::Sources;
pub use urls::checks_of_urls;
use value::{Patience, Wrong};

pub use crate::check::recipe::ReadFile;
use crate::check::registry::Check;
use crate::errand::Moment;
use crate::notify::Terms as NotifyTerms;
use crate::supervisor::Terms;

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

/// The names of the fields of every JSON line: stead's own events and the command's lines.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum LogSchema {
    /// stead's own.
    #[default]
    Stead,
    /// Elastic Common Schema.
    Ecs,
    /// Google Cloud Logging.
    Gcp,
    /// Datadog.
    Datadog,
}

/// Where the events of stead's own go, and which.
#[derive(Clone, Copy, Debug)]
pub struct Events {
    /// Their form.
    pub format: LogFormat,
    /// The names of their fields, in JSON.
    pub schema: LogSchema,
    /// The least level that is written.
    pub level: LevelFilter,
}

/// The configuration as understood.
#[derive(Debug)]
pub struct Config {
    /// What stead is to the app.
    pub role: Role,
    /// What was agreed about the end.
    pub terms: Terms,
    /// Signals go to the child's process group.
    pub signal_group: bool,
    /// What the app may say of itself by sd_notify(3).
    pub notify: Option<NotifyTerms>,
    /// What is run around the child.
    pub hooks: Hooks,
    /// How long the child is held back for its dependencies.
    pub wait: Patience,
    /// The app's own checks.
    pub app: App,
    /// The app's own checks.
    pub app_checks: Vec<Check>,
    /// The checks of its dependencies.
    pub checks: Vec<Check>,
    /// All checks as understood, and where each came from.
    pub shown: Vec<Shown>,
    /// Where the endpoints listen.
    pub listen: Listen,
    /// Who sees the details.
    pub details: Details,
    /// What runs at one place alone.
    pub locks: Locks,
    /// What becomes of the command's output.
    pub output: Output,
    /// stead's own events.
    pub events: Events,
    /// What labels everything that stead says.
    pub labels: Labels,
    /// The environment, with the variables of files.
    pub environment: Environment,
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

impl Config {
    /// Puts the configuration of `stead run` together, or says the first mistake.
    pub fn load(flags: &[Flag], env: &Environment, read: ReadFile) -> Result<Self, Mistake> {
        Self::load_for(Role::Wrapper, flags, env, read)
    }

    /// Puts together what a stead in this role takes, or says the first mistake.
    pub fn load_for(
        role: Role,
        flags: &[Flag],
        env: &Environment,
        read: ReadFile,
    ) -> Result<Self, Mistake> {
        let mut from = Sources::collect(flags, env, read)?;
        let env = &from.add_env_files(flags, env, read)?;
        from.keep_those_of(role, flags)?;
        let listen = from.listen()?;
        let mut terms = from.terms(role)?;
        let signal_group = from.switch("signal_group", false)?;
        let notify = from.notify()?;
        let locks = from.locks(env, read)?;
        let hooks = from.hooks(&terms)?;
        terms.pre_stop = !hooks.of(Moment::PreStop).is_empty();
        from.must_lock_something(&locks, &hooks)?;
        let wait = from.wait()?;
        let discover = from.switch("discover", true)?;
        let app = from.app(env, discover)?;
        from.must_be_free(listen, &app)?;
        terms.until_idle = from.until_idle(role, &app, listen)?;
        let details = from.details()?;
        let output = from.output()?;
        let events = from.events(env)?;
        let mut plans = Plans::of_app(&app, |key| from.place(key));
        if discover {
            plans.discover(env, read);
        }
        let tables = configured::of_tables(std::mem::take(&mut from.checks))?;
        plans.configure([tables, configured::of_variables(env)?, configured::of_flags(flags)?])?;
        let checks = plans.make(Counting { live: app.live, role }, read)?;
        from.must_see_the_app(&app, &checks.app)?;
        Ok(Self {
            role,
            terms,
            signal_group,
            notify,
            hooks,
            wait,
            app,
            app_checks: checks.app,
            checks: checks.others,
            shown: checks.shown,
            listen,
            details,
            locks,
            output,
            events,
            labels: env.labels(),
            environment: env.clone(),
            ignored: from.ignored.into_iter().chain(checks.ignored).collect(),
            rows: from.rows.into_iter().filter(|row| role.takes(row.key)).collect(),
        })
    }

    /// Where the endpoints listen, for a client that needs no more of the configuration.
    pub fn load_listen(env: &Environment, read: ReadFile) -> Result<Listen, Mistake> {
        Sources::collect(&[], env, read)?.listen()
    }
}

/// Flags that were given as OS strings, for instance on a command line, must be text.
pub fn text(place: &str, value: OsString) -> Result<String, Mistake> {
    value.into_string().map_err(|_| Mistake::at(place, "not valid UTF-8"))
}

#[cfg(test)]
mod tests;
