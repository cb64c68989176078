//! In the child, between fork(2) and exec: async-signal-safe calls alone (signal-safety(7)), on memory that was made
//! before the fork.

use std::ffi::{CStr, CString};
use std::os::fd::AsRawFd;

use super::{Leads, Program, Report, Streams};
use crate::signal::Signal;
use crate::sys::process::{Pid, signal_me_when_my_parent_ends};

/// Another directory than stead's own; one that is gone leaves it where it is.
///
/// # Safety
/// Only between fork and exec.
pub(super) unsafe fn enter(directory: Option<&CStr>) {
    if let Some(path) = directory {
        // SAFETY: a C string; chdir is async-signal-safe.
        unsafe { libc::chdir(path.as_ptr()) };
    }
}

/// Other standard streams than stead's own. No descriptor that they are made of is one of them, because
/// stead leaves none of these closed.
///
/// # Safety
/// Only between fork and exec.
pub(super) unsafe fn redirect(streams: &Streams) {
    // SAFETY: each of these calls is async-signal-safe. What they make in place of the standard streams stays open.
    unsafe {
        if streams.reads_nothing {
            let nothing = libc::open(c"/dev/null".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC);
            libc::dup2(nothing, libc::STDIN_FILENO);
        }
        if let Some(output) = streams.output {
            libc::dup2(output.as_raw_fd(), libc::STDOUT_FILENO);
        }
        if let Some(error) = streams.error {
            libc::dup2(error.as_raw_fd(), libc::STDERR_FILENO);
        }
    }
}

/// Has the kernel kill the child when the thread that made it ends; false where that has ended by now.
///
/// # Safety
/// Only between fork and exec.
pub(super) unsafe fn die_with(parent: Pid) -> bool {
    // A kernel that does not know of it has no way to do it.
    let _ = signal_me_when_my_parent_ends(Signal::KILL);
    // SAFETY: getppid has no preconditions.
    unsafe { libc::getppid() == parent.number() }
}

/// Its group or session, the terminal, the signals. A failure here (a terminal that is gone, say)
/// is no reason not to run the program.
///
/// # Safety
/// Only between fork and exec.
pub(super) unsafe fn lead(program: &Program) {
    // SAFETY: each of these calls is async-signal-safe.
    unsafe {
        match program.leads {
            Leads::Group => {
                libc::setpgid(0, 0);
                if let Some(terminal) = program.terminal {
                    terminal.give_to(Pid::own());
                }
            }
            Leads::Session => {
                libc::setsid();
                if let Some(terminal) = program.terminal {
                    terminal.take();
                }
            }
            Leads::Nothing => {}
        }
    }
    program.inherited.restore();
}

/// Executes the first path that can be, as execvp(3) searches; comes back with the reason if none can.
///
/// # Safety
/// Only between fork and exec; `args` and `env` must end with a null pointer.
pub(super) unsafe fn execute(
    program: &Program,
    args: &[*const libc::c_char],
    env: &[*const libc::c_char],
) -> Report {
    search(program.paths, |path| {
        // SAFETY: C strings, and arrays of C strings that end with a null pointer.
        unsafe {
            libc::execve(path.as_ptr(), args.as_ptr(), env.as_ptr());
            *libc::__errno_location()
        }
    })
}

/// Tries one path after the other as execvp(3) does: `attempt` gives the errno of each. Async-signal-safe where
/// `attempt` is.
pub(super) fn search(paths: &[CString], mut attempt: impl FnMut(&CStr) -> i32) -> Report {
    let mut report = [libc::ENOENT, 0];
    for (path, number) in paths.iter().zip(0..) {
        match attempt(path) {
            libc::ENOENT | libc::ENOTDIR | libc::ENAMETOOLONG if paths.len() > 1 => {}
            libc::EACCES => report = [libc::EACCES, number],
            errno => return [errno, number],
        }
    }
    report
}
