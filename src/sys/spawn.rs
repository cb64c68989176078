//! Starting the child: one fork(2) and exec, by hand.
//!
//! `std::process::Command` would hand on stead's blocked signals and tell the child's pid only after its exec;
//! here the child gets the mask and dispositions that stead was started with, its own process group and the
//! terminal, and between fork and exec it makes only async-signal-safe calls (signal-safety(7)).

mod child;
mod environment;

use std::ffi::{CStr, CString, OsStr};
use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;

use super::checked;
use super::process::{Pid, exit_now};
use super::signals::Inherited;
use super::terminal::Terminal;
use crate::exit::Exit;
use child::{die_with, enter, execute, lead, redirect, search};
use environment::Addressed;
pub use environment::{add_to_environment, environment};

/// A program and all that it is started with.
pub struct Program<'a> {
    /// Where it may be, tried in this order as execvp(3) does.
    pub paths: &'a [CString],
    /// Its arguments, its own name first.
    pub args: &'a [CString],
    /// Its environment, `NAME=value` each.
    pub env: &'a [CString],
    /// The group or session that it leads.
    pub leads: Leads,
    /// The terminal that it gets: as the foreground group, or as its session's own.
    pub terminal: Option<Terminal>,
    /// The signal state that it is given back.
    pub inherited: &'a Inherited,
    /// Where its standard streams lead.
    pub streams: Streams<'a>,
    /// The directory that it is started in, where that is not stead's own.
    pub directory: Option<&'a CStr>,
    /// It is killed when the thread ends that has started it: with stead, however that ends. What it has started
    /// itself is not.
    pub bound: bool,
}

/// Where the standard streams of a program lead.
#[derive(Clone, Copy, Debug, Default)]
pub struct Streams<'a> {
    /// Standard input is empty; else it is stead's own.
    pub reads_nothing: bool,
    /// Standard output; stead's own where nothing else is given.
    pub output: Option<BorrowedFd<'a>>,
    /// Standard error, as the output.
    pub error: Option<BorrowedFd<'a>>,
}

impl<'a> Streams<'a> {
    /// Nothing to read, and all that it writes into one pipe.
    pub fn captured(into: BorrowedFd<'a>) -> Self {
        Self { reads_nothing: true, output: Some(into), error: Some(into) }
    }
}

/// What the child leads.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Leads {
    /// A process group in stead's session.
    Group,
    /// A session of its own.
    Session,
    /// Nothing: it stays in stead's group.
    Nothing,
}

/// Why there is no child.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// The system has no room for another process.
    #[error("start a process: {0}")]
    Fork(#[source] io::Error),
    /// No path could be executed: the error of the last that mattered, and which it was.
    #[error("{error}")]
    Exec {
        /// As execve(2) gave it.
        error: io::Error,
        /// Its place in [`Program::paths`].
        path: usize,
    },
}

impl SpawnError {
    /// What the system said.
    pub fn into_io(self) -> io::Error {
        match self {
            Self::Fork(error) | Self::Exec { error, .. } => error,
        }
    }

    fn exec([errno, path]: Report) -> Self {
        let path = usize::try_from(path).unwrap_or_default();
        Self::Exec { error: io::Error::from_raw_os_error(errno), path }
    }
}

/// What the child writes to its parent when exec fails: errno and the number of the path.
type Report = [i32; 2];

/// Starts the program and returns once it runs, or has failed to.
pub fn spawn(program: &Program) -> Result<Pid, SpawnError> {
    let mut ends = [-1; 2];
    // SAFETY: two descriptors are written to the array.
    checked(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) })
        .map_err(SpawnError::Fork)?;
    let [reader, writer] = ends;
    let child = fork(program, writer);
    // SAFETY: both descriptors are ours; the child has its own copies.
    let report = unsafe {
        libc::close(writer);
        let report = if child.is_err() { None } else { read_report(reader) };
        libc::close(reader);
        report
    };
    let child = child.map_err(SpawnError::Fork)?;
    match report {
        None => Ok(child),
        Some(report) => {
            // SAFETY: the child that failed to exec is collected here, before the reaper knows of any child.
            unsafe { libc::waitpid(child.number(), ptr::null_mut(), 0) };
            Err(SpawnError::exec(report))
        }
    }
}

