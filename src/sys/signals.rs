//! Signals as data: everything is blocked as the first act of the program and read from a signalfd(2).
//!
//! A blocked signal is kept by the kernel, even for PID 1, which would lose what it has no handler for
//! (`sig_task_ignored` in the kernel's signal.c); so nothing that comes after the first system call is
//! lost, and no disposition is ever touched: the child inherits them as they were. A real fault of
//! stead's own still ends it, because the kernel forces a blocked SEGV, BUS, FPE, ILL or TRAP through.

use std::io;
use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use tokio::io::unix::AsyncFd;

use super::checked;
use super::poll::{poll, readable};
use super::process::Pid;
use crate::signal::Signal;

/// What the process was started with, to be given to the child unchanged.
#[derive(Clone, Copy)]
pub struct Inherited {
    mask: libc::sigset_t,
    child_action: libc::sigaction,
    all_default: bool,
}

/// A signal that arrived, and from whom.
#[derive(Clone, Copy, Debug)]
pub struct Delivery {
    /// The signal.
    pub signal: Signal,
    /// The sender, 0 where it is outside the pid namespace.
    pub from: Pid,
    /// Made by the kernel (a terminal's key, a fault, a timer) and not by kill(2) or sigqueue(3).
    pub by_kernel: bool,
}

/// Blocks every signal in the calling thread and in all threads that it will start.
///
/// `SIGCHLD` is also given its default action: where it was inherited as ignored, the kernel would
/// reap the children itself and their exit codes would be lost (sigaction(2), `SIG_IGN`).
pub fn block_all() -> io::Result<Inherited> {
    let mut all = MaybeUninit::uninit();
    let mut mask = MaybeUninit::uninit();
    let mut child_action = MaybeUninit::uninit();
    // SAFETY: each call fills the set or the action that it is given, before it is read.
    unsafe {
        checked(libc::sigfillset(all.as_mut_ptr()))?;
        checked(libc::sigprocmask(libc::SIG_SETMASK, all.as_ptr(), mask.as_mut_ptr()))?;
        let default: libc::sigaction = MaybeUninit::zeroed().assume_init();
        checked(libc::sigaction(libc::SIGCHLD, &default, child_action.as_mut_ptr()))?;
        let (mask, child_action) = (mask.assume_init(), child_action.assume_init());
        Ok(Inherited { mask, child_action, all_default: false })
    }
}

impl Inherited {
    /// The signal state of the calling thread, for programs that have changed none of it.
    pub fn current() -> Self {
        let mut mask = MaybeUninit::<libc::sigset_t>::zeroed();
        let mut child_action = MaybeUninit::<libc::sigaction>::zeroed();
        // SAFETY: zero is a valid set and a valid action, and both calls only ask.
        unsafe {
            libc::sigprocmask(libc::SIG_SETMASK, std::ptr::null(), mask.as_mut_ptr());
            libc::sigaction(libc::SIGCHLD, std::ptr::null(), child_action.as_mut_ptr());
            let (mask, child_action) = (mask.assume_init(), child_action.assume_init());
            Self { mask, child_action, all_default: false }
        }
    }

    /// In place of what was inherited: nothing blocked, and the standard signals at their defaults.
    pub fn cleared(self) -> Self {
        let mut mask = self.mask;
        // SAFETY: an initialized set.
        unsafe { libc::sigemptyset(&mut mask) };
        Self { mask, all_default: true, ..self }
    }

    /// Gives the calling process the mask and the dispositions that stead was started with.
    /// Async-signal-safe, for use between fork and exec.
    pub fn restore(&self) {
        // SAFETY: all were filled before; no call can fail with them but for KILL and STOP, which have no other action.
        unsafe {
            libc::sigaction(libc::SIGCHLD, &self.child_action, std::ptr::null_mut());
            if self.all_default {
                let default: libc::sigaction = MaybeUninit::zeroed().assume_init();
                for number in 1..32 {
                    libc::sigaction(number, &default, std::ptr::null_mut());
                }
            }
            libc::sigprocmask(libc::SIG_SETMASK, &self.mask, std::ptr::null_mut());
        }
    }
}

/// The queue of signals sent to this process, as a file descriptor.
pub struct SignalFd(OwnedFd);

impl SignalFd {
    /// Opens the queue for every signal; [`block_all`] must have come before.
    pub fn open() -> io::Result<Self> {
        let fd = signalfd(-1, None)?;
        // SAFETY: the descriptor is ours alone.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Leaves one signal aside, where it waits, until what this gives is dropped.
    pub fn without(&self, signal: Signal) -> Aside<'_> {
        // The arguments are known to be good: the queue is one, and whatever it leaves aside is blocked.
        let _ = signalfd(self.as_raw_fd(), Some(signal));
        Aside(self)
    }

