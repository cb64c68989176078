//! The options that every check has: when it is asked, how much it counts, and where.

use std::time::Duration;

use super::value::show_duration;
use crate::check::monitor::Schedule;
use crate::check::options::Options;
use crate::check::registry::{Groups, Need};
use crate::value::Wrong;

/// What is common to all kinds of checks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Common {
    pub(super) schedule: Schedule,
    pub(super) startup: Need,
    pub(super) runtime: Need,
    pub(super) groups: Groups,
}

impl Common {
    /// Takes the common options; `default` holds what is not given. Only a check that is in `live` by `default`'s leave,
    /// or that is forced, can be put there.
    pub(super) fn take(options: &mut Options, default: Self, own: bool) -> Result<Self, Wrong> {
        let schedule = schedule(options, default.schedule)?;
        let required = options
            .take_switch("required")?
            .map(|required| if required { Need::Required } else { Need::Degraded });
        let startup = options.take_as("startup", need)?;
        let runtime = options.take_as("runtime", need)?;
        let groups = options.take_as("group", groups)?.unwrap_or(default.groups);
        let force = options.take_switch("force")?.unwrap_or(false);
        if groups.live && !own && !force {
            return Err("stead_group: only the app's own checks (app, app-...) can be in live: a dependency there has the \
                app restarted for nothing (stead_force=on insists)".to_owned());
        }
        Ok(Self {
            schedule,
            startup: startup.or(required).unwrap_or(default.startup),
            runtime: runtime.or(required).unwrap_or(default.runtime),
            groups,
        })
    }

    /// As `stead config` shows it.
    pub(super) fn shown(&self) -> Vec<(String, String)> {
        let Schedule { interval, timeout, fail_after, pass_after, slow, .. } = self.schedule;
        let all = [
            ("interval", show_duration(interval)),
            ("timeout", show_duration(timeout)),
            ("fail_after", fail_after.to_string()),
            ("pass_after", pass_after.to_string()),
            ("max_age", show_duration(self.schedule.freshness())),
            ("slow", show_duration(slow)),
            ("group", show_groups(self.groups)),
            ("startup", show_need(self.startup).to_owned()),
            ("runtime", show_need(self.runtime).to_owned()),
        ];
        all.into_iter().map(|(name, text)| (name.to_owned(), text)).collect()
    }
}

fn schedule(options: &mut Options, default: Schedule) -> Result<Schedule, Wrong> {
    let mut positive = |name: &str, default: Duration| {
        let given = options.take_duration(name)?;
        match given {
            Some(Duration::ZERO) => Err(format!("stead_{name}: not longer than nothing")),
            given => Ok(given.unwrap_or(default)),
        }
    };
    let interval = positive("interval", default.interval)?;
    let timeout = positive("timeout", default.timeout)?;
    let slow = positive("slow", default.slow)?;
    let max_age = options.take_duration("max_age")?;
    let mut count = |name: &str, default: u32| {
        let given = options.take_as(name, |text| match text.trim().parse() {
            Ok(count) if count > 0 => Ok(count),
            _ => Err("not a whole number from 1 on".to_owned()),
        })?;
        Ok::<u32, Wrong>(given.unwrap_or(default))
    };
    let fail_after = count("fail_after", default.fail_after)?;
    let pass_after = count("pass_after", default.pass_after)?;
    Ok(Schedule { interval, timeout, fail_after, pass_after, max_age, slow, ..default })
}

fn need(text: &str) -> Result<Need, Wrong> {
    match text.trim() {
        "required" => Ok(Need::Required),
        "degraded" => Ok(Need::Degraded),
        _ => Err("neither required nor degraded".to_owned()),
    }
}

fn show_need(need: Need) -> &'static str {
    match need {
        Need::Required => "required",
        Need::Degraded => "degraded",
    }
}

/// One or more of `ready`, `live` and `startup`.
fn groups(text: &str) -> Result<Groups, Wrong> {
    let mut groups = Groups { ready: false, ..Groups::default() };
    for name in text.split([',', ' ']).filter(|name| !name.is_empty()) {
        match name {
            "ready" => groups.ready = true,
            "live" => groups.live = true,
            "startup" => groups.startup = true,
            _ => return Err("not a list of ready, live and startup".to_owned()),
        }
    }
    if groups.ready || groups.live || groups.startup {
        Ok(groups)
    } else {
        Err("not a list of ready, live and startup".to_owned())
    }
}

fn show_groups(groups: Groups) -> String {
    let named = [("ready", groups.ready), ("live", groups.live), ("startup", groups.startup)];
    let names: Vec<_> = named.iter().filter(|(_, is_in)| *is_in).map(|(name, _)| *name).collect();
    names.join(",")
}
