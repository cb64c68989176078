//! The child: where its program is found, how it is started, and what is said when it cannot be.

use std::convert::Infallible;
use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::exit::Exit;
use crate::sys::process::Pid;
use crate::sys::signals::Inherited;
use crate::sys::spawn::{Leads, Program, SpawnError, Streams, environment, find, replace, spawn};
use crate::sys::terminal::Terminal;

/// Where programs are looked for when PATH is not set, as the container engines have it.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A command line, ready to be started.
pub struct Command {
    args: Vec<CString>,
    env: Vec<CString>,
    paths: Vec<CString>,
}

/// How the child stands to stead.
pub struct Standing<'a> {
    /// The group or session that it leads.
    pub leads: Leads,
    /// The terminal that it gets.
    pub terminal: Option<Terminal>,
    /// The signal state that it is given back.
    pub inherited: &'a Inherited,
    /// Where its standard streams lead.
    pub streams: Streams<'a>,
    /// It is killed where stead is.
    pub bound: bool,
}

/// A way to execute the first of these paths that can be, with these arguments.
pub type Execute<'a, T> = &'a dyn Fn(&[CString], &[CString]) -> Result<T, SpawnError>;

/// Why the command does not run: `cannot run NAME: reason`.
#[derive(Debug, thiserror::Error)]
#[error("cannot run {name}: {reason}")]
pub struct CannotRun {
    name: String,
    reason: String,
    /// The code that POSIX shells give for it.
    pub exit: Exit,
    /// errno, where execve(2) or fork(2) said no.
    pub errno: Option<i32>,
}

impl Command {
    /// The command `args` (its name first) with the environment that all commands get.
    pub fn new(args: &[OsString]) -> Result<Self, CannotRun> {
        // Arguments came from C strings and hold no NUL.
        let c_string = |bytes: Vec<u8>| CString::new(bytes).unwrap_or_default();
        let name = args.first().cloned().unwrap_or_default();
        let env = environment();
        let path = env.iter().find_map(|entry| entry.to_bytes().strip_prefix(b"PATH="));
        let paths = candidates(&name, path.map(OsStr::from_bytes));
        if paths.is_empty() {
            return Err(CannotRun::not_found(&name));
        }
        Ok(Self {
            args: args.iter().map(|arg| c_string(arg.clone().into_vec())).collect(),
            env,
            paths: paths.into_iter().map(c_string).collect(),
        })
    }

    /// Gives it a variable, in the place of one of that name.
    pub fn set(&mut self, name: &str, value: &str) {
        let prefix = format!("{name}=");
        self.env.retain(|entry| !entry.to_bytes().starts_with(prefix.as_bytes()));
        // A value with a NUL could be no variable's.
        self.env.extend(CString::new(prefix + value));
    }

    /// The name that the command was given by; the arguments are never shown, for they can hold secrets.
    pub fn program(&self) -> &OsStr {
        self.args.first().map_or(OsStr::new(""), |arg| OsStr::from_bytes(arg.as_bytes()))
    }

    /// Starts it. A script without `#!` is run by `/bin/sh`, as a shell would run it.
    pub fn start(&self, standing: &Standing) -> Result<Pid, CannotRun> {
        let Standing { leads, terminal, inherited, streams, bound } = *standing;
        self.execute(&|paths, args| {
            let (env, directory) = (&self.env, None);
            let program =
                Program { paths, args, env, leads, terminal, inherited, streams, directory, bound };
            spawn(&program)
        })
    }

    /// Becomes it: from here on this process is the command, with the signals as `inherited`.
    pub fn replace(&self, inherited: &Inherited) -> CannotRun {
        let (leads, terminal, streams) = (Leads::Nothing, None, Streams::default());
        let bound = false;
        let replaced = self.execute(&|paths, args| {
            let (env, directory) = (&self.env, None);
            let program =
                Program { paths, args, env, leads, terminal, inherited, streams, directory, bound };
            Err::<Infallible, _>(replace(&program))
        });
        match replaced {
            Err(error) => error,
        }
    }

    /// Fails where it could not be started now, without starting it.
    pub fn find(&self) -> Result<(), CannotRun> {
        self.execute(&|paths, _| find(paths))
    }

    /// Executes one of the paths, or says why none can be.
    pub fn execute<T>(&self, by: Execute<T>) -> Result<T, CannotRun> {
        let (error, path) = match by(&self.paths, &self.args) {
            Ok(done) => return Ok(done),
            Err(SpawnError::Fork(error)) => {
                return Err(CannotRun::new(
                    self.program(),
                    format!("cannot start a process: {error}"),
                    Exit::FAILURE,
                    &error,
                ));
            }
            Err(SpawnError::Exec { error, path }) => (error, self.paths.get(path)),
        };
        let Some(path) = path else {
            return Err(CannotRun::not_found(self.program()));
        };
        match error.raw_os_error() {
            Some(libc::ENOEXEC) if !is_binary(path) => self.execute_script(path, by),
            Some(libc::ENOEXEC) => Err(self.cannot_execute(
                "it is a program for another processor, or broken".to_owned(),
                &error,
            )),
            Some(libc::ENOTDIR) => {
                Err(self.cannot_execute("a part of its path is no directory".to_owned(), &error))
            }
            Some(libc::ENOENT) => Err(self.missing(&error)),
            Some(libc::EACCES)
                if std::path::Path::new(OsStr::from_bytes(path.as_bytes())).is_dir() =>
            {
                Err(self.cannot_execute("it is a directory".to_owned(), &error))
            }
            Some(libc::EACCES) => Err(self.cannot_execute(
                format!("{} is not executable for this user", path.to_string_lossy()),
                &error,
            )),
            _ => Err(self.cannot_execute(error.to_string(), &error)),
        }
    }

