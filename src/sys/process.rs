//! Processes: who we are, who is told what, and what became of the children.

use std::fmt;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use super::checked;
use super::poll::{poll, readable};
use crate::exit::Exit;
use crate::signal::Signal;

/// The number of a process.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Pid(i32);

impl Pid {
    /// The process with this number.
    pub const fn new(number: i32) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn number(self) -> i32 {
        self.0
    }

    /// This process.
    pub fn own() -> Self {
        // SAFETY: getpid has no preconditions and cannot fail.
        Self(unsafe { libc::getpid() })
    }

    /// The process that started this one, or adopted it.
    pub fn parent() -> Self {
        // SAFETY: getppid has no preconditions and cannot fail.
        Self(unsafe { libc::getppid() })
    }

    /// Whether this is the first process of its pid namespace.
    pub const fn is_init(self) -> bool {
        self.0 == 1
    }
}

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The user that this process runs as.
pub fn own_user() -> u32 {
    // SAFETY: geteuid has no preconditions and cannot fail.
    unsafe { libc::geteuid() }
}

/// A hold on one process, whoever's child it is: its number may come to be another one's, this does not; pidfd_open(2).
#[derive(Debug)]
pub struct Handle(OwnedFd);

impl Handle {
    /// The process that has this pid now.
    pub fn open(pid: Pid) -> io::Result<Self> {
        // SAFETY: pidfd_open takes numbers; the descriptor is ours alone, and closes at exec.
        unsafe {
            let fd = checked(libc::syscall(libc::SYS_pidfd_open, pid.0, 0) as libc::c_int)?;
            Ok(Self(OwnedFd::from_raw_fd(fd)))
        }
    }

    /// Sends `signal` to it.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        let (fd, number) = (self.as_raw_fd(), signal.number());
        let nothing = std::ptr::null::<libc::siginfo_t>();
        // SAFETY: numbers, and no further information; pidfd_send_signal(2).
        let sent = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, number, nothing, 0) };
        checked(sent as libc::c_int).map(drop)
    }

    /// Whether it has ended, reaped or not.
    pub fn has_ended(&self) -> bool {
        let mut fds = [readable(self.as_raw_fd())];
        poll(&mut fds, Some(Duration::ZERO));
        fds.iter().any(|fd| fd.revents != 0)
    }
}

impl AsRawFd for Handle {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// Sends `signal` to one process.
pub fn signal(pid: Pid, signal: Signal) -> io::Result<()> {
    // SAFETY: kill takes numbers only.
    checked(unsafe { libc::kill(pid.0, signal.number()) }).map(drop)
}

/// Sends `signal` to the process group that `leader` leads.
pub fn signal_group(leader: Pid, signal: Signal) -> io::Result<()> {
    // SAFETY: killpg takes numbers only.
    checked(unsafe { libc::killpg(leader.0, signal.number()) }).map(drop)
}

/// Sends KILL to the process group that `leader` leads.
pub fn kill_group(leader: Pid) -> io::Result<()> {
    signal_group(leader, Signal::KILL)
}

/// Whether the process group that `leader` led still has a member, zombies included.
pub fn is_group(leader: Pid) -> bool {
    // SAFETY: killpg takes numbers only, and signal 0 only asks.
    let asked = checked(unsafe { libc::killpg(leader.0, 0) });
    !asked.is_err_and(|error| error.raw_os_error() == Some(libc::ESRCH))
}

/// Sends `signal` to every process of the pid namespace but this one. Refused unless this is its PID 1:
/// anywhere else `kill(-1)` would reach processes that are not ours.
pub fn signal_namespace(signal: Signal) -> io::Result<()> {
    if !Pid::own().is_init() {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    // SAFETY: kill takes numbers only; we are PID 1 of the namespace that it is bound to.
    checked(unsafe { libc::kill(-1, signal.number()) }).map(drop)
}

/// What became of a child.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Change {
    /// It exited with this code.
    Exited(Exit),
    /// A signal ended it.
    Killed(Signal),
    /// A signal stopped it.
    Stopped(Signal),
    /// It goes on after a stop.
    Continued,
}

/// What waitpid(2) has to say.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reaped {
    /// This child, direct or adopted, has changed; if it has ended, it is gone now.
    Changed(Pid, Change),
    /// There are children, and nothing new of them.
    Nothing,
    /// There is no child left.
    NoChild,
}

