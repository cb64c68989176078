//! stead: PID 1 for any container.

pub mod compat;
pub mod exit;
pub mod signal;
