//! The checks that are configured by name: from each one's URL to what is asked and when.

use super::{Environment, Mistake};
use crate::check::Target;
use crate::check::monitor::Schedule;
use crate::check::options::Options;
use crate::check::recipe::Recipe;
use crate::check::registry::{Check, Groups, Need};
use crate::check::url::Url;
use crate::value::Wrong;

/// The checks of `STEAD_CHECK_<NAME>`.
pub(super) fn collect(env: &Environment) -> Result<Vec<Check>, Mistake> {
    let check = |(name, variable, url): (String, String, Result<String, Mistake>)| {
        check(name, &url?).map_err(|wrong| Mistake::at(variable, wrong))
    };
    env.checks().into_iter().map(check).collect()
}

fn check(name: String, url: &str) -> Result<Check, Wrong> {
    let mut options = Options::default();
    let url = Url::parse(url, &mut options)?;
    let defaults = Schedule::default();
    let schedule = Schedule {
        interval: options.take_duration("interval")?.unwrap_or(defaults.interval),
        timeout: options.take_duration("timeout")?.unwrap_or(defaults.timeout),
        max_age: options.take_duration("max_age")?,
        slow: options.take_duration("slow")?.unwrap_or(defaults.slow),
        fail_after: options.take_number("fail_after")?.unwrap_or(3) as u32,
        pass_after: options.take_number("pass_after")?.unwrap_or(1) as u32,
        ..defaults
    };
    let required = options.take_switch("required")?.unwrap_or(url.kind() != "meilisearch");
    let need = |text: &str| match text {
        "required" => Ok(Need::Required),
        "degraded" => Ok(Need::Degraded),
        _ => Err("neither".to_owned()),
    };
    let need_of = |required| if required { Need::Required } else { Need::Degraded };
    let startup = options.take_as("startup", need)?.unwrap_or(need_of(required));
    let runtime = options.take_as("runtime", need)?.unwrap_or(need_of(required));
    let group = options.take("group").unwrap_or("ready".to_owned());
    let has = |name: &str| group.split(',').any(|one| one == name);
    let groups = Groups { ready: has("ready"), live: has("live"), startup: has("startup") };
    let target = Target::parse(&url, &mut options)?;
    match options.left() {
        Some(left) => Err(format!("stead_{left}: no such option of this kind of check")),
        None => {
            Ok(Check { name, recipe: Recipe::fixed(target), schedule, startup, runtime, groups })
        }
    }
}

/// The name of a check as it is shown: in lower case, with `-` for `_`.
pub(super) fn normal(name: &str) -> String {
    name.to_ascii_lowercase().replace('_', "-")
}
