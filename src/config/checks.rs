//! All checks, from what each source says of them: flags over `STEAD_CHECK_<NAME>` over the file over what the app's
//! environment says. Of a check that several name, the highest is taken whole.

use std::collections::BTreeMap;

use super::configured::{Configured, What};
use super::discovery::{self, Found, same};
use super::plan::{Counting, Origin, Plan, Shown};
use super::setting::suggestion;
use super::source::{Source, Text};
use super::{App, Environment, Mistake, ReadFile};
use crate::check::options::Options;
use crate::check::registry::Check;
use crate::check::url::Url;
use crate::value::Wrong;

/// The checks as understood.
#[derive(Debug, Default)]
pub(super) struct Checks {
    /// The app's own.
    pub(super) app: Vec<Check>,
    /// Those of its dependencies.
    pub(super) others: Vec<Check>,
    pub(super) shown: Vec<Shown>,
    pub(super) ignored: Vec<(String, Wrong)>,
}

/// The checks that an app's environment can name, to which options may be given without a URL.
const CAN_BE_FOUND: [&str; 8] =
    ["app", "app-url", "app-process", "database", "redis", "rabbitmq", "meilisearch", "mongodb"];

/// The checks that there will be, in order, each name once.
pub(super) struct Plans {
    plans: Vec<Plan>,
    ignored: Vec<(String, Wrong)>,
}

impl Plans {
    /// The app's own checks, by the settings that name them.
    pub(super) fn of_app(app: &App, place: impl Fn(&'static str) -> String) -> Self {
        let mut plans = Vec::new();
        if let Some(port) = app.port {
            let place = place("app_port");
            let settled = place != "PORT";
            plans.push(Plan { settled, ..Plan::new("app", place, Origin::Port(port)) });
        }
        if let Some(url) = &app.url {
            let source = Source::url(Text::Given(url.to_string()));
            let plan = Plan::new("app-url", place("app_url"), Origin::Source(source));
            plans.push(Plan { settled: true, ..plan });
        }
        if let Some(name) = &app.process {
            let plan = Plan::new("app-process", place("app_pid_of"), Origin::Process(name.clone()));
            plans.push(Plan { settled: true, ..plan });
        }
        Self { plans, ignored: Vec::new() }
    }

    /// What is found in the app's environment. Two variables for one dependency are two checks where they differ.
    pub(super) fn discover(&mut self, env: &Environment, read: ReadFile) {
        for dependency in discovery::look(env) {
            let mut known: Vec<Url> = Vec::new();
            for Found { variable, source } in dependency.found {
                let name = match known.is_empty() {
                    true => dependency.name.to_owned(),
                    false => normal(&variable),
                };
                let url = source.read(read, &mut Options::default());
                let plan = Plan::new(name, variable.clone(), Origin::Source(source));
                // All of it has to be understood now: later, what is wrong is a mistake of stead's own sources.
                match url.and_then(|url| plan.parts(read, Counting::default()).map(|_| url)) {
                    Ok(url) if known.iter().any(|one| same(&url, one, dependency.port)) => {}
                    Ok(url) => {
                        known.push(url);
                        self.plans.push(plan);
                    }
                    Err(wrong) => self.ignored.push((variable, wrong)),
                }
            }
        }
    }

    /// What stead was told of checks by name, each source's over what was there.
    pub(super) fn configure(&mut self, sources: [Vec<Configured>; 3]) -> Result<(), Mistake> {
        let mut told: BTreeMap<String, Configured> = BTreeMap::new();
        for source in sources {
            let mut by_this = BTreeMap::new();
            for configured in source {
                let place = configured.place.clone();
                if by_this.insert(configured.name.clone(), configured).is_some() {
                    return Err(Mistake::at(place, "there is another check of that name"));
                }
            }
            told.append(&mut by_this);
        }
        told.into_values().try_for_each(|configured| self.lay_over(configured))
    }

    fn lay_over(&mut self, configured: Configured) -> Result<(), Mistake> {
        let Configured { name, place, what, options, keys } = configured;
        let known = self.plans.iter_mut().find(|plan| plan.name == name);
        match (what, known) {
            (What::Options, Some(plan)) => {
                (plan.options, plan.keys) = (options, keys);
                plan.place = format!("{}, {place}", plan.place);
            }
            (What::Options, None) if CAN_BE_FOUND.contains(&name.as_str()) => {
                let wrong = "options for a check that the app's environment says nothing of";
                self.ignored.push((place, wrong.to_owned()));
            }
            (What::Options, None) => {
                let names = CAN_BE_FOUND.iter().map(|name| (*name).to_owned());
                let hint = suggestion(&name, names);
                return Err(Mistake::at(place, format!("no url of this check{hint}")));
            }
            (_, Some(plan)) if plan.settled => {
                let wrong = format!("{} is a check of that name already", plan.place);
                return Err(Mistake::at(place, wrong));
            }
            (What::Off, _) => self.plans.retain(|plan| plan.name != name),
            (What::Source(source), known) => {
                let plan = Plan { options, keys, ..Plan::new(name, place, Origin::Source(source)) };
                match known {
                    Some(known) => *known = plan,
                    None => self.plans.push(plan),
                }
            }
        }
        Ok(())
    }

    /// Makes the checks.
    pub(super) fn make(self, counting: Counting, read: ReadFile) -> Result<Checks, Mistake> {
        let mut checks = Checks { ignored: self.ignored, ..Checks::default() };
        for plan in self.plans {
            let is_own = plan.is_own();
            let (check, shown) = plan.make(counting, read)?;
            if is_own {
                checks.app.push(check)
            } else {
                checks.others.push(check)
            }
            checks.shown.push(shown);
        }
        Ok(checks)
    }
}

/// The name of a check as it is shown: in lower case, with `-` for `_`.
pub(super) fn normal(name: &str) -> String {
    name.to_ascii_lowercase().replace('_', "-")
}
