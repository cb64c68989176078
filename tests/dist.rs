//! What `make dist` has made: binaries that are static and the same wherever they are built, the packages around them, the
//! lists of what is in them, and the image that is compiled from source.

mod image;
mod packages;
mod parts;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::engine::Finished;
use crate::harness::engine::rust::cargo_home;
use crate::harness::{LIMIT, Scratch, Stead, free_port, until};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The targets, the first of which is what the Dockerfile compiles here, too.
const TARGETS: [&str; 3] =
    ["x86_64-unknown-linux-gnu", "x86_64-unknown-linux-musl", "aarch64-unknown-linux-gnu"];

/// Where `cargo` puts what it makes.
fn target_dir() -> PathBuf {
    let folder = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)
}

/// A file of `make dist`.
fn made(name: &str) -> PathBuf {
    let path = target_dir().join("dist").join(name);
    assert!(path.exists(), "{} is not there: `make dist` makes it", path.display());
    path
}

/// A file of what `tests/dist/tools.txt` names.
fn tool(path: &str) -> PathBuf {
    let folder = std::env::var_os("DIST_TOOLS").expect("DIST_TOOLS: run this by `make test`");
    let path = Path::new(&folder).join(path);
    assert!(path.exists(), "{} could not be fetched", path.display());
    path
}

/// Runs a program to its end, which must be a success; gives what it printed.
fn must(command: &mut Command) -> String {
    let finished = Finished::from(command.output().expect("a program of this machine"));
    assert!(finished.code == 0, "{command:?}: {finished:?}");
    finished.stdout
}

/// The archive of a target, unpacked.
struct Unpacked {
    folder: Scratch,
    target: &'static str,
}

impl Unpacked {
    fn new(target: &'static str) -> Self {
        let folder = Scratch::new();
        let archive = made(&format!("stead-{VERSION}-{target}.tar.gz"));
        must(Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(folder.path()));
        Self { folder, target }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("stead-{VERSION}-{}", self.target)).join(name)
    }

    /// The binary, and what runs it here.
    fn stead(&self) -> (PathBuf, Option<&'static str>) {
        (self.file("stead"), emulator(self.target))
    }
}

/// What runs the programs of a target on this machine, where that is another one's.
fn emulator(target: &str) -> Option<&'static str> {
    (!target.starts_with(std::env::consts::ARCH)).then_some("qemu-aarch64-static")
}

/// The program, by what runs it.
fn command((program, emulator): &(PathBuf, Option<&str>)) -> Command {
    let mut command = Command::new(emulator.map_or(program.as_path(), Path::new));
    command.args(emulator.map(|_| program)).env_clear();
    command
}

#[test]
fn each_archive_has_the_binary_its_licences_and_what_there_is_to_read() {
    for target in TARGETS {
        let unpacked = Unpacked::new(target);
        let said = must(command(&unpacked.stead()).arg("--version"));
        assert_eq!(said, format!("stead {VERSION}\n"), "{target}");
        for name in ["LICENSE-APACHE", "LICENSE-MIT", "README.md", "CHANGELOG.md"] {
            let same = fs::read(unpacked.file(name)).ok() == fs::read(name).ok();
            assert!(same, "{name} of {target} is not the repository's");
        }
    }
}

#[test]
fn each_binary_is_static() {
    let machines = ["X86-64", "X86-64", "AArch64"];
    for (target, machine) in TARGETS.into_iter().zip(machines) {
        let unpacked = Unpacked::new(target);
        let mut readelf = Command::new("readelf");
        let headers = must(readelf.args(["-W", "-h", "-l", "-d"]).arg(unpacked.file("stead")));
        assert!(headers.contains(machine), "{target}: {headers}");
        assert!(headers.contains("EXEC (Executable file)"), "{target}: {headers}");
        for dynamic in ["INTERP", "NEEDED", "DYNAMIC "] {
            assert!(!headers.contains(dynamic), "{target} is not static: {headers}");
        }
    }
}

#[test]
fn no_path_of_this_machine_is_in_a_binary() {
    let own = [
        cargo_home(),
        target_dir(),
        PathBuf::from(env!("CARGO_MANIFEST_DIR")),
        PathBuf::from(std::env::var_os("HOME").expect("HOME")).join("."),
        "registry/src".into(),
        "rustlib/src".into(),
        "/toolchain/".into(),
    ];
    for target in TARGETS {
        let binary = fs::read(Unpacked::new(target).file("stead")).expect("the binary");
        for path in &own {
            let path = path.as_os_str().as_encoded_bytes();
            let found = binary.windows(path.len()).any(|bytes| bytes == path);
            assert!(!found, "{} is in that of {target}", String::from_utf8_lossy(path));
        }
    }
}

#[test]
fn each_binary_serves_drains_and_ends_with_its_command() {
    for target in TARGETS {
        let unpacked = Unpacked::new(target);
        let (program, emulator) = unpacked.stead();
        let port = free_port();
        let mut stead = Stead::example("hello")
            .program(program)
            .under(emulator)
            .options(["--drain-delay", "1s"])
            .env("PORT", port.to_string())
            .listening()
            .start();
        stead.wait_for_event("child started", LIMIT);
        assert!(until(LIMIT, || stead.status("/readyz") == 200), "{target} does not get ready");
        let check = command(&unpacked.stead())
            .args(["check", "ready"])
            .env("STEAD_LISTEN", format!("127.0.0.1:{}", stead.port()))
            .output()
            .expect("stead check");
        assert_eq!(String::from_utf8_lossy(&check.stdout), "ready: ok\n", "{target}: {check:?}");

        stead.signal(libc::SIGTERM);
        assert!(until(LIMIT, || stead.status("/readyz") == 503), "{target} stays ready");
        assert_eq!(stead.status("/livez"), 200, "{target}");
        assert_eq!(stead.wait_exit(LIMIT), 0, "{target}");
        assert_eq!(stead.events_of("stop signal sent").len(), 1, "{target}");
    }
}

#[test]
fn each_binary_tells_what_its_command_ended_with() {
    for target in TARGETS {
        let unpacked = Unpacked::new(target);
        let run = |script: &str| {
            let line = ["run", "--", "/bin/sh", "-c", script];
            let mut command = command(&unpacked.stead());
            command.args(line).env("STEAD_LISTEN", "off").env("PATH", "/usr/bin:/bin");
            command.output().expect("stead run").status.code()
        };
        assert_eq!(run("exit 7"), Some(7), "{target}");
        assert_eq!(run("kill -KILL $$"), Some(137), "{target}");
        assert_eq!(run("exec /no/such/program"), Some(127), "{target}");
    }
}
