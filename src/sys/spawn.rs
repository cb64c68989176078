//! Starting the child: one fork(2) and exec, by hand.
//!
//! `std::process::Command` would hand on stead's blocked signals and tell the child's pid only after its exec;
//! here the child gets the mask and dispositions that stead was started with, its own process group and the
//! terminal, and between fork and exec it makes only async-signal-safe calls (signal-safety(7)).

use std::ffi::{CStr, CString, OsStr};
use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;
use std::sync::OnceLock;

use super::checked;
use super::process::{Pid, exit_now, signal_me_when_my_parent_ends};
use super::signals::Inherited;
use super::terminal::Terminal;
use crate::exit::Exit;
use crate::signal::Signal;

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

/// What every program gets beside this process's own environment.
static ADDED: OnceLock<Vec<CString>> = OnceLock::new();

/// Gives these variables, `NAME=value` each, to every program that is started from now on. To be called once.
pub fn add_to_environment(variables: Vec<CString>) {
    // A second call could only be a test's.
    let _ = ADDED.set(variables);
}

/// The environment that programs are started with: this process's own entry by entry, also what std::env passes over
/// (entries without `=`), and what was added to it.
pub fn environment() -> Vec<CString> {
    unsafe extern "C" {
        static environ: *const *const libc::c_char;
    }
    let mut entries = Vec::new();
    // SAFETY: environ(7) is an array of C strings that ends with a null pointer; nothing in stead changes it.
    unsafe {
        let mut next = environ;
        while let Some(entry) = next.as_ref().filter(|entry| !entry.is_null()) {
            entries.push(CStr::from_ptr(*entry).to_owned());
            next = next.add(1);
        }
    }
    entries.extend(ADDED.get().into_iter().flatten().cloned());
    entries
}

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

/// In the child: another directory than stead's own; one that is gone leaves it where it is.
///
/// # Safety
/// Only between fork and exec.
unsafe fn enter(directory: Option<&CStr>) {
    if let Some(path) = directory {
        // SAFETY: a C string; chdir is async-signal-safe.
        unsafe { libc::chdir(path.as_ptr()) };
    }
}

/// In the child: other standard streams than stead's own. No descriptor that they are made of is one of them, because
/// stead leaves none of these closed.
///
/// # Safety
/// Only between fork and exec.
unsafe fn redirect(streams: &Streams) {
    // SAFETY: each of these calls is async-signal-safe. What they make in place of the standard streams stays open.
    unsafe {
        if streams.reads_nothing {
            let nothing = libc::open(c"/dev/null".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC);
            libc::dup2(nothing, libc::STDIN_FILENO);
        }
        if let Some(output) = streams.output {
            libc::dup2(output.as_raw_fd(), libc::STDOUT_FILENO);
        }
        if let Some(error) = streams.error {
            libc::dup2(error.as_raw_fd(), libc::STDERR_FILENO);
        }
    }
}

/// In the child: has the kernel kill it when the thread that made it ends; false where that has ended by now.
///
/// # Safety
/// Only between fork and exec.
unsafe fn die_with(parent: Pid) -> bool {
    // A kernel that does not know of it has no way to do it.
    let _ = signal_me_when_my_parent_ends(Signal::KILL);
    // SAFETY: getppid has no preconditions.
    unsafe { libc::getppid() == parent.number() }
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

/// In the child: its group or session, the terminal, the signals. A failure here (a terminal that is gone, say)
/// is no reason not to run the program.
///
/// # Safety
/// Only between fork and exec.
unsafe fn lead(program: &Program) {
    // SAFETY: each of these calls is async-signal-safe.
    unsafe {
        match program.leads {
            Leads::Group => {
                libc::setpgid(0, 0);
                if let Some(terminal) = program.terminal {
                    terminal.give_to(Pid::own());
                }
            }
            Leads::Session => {
                libc::setsid();
                if let Some(terminal) = program.terminal {
                    terminal.take();
                }
            }
            Leads::Nothing => {}
        }
    }
    program.inherited.restore();
}

/// In the child: executes the first path that can be, as execvp(3) searches; comes back with the reason if none can.
///
/// # Safety
/// Only between fork and exec; `args` and `env` must end with a null pointer.
unsafe fn execute(
    program: &Program,
    args: &[*const libc::c_char],
    env: &[*const libc::c_char],
) -> Report {
    search(program.paths, |path| {
        // SAFETY: C strings, and arrays of C strings that end with a null pointer.
        unsafe {
            libc::execve(path.as_ptr(), args.as_ptr(), env.as_ptr());
            *libc::__errno_location()
        }
    })
}

/// Tries one path after the other as execvp(3) does: `attempt` gives the errno of each. Async-signal-safe where
/// `attempt` is.
fn search(paths: &[CString], mut attempt: impl FnMut(&CStr) -> i32) -> Report {
    let mut report = [libc::ENOENT, 0];
    for (path, number) in paths.iter().zip(0..) {
        match attempt(path) {
            libc::ENOENT | libc::ENOTDIR | libc::ENAMETOOLONG if paths.len() > 1 => {}
            libc::EACCES => report = [libc::EACCES, number],
            errno => return [errno, number],
        }
    }
    report
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

/// Variables of systemd's that tell by a pid whom the rest is for (sd_listen_fds(3), sd_watchdog_enabled(3)): where one
/// names stead, it must name the child, whose pid is known in the child only.
struct Addressed {
    variables: [OwnPid; 2],
}

impl Addressed {
    fn in_env(env: &[CString]) -> Self {
        Self { variables: ["LISTEN_PID=", "WATCHDOG_PID="].map(|name| OwnPid::in_env(name, env)) }
    }

    /// In the child: puts its own pid into the environment. Async-signal-safe.
    fn write_own(&mut self, env: &mut [*const libc::c_char]) {
        for variable in &mut self.variables {
            variable.write(env);
        }
    }
}

/// One of these variables, where it names stead.
struct OwnPid {
    name: &'static str,
    place: Option<usize>,
    text: [u8; 32],
}

impl OwnPid {
    fn in_env(name: &'static str, env: &[CString]) -> Self {
        let own = format!("{name}{}", Pid::own());
        let place = env.iter().position(|entry| CStr::to_bytes(entry) == own.as_bytes());
        Self { name, place, text: [0; 32] }
    }

    fn write(&mut self, env: &mut [*const libc::c_char]) {
        let Some(slot) = self.place.and_then(|place| env.get_mut(place)) else {
            return;
        };
        let (mut number, mut digits) = (Pid::own().number(), 0);
        let mut reversed = [0; 10];
        for (digit, place) in reversed.iter_mut().zip(1..) {
            *digit = b'0' + (number % 10) as u8;
            number /= 10;
            digits = place;
            if number == 0 {
                break;
            }
        }
        let text = self.name.as_bytes().iter().chain(reversed.iter().take(digits).rev());
        // The zeroes behind it end it: the longest name and ten digits leave some.
        for (to, from) in self.text.iter_mut().zip(text) {
            *to = *from;
        }
        *slot = self.text.as_ptr().cast();
    }
}
