//! The black-box tests: one program, a module a behaviour, all of them driving the real binary.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and says where"
)]
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "what holds for stead's own processes and clocks does not hold for its tests"
)]

mod architecture;
mod compat;
mod containers;
mod drain;
mod early_signals;
mod exit_codes;
mod harness;
mod isolation;
mod log_events;
mod names;
mod reaping;
mod signals;
mod spawn;
mod terminal;
