//! Ten thousand orphans that end together under the wrapper as PID 1, and how soon none is left.

use std::io::{self, Write};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::Rounds;
use crate::child::Mode;
use crate::http::{Nginx, probe_until};
use crate::report::{Goal, Section, Table};
use crate::samples::{Samples, ms, times};
use crate::sys;
use crate::wrapper::{Running, Wrapper, Wrappers, bare};

/// What the stampedes under one wrapper have shown.
#[derive(Default)]
struct Stampede {
    /// Until the last orphan was reaped.
    gone: Samples,
    /// The wrapper's own processor time meanwhile.
    cpu: Samples,
    /// The slowest answer meanwhile: stead's own where it listens, else nginx's.
    slowest: Samples,
}

pub fn measure(wrappers: &Wrappers, rounds: &Rounds) -> io::Result<Section> {
    let nginx = Nginx::start(wrappers)?;
    let all: Vec<&Wrapper> =
        wrappers.peers().into_iter().chain([&wrappers.stead, &wrappers.stead_as_tini]).collect();
    let mut stampedes: Vec<Stampede> = all.iter().map(|_| Stampede::default()).collect();
    for round in 0..rounds.stampedes {
        for (wrapper, stampede) in all.iter().zip(&mut stampedes) {
            stampede
                .run(wrapper, rounds.orphans, wrapper.port.unwrap_or(nginx.port))
                .map_err(|error| io::Error::other(format!("{}, {round}: {error}", wrapper.name)))?;
        }
    }
    let mut table = Table::new(
        &format!("{} orphans that end together", rounds.orphans),
        &format!(
            "The wrapper is PID 1 of a new pid namespace; medians of {} stampedes. The slowest answer is \
             of a request every millisecond meanwhile: to stead's /livez where it listens, else to an nginx \
             outside, which shows what the stampede itself costs everybody.",
            rounds.stampedes
        ),
        &[
            "wrapper",
            "none left after ms",
            "of tini's",
            "wrapper's CPU ms",
            "slowest answer ms",
            "from",
        ],
    );
    let tini = stampedes[0].gone.median();
    for (wrapper, stampede) in all.iter().zip(&stampedes) {
        let from = if wrapper.port.is_some() { "stead" } else { "nginx" };
        let gone = stampede.gone.median();
        let [cpu, slowest] = [stampede.cpu.median(), stampede.slowest.max()].map(ms);
        table.row(wrapper.name, [ms(gone), times(gone, tini), cpu, slowest, from.to_owned()]);
    }
    let of_stead = &stampedes[all.len() - 2];
    let goal = Goal {
        what: "slowest /livez while the orphans end",
        to_reach: "at most 50 ms",
        measured: format!("{} ms", ms(of_stead.slowest.max())),
    };
    Ok(Section { tables: vec![table], goals: vec![goal] })
}

impl Stampede {
    fn run(&mut self, wrapper: &Wrapper, count: usize, port: u16) -> io::Result<()> {
        let (mut stamps, stdout) = io::pipe()?;
        let inner = wrapper.around_child(&[Mode::ORPHANS, &count.to_string()])?;
        let mut outer = bare("unshare");
        outer.args(["--pid", "--fork", "--mount-proc", "--kill-child", "--"]);
        outer.arg(inner.get_program()).args(inner.get_args());
        outer.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let mut running = Running(outer.stdin(Stdio::piped()).stdout(stdout).spawn()?);
        sys::read_stamp(&mut stamps)?;
        let init = only_child(running.pid())?;
        let before = sys::cpu_time(init)?;
        let mut go = running.0.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let stop = AtomicBool::new(false);
        let (gone, answers) = std::thread::scope(|threads| {
            let prober = threads.spawn(|| probe_until(&stop, port));
            let gone = go.write_all(b"!").and_then(|()| sys::read_stamp(&mut stamps));
            stop.store(true, Ordering::Relaxed);
            (gone, prober.join())
        });
        // Until `go` closes the child stays, and so does the init.
        self.cpu.add(sys::cpu_time(init)? - before);
        self.gone.add(gone?);
        let answers = answers.map_err(|_| io::Error::other("the prober panicked"))??;
        self.slowest.add(answers.max() as u64);
        Ok(())
    }
}

/// unshare(1) itself stays outside; its only child is PID 1 within.
fn only_child(pid: u32) -> io::Result<u32> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    children.trim().parse().map_err(|_| io::Error::other("unshare has not one child"))
}
