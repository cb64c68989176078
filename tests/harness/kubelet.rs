//! A kubelet as far as the examples use one: a rendered Deployment's pod, run by the container engine. Names, secrets and
//! services that a cluster would know come from the test; a field that is not understood here fails the test.

mod container;
mod pod;
mod probe;
mod spec;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

pub use pod::Pod;

use super::engine::{Finished, Owned};

/// A program, or the path of a module, of those that `tests/run.sh` gets from tests/kubernetes/tools.txt.
pub fn tool(name: &str) -> PathBuf {
    let tools = std::env::var_os("KUBERNETES_TOOLS").map(PathBuf::from);
    let tool = tools.map(|tools| tools.join(name)).filter(|tool| tool.exists());
    tool.unwrap_or_else(|| panic!("no {name} in KUBERNETES_TOOLS: tests/run.sh gets it"))
}

/// Python with the modules of `tool`.
pub fn python() -> Command {
    let mut python = Command::new("/usr/bin/python3");
    python.env("PYTHONPATH", tool("yaml").parent().expect("its directory"));
    python
}

/// What `kubectl kustomize` makes of a directory, as YAML.
pub fn rendered(directory: &Path) -> String {
    let mut kubectl = Command::new(tool("bin/kubectl"));
    let output = kubectl.arg("kustomize").arg(directory).output().expect("kubectl");
    let finished = Finished::from(output);
    // A warning (of what is deprecated) is a mistake in an example, too.
    assert!(
        finished.code == 0 && finished.stderr.is_empty(),
        "kubectl kustomize {}: {}",
        directory.display(),
        finished.stderr
    );
    finished.stdout
}

/// Each document of a YAML text.
pub fn documents(yaml: &str) -> Vec<Value> {
    let convert = "import json, sys, yaml\n\
                   json.dump(list(yaml.safe_load_all(sys.stdin)), sys.stdout)";
    let mut python = python();
    python.args(["-c", convert]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut python = python.spawn().expect("python3");
    let mut stdin = python.stdin.take().expect("a pipe");
    std::io::Write::write_all(&mut stdin, yaml.as_bytes()).expect("its input");
    drop(stdin);
    let output = python.wait_with_output().expect("python3");
    serde_json::from_slice(&output.stdout).expect("JSON of YAML")
}

/// What a kubelet finds in its cluster.
pub struct Cluster {
    /// The rendered objects.
    pub objects: Vec<Value>,
    /// The engine's image for each name of one in the objects.
    pub images: BTreeMap<String, String>,
    /// The values of `secretKeyRef`, by `name/key`.
    pub secrets: BTreeMap<String, String>,
    /// Services beside those of the objects: each pod finds all of them in its environment.
    pub services: BTreeMap<String, u16>,
    /// Where the pods and what they depend on find one another.
    pub network: Owned,
}

impl Cluster {
    /// The one object of this kind.
    pub fn object(&self, kind: &str) -> &Value {
        let mut found = self.objects.iter().filter(|object| object["kind"] == kind);
        let object = found.next().unwrap_or_else(|| panic!("no {kind} among the objects"));
        assert!(found.next().is_none(), "more than one {kind}");
        object
    }

    /// The services by name with their ports, those of the objects too.
    fn all_services(&self) -> BTreeMap<String, u16> {
        let mut services = self.services.clone();
        for service in self.objects.iter().filter(|object| object["kind"] == "Service") {
            let port = service["spec"]["ports"][0]["port"].as_u64().expect("a port");
            services.insert(spec::text(&service["metadata"]["name"]), port as u16);
        }
        services
    }
}
