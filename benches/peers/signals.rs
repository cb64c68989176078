//! From kill(2) on the wrapper to the same signal in its child.

use std::io::{self, PipeReader};
use std::time::Duration;

use crate::Rounds;
use crate::report::{Goal, Section, Table};
use crate::samples::{Samples, ms, there_and_back, times, us};
use crate::sys;
use crate::wrapper::{Running, Wrapper, Wrappers};

/// Between one signal and the next.
const PAUSE: Duration = Duration::from_micros(200);

pub fn measure(wrappers: &Wrappers, rounds: &Rounds) -> io::Result<Section> {
    let all = wrappers.all();
    let cpus = sys::processors()?;
    let one = sys::pinned(&cpus[cpus.len() - 1..], || signal_all(&all, rounds.signals))?;
    let free = signal_all(&all, rounds.signals)?;
    let mut section = Section::default();
    for (processors, samples) in [("one CPU", &one), ("all CPUs", &free)] {
        section.tables.push(table(wrappers, processors, samples));
    }
    let [stead, tini] = [&wrappers.stead, &wrappers.tini].map(|it| wrappers.place(it));
    let both = |tell: &dyn Fn(&[Samples]) -> String| {
        format!("{} on one CPU, {} on all", tell(&one), tell(&free))
    };
    section.goals = vec![
        Goal {
            what: "a signal forwarded, p99",
            to_reach: "below 1 ms",
            measured: both(&|samples| format!("{} ms", ms(samples[stead].p99()))),
        },
        Goal {
            what: "a signal forwarded, of tini's time (p50, p99)",
            to_reach: "at most 2x",
            measured: both(&|samples| {
                let [stead, tini] = [&samples[stead], &samples[tini]];
                let p50 = times(stead.median(), tini.median());
                format!("{p50}, {}", times(stead.p99(), tini.p99()))
            }),
        },
    ];
    Ok(section)
}

fn table(wrappers: &Wrappers, processors: &str, samples: &[Samples]) -> Table {
    let mut table = Table::new(
        &format!("A signal's way to the child, {processors}"),
        &format!(
            "µs from just before SIGUSR1 is sent to the wrapper to the child's return from \
             sigwaitinfo(2), {} signals each, taking turns, {} µs apart.",
            samples[0].len(),
            PAUSE.as_micros()
        ),
        &["wrapper", "p50", "of tini's", "p99", "of tini's", "max"],
    );
    let tini = &samples[wrappers.place(&wrappers.tini)];
    for (wrapper, own) in wrappers.all().iter().zip(samples) {
        let p50 = [us(own.median()), times(own.median(), tini.median())];
        let p99 = [us(own.p99()), times(own.p99(), tini.p99())];
        table.row(wrapper.name, p50.into_iter().chain(p99).chain([us(own.max())]));
    }
    table
}

fn signal_all(all: &[&Wrapper], rounds: usize) -> io::Result<Vec<Samples>> {
    let mut running: Vec<(Running, PipeReader)> =
        all.iter().map(|wrapper| wrapper.around_echo()).collect::<io::Result<_>>()?;
    let mut samples: Vec<Samples> = all.iter().map(|_| Samples::default()).collect();
    for at in there_and_back(rounds, all.len()) {
        let (process, stamps) = &mut running[at];
        // The one before writes its log now, and this one is at rest.
        std::thread::sleep(PAUSE);
        let before = sys::now();
        sys::send_signal(process.pid(), libc::SIGUSR1)?;
        samples[at].add(sys::read_stamp(stamps)? - before);
    }
    Ok(samples)
}
