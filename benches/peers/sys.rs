//! The system calls that the measurements need and `std` does not have; all `unsafe` of the bench is here.

use std::io::{self, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// Nanoseconds of CLOCK_MONOTONIC, which all processes of a machine share: a child's stamp and the
/// bench's can be subtracted.
pub fn now() -> u64 {
    read_clock(libc::CLOCK_MONOTONIC).unwrap_or(0)
}

/// Nanoseconds of processor time, user and system, that all threads of the process have used.
pub fn cpu_time(pid: u32) -> io::Result<u64> {
    let mut clock = 0;
    // SAFETY: the pointer is to a live clockid_t, which the call fills in.
    match unsafe { libc::clock_getcpuclockid(pid.cast_signed(), &raw mut clock) } {
        0 => read_clock(clock),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

fn read_clock(clock: libc::clockid_t) -> io::Result<u64> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a live timespec, which the call fills in.
    succeeded(unsafe { libc::clock_gettime(clock, &raw mut time) })?;
    Ok(time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs())
}

fn succeeded(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

pub fn send_signal(pid: u32, signal: libc::c_int) -> io::Result<()> {
    // SAFETY: kill(2) takes numbers only.
    succeeded(unsafe { libc::kill(pid.cast_signed(), signal) }).map(drop)
}

/// Whether the pid is still taken; a zombie's is.
pub fn exists(pid: u32) -> bool {
    send_signal(pid, 0).is_ok()
}

/// Whether the child has ended and nobody has waited for it.
pub fn is_zombie(child: u32) -> io::Result<bool> {
    // SAFETY: siginfo_t is numbers and pointers, of which zero is a value.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: the pointer is to a live siginfo_t, which the call fills in.
    succeeded(unsafe { libc::waitid(libc::P_PID, child, &raw mut info, options) })?;
    // SAFETY: the field is there for a child that has ended, and zero where none has.
    Ok(unsafe { info.si_pid() } != 0)
}

/// What a process and the children that it waited for have cost.
pub struct Ended {
    pub status: ExitStatus,
    /// User and system time in nanoseconds.
    pub cpu: u64,
    /// The most memory it had resident at once, in KiB. Never below the bench's own, which the kernel
    /// carries over exec.
    pub max_rss: u64,
}

/// Waits for the end of this process's child.
pub fn wait_with_usage(child: u32) -> io::Result<Ended> {
    let mut status = 0;
    // SAFETY: rusage is numbers only, and zero is a value of each.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to live values of the right types.
    succeeded(unsafe { libc::wait4(child.cast_signed(), &raw mut status, 0, &raw mut usage) })?;
    Ok(Ended {
        status: ExitStatus::from_raw(status),
        cpu: nanoseconds(usage.ru_utime) + nanoseconds(usage.ru_stime),
        max_rss: usage.ru_maxrss.unsigned_abs(),
    })
}

fn nanoseconds(time: libc::timeval) -> u64 {
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_usec.unsigned_abs() * 1_000
}

/// The processors that the bench may use.
pub fn processors() -> io::Result<Vec<usize>> {
    // SAFETY: cpu_set_t is numbers only, and zero is the empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a live set of the size given.
    succeeded(unsafe { libc::sched_getaffinity(0, size_of_val(&set), &raw mut set) })?;
    let all = 0..usize::try_from(libc::CPU_SETSIZE).unwrap_or(0);
    // SAFETY: the index is below CPU_SETSIZE.
    Ok(all.filter(|&cpu| unsafe { libc::CPU_ISSET(cpu, &set) }).collect())
}

/// Does the work with this thread, and whatever it starts meanwhile, on these processors alone.
pub fn pinned<T>(cpus: &[usize], work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let before = processors()?;
    pin(cpus)?;
    let result = work();
    pin(&before)?;
    result
}

fn pin(cpus: &[usize]) -> io::Result<()> {
    // SAFETY: cpu_set_t is numbers only, and zero is the empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    for &cpu in cpus {
        // SAFETY: the numbers come from `processors`, so they are below CPU_SETSIZE.
        unsafe { libc::CPU_SET(cpu, &mut set) };
    }
    // SAFETY: the pointer is to a live set of the size given.
    succeeded(unsafe { libc::sched_setaffinity(0, size_of_val(&set), &raw const set) }).map(drop)
}

/// Gives this thread the processor before all that is scheduled normally; needs root (sched(7)).
pub fn come_first() -> io::Result<()> {
    let priority = libc::sched_param { sched_priority: 1 };
    // SAFETY: the parameter is valid for the call.
    succeeded(unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const priority) })
        .map(drop)
}

/// Keeps SIGUSR1 from its default action, so that `next_usr1` can take it.
pub fn block_usr1() {
    let set = usr1();
    // SAFETY: the pointer is to a live set; no old set is asked for.
    unsafe { libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) };
}

/// Waits for SIGUSR1; `block_usr1` must have been called.
pub fn next_usr1() {
    let set = usr1();
    // SAFETY: the pointer is to a live set; no information about the sender is asked for.
    while unsafe { libc::sigwaitinfo(&raw const set, std::ptr::null_mut()) } != libc::SIGUSR1 {}
}

fn usr1() -> libc::sigset_t {
    // SAFETY: sigset_t is numbers only, and the two calls write to this live set.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGUSR1);
        set
    }
}

/// fork(2), in a program with one thread: the pid in the parent, nothing in the child.
pub fn fork() -> io::Result<Option<u32>> {
    // SAFETY: the callers have one thread only, so the child finds no lock taken by another.
    let pid = succeeded(unsafe { libc::fork() })?;
    Ok((pid > 0).then_some(pid.unsigned_abs()))
}

/// Ends at once, without the clean-up that belongs to the process that was forked from.
pub fn exit_now() -> ! {
    // SAFETY: _exit(2) takes a number only and does not return.
    unsafe { libc::_exit(0) }
}

/// Reads one stamp that a child has written; an error when the child is gone.
pub fn read_stamp(pipe: &mut impl Read) -> io::Result<u64> {
    let mut bytes = [0; 8];
    pipe.read_exact(&mut bytes)?;
    Ok(u64::from_ne_bytes(bytes))
}
