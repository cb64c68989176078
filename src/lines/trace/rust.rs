//! Panics and backtraces of Rust (doc.rust-lang.org, std::backtrace and std::panic), and the causes and backtrace that
//! anyhow prints (docs.rs, anyhow::Error).

use super::{Step, Trace, contains, is_blank, is_number, unmarked};

/// The last line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rust {
    /// Where the panic was; its message follows.
    Place,
    /// The message.
    Message,
    /// The causes of an error.
    Causes,
    /// Frames.
    Frames,
    /// The note about RUST_BACKTRACE, which is the end.
    Note,
}

pub(super) fn begin(line: &[u8]) -> Option<Step> {
    let panicked = line.starts_with(b"thread '") && contains(line, b" panicked at ");
    // Until Rust 1.73 the message stood on the same line.
    let rust = if line.ends_with(b":") { Rust::Place } else { Rust::Message };
    if panicked { Step::certain(Trace::Rust(rust)) } else { backtrace(line) }
}

/// The line above the frames.
pub(super) fn backtrace(line: &[u8]) -> Option<Step> {
    let header = matches!(line, b"stack backtrace:" | b"Stack backtrace:");
    if header { Step::certain(Trace::Rust(Rust::Frames)) } else { None }
}

impl Rust {
    pub(super) fn next(self, line: &[u8]) -> Option<Step> {
        let certain = |rust| Step::certain(Trace::Rust(rust));
        match self {
            Rust::Place => certain(Rust::Message),
            Rust::Message | Rust::Frames if is_note(line) => certain(Rust::Note),
            Rust::Message | Rust::Causes if backtrace(line).is_some() => backtrace(line),
            Rust::Message if is_side(line) => certain(Rust::Message),
            Rust::Message => unmarked(Trace::Rust(Rust::Message), line),
            Rust::Causes if line.starts_with(b"    ") => certain(Rust::Causes),
            Rust::Causes if is_blank(line) => Step::possible(Trace::Rust(Rust::Causes)),
            Rust::Frames if is_frame(line) => certain(Rust::Frames),
            Rust::Causes | Rust::Frames | Rust::Note => None,
        }
    }
}

fn is_note(line: &[u8]) -> bool {
    line.starts_with(b"note: ") && contains(line, b"RUST_BACKTRACE")
}

/// What `assert_eq!` compared.
fn is_side(line: &[u8]) -> bool {
    line.starts_with(b"  left: ") || line.starts_with(b" right: ")
}

/// `   7: app::run`, and below it `             at ./src/main.rs:7:5`.
fn is_frame(line: &[u8]) -> bool {
    let number = line.trim_ascii_start().split(|byte| *byte == b':').next().unwrap_or_default();
    let numbered = line.starts_with(b" ") && is_number(number) && contains(line, b": ");
    numbered || line.starts_with(b"             at ")
}
