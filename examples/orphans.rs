//! `orphans COUNT` makes that many orphans, which sleep; says `ready`; lets them end all together when
//! it gets USR1, and says `gone` when the last has; and itself ends with 0 at TERM.
#![expect(clippy::disallowed_methods, reason = "a program of the tests")]

use std::process::exit;

use libc::c_int;

fn main() {
    let count: usize = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(1);
    let signals = set_of(&[libc::SIGUSR1, libc::SIGTERM]);
    // SAFETY: the set is initialised; null asks for no old mask.
    unsafe { libc::sigprocmask(libc::SIG_BLOCK, &signals, std::ptr::null_mut()) };
    // The orphans read from the gate, which says nothing until it is closed; and they alone hold the
    // writing end of the other pipe, which therefore ends with the last of them.
    let [wait_at, gate] = pipe();
    let [all, alive] = pipe();

    // SAFETY: this process has one thread, so the copy may do anything.
    match unsafe { libc::fork() } {
        -1 => fail("the parent of the orphans"),
        0 => make_orphans(count, wait_at, gate),
        parent => {
            let mut status = 0;
            // SAFETY: `status` is valid for the call.
            unsafe { libc::waitpid(parent, &mut status, 0) };
            if status != 0 {
                fail("so many orphans");
            }
        }
    }
    close(alive);
    println!("ready {count}");
    loop {
        let mut signal = 0;
        // SAFETY: both are valid for the call.
        unsafe { libc::sigwait(&signals, &mut signal) };
        if signal == libc::SIGTERM {
            exit(0);
        }
        close(gate);
        wait_for_end(all);
        println!("gone");
    }
}

/// Forks them and ends, by which they become orphans.
fn make_orphans(count: usize, wait_at: c_int, gate: c_int) -> ! {
    close(gate);
    for _ in 0..count {
        // SAFETY: this process has one thread, so the copy may do anything.
        match unsafe { libc::fork() } {
            -1 => exit(1),
            0 => {
                wait_for_end(wait_at);
                // SAFETY: _exit(2) takes an integer.
                unsafe { libc::_exit(0) }
            }
            _ => {}
        }
    }
    exit(0)
}

fn pipe() -> [c_int; 2] {
    let mut ends = [-1; 2];
    // SAFETY: the array has room for two descriptors.
    if unsafe { libc::pipe(ends.as_mut_ptr()) } != 0 {
        fail("a pipe");
    }
    ends
}

fn close(fd: c_int) {
    // SAFETY: the callers own the descriptor, and use it no more.
    unsafe { libc::close(fd) };
}

/// Waits until nobody can write to this pipe any more; nobody ever does.
fn wait_for_end(pipe: c_int) {
    let mut byte = 0u8;
    // SAFETY: one byte is valid for the call.
    unsafe { libc::read(pipe, (&raw mut byte).cast(), 1) };
}

fn set_of(signals: &[c_int]) -> libc::sigset_t {
    // SAFETY: sigset_t is plain data, for which zeroes are a value.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    for signal in signals {
        // SAFETY: the set is valid for the call.
        unsafe { libc::sigaddset(&mut set, *signal) };
    }
    set
}

fn fail(what: &str) -> ! {
    eprintln!("orphans: cannot make {what}: {}", std::io::Error::last_os_error());
    exit(1)
}
