//! The programs that are measured, and how each is put in front of a command.

use std::ffi::OsString;
use std::fs;
use std::io::{self, PipeReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::child::Mode;
use crate::sys;

/// One program in front of a command.
pub struct Wrapper {
    /// As the tables name it.
    pub name: &'static str,
    program: PathBuf,
    options: &'static [&'static str],
    /// Where it listens, for the one that does.
    pub port: Option<u16>,
}

/// The peers and stead in its three ways; the names are those of the tables' rows.
pub struct Wrappers {
    /// No wrapper: the command alone, which all others are compared with.
    pub direct: Wrapper,
    pub tini: Wrapper,
    pub tini_static: Wrapper,
    pub dumb_init: Wrapper,
    pub catatonit: Wrapper,
    /// `stead run` with its endpoints.
    pub stead: Wrapper,
    /// `stead run` under `STEAD_LISTEN=off`.
    pub stead_off: Wrapper,
    /// stead under the name `tini`.
    pub stead_as_tini: Wrapper,
    folder: Folder,
}

impl Wrappers {
    pub fn find() -> io::Result<Wrappers> {
        let folder = Folder::new()?;
        let stead = PathBuf::from(std::env::var_os("STEAD_BIN").unwrap_or_default());
        if !stead.is_file() {
            return Err(io::Error::other("STEAD_BIN names no program: `make bench` sets it"));
        }
        let as_tini = folder.path("tini");
        symlink(&stead, &as_tini)?;
        let wrapper = |name, program, options| Wrapper { name, program, options, port: None };
        let in_path = |name, options| Ok::<_, io::Error>(wrapper(name, find(name)?, options));
        Ok(Wrappers {
            direct: wrapper("none", PathBuf::new(), &[]),
            // Outside a container each has to adopt orphans as it would as PID 1; -s asks tini for it,
            // catatonit and stead do so unasked, dumb-init cannot.
            tini: in_path("tini", &["-s", "--"])?,
            tini_static: in_path("tini-static", &["-s", "--"])?,
            dumb_init: in_path("dumb-init", &["--"])?,
            catatonit: in_path("catatonit", &["--"])?,
            stead: Wrapper {
                port: Some(free_port()?),
                ..wrapper("stead run", stead.clone(), &["run", "--"])
            },
            stead_off: wrapper("stead run, STEAD_LISTEN=off", stead, &["run", "--"]),
            stead_as_tini: wrapper("stead as tini", as_tini, &["-s", "--"]),
            folder,
        })
    }

    /// Every wrapper, the command alone first.
    pub fn all(&self) -> [&Wrapper; 8] {
        let [tini, tini_static, dumb_init, catatonit] = self.peers();
        let [stead, off, as_tini] = self.steads();
        [&self.direct, tini, tini_static, dumb_init, catatonit, stead, off, as_tini]
    }

    /// Where the wrapper stands in `all`.
    pub fn place(&self, wrapper: &Wrapper) -> usize {
        self.all().iter().position(|it| it.name == wrapper.name).unwrap_or(0)
    }

    pub fn peers(&self) -> [&Wrapper; 4] {
        [&self.tini, &self.tini_static, &self.dumb_init, &self.catatonit]
    }

    pub fn steads(&self) -> [&Wrapper; 3] {
        [&self.stead, &self.stead_off, &self.stead_as_tini]
    }

    /// A path in a folder that is removed when the bench ends.
    pub fn scratch(&self, name: &str) -> PathBuf {
        self.folder.path(name)
    }
}

impl Wrapper {
    /// The file itself, behind symbolic links.
    pub fn file(&self) -> io::Result<PathBuf> {
        fs::canonicalize(&self.program)
    }

    /// The wrapper in front of the command, or the command alone.
    pub fn around(&self, command: &[OsString]) -> Command {
        let mut line: Vec<OsString> = Vec::new();
        if !self.program.as_os_str().is_empty() {
            line.push(self.program.clone().into());
            line.extend(self.options.iter().map(OsString::from));
        }
        line.extend_from_slice(command);
        let mut words = line.into_iter();
        let mut command = bare(words.next().unwrap_or_default());
        command.args(words);
        let listen = self.port.map_or_else(|| "off".to_owned(), |port| format!(":{port}"));
        command.env("STEAD_LISTEN", listen);
        command
    }

    /// The wrapper in front of the bench itself as a child of this kind.
    pub fn around_child(&self, mode: &[&str]) -> io::Result<Command> {
        let own = std::env::current_exe()?;
        let mut line = vec![own.into_os_string()];
        line.extend(mode.iter().map(OsString::from));
        Ok(self.around(&line))
    }

    /// The wrapper in front of `sleep`, until the value is dropped.
    pub fn around_sleep(&self) -> io::Result<Running> {
        let running = Running(self.around(&[find("sleep")?.into(), "infinity".into()]).spawn()?);
        if let Some(port) = self.port {
            wait_until_answering(port)?;
        }
        Ok(running)
    }

    /// The wrapper in front of a child that stamps each SIGUSR1, and the pipe that its stamps come on.
    pub fn around_echo(&self) -> io::Result<(Running, PipeReader)> {
        let (mut stamps, stdout) = io::pipe()?;
        let running = Running(self.around_child(&[Mode::ECHO])?.stdout(stdout).spawn()?);
        sys::read_stamp(&mut stamps)?;
        Ok((running, stamps))
    }
}

/// A command with an environment of `PATH` alone, and nobody to talk to. What is measured is given by its path: for a
/// bare name `std` would fork where it else uses posix_spawn(3), which costs the child more.
pub fn bare(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// A process that gets TERM, and soon after KILL, when the value is dropped.
pub struct Running(pub Child);

impl Running {
    pub fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may be gone already, and then there is nothing left to do.
        drop(sys::send_signal(self.0.id(), libc::SIGTERM));
        for _ in 0..200 {
            if !matches!(self.0.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A temporary folder of the bench's own.
struct Folder(PathBuf);

impl Folder {
    fn new() -> io::Result<Folder> {
        let path = std::env::temp_dir().join(format!("stead-bench-{}", std::process::id()));
        fs::create_dir(&path)?;
        Ok(Folder(path))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// The program of this name in `PATH`.
pub fn find(name: &str) -> io::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| is_program(file))
        .ok_or_else(|| {
            io::Error::other(format!("{name} is not in PATH: benches/run.sh installs it"))
        })
}

fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(file).is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
}

/// A port that was free a moment ago.
pub fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Waits for an answer, so that all which the first one needs is there before anything is measured.
pub fn wait_until_answering(port: u16) -> io::Result<()> {
    let ask = || {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.write_all(b"GET /livez HTTP/1.0\r\n\r\n")?;
        stream.read_to_end(&mut Vec::new())
    };
    for _ in 0..500 {
        if ask().is_ok_and(|length| length > 0) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Err(io::Error::other(format!("nothing answers on port {port} after 5 s")))
}
