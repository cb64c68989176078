//! `make bench`: stead beside tini, dumb-init, catatonit, nginx, curl and wget, all in one run on one machine.
//!
//! Nothing here passes or fails by a time: the figures are printed, and the reader compares. The same
//! program is also the child that the wrappers start (`child.rs`), so nothing else needs to be built.
#![expect(clippy::indexing_slicing, reason = "a broken measurement ends the run")]
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "what holds for stead's own children does not hold for what is measured"
)]

use std::io;
use std::process::ExitCode;

mod child;
mod cost;
mod dependencies;
mod fleet;
mod http;
mod idle;
mod lines;
mod orphans;
mod outage;
mod report;
mod samples;
mod servers;
mod signals;
mod size;
mod startup;
mod sys;
mod wrapper;

#[path = "../../tests/harness/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the tests use more of it")]
#[expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what goes wrong in a measurement ends it"
)]
mod harness;

use report::{Report, Section};
use wrapper::Wrappers;

/// How often each thing is done: enough for a 99th percentile, or just enough to see that all works.
pub struct Rounds {
    /// Starts of each wrapper, on one processor and again on all.
    pub starts: usize,
    /// Signals sent to each wrapper, on one processor and again on all.
    pub signals: usize,
    /// Seconds of idling that are looked at.
    pub idle_seconds: u64,
    /// Orphans that end together, and how often they do so.
    pub orphans: usize,
    /// How often the orphans end together.
    pub stampedes: usize,
    /// How often each server is loaded, and for how many seconds.
    pub loads: usize,
    /// Seconds of each load.
    pub load_seconds: u64,
    /// Megabytes of lines through what is fast, and how many lone lines.
    pub line_megabytes: usize,
    /// Lines that come alone, a millisecond after the one before.
    pub lone_lines: usize,
    /// Runs of each health-check command.
    pub runs: usize,
    /// Runs of each check of RabbitMQ, whose own takes half a second.
    pub pings: usize,
    /// Seconds for which the dependencies are watched.
    pub held_seconds: u64,
    /// How many replicas check one Postgres, and for how many seconds they are looked at.
    pub replicas: usize,
    /// Seconds of each look at the replicas.
    pub replica_seconds: u64,
    /// How often each replica of a fleet is replaced.
    pub rolls: usize,
    /// Seconds for which the fleet's database is away.
    pub outage_seconds: u64,
}

const FULL: Rounds = Rounds {
    starts: 500,
    signals: 3000,
    idle_seconds: 30,
    orphans: 10_000,
    stampedes: 3,
    loads: 3,
    load_seconds: 4,
    line_megabytes: 1000,
    lone_lines: 3000,
    runs: 300,
    pings: 10,
    held_seconds: 600,
    replicas: 500,
    replica_seconds: 60,
    rolls: 3,
    outage_seconds: 60,
};

const QUICK: Rounds = Rounds {
    starts: 40,
    signals: 200,
    idle_seconds: 3,
    orphans: 2_000,
    stampedes: 1,
    loads: 1,
    load_seconds: 1,
    line_megabytes: 50,
    lone_lines: 200,
    runs: 30,
    pings: 2,
    held_seconds: 15,
    replicas: 20,
    replica_seconds: 20,
    rolls: 1,
    outage_seconds: 30,
};

/// What `BENCHMARKS.md` holds the figures in.
const BENCHMARKS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/BENCHMARKS.md");

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(mode) = child::Mode::from_arguments(&arguments) {
        return mode.run();
    }
    let quick = std::env::var_os("QUICK").is_some_and(|value| !value.is_empty() && value != "0");
    let only = std::env::var("ONLY").unwrap_or_default();
    match measure(if quick { &QUICK } else { &FULL }, &only) {
        Ok(report) => {
            println!("{report}");
            if quick || !only.is_empty() {
                eprintln!("bench: BENCHMARKS.md stays as it was, since QUICK or ONLY was set");
                return ExitCode::SUCCESS;
            }
            report.store(BENCHMARKS).map_or_else(failed, |()| ExitCode::SUCCESS)
        }
        Err(error) => failed(error),
    }
}

fn failed(error: io::Error) -> ExitCode {
    eprintln!("bench: {error}");
    ExitCode::FAILURE
}

/// Measures the parts whose name holds the word, which is all when there is none.
fn measure(rounds: &Rounds, only: &str) -> io::Result<Report> {
    let wrappers = Wrappers::find()?;
    let mut report = Report::about_this_machine(&wrappers)?;
    let parts: [(&str, Part); 13] = [
        ("size of the files", size::measure),
        ("idle memory and wake-ups", idle::measure),
        ("start-up", startup::measure),
        ("signals", signals::measure),
        ("start and end around `true`", cost::of_wrapping_true),
        ("health-check commands", cost::of_checks),
        ("orphans", orphans::measure),
        ("/livez under load", http::measure),
        ("lines as JSON", lines::measure),
        ("dependencies", dependencies::measure),
        ("replicas of one Postgres", dependencies::stampede),
        ("rolling update under load", fleet::measure),
        ("outage of a database under load", outage::measure),
    ];
    for (name, part) in parts.into_iter().filter(|(name, _)| name.contains(only)) {
        eprintln!("measuring: {name}");
        let section = part(&wrappers, rounds)
            .map_err(|error| io::Error::other(format!("{name}: {error}")))?;
        report.add(section);
    }
    Ok(report)
}

type Part = fn(&Wrappers, &Rounds) -> io::Result<Section>;
