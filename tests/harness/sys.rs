//! The system calls of the tests, each as a safe function.

use std::io::{Error, Result};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

/// The error of a call that answered less than 0.
fn checked(answer: libc::c_int) -> Result<libc::c_int> {
    if answer < 0 { Err(Error::last_os_error()) } else { Ok(answer) }
}

/// kill(2) for one process; 0 and negative pids, which mean groups and everything, are refused.
pub fn kill(pid: i32, signal: i32) -> Result<()> {
    if pid <= 0 {
        return Err(Error::from_raw_os_error(libc::ESRCH));
    }
    // SAFETY: kill(2) takes two integers and touches no memory.
    checked(unsafe { libc::kill(pid, signal) }).map(drop)
}

/// Runs `action` in the new process between fork and exec.
pub fn before_exec(
    command: &mut Command,
    action: impl FnMut() -> Result<()> + Send + Sync + 'static,
) {
    // SAFETY: the actions that the tests hand in make system calls and allocate nothing.
    unsafe { command.pre_exec(action) };
}

/// Leads a session without a terminal from here on.
pub fn leave_session() -> Result<()> {
    // SAFETY: setsid(2) takes nothing and touches no memory.
    checked(unsafe { libc::setsid() }).map(drop)
}

/// A new session with the terminal behind `fd` as its controlling terminal.
pub fn become_session_leader(fd: i32) -> Result<()> {
    leave_session()?;
    // SAFETY: TIOCSCTTY takes an integer.
    checked(unsafe { libc::ioctl(fd, libc::TIOCSCTTY as _, 0) }).map(drop)
}

/// A pseudo-terminal: the side of the person, and the side of the programs. Both close on exec from their first moment,
/// because other tests start programs meanwhile.
pub fn open_terminal() -> Result<(OwnedFd, OwnedFd)> {
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: flags are integers; the descriptor was just opened and has no other owner.
    let person = unsafe { OwnedFd::from_raw_fd(checked(libc::posix_openpt(flags))?) };
    // SAFETY: the descriptor is a pseudo-terminal's; TIOCGPTPEER takes flags (ioctl_tty(2)).
    let programs = unsafe {
        checked(libc::grantpt(person.as_raw_fd()))?;
        checked(libc::unlockpt(person.as_raw_fd()))?;
        checked(libc::ioctl(person.as_raw_fd(), libc::TIOCGPTPEER as _, flags))?
    };
    // SAFETY: as above.
    Ok((person, unsafe { OwnedFd::from_raw_fd(programs) }))
}

/// The foreground process group of a terminal.
pub fn foreground(terminal: &impl AsRawFd) -> Result<i32> {
    // SAFETY: tcgetpgrp(3) takes an integer.
    checked(unsafe { libc::tcgetpgrp(terminal.as_raw_fd()) })
}

/// Blocks these signals in the calling thread, and lets through all others.
pub fn block_only(signals: &[i32]) -> Result<()> {
    // SAFETY: sigset_t is plain data, for which zeroes are a value.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    for signal in signals {
        // SAFETY: the set is valid for the call.
        checked(unsafe { libc::sigaddset(&mut set, *signal) })?;
    }
    // SAFETY: the set is valid for the call; null asks for no old mask.
    checked(unsafe { libc::sigprocmask(libc::SIG_SETMASK, &set, std::ptr::null_mut()) }).map(drop)
}

/// Gives every signal its default action, also those that the C library keeps for itself and that
/// sigaction(3) refuses: posix_spawn(3) of glibc leaves 32 and 33 ignored, so a test would otherwise
/// depend on who started it.
pub fn forget_signals() -> Result<()> {
    /// The kernel's form of the action, all zeroes: SIG_DFL, no flags, no restorer, an empty mask.
    const DEFAULT: [u64; 4] = [0; 4];
    for signal in (1..=64).filter(|n| ![libc::SIGKILL, libc::SIGSTOP].contains(n)) {
        let none = std::ptr::null_mut::<libc::c_void>();
        // SAFETY: the action is valid for the call, whose size of a mask is 8 bytes; null asks for
        // no old action.
        let answer =
            unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, DEFAULT.as_ptr(), none, 8) };
        checked(answer as libc::c_int)?;
    }
    block_only(&[])
}

