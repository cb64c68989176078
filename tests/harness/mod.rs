//! What every test stands on: the binary and the example programs, a running stead with what it says,
//! and waiting for a condition. Terminals, HTTP, system calls and engines have files of their own.

pub mod certificates;
pub mod connections;
pub mod direct;
pub mod engine;
pub mod fleet;
pub mod http;
pub mod kubelet;
pub mod processes;
pub mod servers;
pub mod sys;
pub mod terminal;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// Long enough for anything that should happen at once on a busy machine.
pub const LIMIT: Duration = Duration::from_secs(20);

/// The binary under test: the release build where `make test` names it, else this build's own.
pub fn binary() -> PathBuf {
    std::env::var_os("STEAD_BIN").map_or_else(|| env!("CARGO_BIN_EXE_stead").into(), PathBuf::from)
}

/// The first real-time signal that the binary's C library leaves to the program: musl keeps 34 for itself.
pub fn first_real_time_signal() -> i32 {
    static FIRST: OnceLock<i32> = OnceLock::new();
    *FIRST.get_or_init(|| {
        let file = fs::read(binary()).expect("the binary");
        // A variable that glibc alone reads.
        let is_glibc = file.windows(14).any(|bytes| bytes == b"GLIBC_TUNABLES");
        if is_glibc { 34 } else { 35 }
    })
}

/// The program `examples/<name>.rs`, which `cargo test` builds beside this one.
pub fn example(name: &str) -> PathBuf {
    let tests = std::env::current_exe().expect("the path of this program");
    let profile = tests.ancestors().nth(2).expect("<target>/<profile>/deps");
    let path = profile.join("examples").join(name);
    assert!(path.exists(), "no example program at {}", path.display());
    path
}

/// `stead ARGS` with nothing in its environment but PATH, for commands that end by themselves.
pub fn stead<I: IntoIterator<Item: AsRef<OsStr>>>(args: I) -> Command {
    let mut command = Command::new(binary());
    command.args(args).stdin(Stdio::null());
    command.env_clear().env("PATH", search_path());
    command
}

/// This program's own PATH.
pub fn search_path() -> OsString {
    std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into())
}

/// Waits until `condition` holds; false when it still does not after `limit`.
#[must_use]
pub fn until(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// A port of 127.0.0.1 that nobody listens on and that no other caller is given. It is taken below
/// the range of the ephemeral ports, so that no client's connection can have it either.
pub fn free_port() -> u16 {
    static OFFSET: AtomicU16 = AtomicU16::new(0);
    let first = (std::process::id() % 20_000) as u16;
    loop {
        let offset = OFFSET.fetch_add(1, Ordering::Relaxed);
        let port = 10_000 + first.wrapping_add(offset) % 20_000;
        // Asked and not tried by listening: a program that another test starts at this moment would
        // keep such a listener until its exec, and the port would be taken for whoever gets it here.
        if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            return port;
        }
    }
}

