//! One check on its way from what was said of it to what is asked.

use std::collections::BTreeMap;
use std::time::Duration;

use super::common::Common;
use super::role::Role;
use super::source::Source;
use super::{Mistake, ReadFile};
use crate::check::monitor::Schedule;
use crate::check::options::Options;
use crate::check::recipe::Recipe;
use crate::check::registry::{Check, Groups, Need};
use crate::check::secret;
use crate::check::url::Url;
use crate::check::{ProcessTarget, Target, TcpTarget};
use crate::value::Wrong;

/// One check as it was asked for.
#[derive(Clone)]
pub(super) struct Plan {
    pub(super) name: String,
    /// The flag, the variable, or the file and line.
    pub(super) place: String,
    pub(super) origin: Origin,
    /// Options that stand beside the URL, and are over those in it.
    pub(super) options: Vec<(String, String)>,
    /// The places of those that have one of their own.
    pub(super) keys: Vec<(String, String)>,
    /// Whether a setting of its own names it, so that nothing else may.
    pub(super) settled: bool,
}

/// What decides where checks count that do not say so themselves.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counting {
    /// The app's own count in `live`.
    pub(super) live: bool,
    /// What stead is to the app.
    pub(super) role: Role,
}

/// What is asked.
#[derive(Clone)]
pub(super) enum Origin {
    /// A port of the app.
    Port(u16),
    /// A process of the app, by its name.
    Process(String),
    /// A URL.
    Source(Source),
}

/// A check as `stead config` shows it.
#[derive(Debug, Eq, PartialEq, serde::Serialize)]
pub struct Shown {
    /// `check.` and its name.
    pub key: String,
    /// The URL, without secrets.
    pub value: String,
    /// The flag, the variable, or the file and line.
    pub from: String,
    /// Its options as understood, without secrets.
    pub options: BTreeMap<String, String>,
}

/// What a plan comes to.
pub(super) struct Parts {
    target: Target,
    common: Common,
    url: String,
    options: BTreeMap<String, String>,
}

impl Plan {
    pub(super) fn new(name: impl Into<String>, place: String, origin: Origin) -> Self {
        let (options, keys) = (Vec::new(), Vec::new());
        Self { name: name.into(), place, origin, options, keys, settled: false }
    }

    /// Whether it is of the app itself, by its name.
    pub(super) fn is_own(&self) -> bool {
        self.name == "app" || self.name.starts_with("app-")
    }

    /// The check, and how it is shown.
    pub(super) fn make(
        self,
        counting: Counting,
        read: ReadFile,
    ) -> Result<(Check, Shown), Mistake> {
        let files = match &self.origin {
            Origin::Port(_) | Origin::Process(_) => Vec::new(),
            Origin::Source(source) => source.files(),
        };
        let Parts { target, common, url, options } =
            self.parts(read, counting).map_err(|wrong| self.mistake(wrong))?;
        let Common { schedule, startup, runtime, groups } = common;
        let shown = Shown {
            key: format!("check.{}", self.name),
            value: url,
            from: self.place.clone(),
            options,
        };
        let name = self.name.clone();
        let recipe = if files.is_empty() {
            Recipe::fixed(target)
        } else {
            Recipe::of_files(target, files, move |read| Ok(self.parts(read, counting)?.target))
        };
        Ok((Check { name, recipe, schedule, startup, runtime, groups }, shown))
    }

