//! From just before the wrapper is started to the first thing that its child does.

use std::io;

use crate::Rounds;
use crate::child::Mode;
use crate::report::{Goal, Section, Table};
use crate::samples::{Samples, ms, there_and_back, us};
use crate::sys;
use crate::wrapper::{Wrapper, Wrappers};

pub fn measure(wrappers: &Wrappers, rounds: &Rounds) -> io::Result<Section> {
    let all = wrappers.all();
    let cpus = sys::processors()?;
    let one = sys::pinned(&cpus[cpus.len() - 1..], || start_all(&all, rounds.starts))?;
    let free = start_all(&all, rounds.starts)?;
    let mut table = Table::new(
        "Start-up",
        &format!(
            "µs from just before the wrapper's spawn to a stamp that its child takes first of all, {} \
             starts each, taking turns; own is the median less that of no wrapper.",
            rounds.starts
        ),
        &[
            "wrapper",
            "one CPU: median",
            "own",
            "min",
            "p99",
            "all CPUs: median",
            "own",
            "min",
            "p99",
        ],
    );
    let [direct_one, direct_free] = [&one, &free].map(|samples| samples[0].median());
    for ((wrapper, one), free) in all.iter().zip(&one).zip(&free) {
        let cells = |it: &Samples, direct: f64| {
            [it.median(), it.median() - direct, it.min(), it.p99()].map(us)
        };
        let both = cells(one, direct_one).into_iter().chain(cells(free, direct_free));
        table.row(wrapper.name, both);
    }
    Ok(Section { tables: vec![table], goals: goals(wrappers, &one, &free) })
}

fn start_all(all: &[&Wrapper], rounds: usize) -> io::Result<Vec<Samples>> {
    let mut samples: Vec<Samples> = all.iter().map(|_| Samples::default()).collect();
    for at in there_and_back(rounds, all.len()) {
        samples[at].add(start(all[at])?);
    }
    Ok(samples)
}

fn start(wrapper: &Wrapper) -> io::Result<u64> {
    let (mut stamps, stdout) = io::pipe()?;
    let mut command = wrapper.around_child(&[Mode::STAMP])?;
    command.stdout(stdout);
    let before = sys::now();
    let child = command.spawn()?;
    // It holds the writing end too, and a child that fails would be waited for without end.
    drop(command);
    let stamp = sys::read_stamp(&mut stamps)
        .map_err(|error| io::Error::other(format!("{}: {error}", wrapper.name)))?;
    sys::wait_with_usage(child.id())?;
    Ok(stamp - before)
}

fn goals(wrappers: &Wrappers, one: &[Samples], free: &[Samples]) -> Vec<Goal> {
    let more = |wrapper: &Wrapper, peer: &Wrapper| {
        let [own, its] = [wrapper, peer].map(|it| wrappers.place(it));
        let medians = |samples: &[Samples]| ms(samples[own].median() - samples[its].median());
        format!("{} ms on one CPU, {} ms on all", medians(one), medians(free))
    };
    vec![
        Goal {
            what: "start-up of `stead run` over tini's",
            to_reach: "at most 2 ms",
            measured: more(&wrappers.stead, &wrappers.tini),
        },
        Goal {
            what: "start-up as `tini` over tini-static's",
            to_reach: "at most 1 ms",
            measured: more(&wrappers.stead_as_tini, &wrappers.tini_static),
        },
    ]
}
