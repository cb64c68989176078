//! The line machine: a pure function of bytes and time to events.
