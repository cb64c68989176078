//! `docker compose`: the engine's own, or the one that `DOCKER_COMPOSE` names.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::{Container, Finished, docker, docker_line, test_run};
use crate::harness::{Scratch, unique};

/// A project of Compose; all that it made is removed when it is dropped.
pub struct Project {
    files: Vec<PathBuf>,
    name: String,
    variables: Vec<(String, String)>,
    own: Scratch,
}

impl Project {
    /// The project of this file, with nothing started.
    pub fn new(file: impl AsRef<Path>) -> Self {
        let files = vec![file.as_ref().to_owned()];
        // `tests/run.sh` removes what such a name is on.
        let name = unique(&format!("stead-test-{}", test_run()));
        Self { files, name, variables: Vec::new(), own: Scratch::new() }
    }

    /// One of the variables of the file.
    pub fn set(mut self, name: &str, value: impl ToString) -> Self {
        self.variables.push((name.into(), value.to_string()));
        self
    }

    /// A further file with this text, from now on.
    pub fn add(&mut self, name: &str, text: &str) {
        self.files.push(self.own.file(name, text, 0o644));
    }

    /// `docker compose WORDS`, to its end.
    pub fn compose(&self, words: &[&str]) -> Finished {
        let mut command = program();
        command.args(["--project-name", &self.name]);
        for file in &self.files {
            command.arg("--file").arg(file);
        }
        command.args(words).stdin(Stdio::null());
        // The engine's classic builder: buildx need not be there.
        command.env("DOCKER_BUILDKIT", "0").env("COMPOSE_PROGRESS", "plain");
        command.envs(self.variables.iter().cloned());
        command.output().expect("docker compose").into()
    }

    /// The same, which must succeed.
    pub fn must(&self, words: &[&str]) -> Finished {
        let finished = self.compose(words);
        assert!(finished.code == 0, "docker compose {words:?}: {finished:?}");
        finished
    }

    /// The container of a service.
    pub fn container(&self, service: &str) -> Container {
        let id = self.must(&["ps", "--all", "--quiet", service]).stdout;
        Container::known(id.trim())
    }

    /// The services with their state, health and exit code, as `docker compose ps` tells them.
    pub fn services(&self) -> Vec<Value> {
        let lines = self.must(&["ps", "--all", "--format", "json"]).stdout;
        lines.lines().map(|line| serde_json::from_str(line).expect("a service")).collect()
    }

    /// Containers, networks and volumes that are still there.
    pub fn left(&self) -> Vec<String> {
        let filter = format!("label=com.docker.compose.project={}", self.name);
        let kinds: [&[&str]; 3] =
            [&["container", "ls", "--all"], &["network", "ls"], &["volume", "ls"]];
        let list = |kind: &[&str]| docker_line([kind, &["--quiet", "--filter", &filter]].concat());
        let found: Vec<String> = kinds.into_iter().map(list).collect();
        found.iter().flat_map(|ids| ids.lines()).map(str::to_owned).collect()
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let logs = self.compose(&["logs", "--no-color", "--tail", "50"]);
            eprintln!("--- {}\n{}{}", self.name, logs.stdout, logs.stderr);
        }
        self.compose(&["down", "--volumes", "--remove-orphans", "--timeout", "0"]);
    }
}

/// `docker compose`.
fn program() -> Command {
    // Says first when there is no engine.
    docker(["version"]);
    let named = std::env::var_os("DOCKER_COMPOSE").map(PathBuf::from);
    if let Some(program) = named.filter(|program| program.exists()) {
        return Command::new(program);
    }
    let version = docker(["compose", "version"]);
    assert!(
        version.code == 0,
        "here is no `docker compose`, and DOCKER_COMPOSE names none: `make test` fetches it, and says why it cannot"
    );
    let mut command = Command::new("docker");
    command.arg("compose");
    command
}
