//! `stead wait` on a terminal: a line for each target with the time waited, drawn again in its place.

use std::fmt::Write;
use std::time::Duration;

use tokio::time::Instant;
use tracing::level_filters::LevelFilter;

use crate::check::registry::Finding;
use crate::config::{Events, LogFormat};
use crate::sys::descriptors::{stderr_is_terminal, write_to_stderr};
use crate::sys::terminal;

/// A terminal that does not know its size.
const USUAL_SIZE: (usize, usize) = (24, 80);

/// The lines on the terminal. The cursor stands below them whenever nothing is being drawn, so that whatever ends the
/// wait finds the terminal as any program would leave it.
#[derive(Debug)]
pub(super) struct Live {
    start: Instant,
    /// What is there, and how many lines that is.
    drawn: (String, usize),
}

impl Live {
    /// If standard error is a terminal that can be drawn on, and nobody has asked for another form or for silence.
    pub(super) fn on_terminal(events: &Events) -> Option<Self> {
        let is_capable = std::env::var_os("TERM").is_none_or(|name| name != "dumb");
        let is_wanted = events.format != LogFormat::Json && events.level >= LevelFilter::INFO;
        let start = Instant::now();
        (is_wanted && is_capable && stderr_is_terminal())
            .then(|| Self { start, drawn: (String::new(), 0) })
    }

    /// Draws what has changed since.
    pub(super) fn draw(&mut self, findings: &[Finding]) {
        let (rows, columns) = terminal::stderr_size().unwrap_or(USUAL_SIZE);
        let lines = lines(findings, self.start, rows.saturating_sub(1).max(1));
        let mut text = String::new();
        for line in &lines {
            let line: String = line.chars().take(columns.saturating_sub(1)).collect();
            // Writing to a String cannot fail.
            let _ = write!(text, "\r\x1b[K{line}\r\n");
        }
        let (before, height) = &self.drawn;
        if *before == text {
            return;
        }
        let up = if *height > 0 { format!("\x1b[{height}A") } else { String::new() };
        write_to_stderr(format!("{up}{text}\x1b[J").as_bytes());
        self.drawn = (text, lines.len());
    }
}

/// A line for each target, what is missing first where not all have room.
fn lines(findings: &[Finding], start: Instant, room: usize) -> Vec<String> {
    let widest = findings.iter().map(|finding| finding.name.chars().count()).max().unwrap_or(0);
    let line = |finding: &&Finding| format!("{:widest$}  {}", finding.name, state(finding, start));
    if findings.len() <= room {
        return findings.iter().map(|finding| line(&finding)).collect();
    }
    let mut sorted: Vec<&Finding> = findings.iter().collect();
    sorted.sort_by_key(|finding| finding.state.is_up());
    let shown = room.saturating_sub(1);
    let further = format!("and {} more", findings.len().saturating_sub(shown));
    sorted.iter().take(shown).map(line).chain([further]).collect()
}

fn state(finding: &Finding, start: Instant) -> String {
    if finding.state.is_up() {
        let after = finding.status.changed.saturating_duration_since(start);
        return format!("up after {}", seconds(after));
    }
    let waited = seconds(start.elapsed());
    match finding.status.reason {
        Some((class, stage)) => {
            format!("waiting for {waited}: {} at {}", class.name(), stage.name())
        }
        None => format!("waiting for {waited}"),
    }
}

/// `12 s`, `3 min 5 s`.
fn seconds(time: Duration) -> String {
    match (time.as_secs() / 60, time.as_secs() % 60) {
        (0, seconds) => format!("{seconds} s"),
        (minutes, seconds) => format!("{minutes} min {seconds} s"),
    }
}
