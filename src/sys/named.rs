//! The processes of a name, as /proc has them.

use std::fs;
use std::io;

use super::process::Pid;
use super::tree::{self, Descendant};

/// How many processes have a name.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Named {
    /// Those that run, or could.
    pub living: u64,
    /// Zombies, which nobody has waited for yet.
    pub ended: u64,
}

/// How many processes beside this one are named so: by `comm` of proc(5), which keeps 15 bytes, or by the base name of
/// the first argument. Fails where /proc does not show this namespace.
pub fn named(name: &str) -> io::Result<Named> {
    let (own, mut found, mut is_own_there) = (Pid::own(), Named::default(), false);
    for stat in tree::all()? {
        if stat.process.pid == own {
            is_own_there = true;
        } else if is_named(&stat.process, name) {
            *(if stat.ended { &mut found.ended } else { &mut found.living }) += 1;
        }
    }
    if is_own_there { Ok(found) } else { Err(io::ErrorKind::NotFound.into()) }
}

/// How much of a name the kernel keeps; `TASK_COMM_LEN` without its NUL.
const COMM: usize = 15;

fn is_named(process: &Descendant, name: &str) -> bool {
    let kept = name.as_bytes().get(..COMM).unwrap_or(name.as_bytes());
    if process.name.as_bytes() == kept {
        return true;
    }
    let arguments = fs::read(format!("/proc/{}/cmdline", process.pid)).unwrap_or_default();
    let first = arguments.split(|byte| *byte == 0).next().unwrap_or_default();
    first.rsplit(|byte| *byte == b'/').next() == Some(name.as_bytes())
}
