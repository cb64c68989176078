//! What the bench is when a wrapper starts it: a child that says on stdout, in CLOCK_MONOTONIC's
//! nanoseconds, when something happened to it.

use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::Duration;

use crate::lines::Lines;
use crate::sys;

/// The children that the measurements need.
pub enum Mode {
    /// Writes one stamp at its start and ends.
    Stamp,
    /// Writes one stamp at its start and one for each SIGUSR1.
    Echo,
    /// Writes this many lines, and stays until it is signalled.
    Lines(Lines, usize),
    /// Leaves this many orphans to the init and writes a stamp, ends them together when a byte comes on stdin, writes a
    /// stamp when the last one was reaped, and stays until stdin ends.
    Orphans(usize),
}

impl Mode {
    pub const STAMP: &str = "child-stamp";
    pub const ECHO: &str = "child-echo";
    pub const ORPHANS: &str = "child-orphans";
    pub const LINES: &str = "child-lines";

    pub fn from_arguments(arguments: &[String]) -> Option<Mode> {
        match arguments {
            [mode] if mode == Mode::STAMP => Some(Mode::Stamp),
            [mode] if mode == Mode::ECHO => Some(Mode::Echo),
            [mode, count] if mode == Mode::ORPHANS => count.parse().ok().map(Mode::Orphans),
            [mode, kind, count] if mode == Mode::LINES => {
                let kind = Lines::ALL.into_iter().find(|it| it.name() == kind)?;
                count.parse().ok().map(|count| Mode::Lines(kind, count))
            }
            _ => None,
        }
    }

    pub fn run(&self) -> ExitCode {
        let result = match self {
            Mode::Stamp => write_stamp(sys::now()),
            Mode::Echo => echo(),
            Mode::Orphans(count) => leave_orphans(*count),
            Mode::Lines(kind, count) => kind.write(*count),
        };
        result.map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS)
    }
}

/// In one write(2): `Stdout` would flush at every byte that is a newline.
fn write_stamp(time: u64) -> io::Result<()> {
    let stdout = io::stdout().as_fd().try_clone_to_owned()?;
    File::from(stdout).write_all(&time.to_ne_bytes())
}

fn echo() -> io::Result<()> {
    sys::block_usr1();
    loop {
        write_stamp(sys::now())?;
        sys::next_usr1();
    }
}

/// The middle process forks the orphans and ends, so that they fall to the nearest init. They end when
/// the last writing end of the pipe that they read closes.
fn leave_orphans(count: usize) -> io::Result<()> {
    let (until_closed, held_open) = io::pipe()?;
    let (mut reader, pids) = io::pipe()?;
    let Some(middle) = sys::fork()? else {
        // What could not be forked is missing from the pids, which the reader tells.
        drop(fork_orphans(count, until_closed, held_open, pids));
        sys::exit_now();
    };
    drop((until_closed, pids));
    let mut written = Vec::new();
    reader.read_to_end(&mut written)?;
    sys::wait_with_usage(middle)?;
    let orphans: Vec<u32> =
        written.as_chunks().0.iter().map(|&bytes| u32::from_ne_bytes(bytes)).collect();
    if orphans.len() != count {
        return Err(io::Error::other("not all orphans could be forked"));
    }
    write_stamp(sys::now())?;
    io::stdin().read_exact(&mut [0])?;
    drop(held_open);
    for orphan in orphans {
        while sys::exists(orphan) {
            std::thread::sleep(Duration::from_micros(200));
        }
    }
    write_stamp(sys::now())?;
    io::stdin().read_to_end(&mut Vec::new()).map(drop)
}

/// Each orphan writes its own pid once nothing of it holds the first pipe open any more.
fn fork_orphans(
    count: usize,
    mut until_closed: PipeReader,
    held_open: PipeWriter,
    mut pids: PipeWriter,
) -> io::Result<()> {
    for _ in 0..count {
        if sys::fork()?.is_none() {
            drop(held_open);
            pids.write_all(&std::process::id().to_ne_bytes())?;
            drop(pids);
            // The end of the pipe is all that is waited for.
            drop(until_closed.read(&mut [0]));
            sys::exit_now();
        }
    }
    Ok(())
}
