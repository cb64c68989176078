//! Prints `ready <pid>` and then every signal that it gets, in the order in which the kernel hands
//! them over: `got <number> from <pid>`. Nothing ends it but KILL and what `--exit-on` says.
//!
//! `--exit-on SIGNAL:CODE` ends it with that code when the signal comes (repeatable); `--after-ms N`
//! makes it wait before it does; `--name NAME` goes in front of each line; `--root` makes the
//! program, installed setuid, take root's identity in full.
#![expect(clippy::disallowed_methods, reason = "a program of the tests")]

use std::process::exit;
use std::time::Duration;

fn main() {
    let mut exits: Vec<(i32, i32)> = Vec::new();
    let mut name = String::new();
    let mut after = Duration::ZERO;
    let mut args = std::env::args().skip(1);
    while let Some(option) = args.next() {
        match option.as_str() {
            "--exit-on" => {
                let value = args.next().unwrap_or_default();
                let pair = value
                    .split_once(':')
                    .and_then(|(signal, code)| Some((signal.parse().ok()?, code.parse().ok()?)));
                exits.push(pair.unwrap_or_else(|| usage()));
            }
            "--after-ms" => {
                let value = args.next().and_then(|value| value.parse().ok());
                after = Duration::from_millis(value.unwrap_or_else(|| usage()));
            }
            "--name" => name = format!("{} ", args.next().unwrap_or_default()),
            "--root" => become_root(),
            _ => usage(),
        }
    }

    let signals = every_signal();
    // Blocked signals wait for sigwaitinfo(2), which takes one at a time and so keeps the count.
    // SAFETY: the set is initialised; null asks for no old mask.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, &signals, std::ptr::null_mut()) };
    println!("{name}ready {}", std::process::id());
    loop {
        let (signal, from) = next_signal(&signals);
        if signal < 0 {
            continue;
        }
        println!("{name}got {signal} from {from}");
        if let Some((_, code)) = exits.iter().find(|(wanted, _)| *wanted == signal) {
            std::thread::sleep(after);
            exit(*code);
        }
    }
}

/// The next signal and who sent it; less than 0 when the wait was interrupted.
fn next_signal(signals: &libc::sigset_t) -> (i32, i32) {
    // SAFETY: siginfo_t is plain data, for which zeroes are a value.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    // SAFETY: both are valid for the call.
    let signal = unsafe { libc::sigwaitinfo(signals, &mut info) };
    // SAFETY: of the union's members every one that kill(2) can fill begins with the sender's pid.
    (signal, unsafe { info.si_pid() })
}

/// All that can be blocked.
fn every_signal() -> libc::sigset_t {
    // SAFETY: sigset_t is plain data, for which zeroes are a value.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: the set is valid for the call.
    unsafe { libc::sigfillset(&mut set) };
    set
}

/// Makes root the real user too: then only root may signal this process, kill(2).
fn become_root() {
    // SAFETY: setresuid(2) takes integers.
    if unsafe { libc::setresuid(0, 0, 0) } != 0 {
        eprintln!("print_signals: cannot become root: {}", std::io::Error::last_os_error());
        exit(1);
    }
}

fn usage() -> ! {
    eprintln!("print_signals [--name NAME] [--exit-on SIGNAL:CODE]... [--after-ms N] [--root]");
    exit(64);
}
