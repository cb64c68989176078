//! The phases of stead's life, as the endpoints and the log name them.

/// Where stead is between its first and its last moment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Phase {
    /// Before the child runs.
    Starting,
    /// The child is held back because another instance runs.
    Standby,
    /// The child runs and nobody has asked it to end.
    Running,
    /// Not ready any more; the stop signal is held back for the drain delay.
    Quiescing,
    /// The stop signal is out.
    Draining,
    /// The grace is over: everything that is left gets KILL.
    Killing,
    /// The child has ended; stead may still wait for processes that it left behind.
    Finished,
}

impl Phase {
    /// All of them, in their order.
    pub const ALL: [Self; 7] = [
        Self::Starting,
        Self::Standby,
        Self::Running,
        Self::Quiescing,
        Self::Draining,
        Self::Killing,
        Self::Finished,
    ];

    /// Whether the child has not been started yet.
    pub const fn is_before_child(self) -> bool {
        matches!(self, Self::Starting | Self::Standby)
    }

    /// The name, as the endpoints and the log say it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Standby => "standby",
            Self::Running => "running",
            Self::Quiescing => "quiescing",
            Self::Draining => "draining",
            Self::Killing => "killing",
            Self::Finished => "finished",
        }
    }
}
