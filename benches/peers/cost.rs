//! What a whole process costs from its start to its end: around `true`, and as a health check.

use std::ffi::OsString;
use std::io;
use std::process::Command;

use crate::Rounds;
use crate::report::{Goal, Section, Table};
use crate::samples::{Samples, decimals, there_and_back, times, us};
use crate::sys;
use crate::wrapper::{Wrapper, Wrappers, bare, find};

/// A command and what its runs have cost.
pub struct Cost {
    pub name: String,
    command: Command,
    wall: Samples,
    pub cpu: Samples,
    max_rss: Samples,
}

impl Cost {
    pub fn of(name: &str, command: Command) -> Cost {
        let [wall, cpu, max_rss] = std::array::from_fn(|_| Samples::default());
        Cost { name: name.to_owned(), command, wall, cpu, max_rss }
    }

    fn run_once(&mut self) -> io::Result<()> {
        let before = sys::now();
        let child = self.command.spawn()?;
        let ended = sys::wait_with_usage(child.id())?;
        self.wall.add(sys::now() - before);
        if !ended.status.success() {
            return Err(io::Error::other(format!("{} ended with {}", self.name, ended.status)));
        }
        self.cpu.add(ended.cpu);
        self.max_rss.add(ended.max_rss);
        Ok(())
    }
}

/// The commands take turns on the last processor; whatever they talk to may run on the others.
pub fn run_all(costs: &mut [Cost], rounds: usize) -> io::Result<()> {
    let cpus = sys::processors()?;
    sys::pinned(&cpus[cpus.len() - 1..], || {
        there_and_back(rounds, costs.len()).try_for_each(|at| costs[at].run_once())
    })
}

pub fn of_wrapping_true(wrappers: &Wrappers, rounds: &Rounds) -> io::Result<Section> {
    let program = OsString::from(find("true")?);
    let around = |it: &Wrapper| Cost::of(it.name, it.around(std::slice::from_ref(&program)));
    let mut costs = wrappers.all().map(around);
    run_all(&mut costs, rounds.runs)?;
    let note = format!("On one CPU, {} runs each, taking turns; `true` is within.", rounds.runs);
    let mut table = Table::new(
        "From start to end around `true`",
        &note,
        &[
            "wrapper",
            "wall µs: median",
            "min",
            "p99",
            "CPU µs: median",
            "wall of tini's",
            "CPU of tini's",
        ],
    );
    let tini = &costs[wrappers.place(&wrappers.tini)];
    for cost in &costs {
        let times_tini = [
            times(cost.wall.median(), tini.wall.median()),
            times(cost.cpu.median(), tini.cpu.median()),
        ];
        table.row(&cost.name, cost.microseconds().into_iter().chain(times_tini));
    }
    Ok(Section { tables: vec![table], goals: Vec::new() })
}

/// The commands that health checks are made of, asking the stead on this port; the last asks nobody.
fn checks(stead: &Wrapper, port: u16) -> io::Result<[Cost; 4]> {
    let url = format!("http://127.0.0.1:{port}/livez");
    let command = |program: &str, arguments: &[&str]| {
        let mut command = bare(find(program)?);
        command.args(arguments);
        Ok::<_, io::Error>(command)
    };
    let mut check = bare(stead.file()?);
    check.arg("check").env("STEAD_LISTEN", format!(":{port}"));
    Ok([
        Cost::of("`stead check`", check),
        Cost::of("`wget -q --spider` (HEAD)", command("wget", &["-q", "--spider", &url])?),
        Cost::of("`curl -fsS -o /dev/null`", command("curl", &["-fsS", "-o", "/dev/null", &url])?),
        Cost::of("`true`, which asks nothing", command("true", &[])?),
    ])
}

pub fn of_checks(wrappers: &Wrappers, rounds: &Rounds) -> io::Result<Section> {
    let stead = &wrappers.stead;
    let port = stead.port.unwrap_or(0);
    let cpus = sys::processors()?;
    let _running = sys::pinned(&cpus[..1], || stead.around_sleep())?;
    let mut costs = checks(stead, port)?;
    run_all(&mut costs, rounds.runs)?;
    let note = format!(
        "Whole processes that ask the same `stead run` for /livez, on one CPU, {} runs each, taking turns. \
         The server's own time is not in it. The max RSS is never below the bench's own, which the kernel carries over exec.",
        rounds.runs
    );
    let head = [
        "command",
        "wall µs: median",
        "min",
        "p99",
        "CPU µs: median",
        "curl's CPU over it",
        "max RSS KiB",
    ];
    let mut table = Table::new("A health check", &note, &head);
    let [check, wget, curl, _] = &costs;
    for cost in &costs {
        let rest =
            [times(curl.cpu.median(), cost.cpu.median()), format!("{:.0}", cost.max_rss.median())];
        table.row(&cost.name, cost.microseconds().into_iter().chain(rest));
    }
    let ratio = |other: &Cost| decimals(other.cpu.median() / check.cpu.median());
    let goal = Goal {
        what: "CPU time of `stead check`",
        to_reach: "at most 1/8 of curl's",
        measured: format!("1/{} of curl's, 1/{} of wget's", ratio(curl), ratio(wget)),
    };
    Ok(Section { tables: vec![table], goals: vec![goal] })
}

impl Cost {
    pub fn microseconds(&self) -> [String; 4] {
        [self.wall.median(), self.wall.min(), self.wall.p99(), self.cpu.median()].map(us)
    }
}
