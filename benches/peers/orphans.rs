//! Ten thousand orphans that end together under the wrapper as PID 1, and how soon none is left.

use std::fs;
use std::io::{self, PipeReader, Write};
use std::process::{ChildStdin, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::Rounds;
use crate::child::Mode;
use crate::http::{Nginx, ask, probe_apart, probe_until};
use crate::report::{Goal, Section, Table};
use crate::samples::{Samples, ms, times};
use crate::sys;
use crate::wrapper::{Running, Wrapper, Wrappers, bare, find};

/// Between two questions while the orphans want the processors: a tenth of the shortest period that a platform has.
const PAUSE: Duration = Duration::from_millis(100);

/// How often the server is asked before anything ends.
const WARM_UP: usize = 20;

/// How the orphans end.
#[derive(Clone, Copy, PartialEq)]
enum End {
    /// All at once, beside the wrapper: ten thousand processes want the processors that it reaps on.
    Storm,
    /// While the wrapper is stopped: what is measured from then on is its reaping alone.
    Heap,
}

/// What the orphans under one wrapper have shown.
#[derive(Default)]
struct Reaping {
    /// Until the last orphan was reaped.
    gone: Samples,
    /// The wrapper's own processor time meanwhile.
    cpu: Samples,
    /// The slowest answer meanwhile: stead's own where it listens, else nginx's.
    slowest: Samples,
}

pub fn measure(wrappers: &Wrappers, rounds: &Rounds) -> io::Result<Section> {
    let nginx = Nginx::start(wrappers)?;
    let [stead, _, as_tini] = wrappers.steads();
    let all: Vec<&Wrapper> = wrappers.peers().into_iter().chain([stead, as_tini]).collect();
    let mut section = Section::default();
    let mut slowest = Vec::new();
    for (end, title) in [(End::Heap, "Zombies"), (End::Storm, "Orphans that end at once")] {
        let mut reapings: Vec<Reaping> = all.iter().map(|_| Reaping::default()).collect();
        for _ in 0..rounds.stampedes {
            for (wrapper, reaping) in all.iter().zip(&mut reapings) {
                reaping
                    .run(wrapper, end, rounds.orphans, wrapper.port.unwrap_or(nginx.port))
                    .map_err(|error| io::Error::other(format!("{}: {error}", wrapper.name)))?;
            }
        }
        let of_stead = all.iter().position(|wrapper| wrapper.port.is_some()).unwrap_or(0);
        slowest.push(ms(reapings[of_stead].slowest.max()));
        section.tables.push(table(end, title, &all, &reapings, rounds));
    }
    section.goals.push(Goal {
        what: "slowest /livez while 10,000 orphans are reaped",
        to_reach: "at most 50 ms",
        measured: format!("{} ms, {} ms while they end at once", slowest[0], slowest[1]),
    });
    Ok(section)
}

fn table(end: End, title: &str, all: &[&Wrapper], reapings: &[Reaping], rounds: &Rounds) -> Table {
    let (how, asked) = match end {
        End::Heap => (
            "all ended while the wrapper was stopped; from its SIGCONT until none was left",
            "every millisecond",
        ),
        End::Storm => (
            "ended by the closing of one pipe; from then until none was left",
            "every 100 ms, each with a connection of its own and by one who comes before all others (SCHED_FIFO),",
        ),
    };
    let note = format!(
        "{} orphans of a wrapper that is PID 1 of a new pid namespace, {how}; medians of {} rounds. The slowest answer \
         of all rounds is to a request {asked} meanwhile: to stead's /livez where it listens, else to an nginx outside, \
         which shows what everybody has to wait then.",
        rounds.orphans, rounds.stampedes
    );
    let head =
        ["wrapper", "none left after ms", "of tini's", "its CPU ms", "slowest answer ms", "from"];
    let mut table = Table::new(title, &note, &head);
    let tini = reapings[0].gone.median();
    for (wrapper, reaping) in all.iter().zip(reapings) {
        let from = if wrapper.port.is_some() { "stead" } else { "nginx" };
        let gone = reaping.gone.median();
        let [cpu, slowest] = [reaping.cpu.median(), reaping.slowest.max()].map(ms);
        let cells = [ms(gone), times(gone, tini), cpu, slowest, from.to_owned()];
        table.row(wrapper.name, cells);
    }
    table
}

/// A wrapper as PID 1 with orphans that still run.
struct Namespace {
    running: Running,
    /// Its pid outside.
    init: u32,
    stamps: PipeReader,
    go: ChildStdin,
}

impl Namespace {
    fn start(wrapper: &Wrapper, orphans: usize) -> io::Result<Namespace> {
        let (mut stamps, stdout) = io::pipe()?;
        let inner = wrapper.around_child(&[Mode::ORPHANS, &orphans.to_string()])?;
        let mut outer = bare(find("unshare")?);
        outer.args(["--pid", "--fork", "--mount-proc", "--kill-child", "--"]);
        outer.arg(inner.get_program()).args(inner.get_args());
        outer.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let mut running = Running(outer.stdin(Stdio::piped()).stdout(stdout).spawn()?);
        drop(outer);
        sys::read_stamp(&mut stamps)?;
        let init = only_child(running.pid())?;
        let go = running.0.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(Namespace { running, init, stamps, go })
    }

    /// Ends the orphans and waits until all of them are zombies.
    fn heap_up(&mut self, orphans: usize) -> io::Result<()> {
        sys::send_signal(self.init, libc::SIGSTOP)?;
        self.go.write_all(b"!")?;
        while zombies_of(self.init)? < orphans {
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }
}

impl Reaping {
    fn run(&mut self, wrapper: &Wrapper, end: End, orphans: usize, port: u16) -> io::Result<()> {
        let mut space = Namespace::start(wrapper, orphans)?;
        // As a server is that has been asked for a while.
        (0..WARM_UP).try_for_each(|_| ask(port))?;
        if end == End::Heap {
            space.heap_up(orphans)?;
        }
        let used_before = sys::cpu_time(space.init)?;
        let before = sys::now();
        match end {
            End::Heap => sys::send_signal(space.init, libc::SIGCONT)?,
            End::Storm => space.go.write_all(b"!")?,
        }
        let stop = AtomicBool::new(false);
        let (gone, answers) = std::thread::scope(|threads| {
            let prober = threads.spawn(|| match end {
                End::Heap => probe_until(&stop, port),
                End::Storm => probe_apart(&stop, port, PAUSE),
            });
            let gone = sys::read_stamp(&mut space.stamps);
            stop.store(true, Ordering::Relaxed);
            (gone, prober.join())
        });
        // Until `go` closes the child stays, and so does the init.
        self.cpu.add(sys::cpu_time(space.init)? - used_before);
        self.gone.add(gone? - before);
        let answers = answers.map_err(|_| io::Error::other("the prober panicked"))??;
        self.slowest.add(answers.max() as u64);
        let Namespace { running, go, .. } = space;
        drop(go);
        drop(running);
        Ok(())
    }
}

/// unshare(1) itself stays outside; its only child is PID 1 within.
fn only_child(pid: u32) -> io::Result<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    children.trim().parse().map_err(|_| io::Error::other("unshare has not one child"))
}

/// How many children of the process have ended and are not reaped, from the state in /proc/PID/stat (proc(5)).
fn zombies_of(pid: u32) -> io::Result<usize> {
    let parent = pid.to_string();
    let is_zombie = |stat: &str| {
        let (_, after_name) = stat.rsplit_once(") ")?;
        let mut fields = after_name.split(' ');
        Some(fields.next()? == "Z" && fields.next()? == parent)
    };
    let stats = fs::read_dir("/proc")?
        .filter_map(|entry| fs::read_to_string(entry.ok()?.path().join("stat")).ok());
    Ok(stats.filter(|stat| is_zombie(stat) == Some(true)).count())
}
