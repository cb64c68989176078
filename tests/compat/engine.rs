//! stead as the program that a container engine puts before a command: `dockerd --init-path` and
//! `docker run --init`.

use std::fs::File;
use std::os::unix::fs::symlink;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::harness::{self, LIMIT, Scratch, sys, until};

/// Time for an engine to start and to end: it starts a containerd of its own.
const ENGINES_LIMIT: Duration = Duration::from_secs(60);

const IMAGE: &str = "busybox:stead-test";

/// A dockerd of this test's own, without networks, whose init is stead.
struct Engine {
    dockerd: Child,
    place: Scratch,
}

impl Engine {
    fn start() -> Self {
        let place = Scratch::new();
        let init = place.path().join("docker-init");
        symlink(harness::binary(), &init).expect("a link to stead");
        let said = File::create(place.path().join("said")).expect("a file for what it says");
        let path = |name: &str| place.path().join(name);
        // In a network of its own: without a bridge, dockerd deletes the docker0 of the engine beside it.
        let dockerd = Command::new("unshare")
            .args(["--net", "dockerd", "--init-path"])
            .arg(init)
            .arg("--data-root")
            .arg(path("data"))
            .arg("--exec-root")
            .arg(path("exec"))
            .arg("--pidfile")
            .arg(path("pid"))
            .arg("--host")
            .arg(format!("unix://{}", path("socket").display()))
            .args(["--bridge", "none", "--iptables=false"])
            .env("PATH", path_with_sbin())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(said)
            .spawn()
            .unwrap_or_else(|e| panic!("cannot start dockerd (Debian's package docker.io): {e}"));
        let mut engine = Self { dockerd, place };
        let answers = until(ENGINES_LIMIT, || {
            let ended = engine.dockerd.try_wait().expect("wait for dockerd").is_some();
            ended || engine.docker(&["version"]).status.success()
        });
        let is_running = engine.dockerd.try_wait().expect("wait for dockerd").is_none();
        assert!(answers && is_running, "dockerd does not answer:\n{}", engine.said());
        engine.make_image();
        engine
    }

    /// What the engine itself has said.
    fn said(&self) -> String {
        std::fs::read_to_string(self.place.path().join("said")).unwrap_or_default()
    }

    /// An image with a static busybox and nothing else.
    fn make_image(&self) {
        let tar = self.place.path().join("busybox.tar");
        let made = Command::new("tar")
            .args(["--create", "--dereference", "--directory", "/", "bin/busybox", "--file"])
            .arg(&tar)
            .status();
        assert!(made.expect("tar").success(), "no /bin/busybox (Debian's package busybox-static)");
        self.line(&["import", tar.to_str().expect("UTF-8"), IMAGE]);
    }

    fn docker(&self, args: &[&str]) -> Output {
        let socket = format!("unix://{}", self.place.path().join("socket").display());
        let mut command = Command::new("docker");
        command.arg("--host").arg(socket).args(args);
        command.stdin(Stdio::null()).output().expect("docker")
    }

    /// What docker says, when all went well.
    fn line(&self, args: &[&str]) -> String {
        let output = self.docker(args);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "docker {args:?}: {said}\n{}", self.said());
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// `docker run --init` of busybox with these options and arguments, in the background.
    fn run(&self, options: &[&str], args: &[&str]) -> String {
        let begin = ["run", "--detach", "--init"];
        self.line(&[&begin, options, &[IMAGE, "/bin/busybox"], args].concat())
    }

    fn exit_code(&self, container: &str) -> i32 {
        let code = self.line(&["wait", container]);
        code.parse().expect("an exit code")
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Containers that are left would hold mounts below the directory.
        let ids = self.docker(&["ps", "--all", "--quiet"]).stdout;
        for id in String::from_utf8_lossy(&ids).lines() {
            self.docker(&["rm", "--force", id]);
        }
        let _ = sys::kill(self.dockerd.id() as i32, libc::SIGTERM);
        if !until(ENGINES_LIMIT, || !matches!(self.dockerd.try_wait(), Ok(None))) {
            let _ = self.dockerd.kill();
            let _ = self.dockerd.wait();
        }
    }
}

/// dockerd and what it starts are where only root's PATH has them.
fn path_with_sbin() -> std::ffi::OsString {
    let mut path = harness::search_path();
    path.push(":/usr/local/sbin:/usr/sbin:/sbin");
    path
}

#[test]
fn an_engine_takes_stead_for_its_init_and_containers_end_as_they_should() {
    let engine = Engine::start();
    it_reads_the_version(&engine);
    exit_codes_come_through(&engine);
    a_command_without_a_handler_stops_at_once(&engine);
    zombies_are_reaped_and_the_first_process_is_the_init(&engine);
}

fn it_reads_the_version(engine: &Engine) {
    assert_eq!(engine.line(&["info", "--format", "{{.InitCommit.ID}}"]), "stead");
    assert!(!engine.said().contains("init version"), "dockerd has objections:\n{}", engine.said());
}

fn exit_codes_come_through(engine: &Engine) {
    for (script, code) in [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137)] {
        let container = engine.run(&[], &["sh", "-c", script]);
        assert_eq!(engine.exit_code(&container), code, "{script}");
    }
    let missing = engine.line(&["create", "--init", IMAGE, "/no/such/program"]);
    engine.line(&["start", &missing]);
    assert_eq!(engine.exit_code(&missing), 127);
}

/// As PID 1 itself it would get TERM and not notice: the kernel keeps from PID 1 what it does not handle.
fn a_command_without_a_handler_stops_at_once(engine: &Engine) {
    for options in [
        &[][..],
        &[
            "--read-only",
            "--user",
            "65534",
            "--cap-drop",
            "ALL",
            "--security-opt",
            "no-new-privileges",
        ],
    ] {
        let container = engine.run(options, &["sleep", "1000"]);
        let began = Instant::now();
        engine.line(&["stop", "--time", "60", &container]);
        assert!(began.elapsed() < Duration::from_secs(30), "TERM did not reach the command");
        assert_eq!(engine.exit_code(&container), 143, "{options:?}");
    }
}

fn zombies_are_reaped_and_the_first_process_is_the_init(engine: &Engine) {
    // Each inner shell is waited for and leaves an orphan behind, which then ends.
    let script = "for i in 1 2 3 4 5; do busybox sh -c 'busybox sleep 0 &'; done; \
        echo made; exec busybox sleep 1000";
    let container = engine.run(&["--env", "PATH=/bin"], &["sh", "-c", script]);
    let made = until(LIMIT, || engine.line(&["logs", &container]) == "made");
    assert!(made, "the script does not run");
    let columns = ["exec", &container, "busybox", "ps", "-o", "pid,stat,args"];
    let processes = || engine.line(&columns);
    // The heading, the init, the command, and ps itself.
    let reaped = until(LIMIT, || processes().lines().count() == 4);
    assert!(reaped, "orphans stay:\n{}", processes());
    let first = processes().lines().nth(1).unwrap_or_default().to_owned();
    assert!(first.contains("docker-init -- /bin/busybox sh -c"), "{first}");
}
