//! What a wrapper costs while nothing happens: memory, threads, and how often it wakes up.

use std::fs;
use std::io;
use std::os::linux::fs::MetadataExt;
use std::time::Duration;

use crate::Rounds;
use crate::report::{Goal, Section, Table, value_of};
use crate::samples::decimals;
use crate::wrapper::{Running, Wrapper, Wrappers};

/// Long enough for everything that belongs to the start to be over.
const SETTLE: Duration = Duration::from_secs(4);

/// One process at rest.
struct Idle {
    name: &'static str,
    /// KiB, from smaps_rollup.
    pss: u64,
    rss: u64,
    private: u64,
    anonymous: u64,
    threads: usize,
    /// Context switches of all threads, voluntary or not.
    wakeups: u64,
    /// Other processes that run the same file and so share its pages.
    twins: usize,
}

pub fn measure(wrappers: &Wrappers, rounds: &Rounds) -> io::Result<Section> {
    let period = Duration::from_secs(rounds.idle_seconds);
    // One stead at a time: two would share the pages of one file, and each would look smaller.
    let [stead, off, as_tini] = wrappers.steads();
    let [tini, tini_static, dumb_init, catatonit] = wrappers.peers();
    let mut all = measure_together(&[tini, tini_static, dumb_init, catatonit, stead], period)?;
    all.extend(measure_together(&[off], period)?);
    all.extend(measure_together(&[as_tini], period)?);
    let find = |wrapper: &Wrapper| all.iter().find(|idle| idle.name == wrapper.name);
    let mut section =
        Section { tables: vec![table(&all, rounds.idle_seconds)], ..Section::default() };
    if let (Some(on), Some(under_tini), Some(peer)) =
        (find(stead), find(as_tini), find(tini_static))
    {
        section.goals = goals(on, under_tini, peer, rounds.idle_seconds);
    }
    Ok(section)
}

fn measure_together(wrappers: &[&Wrapper], period: Duration) -> io::Result<Vec<Idle>> {
    let running: Vec<(&Wrapper, Running)> = wrappers
        .iter()
        .map(|&wrapper| Ok((wrapper, wrapper.around_sleep()?)))
        .collect::<io::Result<_>>()?;
    std::thread::sleep(SETTLE);
    let before: Vec<u64> = running
        .iter()
        .map(|(_, process)| context_switches(process.pid()).map(|(switches, _)| switches))
        .collect::<io::Result<_>>()?;
    std::thread::sleep(period);
    running
        .iter()
        .zip(before)
        .map(|((wrapper, process), before)| Idle::of(wrapper, process.pid(), before))
        .collect()
}

impl Idle {
    fn of(wrapper: &Wrapper, pid: u32, switches_before: u64) -> io::Result<Idle> {
        let (switches, threads) = context_switches(pid)?;
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
        let kib = |name| {
            let value = value_of(&rollup, name).and_then(|value| value.split(' ').next());
            value.and_then(|value| value.parse::<u64>().ok()).unwrap_or(0)
        };
        Ok(Idle {
            name: wrapper.name,
            pss: kib("Pss"),
            rss: kib("Rss"),
            private: kib("Private_Clean") + kib("Private_Dirty"),
            anonymous: kib("Anonymous"),
            threads,
            wakeups: switches - switches_before,
            twins: twins(pid)?,
        })
    }
}

/// All context switches of all threads so far, and the number of the threads.
fn context_switches(pid: u32) -> io::Result<(u64, usize)> {
    let mut sum = 0;
    let mut threads = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let status = fs::read_to_string(thread?.path().join("status"))?;
        for name in ["voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"] {
            sum += value_of(&status, name).and_then(|value| value.parse::<u64>().ok()).unwrap_or(0);
        }
        threads += 1;
    }
    Ok((sum, threads))
}

fn twins(pid: u32) -> io::Result<usize> {
    let own = fs::metadata(format!("/proc/{pid}/exe"))?;
    let same = fs::read_dir("/proc")?
        .filter_map(|entry| fs::metadata(entry.ok()?.path().join("exe")).ok())
        .filter(|exe| (exe.st_dev(), exe.st_ino()) == (own.st_dev(), own.st_ino()))
        .count();
    Ok(same.saturating_sub(1))
}

fn table(all: &[Idle], seconds: u64) -> Table {
    let mut table = Table::new(
        "Idle",
        &format!(
            "In front of `sleep`, KiB of `smaps_rollup` {} s after the start; wake-ups are the context \
             switches of all threads in {seconds} s. One process of each program at a time, so that no \
             twin shares its pages; the dynamic ones share their C library with the whole machine.",
            SETTLE.as_secs() + seconds,
        ),
        &[
            "wrapper",
            "PSS",
            "RSS",
            "private",
            "anonymous",
            "threads",
            "wake-ups",
            "per 10 s",
            "twins",
        ],
    );
    for idle in all {
        let memory = [idle.pss, idle.rss, idle.private, idle.anonymous].map(|kib| kib.to_string());
        let rest = [
            idle.threads.to_string(),
            idle.wakeups.to_string(),
            decimals(idle.wakeups as f64 * 10.0 / seconds as f64),
            idle.twins.to_string(),
        ];
        table.row(idle.name, memory.into_iter().chain(rest));
    }
    table
}

fn goals(on: &Idle, under_tini: &Idle, peer: &Idle, seconds: u64) -> Vec<Goal> {
    vec![
        Goal {
            what: "idle memory with endpoints (PSS)",
            to_reach: "below 2.5 MiB",
            measured: format!("{} MiB", decimals(on.pss as f64 / 1024.0)),
        },
        Goal {
            what: "idle wake-ups with endpoints",
            to_reach: "at most 1 in 10 s",
            measured: format!("{} in {seconds} s", on.wakeups),
        },
        Goal {
            what: "idle memory as `tini` over tini-static's (PSS)",
            to_reach: "at most 1 MiB",
            measured: format!(
                "{} MiB",
                decimals((under_tini.pss as f64 - peer.pss as f64) / 1024.0)
            ),
        },
    ]
}
