//! The child's lines as JSON: bytes of its standard output and error become one object a line. What is written where,
//! and when, is the part of the pump; the rest is computed from bytes alone, most of it in the crate `stead_lines`.

pub mod ansi;
mod backlog;
pub mod event;
mod flow;
mod intake;
mod outlet;
pub mod pump;
pub mod redact;

pub use stead_lines::{Line, Part, Read, level, line};