/// Collects one change of any child, direct or adopted. Never blocks.
/// This is the only wait of the whole program: a second one would steal exit codes from it.
pub fn reap() -> Reaped {
    reap_one(Pid(-1))
}

/// Collects one change of this child. Never blocks.
pub fn reap_one(child: Pid) -> Reaped {
    let mut status = 0;
    loop {
        let flags = libc::WNOHANG | libc::WUNTRACED | libc::WCONTINUED;
        // SAFETY: status is ours to write.
        match unsafe { libc::waitpid(child.0, &mut status, flags) } {
            0 => return Reaped::Nothing,
            -1 if io::Error::last_os_error().raw_os_error() == Some(libc::EINTR) => {}
            -1 => return Reaped::NoChild,
            pid => {
                if let Some(change) = change(status) {
                    return Reaped::Changed(Pid(pid), change);
                }
            }
        }
    }
}

/// What [`reap`] would say, without collecting it. Never blocks.
pub fn peek() -> Reaped {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let flags = libc::WEXITED | libc::WSTOPPED | libc::WCONTINUED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: the structure is ours to write, and zero is a valid one. It stays zero where nothing is to be told
    // (waitid(2)), and holds these fields where something is.
    let (answer, pid, status, code) = unsafe {
        let answer = libc::waitid(libc::P_ALL, 0, info.as_mut_ptr(), flags);
        let info = info.assume_init();
        (answer, info.si_pid(), info.si_status(), info.si_code)
    };
    let change = match code {
        _ if answer == -1 => return Reaped::NoChild,
        _ if pid == 0 => return Reaped::Nothing,
        libc::CLD_EXITED => Some(Change::Exited(Exit::new(status as u8))),
        libc::CLD_KILLED | libc::CLD_DUMPED => Signal::from_number(status).map(Change::Killed),
        libc::CLD_CONTINUED => Some(Change::Continued),
        _ => Signal::from_number(status).map(Change::Stopped),
    };
    Reaped::Changed(Pid(pid), change.unwrap_or(Change::Continued))
}

/// Blocks until this child has ended, and leaves it to be reaped. For a program without a supervisor.
pub fn wait_for_end(child: Pid) {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let flags = libc::WEXITED | libc::WNOWAIT;
    loop {
        // SAFETY: the structure is ours to write.
        let answer = unsafe { libc::waitid(libc::P_PID, child.0 as _, info.as_mut_ptr(), flags) };
        // A child that is not there has ended.
        if answer == 0 || io::Error::last_os_error().raw_os_error() != Some(libc::EINTR) {
            return;
        }
    }
}

/// A wait status in words.
fn change(status: i32) -> Option<Change> {
    if libc::WIFEXITED(status) {
        Some(Change::Exited(Exit::new(libc::WEXITSTATUS(status) as u8)))
    } else if libc::WIFSIGNALED(status) {
        Signal::from_number(libc::WTERMSIG(status)).map(Change::Killed)
    } else if libc::WIFSTOPPED(status) {
        Signal::from_number(libc::WSTOPSIG(status)).map(Change::Stopped)
    } else {
        Some(Change::Continued)
    }
}

/// Makes orphaned descendants children of this process, as they are of PID 1; prctl(2).
pub fn become_subreaper() -> io::Result<()> {
    // SAFETY: PR_SET_CHILD_SUBREAPER takes a number only.
    checked(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }).map(drop)
}

/// Asks the kernel to send `signal` to this process when the thread that started it ends; prctl(2).
pub fn signal_me_when_my_parent_ends(signal: Signal) -> io::Result<()> {
    // SAFETY: PR_SET_PDEATHSIG takes a number only.
    checked(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, signal.number(), 0, 0, 0) }).map(drop)
}

/// Ends this process at once, without running anything more.
pub fn exit_now(exit: Exit) -> ! {
    // SAFETY: _exit has no preconditions; other threads end with the process.
    unsafe { libc::_exit(exit.code().into()) }
}
