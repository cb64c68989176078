//! A fleet's database goes away for a minute under load: what the load balancer does where the app needs it, and where it
//! may be without. `tests/rolling.rs` asserts what of it is certain.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use crate::Rounds;
use crate::fleet::{RATE, STREAMS};
use crate::harness::fleet::{Fleet, Load, REPLICAS, STEAD, Tally};
use crate::harness::{http, until};
use crate::report::{Goal, Section, Table};
use crate::wrapper::Wrappers;

const PATHS: [&str; 3] = ["/", "/slow", "/orders"];
/// Before the outage, and after everything is as it was.
const QUIET: Duration = Duration::from_secs(10);
/// Longest until everything is as it was.
const RECOVERY: Duration = Duration::from_secs(120);
/// Of each row of the table.
const BUCKET: usize = 10;

/// What was seen of one outage.
struct Outage {
    tally: Tally,
    /// The second in which the database went.
    gone: usize,
    /// From its return: until haproxy gave requests to a replica, to all, and until the app sold again.
    first: Duration,
    all: Duration,
    sold: Duration,
}

pub fn measure(_: &Wrappers, rounds: &Rounds) -> io::Result<Section> {
    let length = Duration::from_secs(rounds.outage_seconds);
    let required = run(length, "");
    let degraded = run(length, "--env=STEAD_CHECK_DATABASE=?stead_runtime=degraded");
    let lost: u64 = ["/", "/slow"]
        .map(|path| degraded.tally.of(path) - degraded.tally.ended(path, "200"))
        .iter()
        .sum();
    let goals = vec![Goal {
        what: "requests lost that need no database, `stead_runtime=degraded`",
        to_reach: "0",
        measured: lost.to_string(),
    }];
    let tables = vec![over_time(&required, &degraded, rounds), figures(&required, &degraded)];
    Ok(Section { tables, goals })
}

fn run(length: Duration, option: &str) -> Outage {
    let options: Vec<&str> = [option].into_iter().filter(|option| !option.is_empty()).collect();
    let fleet = Fleet::with_database(STEAD, &options);
    let load = Load::begin(fleet.proxies.haproxy(), RATE, STREAMS, &PATHS);
    thread::sleep(QUIET);
    let gone = load.second();
    fleet.database().signal("KILL");
    thread::sleep(length);
    fleet.database().start_again();
    let back = Instant::now();
    let front = fleet.proxies.haproxy();
    let since = |condition: &dyn Fn() -> bool| {
        // The load itself would show that it never came.
        let _ = until(RECOVERY, condition);
        back.elapsed()
    };
    let first = since(&|| !fleet.proxies.servers_up().is_empty());
    let sold = since(&|| http::request(front, "GET", "/orders", &[]).status == 200);
    let all = since(&|| fleet.proxies.servers_up().len() == usize::from(REPLICAS));
    thread::sleep(QUIET);
    Outage { tally: load.end(), gone, first, all, sold }
}

/// Requests by how they ended, in steps of ten seconds.
fn over_time(required: &Outage, degraded: &Outage, rounds: &Rounds) -> Table {
    let note = format!(
        "Behind haproxy as above, {RATE} requests a second for `/`, `/slow` (2 s) and `/orders` (asks the database) in turn, \
         and {STREAMS} streams; Postgres is killed at 0 and started again at {} s. stead's checks are at their defaults. \
         503 of the app is its own answer, 503 of haproxy that it has no replica.",
        rounds.outage_seconds
    );
    let mut head = vec!["begun at, s"];
    for _ in 0..2 {
        head.extend(["200", "503 of the app", "503 of haproxy", "other"]);
    }
    head[1] = "required: 200";
    head[5] = "degraded: 200";
    let mut table =
        Table::new("A database's outage: requests by their status over time", &note, &head);
    let steps = [required, degraded].map(Outage::steps);
    for (number, place) in (-1..).zip(0..steps[0].len().max(steps[1].len())) {
        let from = number * i64::try_from(BUCKET).unwrap_or(0);
        let cells = steps.iter().flat_map(|steps| steps.get(place).copied().unwrap_or_default());
        table.row(&format!("{from} to {}", from + 10), cells.map(|count| count.to_string()));
    }
    table
}

impl Outage {
    /// Each step's requests: answered, refused by the app, by haproxy, and ended otherwise.
    fn steps(&self) -> Vec<[u64; 4]> {
        let mut steps = Vec::new();
        let named = ["200", "503", "503 of the proxy"];
        for path in PATHS {
            let outcomes = named.map(|outcome| self.tally.seconds(path, outcome));
            let all = self.tally.seconds_of(path);
            for (second, all) in all.into_iter().enumerate().skip(self.gone.saturating_sub(BUCKET))
            {
                let step = (second + BUCKET - self.gone.max(BUCKET)) / BUCKET;
                steps.resize(steps.len().max(step + 1), [0; 4]);
                let counts = [0, 1, 2].map(|at: usize| outcomes[at][second]);
                for (at, count) in
                    counts.into_iter().chain([all - counts.iter().sum::<u64>()]).enumerate()
                {
                    steps[step][at] += count;
                }
            }
        }
        steps
    }

    /// The seconds in which no request was given to a replica.
    fn without(&self) -> usize {
        let all = PATHS.map(|path| {
            (self.tally.seconds_of(path), self.tally.seconds(path, "503 of the proxy"))
        });
        let is_without =
            |second: &usize| all.iter().all(|(all, refused)| all[*second] == refused[*second]);
        (0..all[0].0.len()).filter(is_without).count()
    }

    /// The seconds until haproxy refused its first request, if it did.
    fn until_refused(&self) -> Option<usize> {
        let refused = PATHS.map(|path| self.tally.seconds(path, "503 of the proxy"));
        let first =
            refused.iter().filter_map(|seconds| seconds.iter().position(|count| *count > 0)).min();
        first.map(|second| second.saturating_sub(self.gone))
    }
}

fn figures(required: &Outage, degraded: &Outage) -> Table {
    let mut table = Table::new(
        "A database's outage: haproxy's part",
        "From the runs above. Times after its return count from `docker start` of Postgres.",
        &["figure", "required", "degraded"],
    );
    let mut row = |name: &str, figure: &dyn Fn(&Outage) -> String| {
        table.row(name, [figure(required), figure(degraded)]);
    };
    let seconds = |time: Duration| format!("{:.1}", time.as_secs_f64());
    row("until haproxy had no replica, s", &|outage| {
        outage.until_refused().map_or_else(|| "never".to_owned(), |second| second.to_string())
    });
    row("seconds without a replica", &|outage| outage.without().to_string());
    row("after its return: haproxy has a replica, s", &|outage| seconds(outage.first));
    row("after its return: `/orders` is answered, s", &|outage| seconds(outage.sold));
    row("after its return: haproxy has all replicas, s", &|outage| seconds(outage.all));
    row("streams cut or dropped", &|outage| {
        (outage.tally.streams("cut") + outage.tally.streams("dropped")).to_string()
    });
    row("of requests for `/` and `/slow`, answered", &|outage| {
        let [of, answered] = [
            PATHS[..2].iter().map(|path| outage.tally.of(path)).sum::<u64>(),
            PATHS[..2].iter().map(|path| outage.tally.ended(path, "200")).sum::<u64>(),
        ];
        format!("{answered} of {of}")
    });
    table
}
