//! The supervisor: one child, one loop on the main thread, and the only place that waits and kills.

pub mod child;
mod driver;
pub mod lifecycle;
mod stragglers;

pub use driver::{Running, Started, Supervisor, Wrapping};
pub use lifecycle::{Phase, Terms};
