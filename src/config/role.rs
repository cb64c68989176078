//! What stead is to the app, and which settings that takes: a sidecar shares the environment of the app that it stands
//! beside, so what it has no use for is passed over there, and is a mistake on its own command line alone.

use super::setting::by_key;
use super::sources::Sources;
use super::{Flag, Mistake};

/// What stead is to the app.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Role {
    /// It has started the app.
    #[default]
    Wrapper,
    /// It stands beside it.
    Sidecar,
}

/// The settings that mean something without a command. All others are of `stead run` alone.
const OF_BOTH: &[&str] = &[
    "grace",
    "drain_delay",
    "drain_until_idle",
    "idle_after",
    "app_port",
    "app_url",
    "app_pid_of",
    "app_live",
    "check",
    "listen",
    "details",
    "discover",
    "log_format",
    "log_schema",
    "log_level",
    "env_file",
    "config",
];

impl Role {
    /// Whether it starts the app and stops it.
    pub fn has_child(self) -> bool {
        self == Self::Wrapper
    }

    /// What the start event calls it, where it is not what stead usually is.
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::Wrapper => None,
            Self::Sidecar => Some("sidecar"),
        }
    }

    /// Whether the setting with this key means something to it.
    pub fn takes(self, key: &str) -> bool {
        self == Self::Wrapper || OF_BOTH.contains(&key)
    }
}

impl Sources {
    /// Passes over what this role does not take, and says so once; among the flags it is a mistake.
    pub(super) fn keep_those_of(&mut self, role: Role, flags: &[Flag]) -> Result<(), Mistake> {
        if let Some((key, _)) = flags.iter().find(|(key, _)| !role.takes(key)) {
            let flag = by_key(key).map(|setting| setting.flag_name()).unwrap_or_default();
            return Err(Mistake::at(flag, "an option of `stead run`: a sidecar has no command"));
        }
        let foreign = self.raw.extract_if(|key, _| !role.takes(key));
        let mut places: Vec<String> = foreign.map(|(_, raw)| raw.place).collect();
        places.extend(self.hooks.extract_if(.., |_| !role.has_child()).map(|table| table.place));
        if !places.is_empty() {
            places.sort_unstable();
            let reason = "of `stead run` alone: a sidecar has no command";
            self.ignored.push((places.join(", "), reason.to_owned()));
        }
        Ok(())
    }
}
