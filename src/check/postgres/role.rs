//! Which role a server has, and which one is wanted.

use super::super::{Class, ProbeError};
use crate::value::Wrong;

/// What a server said of itself.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Role {
    /// It is in recovery, as a standby is.
    pub(super) standby: bool,
    /// Transactions are read-only unless they say otherwise.
    pub(super) read_only: bool,
}

impl Role {
    pub(super) const fn name(self) -> &'static str {
        if self.standby { "standby" } else { "primary" }
    }
}

/// The role that is asked for, as `target_session_attrs` of libpq names it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Wanted {
    #[default]
    Any,
    ReadWrite,
    ReadOnly,
    Primary,
    Standby,
    PreferPrimary,
    PreferStandby,
}

impl Wanted {
    /// The value of `target_session_attrs`, or of JDBC's `targetServerType`.
    pub(super) fn of_url(text: &str) -> Result<Self, Wrong> {
        match text {
            "any" => Ok(Self::Any),
            "read-write" => Ok(Self::ReadWrite),
            "read-only" => Ok(Self::ReadOnly),
            "primary" | "master" => Ok(Self::Primary),
            "standby" | "secondary" | "slave" => Ok(Self::Standby),
            "preferPrimary" => Ok(Self::PreferPrimary),
            "prefer-standby" | "preferSecondary" | "preferSlave" => Ok(Self::PreferStandby),
            _ => Err("target_session_attrs: none of any, read-write, read-only, primary, standby \
                      and prefer-standby"
                .to_owned()),
        }
    }

    /// The value of `stead_role`.
    pub(super) fn of_option(text: &str) -> Result<Self, Wrong> {
        match text {
            "any" => Ok(Self::Any),
            "primary" => Ok(Self::Primary),
            "standby" => Ok(Self::Standby),
            _ => Err("none of primary, standby and any".to_owned()),
        }
    }

    /// What to look for first, and what to take when no server has that.
    pub(super) const fn choices(self) -> (Self, Option<Self>) {
        match self {
            Self::PreferPrimary => (Self::Primary, Some(Self::Any)),
            Self::PreferStandby => (Self::Standby, Some(Self::Any)),
            other => (other, None),
        }
    }

    /// Fails where a role is not the one that is wanted; preferences are content with any.
    pub(super) fn accept(self, role: Role) -> Result<(), ProbeError> {
        let (fits, wanted) = match self {
            Self::Any | Self::PreferPrimary | Self::PreferStandby => (true, "any"),
            Self::ReadWrite => (!role.read_only, "one that writes"),
            Self::ReadOnly => (role.read_only, "a read-only one"),
            Self::Primary => (!role.standby, "a primary"),
            Self::Standby => (role.standby, "a standby"),
        };
        if fits {
            return Ok(());
        }
        let writes = if role.read_only { "read-only" } else { "writable" };
        let text = format!("the server is a {} ({writes}), not {wanted}", role.name());
        Err(ProbeError::new(Class::WrongRole, text))
    }
}
