//! What the environment says: stead's own variables, the labels, and what an orchestrator injects.

use std::collections::{BTreeMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fmt;

use super::env_file::Variable;
use super::setting::{SETTINGS, suggestion};
use super::source::Text;
use super::{Mistake, text};

/// One of stead's own variables: the setting's key, its text, and where it stands.
pub(super) type Setting = (&'static str, String, String);

/// How many characters of a label are kept: it stands in every answer and on every line.
const LONGEST_LABEL: usize = 200;

/// Where a command finds the number of the holder that it runs for.
pub const FENCE: &str = "STEAD_FENCE";

/// What the variable of a check begins with.
const CHECK: &str = "STEAD_CHECK_";

/// The environment, as name and value.
#[derive(Clone, Default)]
pub struct Environment {
    variables: Vec<(OsString, OsString)>,
    /// Those of files, which stand at the end of all, by their names: where each stands there.
    places: BTreeMap<String, String>,
    host_name: String,
}

/// What labels everything that stead says: the endpoints' answers and its events.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Labels {
    /// `SERVICE_NAME`.
    pub service: Option<String>,
    /// `INSTANCE_ID`, else the host name.
    pub instance: String,
    /// `ENVIRONMENT`, else `NODE_ENV`.
    pub environment: Option<String>,
    /// `APP_VERSION`.
    pub app_version: Option<String>,
}

impl fmt::Debug for Environment {
    /// Without the values, which hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.variables.iter().map(|(name, _)| name)).finish()
    }
}

impl Environment {
    /// The environment with these variables, on this host.
    pub fn new(variables: impl Iterator<Item = (OsString, OsString)>, host_name: String) -> Self {
        Self { variables: variables.collect(), places: BTreeMap::new(), host_name }
    }

    /// This environment with variables of files, the strongest last, beside its own, which are stronger.
    pub(super) fn with(&self, files: Vec<Variable>) -> Self {
        let own: HashSet<&OsStr> =
            self.variables.iter().map(|(name, _)| name.as_os_str()).collect();
        let others = files.into_iter().filter(|variable| !own.contains(OsStr::new(&variable.name)));
        let mut this = self.clone();
        let last: BTreeMap<String, Variable> =
            others.map(|variable| (variable.name.clone(), variable)).collect();
        for (name, Variable { value, place, .. }) in last {
            this.variables.push((name.clone().into(), value.into()));
            this.places.insert(name, place);
        }
        this
    }

    /// The variables of files, as text.
    pub fn added(&self) -> impl Iterator<Item = (&str, &str)> {
        let own = self.variables.len().saturating_sub(self.places.len());
        let added = self.variables.iter().skip(own);
        added.filter_map(|(name, value)| Some((name.to_str()?, value.to_str()?)))
    }

    /// Where a variable stands: its name, or its line in a file.
    fn place(&self, name: &str) -> String {
        self.places.get(name).map_or(name, String::as_str).to_owned()
    }

    /// A variable of the app's, where it is set, not empty, and text.
    pub fn found(&self, name: &str) -> Option<String> {
        let (_, value) = self.variables.iter().find(|(found, _)| found == name)?;
        let value = value.to_str()?.trim();
        (!value.is_empty()).then(|| value.to_owned())
    }

