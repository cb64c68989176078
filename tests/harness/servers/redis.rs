//! redis-server, or a server with its command line and configuration (Valkey), and a scripted stand-in for those that
//! cannot be had.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::harness::{LIMIT, Scratch, free_port, sys, until};

/// A server, with a socket in the file system beside its port, by which the test itself talks to it.
pub struct Redis {
    scratch: Scratch,
    program: PathBuf,
    port: u16,
    child: Option<Child>,
}

impl Redis {
    /// A redis-server with these further lines of configuration.
    pub fn start(lines: &[&str]) -> Self {
        let mut this = Self::prepare("redis-server", free_port(), lines);
        this.start_again();
        this
    }

    /// A server by this program, with these further lines of configuration.
    pub fn of(program: impl Into<PathBuf>, lines: &[&str]) -> Self {
        let mut this = Self::prepare(program, free_port(), lines);
        this.start_again();
        this
    }

    /// A redis-server on this address of loopback and on another one's port.
    pub fn beside(other: &Self, address: &str) -> Self {
        let mut this = Self::prepare("redis-server", other.port, &[&format!("bind {address}")]);
        this.start_again();
        this
    }

    /// A redis-server that speaks TLS alone.
    pub fn over_tls(lines: &[&str]) -> Self {
        let port = free_port();
        let tls = format!("tls-port {port}");
        let lines: Vec<&str> = lines.iter().copied().chain(["port 0", &tls]).collect();
        let mut this = Self::prepare("redis-server", port, &lines);
        this.start_again();
        this
    }

    fn prepare(program: impl Into<PathBuf>, port: u16, lines: &[&str]) -> Self {
        let scratch = Scratch::new();
        let folder = scratch.path().display();
        // A later line counts more than an earlier one.
        let own = format!(
            "bind 127.0.0.1\nport {port}\nunixsocket {folder}/socket\ndir {folder}\nsave \"\"\n\
             logfile {folder}/log\nenable-debug-command yes\n"
        );
        scratch.file("redis.conf", own + &lines.join("\n") + "\n", 0o600);
        Self { scratch, program: program.into(), port, child: None }
    }

    /// Starts it where it has ended, with the same configuration and port.
    pub fn start_again(&mut self) {
        assert!(self.child.is_none(), "it runs");
        let mut command = Command::new(&self.program);
        command.arg(self.scratch.path().join("redis.conf")).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn();
        self.child = Some(child.unwrap_or_else(|e| panic!("cannot start {:?}: {e}", self.program)));
        // It listens at its port before it does at its socket.
        let ready = until(LIMIT, || UnixStream::connect(self.socket()).is_ok());
        assert!(ready, "{:?} does not listen: {}", self.program, self.log());
    }

    /// One more line of its configuration, for its next start.
    pub fn configure(&self, line: &str) {
        let path = self.scratch.path().join("redis.conf");
        let text = std::fs::read_to_string(&path).expect("its configuration");
        std::fs::write(path, format!("{text}{line}\n")).expect("its configuration");
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its socket in the file system.
    pub fn socket(&self) -> PathBuf {
        self.scratch.path().join("socket")
    }

    /// `redis://127.0.0.1:<port>` with this at its end.
    pub fn url(&self, end: &str) -> String {
        format!("redis://127.0.0.1:{}{end}", self.port)
    }

    /// What redis-cli(1) says when it is given these arguments.
    pub fn cli(&self, arguments: &[&str]) -> String {
        let output = self.cli_command(arguments).output();
        let output = output.expect("redis-cli, of the Debian package redis-tools");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// redis-cli(1) with these arguments, for the caller to start.
    pub fn cli_command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("redis-cli");
        command.arg("-s").arg(self.socket()).arg("--no-auth-warning").args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        command
    }

    /// As `cli`, for what must be answered with OK.
    pub fn order(&self, arguments: &[&str]) {
        assert_eq!(self.cli(arguments), "OK", "{arguments:?}");
    }

    /// The value of one line of INFO.
    pub fn info(&self, key: &str) -> String {
        let info = self.cli(&["INFO", "everything"]);
        let value = info.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        value.unwrap_or_default().trim().to_owned()
    }

    /// Ends it at once, without a word to its clients.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = std::fs::remove_file(self.socket());
    }

    /// Ends it as its service does, with TERM.
    pub fn stop(&mut self) {
        self.signal(libc::SIGTERM);
        let mut child = self.child.take().expect("a server that runs");
        assert!(until(LIMIT, || matches!(child.try_wait(), Ok(Some(_)))), "{}", self.log());
    }

    /// Its pid.
    pub fn pid(&self) -> i32 {
        self.child.as_ref().expect("a server that runs").id() as i32
    }

    /// Sends it a signal, STOP and CONT for instance.
    pub fn signal(&self, signal: i32) {
        sys::kill(self.pid(), signal).expect("a signal to the server");
    }

    /// All that it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.scratch.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What a scripted server says to a command, given by its words; nothing where it keeps silent.
type Script = dyn Fn(&[String]) -> String + Send + Sync;

/// A server that says what it is told to, on a port of its own, until the test's program ends.
#[derive(Clone)]
pub struct Scripted {
    port: u16,
    commands: Arc<Mutex<Vec<String>>>,
}

impl Scripted {
    /// One that answers by this script; it closes the connection where the answer is empty.
    pub fn start(script: impl Fn(&[String]) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let (script, commands): (Arc<Script>, _) = (Arc::new(script), Arc::default());
        let this = Self { port, commands };
        let seen = this.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (script, seen) = (script.clone(), seen.clone());
                thread::spawn(move || seen.serve(stream, script.as_ref()));
            }
        });
        this
    }

    fn serve(&self, mut stream: TcpStream, script: &Script) {
        let Ok(reader) = stream.try_clone() else { return };
        let mut reader = BufReader::new(reader);
        while let Some(command) = command(&mut reader) {
            let answer = script(&command);
            self.commands.lock().unwrap().push(command.join(" "));
            if answer.is_empty() || stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    }

    /// `redis://127.0.0.1:<port>` with this at its end.
    pub fn url(&self, end: &str) -> String {
        format!("redis://127.0.0.1:{}{end}", self.port)
    }

    /// The commands that it was sent so far.
    pub fn commands(&self) -> Vec<String> {
        self.commands.lock().unwrap().clone()
    }
}

/// The next command of a client, by its words; none at the end.
fn command(reader: &mut impl BufRead) -> Option<Vec<String>> {
    let count = number(reader, '*')?;
    let mut words = Vec::new();
    for _ in 0..count {
        let mut word = vec![0; number(reader, '$')? + 2];
        reader.read_exact(&mut word).ok()?;
        word.truncate(word.len() - 2);
        words.push(String::from_utf8(word).ok()?);
    }
    Some(words)
}

/// The number of a line that begins with this.
fn number(reader: &mut impl BufRead, prefix: char) -> Option<usize> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    line.trim_end().strip_prefix(prefix)?.parse().ok()
}

/// A text as Redis sends it.
pub fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}
