//! The supervisor: one child, one loop on the main thread, and the only place that waits and kills.

pub mod child;
mod driver;
pub mod lifecycle;
mod stragglers;
pub mod wrapping;

pub use driver::{Running, Started, Supervisor};
pub use lifecycle::{Phase, Terms};
pub use wrapping::Wrapping;
