//! Containers, by the command line of the engine that `tests/run.sh` provides: each is removed when
//! the test lets go of it, and so are networks and volumes. What they are made of is in `images`.

pub mod compose;
pub mod files;
pub mod images;
mod owned;
pub mod rust;
pub mod services;

use std::ffi::OsStr;
use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use serde_json::Value;

pub use owned::Owned;

use super::{LIMIT, http, sys, terminal, unique, until};

/// What a command that has ended gave.
#[derive(Debug)]
pub struct Finished {
    /// Its exit code.
    pub code: i32,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl From<Output> for Finished {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// Runs `docker ARGS` to its end.
pub fn docker<I: IntoIterator<Item: AsRef<OsStr>>>(args: I) -> Finished {
    command(args).output().expect("docker").into()
}

/// Runs `docker ARGS`, which must succeed, for the line that it prints.
pub fn docker_line<I: IntoIterator<Item: AsRef<OsStr>>>(args: I) -> String {
    let args: Vec<_> = args.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
    let finished = docker(&args);
    assert!(finished.code == 0, "docker {args:?} failed: {}", finished.stderr);
    finished.stdout.trim().to_owned()
}

/// `docker ARGS`, once it is known that an engine answers.
fn command<I: IntoIterator<Item: AsRef<OsStr>>>(args: I) -> Command {
    static ENGINE: OnceLock<Result<(), String>> = OnceLock::new();
    let engine = ENGINE.get_or_init(|| match Command::new("docker").arg("info").output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(Finished::from(output).stderr),
        Err(error) => Err(error.to_string()),
    });
    if let Err(error) = engine {
        panic!(
            "no container engine answers `docker info` ({}): `make test` starts one",
            error.trim()
        );
    }
    let mut command = Command::new("docker");
    command.args(args).stdin(Stdio::null());
    command
}

/// The label by which `tests/run.sh` finds what a run has left.
fn label() -> String {
    format!("stead-test={}", test_run())
}

/// The run of the tests that this is, for what has names and no labels.
fn test_run() -> String {
    std::env::var("TEST_RUN").unwrap_or_else(|_| "by-hand".into())
}

/// The option that makes a port of the container reachable: see `Container::port`.
pub fn publish(port: u16) -> String {
    format!("--publish=127.0.0.1::{port}")
}

/// As `until`, for conditions that start a client each time they are asked.
pub fn in_time(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    until(limit, || {
        let holds = condition();
        if !holds {
            thread::sleep(Duration::from_millis(50));
        }
        holds
    })
}

/// The port of stead's endpoints in a container.
pub const ENDPOINTS: u16 = 9321;

/// A container, removed when it is dropped. When its test fails, what it said is shown first.
pub struct Container {
    name: String,
    /// Whether somebody else removes it.
    is_others: bool,
}

impl Container {
    /// `docker run --detach OPTIONS IMAGE COMMAND`.
    pub fn run<O: AsRef<str>>(image: &str, options: &[O], command: &[&str]) -> Self {
        // Made before the container, so that one which cannot be started is removed too.
        let container = Self::unstarted();
        docker_line(container.run_line(&["--detach"], image, options, command));
        container
    }

    /// `docker run` on a terminal, with a person in front of it: gives the client, too.
    pub fn run_on<O: AsRef<str>>(
        terminal: &terminal::Terminal,
        image: &str,
        options: &[O],
        line: &[&str],
    ) -> (Self, std::process::Child) {
        let container = Self::unstarted();
        let line = container.run_line(&["--interactive", "--tty"], image, options, line);
        let mut client = command(line);
        client.stdin(terminal.stream()).stdout(terminal.stream()).stderr(terminal.stream());
        sys::before_exec(&mut client, || sys::become_session_leader(0));
        let client = client.spawn().expect("docker");
        (container, client)
    }

    fn unstarted() -> Self {
        Self { name: unique("stead-test"), is_others: false }
    }

    /// One that is there, and that somebody else removes.
    pub fn known(name: &str) -> Self {
        Self { name: name.to_owned(), is_others: true }
    }

    fn run_line<O: AsRef<str>>(
        &self,
        how: &[&str],
        image: &str,
        options: &[O],
        command: &[&str],
    ) -> Vec<String> {
        let label = label();
        ["run", "--name", &self.name, "--label", &label]
            .into_iter()
            .chain(how.iter().copied())
            .chain(options.iter().map(AsRef::as_ref))
            .chain([image])
            .chain(command.iter().copied())
            .map(str::to_owned)
            .collect()
    }

    /// Its name, which other containers of its network can resolve.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The port of 127.0.0.1 at which a published port of it is reached.
    pub fn port(&self, inside: u16) -> u16 {
        let addresses = docker_line(["port", &self.name, &inside.to_string()]);
        let port = addresses.lines().find_map(|line| line.rsplit(':').next()?.parse().ok());
        port.unwrap_or_else(|| panic!("port {inside} is not published: {addresses:?}"))
    }

    /// Waits until a GET of `path` at a published port has this status.
    pub fn wait_for_status(&self, inside: u16, path: &str, status: u16) {
        self.wait_for_answer(inside, path, LIMIT, |response| response.status == status);
    }

    /// Waits until a GET of `path` at a published port is answered so.
    pub fn wait_for_answer(
        &self,
        inside: u16,
        path: &str,
        limit: Duration,
        is_so: impl Fn(&http::Response) -> bool,
    ) {
        let port = self.port(inside);
        let mut last = None;
        let came = in_time(limit, || {
            last = http::try_request(port, "GET", path, &[]);
            last.as_ref().is_some_and(&is_so)
        });
        assert!(came, "{path} is not so; the last answer was {last:?}");
    }