    /// The next signal that is waiting, if there is one. Never blocks.
    pub fn next(&self) -> Option<Delivery> {
        let mut info = MaybeUninit::<libc::signalfd_siginfo>::zeroed();
        let size = size_of::<libc::signalfd_siginfo>();
        // SAFETY: the kernel writes whole records of this size or none; zero is a valid record.
        let info = unsafe {
            if libc::read(self.0.as_raw_fd(), info.as_mut_ptr().cast(), size) != size as isize {
                return None;
            }
            info.assume_init()
        };
        Some(Delivery {
            signal: Signal::from_number(info.ssi_signo as i32)?,
            from: Pid::new(info.ssi_pid as i32),
            by_kernel: info.ssi_code > 0,
        })
    }

    /// The same queue for a task to wait on. To be called inside the runtime.
    pub fn into_async(self) -> io::Result<AsyncFd<Self>> {
        // SAFETY: the descriptor is the queue's own, and stays open for as long as the queue.
        Ok(unsafe { AsyncFd::register(self) }?)
    }

    /// Waits until a signal is there or `limit` is over (`None`: for ever).
    pub fn wait(&self, limit: Option<Duration>) {
        poll(&mut [readable(self.as_raw_fd())], limit);
    }

    /// As [`SignalFd::wait`], and until one of these can be read or is at its end; says of which that is so.
    pub fn wait_beside(&self, others: [Option<RawFd>; 3], limit: Option<Duration>) -> [bool; 3] {
        // poll(2) passes over what is negative.
        let [one, two, three] = others.map(|other| readable(other.unwrap_or(-1)));
        let mut fds = [readable(self.as_raw_fd()), one, two, three];
        poll(&mut fds, limit);
        let [_, others @ ..] = fds;
        others.map(|other| other.revents != 0)
    }
}

/// For as long as a signal is left aside.
pub struct Aside<'a>(&'a SignalFd);

impl Drop for Aside<'_> {
    fn drop(&mut self) {
        let _ = signalfd(self.0.as_raw_fd(), None);
    }
}

/// signalfd(2) for every signal but one: a new queue where `fd` is -1, else that one from now on.
fn signalfd(fd: RawFd, but: Option<Signal>) -> io::Result<RawFd> {
    let mut set = MaybeUninit::uninit();
    // SAFETY: the set is filled before it is used.
    unsafe {
        checked(libc::sigfillset(set.as_mut_ptr()))?;
        if let Some(signal) = but {
            checked(libc::sigdelset(set.as_mut_ptr(), signal.number()))?;
        }
        checked(libc::signalfd(fd, set.as_ptr(), libc::SFD_CLOEXEC | libc::SFD_NONBLOCK))
    }
}

impl AsRawFd for SignalFd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// Stops this process's whole group as Ctrl-Z would, and comes back when it is continued.
///
/// The kernel itself decides whether anybody could continue it: for PID 1 and for an orphaned
/// group (no shell above) the stop is discarded and this returns at once (setpgid(2)).
pub fn stop_own_group() {
    // SAFETY: plain system calls on sets that are filled before use.
    unsafe {
        let mut only = MaybeUninit::uninit();
        libc::sigemptyset(only.as_mut_ptr());
        libc::sigaddset(only.as_mut_ptr(), libc::SIGTSTP);
        libc::kill(0, libc::SIGTSTP);
        libc::sigprocmask(libc::SIG_UNBLOCK, only.as_ptr(), std::ptr::null_mut());
        libc::sigprocmask(libc::SIG_BLOCK, only.as_ptr(), std::ptr::null_mut());
    }
}

/// Does to this process what the signal does by default, which for most of them is the end of it. Nothing in PID 1,
/// from which the kernel keeps what it has no handler for.
pub fn take_default_action(signal: Signal) {
    if Pid::own().is_init() {
        return;
    }
    // A signal that has no default that could be taken leaves everything as it was.
    let _ = signal_hook::low_level::emulate_default_handler(signal.number());
}

/// Stops this process until it is continued; nothing happens in PID 1, which cannot be stopped from inside.
pub fn stop_self() {
    // SAFETY: raise takes a number.
    unsafe { libc::raise(libc::SIGSTOP) };
}

/// Whether `signal` was sent and not read yet.
pub fn is_pending(signal: Signal) -> bool {
    let mut pending = MaybeUninit::uninit();
    // SAFETY: the set is filled by the first call and read by the second.
    unsafe {
        libc::sigpending(pending.as_mut_ptr()) == 0
            && libc::sigismember(pending.as_ptr(), signal.number()) == 1
    }
}

/// Whether `signal` is ignored, as stead leaves what it was started with.
pub fn is_ignored(signal: Signal) -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: the call writes the action, for which zeroes, the default, are a value too.
    unsafe {
        libc::sigaction(signal.number(), std::ptr::null(), action.as_mut_ptr());
        action.assume_init().sa_sigaction == libc::SIG_IGN
    }
}
