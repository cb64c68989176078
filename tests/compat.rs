//! Under the names of tini and dumb-init stead does what these programs do: each case is run with Debian's
//! own program and with stead, and what can be seen of the two must be the same.

mod children;
mod engine;
mod exits;
mod lines;
mod signals;

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::harness::{self, LIMIT, Place, Running, Scratch, Stead};

/// A program of Debian's and stead under its name.
struct Both {
    peer: PathBuf,
    stead: PathBuf,
    _links: Scratch,
}

impl Both {
    /// tini or dumb-init; the packages have the names of their programs.
    fn of(name: &str) -> Self {
        let peer = Path::new("/usr/bin").join(name);
        let is_there = peer.exists();
        assert!(is_there, "install Debian's package {name}: there is no {peer:?} to compare with");
        let links = Scratch::new();
        let stead = links.path().join(name);
        symlink(harness::binary(), &stead).expect("a link to stead");
        Self { peer, stead, _links: links }
    }

    fn tini() -> Self {
        Self::of("tini")
    }

    fn dumb_init() -> Self {
        Self::of("dumb-init")
    }

    /// Does the same with each; the results must be equal, and are returned.
    fn agree<T: PartialEq + std::fmt::Debug>(&self, case: &str, act: impl Fn(&Path) -> T) -> T {
        let (peer, stead) = (act(&self.peer), act(&self.stead));
        assert_eq!(stead, peer, "{case}: stead is left, {:?} right", self.peer);
        peer
    }

    /// The exit code and stdout of a line, on which both must agree.
    fn outcome(&self, place: Place, line: &[&str]) -> (i32, Vec<String>) {
        self.agree(&format!("{line:?} {place:?}"), |wrapper| {
            let mut run = start(wrapper, place, line);
            (run.wait_exit(LIMIT), run.stdout())
        })
    }

    /// The exit code of a line, on which both must agree.
    fn code(&self, place: Place, line: &[&str]) -> i32 {
        self.outcome(place, line).0
    }
}

/// A wrapper with these arguments.
fn start(wrapper: &Path, place: Place, line: &[&str]) -> Running {
    wrapped(wrapper, place, line).start()
}

fn wrapped(wrapper: &Path, place: Place, line: &[&str]) -> Stead {
    Stead::invoked(line).program(wrapper).place(place)
}

/// The wrapper's child, once it has said that it is ready; its pid as seen from here.
fn child_of(run: &Running) -> i32 {
    pid_in_line(run, "ready ")
}

/// The same for one of several children, by its name.
fn named(run: &Running, name: &str) -> i32 {
    pid_in_line(run, &format!("{name} ready "))
}

fn pid_in_line(run: &Running, beginning: &str) -> i32 {
    let line = run.wait_for_line(LIMIT, |line| line.starts_with(beginning));
    run.pid_outside(line.trim_start_matches(beginning).parse().expect("a pid"))
}
