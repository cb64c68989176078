//! What the manifest of a pod says, as options of the engine's command line.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::Cluster;

/// A text of a manifest.
pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

/// A number of seconds of a manifest.
pub fn seconds(value: &Value) -> Option<Duration> {
    value.as_u64().map(Duration::from_secs)
}

/// The elements of a list that may be missing.
pub fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Fails where an object has other fields than these, which would otherwise silently not count here.
pub fn only(object: &Value, fields: &[&str]) {
    for field in object.as_object().into_iter().flat_map(|object| object.keys()) {
        assert!(fields.contains(&field.as_str()), "here is no `{field}`: {object}");
    }
}

/// The fields of a pod that count here, or that are the scheduler's business.
const POD: &[&str] = &[
    "automountServiceAccountToken",
    "containers",
    "initContainers",
    "securityContext",
    "shareProcessNamespace",
    "terminationGracePeriodSeconds",
    "topologySpreadConstraints",
    "volumes",
];

/// The fields of a container that count here. Ports are names for the probes, and requests are the scheduler's.
const CONTAINER: &[&str] = &[
    "args",
    "command",
    "env",
    "image",
    "lifecycle",
    "livenessProbe",
    "name",
    "ports",
    "readinessProbe",
    "resources",
    "restartPolicy",
    "securityContext",
    "startupProbe",
    "volumeMounts",
];

/// A pod's template and what the kubelet knows of this pod.
pub struct Identity {
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: String,
    /// The template of the Deployment.
    pub template: Value,
    /// The engine's volume for each volume.
    pub volumes: BTreeMap<String, String>,
}

impl Identity {
    /// The pod's part of the template.
    pub fn spec(&self) -> &Value {
        let spec = &self.template["spec"];
        only(spec, POD);
        spec
    }

    /// What a `fieldPath` of the downward API leads to.
    fn field(&self, path: &str) -> String {
        match path {
            "metadata.name" => self.name.clone(),
            "metadata.namespace" => "default".into(),
            "status.podIP" => self.address.clone(),
            _ => {
                let label =
                    path.strip_prefix("metadata.labels['").and_then(|p| p.strip_suffix("']"));
                let label = label.unwrap_or_else(|| panic!("here is no field {path}"));
                text(&self.template["metadata"]["labels"][label])
            }
        }
    }
}

/// What the engine is to run for a container.
pub struct Line {
    /// The image.
    pub image: String,
    /// Options of `docker run`.
    pub options: Vec<String>,
    /// The command.
    pub command: Vec<String>,
}

/// The line for a container of a pod, but for the namespaces that it shares.
pub fn line(cluster: &Cluster, pod: &Identity, container: &Value) -> Line {
    only(container, CONTAINER);
    let image = text(&container["image"]);
    let image = cluster.images.get(&image).unwrap_or_else(|| panic!("no image {image}")).clone();
    let mut options = environment(cluster, pod, container);
    options.extend(security(&pod.spec()["securityContext"], &container["securityContext"]));
    options.extend(resources(&container["resources"]));
    options.extend(list(&container["volumeMounts"]).map(|mount| {
        only(mount, &["name", "mountPath", "readOnly"]);
        let volume = &pod.volumes[mount["name"].as_str().expect("a name")];
        let mode = if mount["readOnly"] == true { ":ro" } else { "" };
        format!("--volume={volume}:{}{mode}", text(&mount["mountPath"]))
    }));
    // `command` is the engine's entry point: with it, neither the image's entry point nor its CMD counts.
    let mut command: Vec<_> = list(&container["command"]).map(text).collect();
    if !command.is_empty() {
        options.push(format!("--entrypoint={}", command.remove(0)));
    }
    command.extend(list(&container["args"]).map(text));
    Line { image, options, command }
}

fn environment(cluster: &Cluster, pod: &Identity, container: &Value) -> Vec<String> {
    let mut variables = BTreeMap::new();
    for (host, (name, port)) in cluster.all_services().into_iter().enumerate() {
        variables.extend(links(&name, &format!("10.96.0.{}", host + 1), port));
    }
    for variable in list(&container["env"]) {
        only(variable, &["name", "value", "valueFrom"]);
        let from = &variable["valueFrom"];
        only(from, &["fieldRef", "secretKeyRef"]);
        let value = if let Some(path) = from["fieldRef"]["fieldPath"].as_str() {
            pod.field(path)
        } else if from["secretKeyRef"].is_object() {
            let secret = &from["secretKeyRef"];
            let key = format!("{}/{}", text(&secret["name"]), text(&secret["key"]));
            cluster.secrets.get(&key).unwrap_or_else(|| panic!("no secret {key}")).clone()
        } else {
            text(&variable["value"])
        };
        variables.insert(text(&variable["name"]), value);
    }
    variables.into_iter().map(|(name, value)| format!("--env={name}={value}")).collect()
}

/// The variables that kubelet makes of a Service, as links between Docker's containers once did.
fn links(service: &str, host: &str, port: u16) -> Vec<(String, String)> {
    let name = service.to_uppercase().replace('-', "_");
    let address = format!("tcp://{host}:{port}");
    vec![
        (format!("{name}_SERVICE_HOST"), host.into()),
        (format!("{name}_SERVICE_PORT"), port.to_string()),
        (format!("{name}_PORT"), address.clone()),
        (format!("{name}_PORT_{port}_TCP"), address),
        (format!("{name}_PORT_{port}_TCP_PROTO"), "tcp".into()),
        (format!("{name}_PORT_{port}_TCP_PORT"), port.to_string()),
        (format!("{name}_PORT_{port}_TCP_ADDR"), host.into()),
    ]
}

/// The engine's own seccomp profile is what `RuntimeDefault` means.
fn security(pod: &Value, container: &Value) -> Vec<String> {
    only(pod, &["runAsNonRoot", "runAsUser", "runAsGroup", "seccompProfile"]);
    only(container, &["allowPrivilegeEscalation", "readOnlyRootFilesystem", "capabilities"]);
    assert_eq!(pod["seccompProfile"]["type"], "RuntimeDefault");
    let mut options = Vec::new();
    // kubelet starts no container of root's then.
    assert!(pod["runAsNonRoot"] != true || pod["runAsUser"].as_u64() > Some(0), "{pod}");
    if let Some(user) = pod["runAsUser"].as_u64() {
        let group = pod["runAsGroup"].as_u64().unwrap_or(0);
        options.push(format!("--user={user}:{group}"));
    }
    if container["readOnlyRootFilesystem"] == true {
        options.push("--read-only".into());
    }
    if container["allowPrivilegeEscalation"] == false {
        options.push("--security-opt=no-new-privileges".into());
    }
    options.extend(
        list(&container["capabilities"]["drop"])
            .map(|capability| format!("--cap-drop={}", text(capability))),
    );
    options
}

/// Limits alone; `256Mi` is `256m` to the engine.
fn resources(resources: &Value) -> Vec<String> {
    let memory = resources["limits"]["memory"].as_str();
    let memory = memory.map(|memory| memory.strip_suffix("Mi").expect("a number of Mi"));
    memory.map(|memory| format!("--memory={memory}m")).into_iter().collect()
}