/// Starts the program as the leader of its group and returns at once, whatever becomes of it. `report` is where the reason
/// comes from when it cannot be executed: errno in four bytes, and four more. It closes when it could.
pub fn start(program: &Program, report: BorrowedFd) -> io::Result<Pid> {
    let child = fork(program, report.as_raw_fd())?;
    // The child does it too; whoever comes first makes the group, which may be signalled from now on.
    // SAFETY: setpgid takes numbers. It fails where the child is further already.
    unsafe { libc::setpgid(child.number(), child.number()) };
    Ok(child)
}

/// Why a started program could not be executed, from its report; none where it was.
pub fn reported(report: &[u8]) -> Option<SpawnError> {
    let (errno, rest) = report.split_first_chunk()?;
    let number = |bytes: &[u8; 4]| i32::from_ne_bytes(*bytes);
    Some(SpawnError::exec([number(errno), rest.first_chunk().map_or(0, number)]))
}

/// Makes the process that becomes the program.
fn fork(program: &Program, report: RawFd) -> io::Result<Pid> {
    let mut env = pointers(program.env);
    let mut addressed = Addressed::in_env(program.env);
    let args = pointers(program.args);
    let parent = Pid::own();
    // SAFETY: the child makes only async-signal-safe calls on memory that was made before the fork.
    let child = checked(unsafe {
        let child = libc::fork();
        if child == 0 {
            redirect(&program.streams);
            if program.bound && !die_with(parent) {
                exit_now(Exit::FAILURE);
            }
            lead(program);
            enter(program.directory);
            addressed.write_own(&mut env);
            let errno = execute(program, &args, &env);
            libc::write(report, ptr::from_ref(&errno).cast(), size_of::<Report>());
            exit_now(Exit::NOT_FOUND);
        }
        child
    })?;
    Ok(Pid::new(child))
}

/// Becomes the program, with the signal state that it is given back; comes back only where that failed.
pub fn replace(program: &Program) -> SpawnError {
    let (args, env) = (pointers(program.args), pointers(program.env));
    program.inherited.restore();
    // SAFETY: both end with a null pointer, and what is async-signal-safe may be called anywhere.
    SpawnError::exec(unsafe { execute(program, &args, &env) })
}

/// Whether the program would be found, by the rules of its start; says what execve(2) would say of it.
pub fn find(paths: &[CString]) -> Result<(), SpawnError> {
    let mut found = false;
    let report = search(paths, |path| {
        // SAFETY: a C string, and numbers.
        let denied =
            unsafe { libc::faccessat(libc::AT_FDCWD, path.as_ptr(), libc::X_OK, libc::AT_EACCESS) };
        if denied != 0 {
            return io::Error::last_os_error().raw_os_error().unwrap_or(libc::EACCES);
        }
        found = !Path::new(OsStr::from_bytes(path.to_bytes())).is_dir();
        if found { 0 } else { libc::EACCES }
    });
    if found { Ok(()) } else { Err(SpawnError::exec(report)) }
}

/// Reads what the child has to say; nothing means that its end of the pipe was closed by a successful exec.
///
/// # Safety
/// `reader` must be an open descriptor.
unsafe fn read_report(reader: libc::c_int) -> Option<Report> {
    let mut report: Report = [0; 2];
    // SAFETY: the buffer is writable for its size; a pipe hands over so few bytes whole.
    let read =
        unsafe { libc::read(reader, ptr::from_mut(&mut report).cast(), size_of::<Report>()) };
    (read == size_of::<Report>() as isize).then_some(report)
}

/// The strings as C wants them: their addresses, then a null pointer.
fn pointers(strings: &[CString]) -> Vec<*const libc::c_char> {
    strings.iter().map(|s| s.as_ptr()).chain([ptr::null()]).collect()
}
