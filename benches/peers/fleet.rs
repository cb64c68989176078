//! Replicas of a small app, replaced one by one under load behind haproxy and nginx: what is lost by what is in front of
//! the app. `tests/rolling.rs` asserts what of it is certain.

use std::io;
use std::time::{Duration, Instant};

use crate::Rounds;
use crate::harness::fleet::{Fleet, Front, Load, Manners, REPLICAS, STEAD, TINI, Tally, USUAL};
use crate::report::{Goal, Section, Table};
use crate::wrapper::Wrappers;

/// Requests a second at each proxy; every second one takes two seconds.
pub const RATE: u32 = 40;
/// Streams held at each.
pub const STREAMS: u32 = 10;
const PATHS: &[&str] = &["/", "/slow"];

/// Nothing: the app is PID 1.
const NOTHING: Front =
    Front { name: "nothing", line: &["/replica"], patience: USUAL, has_readiness: false };
/// A shell that starts the app, as `CMD` does in its shell form with more than one command.
const SHELL: Front = Front {
    name: "`sh -c`",
    line: &["/bin/sh", "-c", "echo starting; /replica \"$@\"; exit $?", "sh"],
    patience: USUAL,
    has_readiness: false,
};
const DUMB_INIT: Front = Front {
    name: "dumb-init",
    line: &["/usr/bin/dumb-init", "--", "/replica"],
    patience: USUAL,
    has_readiness: false,
};
/// stead in front of an app that finishes nothing by itself: the slowest answer is through before that is told.
const STEAD_FOR_ABRUPT: Front =
    Front { line: &["/stead", "run", "--drain-delay", "5s", "--", "/replica"], ..STEAD };

/// What the load behind each proxy has counted, and how long one replacement took.
struct Outcome {
    haproxy: Tally,
    nginx: Tally,
    replacement: Duration,
}

pub fn measure(_: &Wrappers, rounds: &Rounds) -> io::Result<Section> {
    let mut section = Section::default();
    let kinds = [
        (Manners::Graceful, "A rolling update: an app that finishes at TERM what is open", STEAD),
        (Manners::Abrupt, "A rolling update: an app that does not know of TERM", STEAD_FOR_ABRUPT),
    ];
    for (manners, title, stead) in kinds {
        let mut table = table(title, rounds, stead);
        for front in [NOTHING, SHELL, TINI, DUMB_INIT, stead] {
            let outcome = roll(front, manners, rounds.rolls);
            table.row(front.name, cells(&outcome));
            if front.name == stead.name {
                section.goals.extend(goals(manners, &outcome));
            }
        }
        section.tables.push(table);
    }
    Ok(section)
}

fn roll(front: Front, manners: Manners, rolls: usize) -> Outcome {
    let mut fleet = Fleet::start(front, manners);
    let [haproxy, nginx] = [fleet.proxies.haproxy(), fleet.proxies.nginx()]
        .map(|port| Load::begin(port, RATE, STREAMS, PATHS));
    let begin = Instant::now();
    for _ in 0..rolls {
        fleet.roll();
    }
    let replacements = u32::from(REPLICAS) * u32::try_from(rolls).unwrap_or(1);
    let replacement = begin.elapsed() / replacements;
    Outcome { haproxy: haproxy.end(), nginx: nginx.end(), replacement }
}

fn table(title: &str, rounds: &Rounds, stead: Front) -> Table {
    let note = format!(
        "{REPLICAS} replicas in containers, replaced one by one {} times, while {RATE} requests a second (half of them take \
         2 s) and {STREAMS} streams go through haproxy, and as many through nginx, with the files of `examples/haproxy` and \
         `examples/nginx`. haproxy asks stead's `/readyz`, and without stead the app itself; nginx learns of a failure from \
         requests. Lost is what was not answered with 200 to its last byte, and a stream is \
         cut in the middle of a message, or dropped without a goodbye between two. `docker stop` gives stead 35 s and the \
         others its own 10 s. stead: `{}`.",
        rounds.rolls,
        stead.line.join(" ").replace(" -- /replica", ""),
    );
    Table::new(
        title,
        &note,
        &[
            "PID 1",
            "requests, haproxy",
            "lost",
            "requests, nginx",
            "lost",
            "streams cut, haproxy",
            "dropped",
            "streams cut, nginx",
            "dropped",
            "a replacement, s",
        ],
    )
}

fn cells(outcome: &Outcome) -> Vec<String> {
    let tallies = [&outcome.haproxy, &outcome.nginx];
    let requests = tallies.iter().flat_map(|tally| [tally.begun().to_string(), lost(tally)]);
    let streams = tallies
        .iter()
        .flat_map(|tally| ["cut", "dropped"].map(|what| tally.streams(what).to_string()));
    let replacement = format!("{:.1}", outcome.replacement.as_secs_f64());
    requests.chain(streams).chain([replacement]).collect()
}

fn lost(tally: &Tally) -> String {
    match tally.lost() {
        0 => "0".to_owned(),
        count => format!("{count} ({})", tally.losses()),
    }
}

fn goals(manners: Manners, outcome: &Outcome) -> Vec<Goal> {
    let what = match manners {
        Manners::Graceful => "requests lost in a rolling update, behind haproxy and nginx",
        // nginx goes on giving it requests until TERM has ended it.
        Manners::Abrupt => "the same of an app that does not know of TERM, behind haproxy",
    };
    let behind_nginx = if manners == Manners::Graceful { outcome.nginx.lost() } else { 0 };
    let measured = (outcome.haproxy.lost() + behind_nginx).to_string();
    vec![Goal { what, to_reach: "0", measured }]
}