    /// Waits until `stead check ready`, run in it, succeeds.
    pub fn wait_ready(&self) {
        let mut last = None;
        let came = in_time(LIMIT, || {
            let check = self.exec(&["/stead", "check", "ready"]);
            let ready = check.code == 0;
            last = Some(check);
            ready
        });
        assert!(came, "not ready; the last check gave {last:?}");
    }

    /// `docker exec`, to its end.
    pub fn exec(&self, command: &[&str]) -> Finished {
        docker(["exec", &self.name].iter().chain(command))
    }

    /// `docker exec --detach`.
    pub fn exec_detached(&self, command: &[&str]) {
        docker_line(["exec", "--detach", &self.name].iter().chain(command));
    }

    /// `docker stop` with this much time; returns when the container has ended.
    pub fn stop(&self, time: Duration) {
        docker_line(["stop", "-t", &time.as_secs().to_string(), &self.name]);
    }

    /// `docker stop` that is not waited for: gives the client, which ends with the container.
    pub fn begin_stop(&self, time: Duration) -> thread::JoinHandle<()> {
        let line = ["stop", "-t", &time.as_secs().to_string(), &self.name].map(str::to_owned);
        thread::spawn(move || {
            docker_line(line);
        })
    }

    /// `docker start`, after its end.
    pub fn start_again(&self) {
        docker_line(["start", &self.name]);
    }

    /// `docker rm`, after its end.
    pub fn remove(&self) {
        docker_line(["rm", "--volumes", &self.name]);
    }

    /// `docker kill -s SIGNAL`.
    pub fn signal(&self, signal: &str) {
        docker_line(["kill", "--signal", signal, &self.name]);
    }

    /// A field of `docker inspect`, in the form of a Go template.
    pub fn inspect(&self, template: &str) -> String {
        docker_line(["inspect", "--format", template, &self.name])
    }

    /// Its exit code; fails when it has not ended within `limit`.
    pub fn wait_exit(&self, limit: Duration) -> i32 {
        let ended = in_time(limit, || self.inspect("{{.State.Status}}") == "exited");
        assert!(ended, "it is {} after {limit:?}", self.inspect("{{.State.Status}}"));
        self.inspect("{{.State.ExitCode}}").parse().expect("an exit code")
    }

    /// Waits until its health check says this.
    pub fn wait_for_health(&self, health: &str, limit: Duration) {
        let came = in_time(limit, || self.inspect("{{.State.Health.Status}}") == health);
        assert!(
            came,
            "not {health} within {limit:?}; its checks: {}",
            self.inspect("{{json .State.Health}}")
        );
    }

    /// What the last health check printed.
    pub fn health_output(&self) -> String {
        let health: Value =
            serde_json::from_str(&self.inspect("{{json .State.Health}}")).expect("its health");
        let log = health["Log"].as_array().expect("a log of checks");
        let last = log.last().expect("a check");
        last["Output"].as_str().expect("its output").trim().to_owned()
    }

    /// Its processes, with their arguments, as the engine sees them.
    pub fn processes(&self) -> String {
        docker_line(["top", &self.name])
    }

    /// Waits until one of its processes has this in its command line.
    pub fn wait_for_process(&self, text: &str) {
        let came = in_time(LIMIT, || self.processes().contains(text));
        assert!(came, "no {text:?} among {}", self.processes());
    }

    /// What it has said so far; the code is that of `docker logs`.
    pub fn logs(&self) -> Finished {
        docker(["logs", &self.name])
    }

    /// Waits for this text in what it says, on either stream.
    pub fn wait_for_output(&self, text: &str) {
        let came = in_time(LIMIT, || {
            let logs = self.logs();
            logs.stdout.contains(text) || logs.stderr.contains(text)
        });
        assert!(came, "{text:?} did not appear in {:?}", self.logs());
    }

    /// stead's events so far; lines that are no JSON are the app's.
    pub fn events(&self) -> Vec<Value> {
        let logs = self.logs();
        logs.stderr.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// The one event with this message.
    pub fn event(&self, message: &str) -> Value {
        let mut events = self.events();
        events.retain(|event| event["message"] == message);
        assert!(events.len() == 1, "{} events `{message}`", events.len());
        events.remove(0)
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if self.is_others {
            return;
        }
        if thread::panicking() {
            let logs = self.logs();
            eprintln!("--- container {}\n{}{}", self.name, logs.stdout, logs.stderr);
        }
        docker(["rm", "--force", "--volumes", &self.name]);
    }
}

/// Runs a container to its end.
pub fn run_to_end<O: AsRef<str>>(image: &str, options: &[O], command: &[&str]) -> Finished {
    let container = Container::run(image, options, command);
    let code = container.wait_exit(LIMIT);
    Finished { code, ..container.logs() }
}

/// Runs a container to its end, with this as what it reads.
pub fn run_with_input(image: &str, input: &[u8], line: &[&str]) -> Finished {
    let container = Container::unstarted();
    let mut client = command(container.run_line(&["--interactive"], image, &[] as &[&str], line))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("docker");
    client.stdin.take().expect("a pipe").write_all(input).expect("its input");
    let ended = in_time(LIMIT, || client.try_wait().expect("docker").is_some());
    if !ended {
        let _ = client.kill();
    }
    let _ = client.wait();
    assert!(ended, "the container still runs after the end of its input");
    Finished { code: container.wait_exit(LIMIT), ..container.logs() }
}
