//! `early_term TRIES DELAY_US[,DELAY_US...] COMMAND_A... --- COMMAND_B...` starts the two commands in
//! turn, each as PID 1 of a new pid namespace, sends TERM that long after exec, and prints one line a
//! try: `A|B DELAY_US CODE`, the code being 128 + n for a signal and `lost` when the command still ran
//! two seconds later.
#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "a program of the tests")]

use std::ffi::CString;
use std::os::unix::ffi::OsStringExt;
use std::process::exit;
use std::time::{Duration, Instant};

use libc::{c_char, c_int};

/// A TERM that has not ended the command by then is lost.
const LOST_AFTER: Duration = Duration::from_secs(2);

/// A command that has got its TERM.
struct Try {
    line: String,
    pid: i32,
    at: Instant,
}

fn main() {
    let mut args = std::env::args_os().skip(1);
    let mut text = || args.next().and_then(|arg| arg.into_string().ok()).unwrap_or_else(|| usage());
    let tries: usize = text().parse().unwrap_or_else(|_| usage());
    let delays: Vec<u64> =
        text().split(',').map(|n| n.parse().unwrap_or_else(|_| usage())).collect();
    let rest: Vec<CString> =
        args.map(|arg| CString::new(arg.into_vec()).unwrap_or_else(|_| usage())).collect();
    let mut commands =
        rest.split(|arg| arg.as_bytes() == b"---").filter(|command| !command.is_empty());
    let commands = match (commands.next(), commands.next()) {
        (Some(a), Some(b)) => [("A", a), ("B", b)],
        _ => usage(),
    };

    measure_undisturbed();
    let mut open = Vec::new();
    for _ in 0..tries {
        for delay in &delays {
            for (name, command) in commands {
                let pid = start(command);
                let from = Instant::now();
                while from.elapsed() < Duration::from_micros(*delay) {
                    std::hint::spin_loop();
                }
                // SAFETY: kill(2) takes integers.
                unsafe { libc::kill(pid, libc::SIGTERM) };
                open.push(Try { line: format!("{name} {delay}"), pid, at: Instant::now() });
                open.retain(|one| !is_settled(one));
            }
        }
    }
    while !open.is_empty() {
        std::thread::sleep(Duration::from_millis(5));
        open.retain(|one| !is_settled(one));
    }
}

/// Lets the load of other programs not count: this one and what it starts go before them, sched(7).
/// Where that is not allowed it measures all the same.
fn measure_undisturbed() {
    let parameter = libc::sched_param { sched_priority: 10 };
    // SAFETY: the parameter is valid for the call.
    if unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &parameter) } != 0 {
        eprintln!("early_term: no real-time priority: {}", std::io::Error::last_os_error());
    }
    run_on(|processor| processor == 0);
}

/// Keeps this program to some of the processors. It spins while it waits, so it has the first for
/// itself, and what it starts has all others; with only one processor both have that.
fn run_on(wanted: impl Fn(usize) -> bool) {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    // SAFETY: cpu_set_t is plain data, for which zeroes are a value.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    for processor in (0..libc::CPU_SETSIZE as usize).filter(|n| wanted(*n)) {
        // SAFETY: the set has room for CPU_SETSIZE processors.
        unsafe { libc::CPU_SET(processor, &mut set) };
    }
    // SAFETY: the set is valid for the call, which refuses one with no processor of the machine.
    if unsafe { libc::sched_setaffinity(0, size_of_val(&set), &set) } != 0 && processors > 1 {
        eprintln!("early_term: cannot choose a processor: {}", std::io::Error::last_os_error());
    }
}

/// Starts the command as PID 1 of a new namespace, and comes back at its exec.
fn start(command: &[CString]) -> i32 {
    let mut argv: Vec<*const c_char> = command.iter().map(|arg| arg.as_ptr()).collect();
    argv.push(std::ptr::null());
    let mut until_exec: [c_int; 2] = [-1; 2];
    // SAFETY: the array has room for two descriptors.
    if unsafe { libc::pipe2(until_exec.as_mut_ptr(), libc::O_CLOEXEC) } != 0 {
        fail("make a pipe");
    }
    let [read_end, write_end] = until_exec;
    let flags = libc::CLONE_NEWPID | libc::CLONE_NEWNS | libc::SIGCHLD;
    // SAFETY: without CLONE_VM and with no stack of its own, this is fork(2); there is one thread.
    match unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) } {
        -1 => fail("make a pid namespace"),
        0 => {
            run_on(|processor| processor != 0);
            mount_proc();
            // SAFETY: the arguments are strings ended by zeroes, the list of them by null.
            unsafe { libc::execvp(*argv.as_ptr(), argv.as_ptr()) };
            fail("run the command")
        }
        pid => {
            let mut byte = 0u8;
            // SAFETY: the descriptors are this program's own, the byte is valid for the call. The
            // read ends when exec(2) closes the other end.
            unsafe {
                libc::close(write_end);
                libc::read(read_end, (&raw mut byte).cast(), 1);
                libc::close(read_end);
            }
            pid as i32
        }
    }
}

/// The namespace's own /proc, as every container has it.
fn mount_proc() {
    let (root, proc) = (c"/".as_ptr(), c"/proc".as_ptr());
    let none = std::ptr::null();
    // SAFETY: the paths and the type are strings ended by zeroes, null is allowed for the rest.
    let failed = unsafe {
        libc::mount(none, root, none, libc::MS_REC | libc::MS_PRIVATE, none.cast()) != 0
            || libc::mount(c"proc".as_ptr(), proc, c"proc".as_ptr(), 0, none.cast()) != 0
    };
    if failed {
        fail("mount /proc");
    }
}

/// Whether the try is over; if so its line is printed, and nothing of it is left.
fn is_settled(one: &Try) -> bool {
    let mut status = 0;
    // SAFETY: the status is valid for the call.
    let ended = unsafe { libc::waitpid(one.pid, &mut status, libc::WNOHANG) } == one.pid;
    if ended && libc::WIFSIGNALED(status) {
        println!("{} {}", one.line, 128 + libc::WTERMSIG(status));
    } else if ended {
        println!("{} {}", one.line, libc::WEXITSTATUS(status));
    } else if one.at.elapsed() > LOST_AFTER {
        // SAFETY: kill(2) takes integers; the pid is this program's child, the status is valid.
        unsafe {
            libc::kill(one.pid, libc::SIGKILL);
            libc::waitpid(one.pid, &mut status, 0);
        }
        println!("{} lost", one.line);
        return true;
    }
    ended
}

fn fail(what: &str) -> ! {
    eprintln!("early_term: cannot {what}: {}", std::io::Error::last_os_error());
    exit(1)
}

fn usage() -> ! {
    eprintln!("early_term TRIES DELAY_US[,DELAY_US...] COMMAND_A... --- COMMAND_B...");
    exit(64)
}
