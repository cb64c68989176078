//! stead: PID 1 for any container.

pub mod exit;
pub mod signal;
