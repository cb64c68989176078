//! What the child left behind: the processes below stead, found in /proc, told and killed by pid and name.
//!
//! Processes that the engine put into the namespace (exec, health checks, preStop hooks: their parent is 0) and
//! what runs below them are not among them.

use std::collections::{HashMap, HashSet};
use std::fs;

use tracing::{info, warn};

use crate::signal::Signal;
use crate::sys::process::{self, Pid};

/// A process below stead.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Straggler {
    /// Its pid.
    pub pid: Pid,
    /// Its name, at most 15 bytes; `comm` of proc(5).
    pub name: String,
    /// It is stopped, and gets no signal but KILL before it is continued.
    pub stopped: bool,
    /// The process group that it is in.
    pub group: Pid,
}

/// A line of /proc/PID/stat, as far as it matters here.
struct Stat {
    straggler: Straggler,
    parent: Pid,
    ended: bool,
}

/// Sends `signal` to all of them, once, but for the groups that are not the child's.
pub fn signal_all(signal: Signal, is_not_its: impl Fn(Pid) -> bool) {
    for Straggler { pid, name, stopped, .. } in find(is_not_its) {
        let sent = process::signal(pid, signal);
        if stopped {
            // It may be gone by now, which is all the better.
            let _ = process::signal(pid, Signal::CONT);
        }
        let pid = pid.number();
        match sent {
            Ok(()) => info!(%signal, pid, name, "straggler signalled"),
            Err(error) => warn!(%signal, pid, name, %error, "straggler not signalled"),
        }
    }
}

/// The last means, swept over what is left until nothing is.
#[derive(Debug, Default)]
pub struct Killing {
    told: HashSet<Pid>,
}

impl Killing {
    /// Sends KILL to everything that is left, as PID 1 to the whole namespace; each is named once.
    /// `child` is what is known to run where /proc is not mounted. Groups that are not the child's are passed over.
    pub fn sweep(&mut self, child: Option<Pid>, is_not_its: impl Fn(Pid) -> bool) {
        let left = find(is_not_its);
        for Straggler { pid, name, .. } in &left {
            if self.told.insert(*pid) {
                warn!(pid = pid.number(), name, "straggler killed");
            }
        }
        if process::signal_namespace(Signal::KILL).is_ok() {
            return;
        }
        for pid in left.iter().map(|straggler| straggler.pid).chain(child) {
            // EPERM (another user's process) is no reason to stop, and the next sweep tries again.
            let _ = process::signal(pid, Signal::KILL);
        }
        if let Some(leader) = child {
            let _ = process::signal_group(leader, Signal::KILL);
        }
    }

    /// How many were killed.
    pub fn count(&self) -> usize {
        self.told.len()
    }
}

/// Every living descendant of this process, adopted ones included, but for these groups. Empty where /proc is not
/// mounted.
fn find(is_not_its: impl Fn(Pid) -> bool) -> Vec<Straggler> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let stats: Vec<Stat> = entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok())
        .filter_map(|pid| parse(&fs::read(format!("/proc/{pid}/stat")).ok()?))
        .collect();
    let mut found = descendants(stats, Pid::own());
    found.retain(|straggler| !is_not_its(straggler.group));
    found
}

/// Those of `all` whose parents lead up to `root`.
fn descendants(all: Vec<Stat>, root: Pid) -> Vec<Straggler> {
    let parents: HashMap<Pid, Pid> = all.iter().map(|s| (s.straggler.pid, s.parent)).collect();
    let below = |pid: Pid| {
        let mut seen = HashSet::new();
        let mut at = pid;
        // A list that was read while processes came and went can hold a circle.
        while let Some(parent) = parents.get(&at) {
            if *parent == root {
                return true;
            }
            if !seen.insert(at) {
                return false;
            }
            at = *parent;
        }
        false
    };
    all.into_iter().filter(|s| !s.ended && below(s.straggler.pid)).map(|s| s.straggler).collect()
}

/// Reads `pid (name) state parent group ...`; the name may hold anything, also `) Z 1`, so it ends at the last `)`.
fn parse(stat: &[u8]) -> Option<Stat> {
    let text = String::from_utf8_lossy(stat);
    let (pid, rest) = text.split_once(" (")?;
    let (name, rest) = rest.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    let state = fields.next()?;
    let (ended, stopped) = (matches!(state, "Z" | "X" | "x"), state == "T");
    let mut number = || Some(Pid::new(fields.next()?.parse().ok()?));
    let (parent, group) = (number()?, number()?);
    let pid = Pid::new(pid.parse().ok()?);
    Some(Stat {
        straggler: Straggler { pid, name: name.to_owned(), stopped, group },
        parent,
        ended,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(lines: &[&str], root: i32) -> Vec<i32> {
        let all = lines.iter().filter_map(|line| parse(line.as_bytes())).collect();
        descendants(all, Pid::new(root)).iter().map(|s| s.pid.number()).collect()
    }

    #[test]
    fn descendants_at_any_depth_are_found_and_others_are_not() {
        let lines = [
            "1 (stead) S 0 1",
            "7 (app) S 1 7",
            "8 (worker) S 7 7",
            "9 (sh) S 0 9",
            "10 (sleep) S 9 9",
        ];
        assert_eq!(found(&lines, 1), [7, 8]);
    }

    #[test]
    fn what_has_ended_is_no_straggler_but_its_children_are() {
        assert_eq!(found(&["5 (app) Z 4 5", "6 (child) S 5 5"], 4), [6]);
    }

    #[test]
    fn a_name_cannot_forge_the_fields_after_it() {
        assert_eq!(found(&["5 (a) Z 1 (b) S 4 5"], 4), [5]);
        assert_eq!(parse(b"5 (a) Z 1 (b) S 4 5").unwrap().straggler.name, "a) Z 1 (b");
    }

    #[test]
    fn a_circle_of_parents_ends() {
        assert_eq!(found(&["5 (a) S 6 5", "6 (b) S 5 5"], 1), [] as [i32; 0]);
    }
}
