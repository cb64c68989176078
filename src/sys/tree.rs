//! The processes below another one, as /proc has them.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;

use super::process::Pid;

/// A process that lives below another one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Descendant {
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
pub(super) struct Stat {
    pub(super) process: Descendant,
    parent: Pid,
    pub(super) ended: bool,
}

/// Every living descendant of this process, adopted ones included. Empty where /proc is not mounted.
pub fn below(root: Pid) -> Vec<Descendant> {
    all().map_or(Vec::new(), |stats| descendants(stats.collect(), root))
}

/// Every process that is there; fails where /proc is not mounted.
pub(super) fn all() -> io::Result<impl Iterator<Item = Stat>> {
    let pids = fs::read_dir("/proc")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    Ok(pids.filter_map(|pid| stat(Pid::new(pid))))
}

/// How many parents are looked up, until it is taken for certain that the way up leads past the process in question.
const DEEPEST: usize = 256;

/// Whether a process, ended or not, lives below another one. None where there is no such process any more, or no /proc.
pub fn is_below(pid: Pid, root: Pid) -> Option<bool> {
    let mut at = stat(pid)?.parent;
    for _ in 0..DEEPEST {
        if at == root {
            return Some(true);
        }
        if at.number() <= 1 {
            break;
        }
        // Of a parent that has ended meanwhile the children have another one by now.
        at = stat(at).or_else(|| stat(pid))?.parent;
    }
    Some(false)
}

/// The process group of a living process, if that lives below `root`.
pub fn group_below(pid: Pid, root: Pid) -> Option<Pid> {
    let Stat { process, ended, .. } = stat(pid)?;
    (!ended && is_below(pid, root)?).then_some(process.group)
}

/// The effective user of a process: the second number of `Uid` in /proc/PID/status; proc(5).
pub fn user_of(pid: Pid) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let users = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    users.split_whitespace().nth(1)?.parse().ok()
}

fn stat(pid: Pid) -> Option<Stat> {
    parse(&fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// Those of `all` whose parents lead up to `root`.
fn descendants(all: Vec<Stat>, root: Pid) -> Vec<Descendant> {
    let parents: HashMap<Pid, Pid> = all.iter().map(|s| (s.process.pid, s.parent)).collect();
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
    all.into_iter().filter(|s| !s.ended && below(s.process.pid)).map(|s| s.process).collect()
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
    if group.number() < 0 {
        // It was reaped while this was written, and what is said of its parent is 0 (`do_task_stat` of the kernel).
        return None;
    }
    let pid = Pid::new(pid.parse().ok()?);
    Some(Stat { process: Descendant { pid, name: name.to_owned(), stopped, group }, parent, ended })
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
    fn what_has_ended_is_left_out_and_its_children_are_not() {
        assert_eq!(found(&["5 (app) Z 4 5", "6 (child) S 5 5"], 4), [6]);
    }

    #[test]
    fn a_name_cannot_forge_the_fields_after_it() {
        assert_eq!(found(&["5 (a) Z 1 (b) S 4 5"], 4), [5]);
        assert_eq!(parse(b"5 (a) Z 1 (b) S 4 5").unwrap().process.name, "a) Z 1 (b");
    }

    #[test]
    fn a_process_is_below_its_parents_and_not_below_itself() {
        let (own, parent) = (Pid::own(), Pid::parent());
        assert_eq!(is_below(own, parent), Some(true));
        assert_eq!(is_below(own, own), Some(false));
        assert_eq!(is_below(parent, own), Some(false));
        assert_eq!(is_below(Pid::new(i32::MAX), own), None);
        assert!(group_below(own, parent).is_some());
        assert_eq!(group_below(parent, own), None);
        assert_eq!(user_of(own), Some(crate::sys::process::own_user()));
    }

    #[test]
    fn what_is_being_reaped_is_gone_and_has_no_parent() {
        for state in ["X", "Z", "S"] {
            assert!(parse(format!("5 (app) {state} 0 -1").as_bytes()).is_none());
            assert!(parse(format!("5 (app) {state} 4 5").as_bytes()).is_some());
        }
    }

    #[test]
    fn a_circle_of_parents_ends() {
        assert_eq!(found(&["5 (a) S 6 5", "6 (b) S 5 5"], 1), [] as [i32; 0]);
    }
}
