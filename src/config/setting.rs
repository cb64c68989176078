//! The table of settings: one row names a setting's flag, variable and file key, its form and its meaning.
//! Parsing, unknown names, `--help` and `stead config` all come from it.

use crate::errand::Moment;

/// One setting of `stead run`.
#[derive(Debug)]
pub struct Setting {
    /// The key in the file; the flag and the variable are made from it.
    pub key: &'static str,
    /// What its value looks like, for people; empty for a switch.
    pub form: &'static str,
    /// The default, for people.
    pub default: &'static str,
    /// May be given more than once.
    pub repeatable: bool,
    /// Whether there is a flag for it.
    pub flag: bool,
    /// Whether its flag may stand without a value, which then is `on`.
    pub may_stand_alone: bool,
    /// What it does.
    pub about: &'static str,
}

/// Every setting, in the order of `--help` and of `stead config`.
pub const SETTINGS: &[Setting] = &[
    valued("grace", "DURATION", "30s", "from the first signal to KILL, the delay included"),
    valued(
        "drain_delay",
        "DURATION",
        "0s",
        "not ready for so long before the stop signal goes out",
    ),
    valued(
        "drain_until_idle",
        "PORT|on|off",
        "off",
        "hold the stop signal until this port (on: the app's) has no busy connection, or half of the grace is left",
    ),
    valued("idle_after", "DURATION", "5s", "a connection is idle when so long ago it was answered"),
    valued(
        "linger",
        "DURATION",
        "5s",
        "what is left gets so long when the command ended by itself",
    ),
    valued(
        "stop_signal",
        "SIGNAL",
        "what came",
        "what the command is stopped with (nginx wants QUIT)",
    ),
    switch("signal_group", "send signals to the command's process group"),
    repeated("rewrite", "FROM:TO", "forward a signal as another one; 0 drops it"),
    repeated("remap_exit", "FROM:TO", "change an exit code (143:0)"),
    switch(
        "clean_stop_ok",
        "exit 0 when the command ended with 128+n by a signal n that stead sent",
    ),
    switch("notify", "set NOTIFY_SOCKET, by which the command says how it is (sd_notify)"),
    switch("notify_ready", "with notify: not ready before the command has said READY=1"),
    valued("watchdog", "DURATION", "none", "with notify: not live without WATCHDOG=1 so often"),
    valued("watchdog_signal", "SIGNAL", "none", "what the command then gets, once (ABRT, QUIT)"),
    repeated("pre_start", "CMD", "run this first; the command starts only where it succeeds"),
    repeated("post_start", "CMD", "run this once the command runs"),
    repeated("pre_stop", "CMD", "run this when the drain begins, before the stop signal"),
    repeated("post_stop", "CMD", "run this when the command has ended"),
    Setting {
        may_stand_alone: true,
        ..valued(
            "wait",
            "on|off|forever|DURATION",
            "off",
            "start the command once its dependencies are up; on is 60s",
        )
    },
    valued(
        "singleton",
        "URL|on|off",
        "off",
        "run the command while this Postgres or Redis gives it the lock; on: $DIRECT_URL or $DATABASE_URL",
    ),
    valued(
        "singleton_grace",
        "DURATION",
        "5s",
        "what ran under a lock that is lost is gone after so long",
    ),
    valued(
        "lock",
        "URL|on|off",
        "off",
        "run pre_start hooks while this Postgres or Redis gives them the lock; on as for singleton",
    ),
    valued("app_port", "PORT|off", "$PORT", "the app is up when this port accepts connections"),
    valued("app_url", "URL", "none", "the app is up when this URL answers 200 to 399"),
    valued(
        "app_pid_of",
        "NAME",
        "none",
        "the app is up while a process of this name is there (in a shared pid namespace)",
    ),
    switch("app_live", "the app's checks count for liveness too"),
    repeated("check", "NAME=URL", "check a dependency (as a variable: STEAD_CHECK_<NAME>=URL)"),
    Setting {
        flag: false,
        ..valued("listen", "[HOST:]PORT|off", "[::]:9321", "where the endpoints listen")
    },
    valued(
        "details",
        "always|loopback|never",
        "always",
        "who sees why a check fails, and the page",
    ),
    valued(
        "discover",
        "on|off",
        "on",
        "look for checks in the app's environment (PORT, DATABASE_URL...)",
    ),
    valued(
        "logs",
        "raw|json|auto",
        "raw",
        "the command's output: as it is, or a JSON object a line",
    ),
    switch("strip_ansi", "with json, take colours and the like out of messages"),
    switch("join_traces", "with json, make one event of the lines of one stack trace"),
    repeated("redact", "REGEX", "with json, write [redacted] for what fits (as a variable: one)"),
    switch("redact_secrets", "with json, redact the values of the environment's secrets"),
    switch("log_drop", "with json, drop lines where their reader stalls, and say how many"),
    valued("log_format", "auto|json|text", "auto", "the form of stead's own events on stderr"),
    valued(
        "log_schema",
        "stead|ecs|gcp|datadog",
        "stead",
        "the names of the fields in JSON lines, stead's own and the command's",
    ),
    valued(
        "log_level",
        "off|error|warn|info|debug",
        "$LOG_LEVEL or info",
        "which of them are written",
    ),
    repeated("env_file", "PATH", "variables for the command and for stead, below the environment"),
    valued("config", "PATH", "/etc/stead.toml", "the configuration file"),
];