    /// What execvp(3) does for a file that the kernel cannot execute: `/bin/sh file args`.
    fn execute_script<T>(&self, path: &CString, by: Execute<T>) -> Result<T, CannotRun> {
        let shell = c"/bin/sh".to_owned();
        let further = self.args.iter().skip(1).cloned();
        let args: Vec<CString> = [shell.clone(), path.clone()].into_iter().chain(further).collect();
        by(&[shell], &args).map_err(|error| {
            let errno = std::io::Error::from_raw_os_error(libc::ENOEXEC);
            self.cannot_execute(
                format!("it has no #! line, and /bin/sh cannot run it: {error}"),
                &errno,
            )
        })
    }

    fn cannot_execute(&self, reason: String, error: &std::io::Error) -> CannotRun {
        CannotRun::new(self.program(), reason, Exit::CANNOT_EXECUTE, error)
    }

    /// Tells a file that is not there from one whose interpreter is not: execve(2) says ENOENT to both.
    fn missing(&self, error: &std::io::Error) -> CannotRun {
        let there = self
            .paths
            .iter()
            .find(|path| std::path::Path::new(OsStr::from_bytes(path.as_bytes())).is_file());
        let Some(path) = there else {
            let errno = error.raw_os_error();
            return CannotRun { errno, ..CannotRun::not_found(self.program()) };
        };
        let reason = match interpreter(path) {
            Some(interpreter) => format!("its interpreter {interpreter} is not in this image"),
            None => "the dynamic loader that it needs is not in this image".to_owned(),
        };
        CannotRun::new(self.program(), reason, Exit::NOT_FOUND, error)
    }
}

impl CannotRun {
    /// Something failed before any program was looked for.
    pub fn before_start(error: &std::io::Error) -> Self {
        Self::new(OsStr::new("the command"), error.to_string(), Exit::FAILURE, error)
    }

    fn new(name: &OsStr, reason: String, exit: Exit, error: &std::io::Error) -> Self {
        Self {
            name: name.to_string_lossy().into_owned(),
            reason,
            exit,
            errno: error.raw_os_error(),
        }
    }

    fn not_found(name: &OsStr) -> Self {
        let reason =
            if name.as_bytes().contains(&b'/') { "no such file" } else { "not found in PATH" };
        let error = std::io::Error::from_raw_os_error(libc::ENOENT);
        Self::new(name, reason.to_owned(), Exit::NOT_FOUND, &error)
    }
}

/// The paths that a command may be at: the name itself where it has a slash, else in each directory of PATH, where
/// an empty one is the current directory, as POSIX has it.
fn candidates(name: &OsStr, path: Option<&OsStr>) -> Vec<Vec<u8>> {
    if name.is_empty() {
        return Vec::new();
    }
    if name.as_bytes().contains(&b'/') {
        return vec![name.as_bytes().to_vec()];
    }
    let path = path.unwrap_or(OsStr::new(DEFAULT_PATH)).as_bytes();
    path.split(|byte| *byte == b':')
        .map(|directory| {
            let directory = if directory.is_empty() { b"." } else { directory };
            [directory, b"/", name.as_bytes()].concat()
        })
        .collect()
}

/// The first bytes of a file; empty where it cannot be read.
fn head(path: &CString) -> Vec<u8> {
    let mut head = Vec::new();
    if let Ok(file) = File::open(OsStr::from_bytes(path.as_bytes())) {
        // What cannot be read cannot be told apart, which the caller treats as a script.
        let _ = file.take(256).read_to_end(&mut head);
    }
    head
}

/// Whether the file is no text: a shell would not run it as a script.
fn is_binary(path: &CString) -> bool {
    let head = head(path);
    if head.starts_with(b"\x7fELF") {
        return true;
    }
    let first_line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    first_line.contains(&0)
}

/// What stands after `#!` in the file's first line.
fn interpreter(path: &CString) -> Option<String> {
    let head = head(path);
    let line = head.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let line = String::from_utf8_lossy(line);
    line.split_whitespace().next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(name: &str, path: Option<&str>) -> Vec<String> {
        let found = candidates(OsStr::new(name), path.map(OsStr::new));
        found.into_iter().map(|path| String::from_utf8(path).unwrap()).collect()
    }

    #[test]
    fn a_name_with_a_slash_is_not_looked_for() {
        assert_eq!(paths("./app", Some("/bin")), ["./app"]);
    }

    #[test]
    fn an_empty_directory_in_path_is_the_current_one() {
        assert_eq!(paths("app", Some("/bin::/opt")), ["/bin/app", "./app", "/opt/app"]);
    }

    #[test]
    fn without_path_the_usual_directories_are_searched() {
        assert!(paths("sh", None).contains(&"/bin/sh".to_owned()));
    }

    #[test]
    fn an_empty_name_is_nowhere() {
        assert_eq!(paths("", None), [] as [&str; 0]);
    }
}
