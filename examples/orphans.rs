//! `orphans COUNT` makes that many orphans, which sleep; says `ready`; ends them all together when it
//! gets USR1 and says `released`; and itself ends with 0 at TERM.
#![expect(clippy::disallowed_methods, reason = "a program of the tests")]

use std::process::exit;

use libc::c_int;

fn main() {
    let count: usize = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(1);
    let signals = set_of(&[libc::SIGUSR1, libc::SIGTERM]);
    // SAFETY: the set is initialised; null asks for no old mask.
    unsafe { libc::sigprocmask(libc::SIG_BLOCK, &signals, std::ptr::null_mut()) };
    let mut gate: [c_int; 2] = [-1; 2];
    // SAFETY: the array has room for two descriptors.
    if unsafe { libc::pipe(gate.as_mut_ptr()) } != 0 {
        fail("a pipe");
    }
    let [wait_at, held] = gate;

    // SAFETY: this process has one thread, so the copy may do anything.
    match unsafe { libc::fork() } {
        -1 => fail("the parent of the orphans"),
        0 => make_orphans(count, wait_at, held),
        parent => {
            let mut status = 0;
            // SAFETY: `status` is valid for the call.
            unsafe { libc::waitpid(parent, &mut status, 0) };
            if status != 0 {
                fail("so many orphans");
            }
        }
    }
    println!("ready {count}");
    loop {
        let mut signal = 0;
        // SAFETY: both are valid for the call.
        unsafe { libc::sigwait(&signals, &mut signal) };
        if signal == libc::SIGTERM {
            exit(0);
        }
        // SAFETY: the descriptor is this program's own. The last writer is gone: every reader wakes.
        unsafe { libc::close(held) };
        println!("released");
    }
}

/// Forks them and ends, by which they become orphans.
fn make_orphans(count: usize, wait_at: c_int, held: c_int) -> ! {
    // SAFETY: the descriptor is this process's own copy.
    unsafe { libc::close(held) };
    for _ in 0..count {
        // SAFETY: this process has one thread, so the copy may do anything.
        match unsafe { libc::fork() } {
            -1 => exit(1),
            0 => {
                let mut byte = 0u8;
                // SAFETY: one byte is valid for the call, which ends when the gate opens.
                unsafe { libc::read(wait_at, (&raw mut byte).cast(), 1) };
                // SAFETY: _exit(2) takes an integer.
                unsafe { libc::_exit(0) }
            }
            _ => {}
        }
    }
    exit(0)
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