/// Ignores a signal in this process.
pub fn ignore(signal: i32) -> Result<()> {
    // SAFETY: SIG_IGN is no function that could be run.
    let before = unsafe { libc::signal(signal, libc::SIG_IGN) };
    if before == libc::SIG_ERR { Err(Error::last_os_error()) } else { Ok(()) }
}

/// Sends this process itself a signal.
pub fn raise(signal: i32) -> Result<()> {
    // SAFETY: raise(3) takes an integer.
    checked(unsafe { libc::raise(signal) }).map(drop)
}

/// Closes a descriptor of this process by its number; for a process about to become another program.
pub fn close(fd: i32) -> Result<()> {
    // SAFETY: between fork and exec nothing of this program uses the descriptor again.
    checked(unsafe { libc::close(fd) }).map(drop)
}

/// Makes a pipe as small as it can be, a page: fcntl(2), F_SETPIPE_SZ.
pub fn shrink_pipe(pipe: &impl AsRawFd) -> Result<()> {
    // SAFETY: F_SETPIPE_SZ takes an integer.
    checked(unsafe { libc::fcntl(pipe.as_raw_fd(), libc::F_SETPIPE_SZ, 4096) }).map(drop)
}

/// How many bytes a pipe holds unread.
pub fn bytes_in(pipe: &impl AsRawFd) -> Result<i32> {
    let mut bytes = 0;
    // SAFETY: FIONREAD writes an integer.
    checked(unsafe { libc::ioctl(pipe.as_raw_fd(), libc::FIONREAD, &mut bytes) })?;
    Ok(bytes)
}

/// How long ago the other side of a connection last said anything, by the kernel, however late the program that asks is:
/// TCP_INFO of tcp(7), in which `tcpi_last_ack_recv`, in ms, stands behind 56 bytes.
pub fn silence_of(connection: &impl AsRawFd) -> Result<Duration> {
    let mut info = [0u32; 15];
    let mut size = size_of_val(&info) as libc::socklen_t;
    let (fd, into) = (connection.as_raw_fd(), info.as_mut_ptr().cast());
    // SAFETY: the kernel writes no more than the size that it is told.
    checked(unsafe { libc::getsockopt(fd, libc::IPPROTO_TCP, libc::TCP_INFO, into, &mut size) })?;
    Ok(Duration::from_millis(info[14].into()))
}

/// Sets a terminal's size, which tells its foreground group by WINCH.
pub fn resize(terminal: &impl AsRawFd, rows: u16, columns: u16) -> Result<()> {
    let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCSWINSZ reads the size.
    checked(unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ, &size) }).map(drop)
}

/// The modes of a terminal, termios(3): input, output, control, local.
pub fn modes(terminal: &impl AsRawFd) -> Result<[libc::tcflag_t; 4]> {
    // SAFETY: termios is plain data, for which zeroes are a value.
    let mut modes: libc::termios = unsafe { std::mem::zeroed() };
    // SAFETY: the modes are valid for the call.
    checked(unsafe { libc::tcgetattr(terminal.as_raw_fd(), &mut modes) })?;
    Ok([modes.c_iflag, modes.c_oflag, modes.c_cflag, modes.c_lflag])
}

/// Stops programs of the background that write to the terminal, as `stty tostop` does.
pub fn stop_background_writers(terminal: &impl AsRawFd) -> Result<()> {
    // SAFETY: termios is plain data, for which zeroes are a value.
    let mut modes: libc::termios = unsafe { std::mem::zeroed() };
    // SAFETY: the modes are valid for both calls.
    unsafe {
        checked(libc::tcgetattr(terminal.as_raw_fd(), &mut modes))?;
        modes.c_lflag |= libc::TOSTOP;
        checked(libc::tcsetattr(terminal.as_raw_fd(), libc::TCSANOW, &modes)).map(drop)
    }
}