/// A new directory of this test's own, removed when it is dropped.
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes it.
    pub fn new() -> Self {
        let path = std::env::temp_dir().join(unique("stead-test"));
        std::fs::create_dir(&path).expect("a scratch directory");
        Self(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A file in it with this text and mode.
    pub fn file(&self, name: &str, text: impl AsRef<[u8]>, mode: u32) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = self.0.join(name);
        std::fs::write(&path, text).expect("a scratch file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("its mode");
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A test that failed half-way may have left anything here; what cannot be removed stays.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A name that no other test, and no other run of the tests, has.
pub fn unique(prefix: &str) -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{prefix}-{}-{next}", std::process::id())
}

/// Where stead runs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Place {
    /// As PID 1 of a new pid namespace with its own /proc.
    Pid1,
    /// As an ordinary process, and so a subreaper.
    Subreaper,
}

impl Place {
    /// Both, for tests that must hold in either.
    pub const BOTH: [Self; 2] = [Self::Pid1, Self::Subreaper];
}

/// Something to do in the new process before it becomes stead.
type BeforeExec = Box<dyn FnMut() -> std::io::Result<()> + Send + Sync>;

/// A stead that is about to be started: its arguments, environment, streams and place.
pub struct Stead {
    program: PathBuf,
    name: Option<OsString>,
    options: Vec<OsString>,
    command: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    place: Place,
    port: Option<u16>,
    cwd: Option<PathBuf>,
    under: Vec<OsString>,
    stdin: Stdio,
    stdout: Stdio,
    stderr: Stdio,
    before_exec: Vec<BeforeExec>,
}

impl Stead {
    /// `stead run [OPTIONS] -- COMMAND`, not listening, as a subreaper, stdin null.
    pub fn run<I: IntoIterator<Item: Into<OsString>>>(command: I) -> Self {
        let mut stead = Self::invoked(["run"]);
        stead.command =
            [OsString::from("--")].into_iter().chain(command.into_iter().map(Into::into)).collect();
        stead
    }

    /// `stead run` of an example program.
    pub fn example(name: &str) -> Self {
        Self::run([example(name)])
    }

    /// `stead run` of a shell script, whose text finds the example programs on PATH.
    pub fn script(text: &str) -> Self {
        Self::run(["/bin/sh", "-c", text])
    }

    /// stead with exactly these arguments.
    pub fn invoked<I: IntoIterator<Item: Into<OsString>>>(args: I) -> Self {
        let examples = example("report").parent().expect("its directory").to_path_buf();
        let mut path = examples.into_os_string();
        path.push(":");
        path.push(search_path());
        Self {
            program: binary(),
            name: None,
            options: args.into_iter().map(Into::into).collect(),
            command: Vec::new(),
            env: vec![("PATH".into(), path)],
            place: Place::Subreaper,
            port: None,
            cwd: None,
            under: Vec::new(),
            stdin: Stdio::null(),
            stdout: Stdio::piped(),
            stderr: Stdio::piped(),
            before_exec: Vec::new(),
        }
    }

    /// Another program in its place: a link to stead, or what is to be compared with it.
    pub fn program(mut self, path: impl Into<PathBuf>) -> Self {
        self.program = path.into();
        self
    }

    /// The name that it is invoked by (argv[0]); not together with `under` or PID 1.
    pub fn name(mut self, name: impl Into<OsString>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Further options, before the `--`.
    pub fn options<I: IntoIterator<Item: Into<OsString>>>(mut self, options: I) -> Self {
        self.options.extend(options.into_iter().map(Into::into));
        self
    }

    /// Further arguments of the command.
    pub fn args<I: IntoIterator<Item: Into<OsString>>>(mut self, args: I) -> Self {
        self.command.extend(args.into_iter().map(Into::into));
        self
    }

    /// One more variable; a later one of the same name wins.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        let name = name.into();
        self.env.retain(|(known, _)| *known != name);
        self.env.push((name, value.into()));
        self
    }

    /// Takes a variable away; PATH is the only one that is there unasked.
    pub fn without_env(mut self, name: &str) -> Self {
        self.env.retain(|(known, _)| known != name);
        self
    }

    /// With endpoints on a free port of 127.0.0.1.
    pub fn listening(mut self) -> Self {
        self.port = Some(free_port());
        self
    }

    /// Where it runs.
    pub fn place(mut self, place: Place) -> Self {
        self.place = place;
        self
    }

    /// Started in this directory.
    pub fn cwd(mut self, path: impl Into<PathBuf>) -> Self {
        self.cwd = Some(path.into());
        self
    }

    /// Started by a program that becomes the rest of its command line, for instance `nohup`.
    pub fn under<I: IntoIterator<Item: Into<OsString>>>(mut self, prefix: I) -> Self {
        self.under = prefix.into_iter().map(Into::into).collect();
        self
    }

    /// Another standard input.
    pub fn stdin(mut self, stdin: impl Into<Stdio>) -> Self {
        self.stdin = stdin.into();
        self
    }

    /// Another standard output; then nothing of it is captured.
    pub fn stdout(mut self, stdout: impl Into<Stdio>) -> Self {
        self.stdout = stdout.into();
        self
    }

    /// Another standard error; then no event is captured.
    pub fn stderr(mut self, stderr: impl Into<Stdio>) -> Self {
        self.stderr = stderr.into();
        self
    }

    /// Does something in the new process before it becomes stead; only what is async-signal-safe.
    pub fn before_exec(
        mut self,
        action: impl FnMut() -> std::io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        self.before_exec.push(Box::new(action));
        self
    }

    /// On this terminal: its session, its streams, its foreground.
    pub fn on_terminal(self, terminal: &terminal::Terminal) -> Self {
        self.stdin(terminal.stream())
            .stdout(terminal.stream())
            .stderr(terminal.stream())
            .before_exec(|| sys::become_session_leader(0))
    }

    /// Starts it.
    pub fn start(self) -> Running {
        let marker = unique("run");
        let mut line = Vec::new();
        if self.place == Place::Pid1 {
            line.extend(["unshare", "--pid", "--fork", "--mount-proc", "--"].map(OsString::from));
        }
        line.extend(self.under);
        line.push(self.program.clone().into_os_string());
        line.extend(self.options);
        line.extend(self.command);

        let mut command = Command::new(&line[0]);
        command.args(&line[1..]);
        if let Some(name) = self.name {
            command.arg0(name);
        }
        if let Some(cwd) = self.cwd {
            command.current_dir(cwd);
        }
        let listen = self.port.map_or("off".into(), |port| format!("127.0.0.1:{port}"));
        command.env_clear().env("STEAD_LISTEN", listen).envs(self.env).env(MARKER, &marker);
        command.stdin(self.stdin).stdout(self.stdout).stderr(self.stderr);
        sys::before_exec(&mut command, sys::forget_signals);
        for action in self.before_exec {
            sys::before_exec(&mut command, action);
        }
        let mut child = command.spawn().unwrap_or_else(|e| panic!("cannot start {line:?}: {e}"));
        // Closes our copies of the streams that the caller handed over.
        drop(command);
        let stdout = Lines::of(child.stdout.take());
        let stderr = Lines::of(child.stderr.take());
        let pid = match self.place {
            Place::Subreaper => child.id() as i32,
            Place::Pid1 => pid_in_namespace(&mut child, &stderr),
        };
        Running {
            child,
            pid,
            place: self.place,
            port: self.port,
            marker,
            stdout,
            stderr,
            code: None,
        }
    }
}

/// The variable by which everything that a stead started is found again.
const MARKER: &str = "STEADS_TEST_RUN";

/// The pid out here of the process that unshare(1) started as PID 1, once it is no longer unshare.
fn pid_in_namespace(unshare: &mut Child, stderr: &Lines) -> i32 {
    let outer = unshare.id() as i32;
    let unshares_program = std::fs::read_link(format!("/proc/{outer}/exe")).ok();
    let mut found = None;
    let started = until(LIMIT, || {
        found = processes::children_of(outer).first().copied();
        let program = found.and_then(|pid| std::fs::read_link(format!("/proc/{pid}/exe")).ok());
        program.is_some() && program != unshares_program || !matches!(unshare.try_wait(), Ok(None))
    });
    assert!(started, "unshare has started nothing: {:?}", stderr.all());
    // A stead that has ended already has no pid any more; 0 is never signalled.
    found.filter(|pid| processes::is_alive(*pid)).unwrap_or(0)
}

/// Lines that a stream has given so far, read by a thread of their own.
#[derive(Clone, Default)]
struct Lines {
    lines: Arc<Mutex<Vec<String>>>,
    ended: Arc<Mutex<bool>>,
}

impl Lines {
    fn of(stream: Option<impl Read + Send + 'static>) -> Self {
        let this = Self::default();
        let Some(stream) = stream else {
            *this.ended.lock().unwrap() = true;
            return this;
        };
        let into = this.clone();
        thread::spawn(move || {
            let mut reader = BufReader::new(stream);
            let mut line = Vec::new();
            while matches!(reader.read_until(b'\n', &mut line), Ok(1..)) {
                let text = String::from_utf8_lossy(&line).trim_end_matches('\n').to_owned();
                into.lines.lock().unwrap().push(text);
                line.clear();
            }
            *into.ended.lock().unwrap() = true;
        });
        this
    }

    fn all(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    fn has_ended(&self) -> bool {
        *self.ended.lock().unwrap()
    }
}

/// A stead that was started, with all that it and its child have said.
pub struct Running {
    child: Child,
    pid: i32,
    place: Place,
    port: Option<u16>,
    marker: String,
    stdout: Lines,
    stderr: Lines,
    code: Option<i32>,
}

impl Running {
    /// Its pid, as seen from here.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Its pid as it sees it itself.
    pub fn pid_inside(&self) -> i32 {
        match self.place {
            Place::Pid1 => 1,
            Place::Subreaper => self.pid,
        }
    }

    /// The pid out here of a process that stead knows as `inside`.
    pub fn pid_outside(&self, inside: i32) -> i32 {
        match self.place {
            Place::Subreaper => inside,
            Place::Pid1 => processes::in_namespace_of(self.pid, inside)
                .unwrap_or_else(|| panic!("no process {inside} in the namespace of {}", self.pid)),
        }
    }

    /// The child's pid as stead names it.
    pub fn child_pid_inside(&self) -> i32 {
        let event = self.wait_for_event("child started", LIMIT);
        event["pid"].as_i64().expect("a pid") as i32
    }

    /// The child's pid, as seen from here.
    pub fn child_pid(&self) -> i32 {
        self.pid_outside(self.child_pid_inside())
    }

    /// The port of its endpoints.
    pub fn port(&self) -> u16 {
        self.port.expect("a stead that listens")
    }

    /// Sends it a signal, by number.
    pub fn signal(&self, signal: i32) {
        sys::kill(self.pid, signal).unwrap_or_else(|e| panic!("cannot signal stead: {e}"));
    }

    /// GET of one of its endpoints.
    pub fn get(&self, path: &str) -> http::Response {
        http::request(self.port(), "GET", path, &[])
    }

    /// HEAD of one of its endpoints.
    pub fn head(&self, path: &str) -> http::Response {
        http::request(self.port(), "HEAD", path, &[])
    }

    /// The status of a GET: the shortest form of the commonest question.
    pub fn status(&self, path: &str) -> u16 {
        self.get(path).status
    }

    /// What stdout has given so far, by lines.
    pub fn stdout(&self) -> Vec<String> {
        self.stdout.all()
    }

    /// How many lines stdout has given so far: for tests that wait for thousands.
    pub fn count_stdout(&self) -> usize {
        self.stdout.lines.lock().unwrap().len()
    }

    /// What stderr has given so far, by lines: stead's events, and whatever the child writes there.
    pub fn stderr(&self) -> Vec<String> {
        self.stderr.all()
    }

    /// stead's events so far.
    pub fn events(&self) -> Vec<Value> {
        let lines = self.stderr.all();
        lines.iter().filter_map(|line| serde_json::from_str(line).ok()).filter(is_event).collect()
    }

    /// The events so far that have this message.
    pub fn events_of(&self, message: &str) -> Vec<Value> {
        let mut events = self.events();
        events.retain(|event| event["message"] == message);
        events
    }

    /// The first event with this message; fails when there is none within `limit`.
    pub fn wait_for_event(&self, message: &str, limit: Duration) -> Value {
        self.wait_for(message, limit, |event| event["message"] == message)
    }

    /// The first event that `wanted` is true for; `what` names it when it does not come.
    pub fn wait_for(&self, what: &str, limit: Duration, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut found = None;
        let came = until(limit, || {
            found = self.events().into_iter().find(&wanted);
            found.is_some()
        });
        assert!(came, "no event `{what}` within {limit:?}");
        found.expect("the event that came")
    }

    /// Waits for a line of the child's on stdout.
    pub fn wait_for_line(&self, limit: Duration, wanted: impl Fn(&str) -> bool) -> String {
        let mut found = None;
        let came = until(limit, || {
            found = self.stdout.all().into_iter().find(|line| wanted(line));
            found.is_some()
        });
        assert!(came, "the awaited line did not come on stdout within {limit:?}");
        found.expect("the line that came")
    }

    /// Waits until an example program has said `ready`, and the endpoints, if there are any, know that
    /// it runs: a child may well be faster than the stead that started it.
    pub fn wait_ready(&self) {
        self.wait_for_line(LIMIT, |line| line.starts_with("ready"));
        let started = |port| {
            let answer = http::try_request(port, "GET", "/livez", &[]);
            answer.is_some_and(|answer| answer.json()["phase"] != "starting")
        };
        if let Some(port) = self.port {
            assert!(until(LIMIT, || started(port)), "the endpoints say for ever that it starts");
        }
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.poll().is_none()
    }

    fn poll(&mut self) -> Option<i32> {
        if self.code.is_none() {
            let status = self.child.try_wait().expect("wait for stead");
            self.code = status.map(|s| s.code().unwrap_or_else(|| 128 + s.signal().unwrap_or(0)));
        }
        self.code
    }

    /// Its exit code (128 + n when a signal ended it); fails when it has not ended within `limit`.
    pub fn wait_exit(&mut self, limit: Duration) -> i32 {
        assert!(until(limit, || self.poll().is_some()), "stead still runs after {limit:?}");
        // What was written before the end is all read, unless something outlived stead with the
        // pipe in its hands: then what there is must do.
        let patience = Instant::now() + Duration::from_secs(1);
        let _ = until(LIMIT, || {
            let all_read = self.stdout.has_ended() && self.stderr.has_ended();
            all_read || Instant::now() > patience && !self.processes().is_empty()
        });
        self.code.expect("the code of a stead that has ended")
    }

    /// The processes of this run that are alive, stead included, by their pids out here.
    pub fn processes(&self) -> Vec<i32> {
        processes::with_variable(MARKER, &self.marker)
    }
}

/// Whether a line of JSON is one of stead's events: an object with a level and a message.
fn is_event(value: &Value) -> bool {
    value.get("message").is_some_and(Value::is_string) && value.get("level").is_some()
}

/// How many of the last lines a failed test shows of each stream.
const SHOWN: usize = 60;

impl Drop for Running {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("--- stead (pid {}, {:?}) exit {:?}", self.pid, self.place, self.code);
            for (name, lines) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
                let lines = lines.all();
                let left_out = lines.len().saturating_sub(SHOWN);
                eprintln!("{name}: {left_out} lines are left out, then");
                for line in &lines[left_out..] {
                    eprintln!("{name}: {line}");
                }
            }
        }
        // A process may be making another one while it is looked for: until none is left.
        let _ = until(LIMIT, || {
            let left = self.processes();
            for pid in &left {
                let _ = sys::kill(*pid, libc::SIGKILL);
            }
            self.poll();
            left.is_empty()
        });
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