const fn valued(
    key: &'static str,
    form: &'static str,
    default: &'static str,
    about: &'static str,
) -> Setting {
    Setting { key, form, default, repeatable: false, flag: true, may_stand_alone: false, about }
}

const fn repeated(key: &'static str, form: &'static str, about: &'static str) -> Setting {
    Setting { repeatable: true, ..valued(key, form, "none", about) }
}

const fn switch(key: &'static str, about: &'static str) -> Setting {
    Setting { may_stand_alone: true, ..valued(key, "", "off", about) }
}

impl Setting {
    /// `--drain-delay`.
    pub fn flag_name(&self) -> String {
        format!("--{}", self.key.replace('_', "-"))
    }

    /// `STEAD_DRAIN_DELAY`.
    pub fn variable(&self) -> String {
        format!("STEAD_{}", self.key.to_ascii_uppercase())
    }

    /// Whether its variable holds a list. A regular expression may well hold commas and blanks, and so may a command.
    pub fn is_list_in_variable(&self) -> bool {
        self.repeatable && self.key != "redact" && !self.is_hook()
    }

    /// Whether it is a key of the file: all but the file's own path, and checks and hooks, which have tables.
    pub fn in_file(&self) -> bool {
        !["config", "check"].contains(&self.key) && !self.is_hook()
    }

    fn is_hook(&self) -> bool {
        Moment::ALL.iter().any(|moment| moment.name() == self.key)
    }
}

/// The setting with this key.
pub fn by_key(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key == key)
}

/// `; did you mean NAME?`, where one of `names` is no more than two letters away.
pub fn suggestion(unknown: &str, names: impl Iterator<Item = String>) -> String {
    let nearest = names.map(|name| (distance(unknown, &name), name)).min();
    match nearest {
        Some((0..=2, name)) => format!("; did you mean {name}?"),
        _ => String::new(),
    }
}

/// The number of letters to change, add or remove from one to the other (Levenshtein's).
fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, b) in row.iter_mut().skip(1).zip(to.bytes()) {
            let above = *cell;
            left = (diagonal + usize::from(a != b)).min(above + 1).min(left + 1);
            *cell = left;
            diagonal = above;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_counts_changed_added_and_removed_letters() {
        for (a, b, expected) in [
            ("", "", 0),
            ("", "ab", 2),
            ("grace", "grace", 0),
            ("grcae", "grace", 2),
            ("linger", "finger", 1),
            ("abc", "abcd", 1),
        ] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }

    #[test]
    fn a_near_name_is_suggested_and_a_far_one_is_not() {
        let names = || SETTINGS.iter().map(Setting::variable);
        assert_eq!(suggestion("STEAD_GRCE", names()), "; did you mean STEAD_GRACE?");
        assert_eq!(suggestion("STEAD_SOMETHING", names()), "");
    }
}