    /// All variables that are text, and what they are set to.
    pub fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables.iter().filter_map(|(name, value)| Some((name.to_str()?, value.to_str()?)))
    }

    /// stead's own variables. An empty one is not set: compose files pass those on that have no value.
    pub(super) fn settings(&self) -> Result<Vec<Setting>, Mistake> {
        let mut settings = Vec::new();
        for (name, value) in &self.variables {
            let Some(name) = name.to_str().filter(|name| name.starts_with("STEAD_")) else {
                continue;
            };
            // The number of a singleton is there for all that it starts, other steads too.
            let is_known = name == FENCE || name.starts_with(CHECK);
            if value.is_empty() || is_injected(name, value) || is_known {
                continue;
            }
            let known = SETTINGS.iter().filter(|setting| setting.key != "check");
            let Some(setting) = known.clone().find(|setting| setting.variable() == name) else {
                let names = known.map(|setting| setting.variable());
                let wrong = format!("no such variable{}", suggestion(name, names));
                return Err(Mistake::at(self.place(name), wrong));
            };
            settings.push((setting.key, text(name, value.clone())?, self.place(name)));
        }
        Ok(settings)
    }

    /// What the app has as `name`, or as the file that `NAME_FILE` names, with the variable that says so. It is empty where
    /// the variable is set to nothing.
    pub(super) fn text(&self, name: &str) -> Option<(String, Text)> {
        let get = |name: &str| self.variables.iter().find(|(known, _)| known == name);
        let file = format!("{name}_FILE");
        match (get(name), get(&file)) {
            (Some((_, value)), _) if !value.is_empty() => {
                let text = value.to_str().map_or(Text::Broken, |text| Text::Given(text.to_owned()));
                Some((name.to_owned(), text))
            }
            (_, Some((_, path))) if !path.is_empty() => Some((file, Text::File(path.into()))),
            (Some(_), _) => Some((name.to_owned(), Text::Given(String::new()))),
            (None, _) => None,
        }
    }

    /// Each `STEAD_CHECK_<NAME>`: where it stands, the name behind its beginning, and the value.
    pub(super) fn checks(&self) -> impl Iterator<Item = (String, &str, &OsStr)> {
        self.variables.iter().filter_map(|(variable, value)| {
            let variable = variable.to_str()?;
            let name = variable.strip_prefix(CHECK)?;
            let is_check = !value.is_empty() && !self.is_service_beside(variable, value);
            is_check.then_some((self.place(variable), name, value.as_os_str()))
        })
    }

    /// Whether Kubernetes set it for a Service named `stead-check-...`: of such a form, and the Service's host beside it.
    /// The form alone will not do: `STEAD_CHECK_MY_PORT=tcp://...` is a check too.
    fn is_service_beside(&self, variable: &str, value: &OsStr) -> bool {
        let end = ["_SERVICE_HOST", "_SERVICE_PORT", "_PORT"];
        let end = end.iter().find_map(|end| variable.find(end)).unwrap_or(variable.len());
        let host = format!("{}_SERVICE_HOST", variable.get(..end).unwrap_or_default());
        is_injected(variable, value) && self.variables.iter().any(|(name, _)| *name == *host)
    }

    pub(super) fn labels(&self) -> Labels {
        let label = |name| Some(self.found(name)?.chars().take(LONGEST_LABEL).collect());
        Labels {
            service: label("SERVICE_NAME"),
            instance: label("INSTANCE_ID").unwrap_or_else(|| self.host_name.clone()),
            environment: label("ENVIRONMENT").or_else(|| label("NODE_ENV")),
            app_version: label("APP_VERSION"),
        }
    }
}

/// Whether Kubernetes set it for a Service named `stead` or `stead-...`: `_SERVICE_HOST`, `_SERVICE_PORT*`, `_PORT`
/// and `_PORT_<n>_<protocol>*` (the documentation of Service, "Environment variables"). A Service named `stead-app`
/// makes `STEAD_APP_PORT` a URL, which the setting of that name never is.
fn is_injected(name: &str, value: &OsStr) -> bool {
    let is_url = value.to_str().is_some_and(|value| {
        ["tcp://", "udp://", "sctp://"].iter().any(|scheme| value.starts_with(scheme))
    });
    let numbered_port = || {
        let (_, rest) = name.split_once("_PORT_")?;
        let (number, protocol) = rest.split_once('_')?;
        let protocol = protocol.split('_').next()?;
        let known = ["TCP", "UDP", "SCTP"].contains(&protocol);
        (known && number.parse::<u16>().is_ok()).then_some(())
    };
    name.ends_with("_SERVICE_HOST")
        || name.ends_with("_SERVICE_PORT")
        || name.contains("_SERVICE_PORT_")
        || (name.ends_with("_PORT") && is_url)
        || numbered_port().is_some()
}