    /// All that is to be known of it, or what is wrong.
    pub(super) fn parts(&self, read: ReadFile, counting: Counting) -> Result<Parts, Wrong> {
        let mut options = Options::default();
        for (name, text) in &self.options {
            options.add(name, text);
        }
        let url = match &self.origin {
            Origin::Port(_) | Origin::Process(_) => None,
            Origin::Source(source) => Some(source.read(read, &mut options)?),
        };
        let default = self.default(url.as_ref(), counting);
        let mut common = Common::take(&mut options, default, self.is_own())?;
        if counting.role == Role::Sidecar {
            // The app starts only when the sidecar has: what waited for the app would wait for ever.
            common.groups.startup &= !self.is_own() && common.startup == Need::Required;
            common.groups.starts_later = self.is_own();
            if self.is_own() {
                // However long the app is held back, it is to be found soon after it came up.
                common.schedule.eager = Duration::MAX;
            }
        }
        let mut shown: BTreeMap<String, String> = common.shown().into_iter().collect();
        shown.extend(options.clone().into_pairs().into_iter().map(masked));
        let target = match (&self.origin, &url) {
            (Origin::Port(port), _) => Target::Tcp(TcpTarget::on_loopback(*port)),
            (Origin::Process(name), _) => Target::Process(ProcessTarget::named(name)),
            (Origin::Source(_), Some(url)) => Target::parse(url, &mut options)?,
            (Origin::Source(_), None) => return Err("no url".to_owned()),
        };
        if let Some(left) = options.left() {
            return Err(format!("stead_{left}: no such option of this kind of check"));
        }
        let url = match (&self.origin, &url) {
            (Origin::Port(port), _) => format!("tcp://localhost:{port}"),
            (Origin::Process(name), _) => format!("process:{name}"),
            (_, url) => url.as_ref().map(show).unwrap_or_default(),
        };
        Ok(Parts { target, common, url, options: shown })
    }

    fn default(&self, url: Option<&Url>, Counting { live, role }: Counting) -> Common {
        let is_own = self.is_own();
        let optional = url.is_some_and(|url| url.kind() == "meilisearch");
        let need = if optional { Need::Degraded } else { Need::Required };
        let startup = is_own == (role == Role::Wrapper);
        let groups = Groups { live: is_own && live, startup, ..Groups::default() };
        Common { schedule: Schedule::default(), startup: need, runtime: need, groups }
    }

    /// The mistake at its own place: of a key in the file, at that key's line.
    fn mistake(&self, wrong: Wrong) -> Mistake {
        let option = wrong.strip_prefix("stead_").and_then(|rest| rest.split_once(": "));
        let at_key = option.and_then(|(name, wrong)| {
            let (_, place) = self.keys.iter().find(|(key, _)| key == name)?;
            Some(Mistake::at(place, wrong))
        });
        at_key.unwrap_or_else(|| Mistake::at(&self.place, wrong))
    }
}

/// A URL without its secrets: scheme, user where a password is behind it, hosts, path. A user alone may be the password,
/// but for Postgres, which knows users without one.
pub(super) fn show(url: &Url) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_.".contains(c);
    let user = url.user.as_deref().unwrap_or_default();
    let of_web = ["http", "https", "kong"].contains(&url.kind());
    let shown_user = if of_web || !user.chars().all(is_plain) { "***" } else { user };
    let userinfo = match (&url.password, user) {
        (None, "") => String::new(),
        (None, _) if url.kind().starts_with("postgres") => format!("{shown_user}@"),
        (None, _) => "***@".to_owned(),
        (Some(_), _) => format!("{shown_user}:***@"),
    };
    let hosts: Vec<String> = url.hosts.iter().map(ToString::to_string).collect();
    // Arguments of a command stand behind its path, and may be anything.
    let path = url.path.split([' ', '%']).next().filter(|_| url.kind() == "exec");
    let path = path.unwrap_or(&url.path);
    let query = if url.query.is_empty() { "" } else { "?..." };
    format!("{}://{userinfo}{}{path}{query}", url.scheme, hosts.join(","))
}

/// An option without its secret.
fn masked((name, text): (String, String)) -> (String, String) {
    let may_be_secret = ["management", "header", "args", "key", "body"];
    let is_secret = secret::is_named_by(&name) || may_be_secret.contains(&name.as_str());
    let text = if is_secret || text.contains('@') { "***".to_owned() } else { text };
    (name, text.replace(char::is_control, " "))
}