/// Gives this thread the processor before all that is scheduled normally; sched(7). Needs root, or `CAP_SYS_NICE`.
pub fn come_first() -> Result<()> {
    let priority = libc::sched_param { sched_priority: 1 };
    // SAFETY: the parameter is valid for the call.
    checked(unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const priority) }).map(drop)
}

/// Threads of another process that do not run, held by ptrace(2); they go on when this is dropped.
/// All calls must come from the thread that made it.
pub struct Frozen(Vec<i32>);

impl Frozen {
    /// Holds every thread of the process but its first.
    pub fn all_but_main(pid: i32) -> Self {
        let threads = super::processes::threads_of(pid);
        let mut frozen = Self(Vec::new());
        for thread in threads.into_iter().filter(|thread| *thread != pid) {
            frozen.hold(thread).unwrap_or_else(|e| panic!("cannot hold thread {thread}: {e}"));
        }
        frozen
    }

    fn hold(&mut self, thread: i32) -> Result<()> {
        let none = std::ptr::null_mut::<libc::c_void>();
        // SAFETY: these requests read and write no memory of this process.
        unsafe {
            if libc::ptrace(libc::PTRACE_SEIZE, thread, none, none) != 0
                || libc::ptrace(libc::PTRACE_INTERRUPT, thread, none, none) != 0
            {
                return Err(Error::last_os_error());
            }
        }
        self.0.push(thread);
        let mut status = 0;
        // SAFETY: the status is valid for the call.
        checked(unsafe { libc::waitpid(thread, &mut status, libc::__WALL) }).map(drop)
    }

    /// How many are held.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Takes note of those that have ended: until then their process is not seen to end.
    pub fn reap(&mut self) {
        self.0.retain(|thread| {
            let mut status = 0;
            let flags = libc::__WALL | libc::WNOHANG;
            // SAFETY: the status is valid for the call.
            let answer = unsafe { libc::waitpid(*thread, &mut status, flags) };
            answer != *thread || libc::WIFSTOPPED(status)
        });
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        for thread in &self.0 {
            let none = std::ptr::null_mut::<libc::c_void>();
            // SAFETY: the request reads and writes no memory of this process. A thread that has
            // ended needs no letting go.
            unsafe { libc::ptrace(libc::PTRACE_DETACH, *thread, none, none) };
        }
    }
}

/// Has the kernel refuse this process and all that it starts every netlink socket; seccomp(2). Between fork and exec.
pub fn refuse_netlink() -> Result<()> {
    /// Offsets in `struct seccomp_data`: the call's number, and the lower half of its first argument.
    const NUMBER: u32 = 0;
    const FIRST: u32 = 16;
    let load = |offset| libc::sock_filter { code: 0x20, jt: 0, jf: 0, k: offset };
    let skip_unless =
        |value, skipped| libc::sock_filter { code: 0x15, jt: 0, jf: skipped, k: value };
    let answer = |value| libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: value };
    let mut program = [
        load(NUMBER),
        skip_unless(libc::SYS_socket as u32, 3),
        load(FIRST),
        skip_unless(libc::AF_NETLINK as u32, 1),
        answer(libc::SECCOMP_RET_ERRNO | libc::EPERM as u32),
        answer(libc::SECCOMP_RET_ALLOW),
    ];
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: prctl(2) reads the program, which lives until it is back.
    unsafe {
        checked(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))?;
        checked(libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter))?;
    }
    Ok(())
}

/// Lets this process open as many descriptors as it may let itself; setrlimit(2).
pub fn open_as_many_as_may_be() -> Result<()> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure is ours to write, and is then only read.
    unsafe {
        checked(libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit))?;
        limit.rlim_cur = limit.rlim_max;
        checked(libc::setrlimit(libc::RLIMIT_NOFILE, &limit)).map(drop)
    }
}
