//! What can be said of the manifests without running them: that Kubernetes takes them, that their times fit into one
//! another, and that what one names the other has.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use super::{ENDPOINTS, example, objects};
use crate::harness::Scratch;
use crate::harness::engine::Finished;
use crate::harness::kubelet::{documents, python, rendered};

/// The releases whose schemas count: the first with a sleep in preStop, and the newest known.
const RELEASES: [&str; 2] = ["1.30", "1.37"];

/// What an app has beside a sidecar for its end, once its TERM has come: what stead gives it elsewhere.
const APPS_OWN: Duration = Duration::from_secs(30);

/// What every container's end needs beside the times that are written: stead's own 5 s.
const MARGIN: Duration = Duration::from_secs(5);

/// The base, and each directory of the overlays, whatever is there.
fn examples() -> Vec<String> {
    let entries = std::fs::read_dir(example("overlays")).expect("the overlays");
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut examples: Vec<_> = names.map(|name| format!("overlays/{name}")).collect();
    assert!(examples.len() >= 4, "{examples:?}");
    examples.push("base".into());
    examples
}

/// The pod of an example.
fn pod(objects: &[Value]) -> &Value {
    let deployment = objects.iter().find(|object| object["kind"] == "Deployment");
    &deployment.expect("a Deployment")["spec"]["template"]["spec"]
}

fn containers(pod: &Value) -> Vec<&Value> {
    let lists = ["initContainers", "containers"].map(|list| pod[list].as_array());
    lists.into_iter().flatten().flatten().collect()
}

/// Those that stay: the apps, and the sidecars.
fn kept(pod: &Value) -> impl Iterator<Item = &Value> {
    let stays = |container: &&Value| {
        container["restartPolicy"] == "Always"
            || pod["containers"].as_array().is_some_and(|apps| apps.contains(container))
    };
    containers(pod).into_iter().filter(stays)
}

fn variables(container: &Value) -> BTreeMap<&str, &Value> {
    let list = container["env"].as_array().into_iter().flatten();
    list.map(|variable| (variable["name"].as_str().unwrap(), variable)).collect()
}

/// A duration in the environment of a container.
fn duration(container: &Value, name: &str) -> Option<Duration> {
    let value = variables(container).get(name)?["value"].as_str()?.to_owned();
    Some(humantime::parse_duration(&value).expect("a duration"))
}

fn seconds(value: &Value) -> Option<Duration> {
    value.as_u64().map(Duration::from_secs)
}

#[test]
fn kubernetes_takes_each_of_them() {
    let folder = Scratch::new();
    for name in examples() {
        let yaml = rendered(&example(&name));
        let file = folder.file("objects.yaml", &yaml, 0o644);
        let mut validate = python();
        validate.args(["-m", "kubernetes_validate", "--strict"]);
        validate.args(RELEASES.iter().flat_map(|release| ["-k", release])).arg(file);
        let said = Finished::from(validate.output().expect("python3"));
        assert_eq!(said.code, 0, "{name}: {said:?}");
        // A kind without a schema is only a warning there.
        let passed = said.stdout.lines().filter(|line| line.contains(" passed for ")).count();
        let expected = documents(&yaml).len() * RELEASES.len();
        assert_eq!((passed, said.stdout.lines().count()), (expected, expected), "{said:?}");
    }
}

#[test]
fn each_grace_is_longer_than_all_that_has_to_fit_into_it() {
    for name in examples() {
        let objects = objects(&name);
        let pod = pod(&objects);
        let total = seconds(&pod["terminationGracePeriodSeconds"]).expect("it is written");
        for container in kept(pod) {
            let sleep = seconds(&container["lifecycle"]["preStop"]["sleep"]["seconds"]);
            let sleep = sleep.unwrap_or_default();
            let grace = duration(container, "STEAD_GRACE").unwrap_or(APPS_OWN);
            // `stead drain` begins the very grace that TERM finds begun.
            assert!(sleep + grace + MARGIN <= total, "{name}: {sleep:?} + {grace:?} in {total:?}");
            let hooks = ["STEAD_PRE_STOP", "STEAD_POST_STOP"]
                .map(|name| variables(container).contains_key(name));
            assert_eq!(hooks, [false; 2], "{name}: their timeouts are to be counted here, too");
            let delay = duration(container, "STEAD_DRAIN_DELAY").unwrap_or_default();
            // The stop signal is held back until half of the grace is left, at most.
            assert!(delay < grace / 2, "{name}: {delay:?} of {grace:?}");
        }
    }
}

#[test]
fn each_probe_asks_stead_over_http_within_the_second_that_it_promises() {
    let paths = BTreeMap::from([
        ("startupProbe", &["/startupz", "/readyz/app-url", "/livez"][..]),
        ("livenessProbe", &["/livez"]),
        ("readinessProbe", &["/readyz", "/livez"]),
    ]);
    for name in examples() {
        let objects = objects(&name);
        let pod = pod(&objects);
        let mut asked = 0;
        for (container, (kind, paths)) in
            containers(pod).into_iter().flat_map(|c| paths.iter().map(move |probe| (c, probe)))
        {
            let Some(probe) = container.get(kind) else { continue };
            let get = &probe["httpGet"];
            assert!(paths.contains(&get["path"].as_str().unwrap()), "{name}: {kind} {probe}");
            assert!(get["port"] == "stead" || get["port"] == ENDPOINTS, "{name}: {probe}");
            assert_eq!(probe["timeoutSeconds"], 1, "{name}: {probe}");
            asked += 1;
        }
        // The one that matters is on the app's own container.
        assert!(pod["containers"][0]["livenessProbe"].is_object(), "{name}");
        assert!(asked >= 2, "{name}: {asked} probes");
    }
}

#[test]
fn the_policy_of_the_network_lets_through_what_the_environment_names() {
    for name in examples() {
        let objects = objects(&name);
        let policy = objects.iter().find(|object| object["kind"] == "NetworkPolicy").unwrap();
        let ports = |direction: &str| -> Vec<Value> {
            let rules = policy["spec"][direction].as_array().unwrap().iter();
            rules.flat_map(|rule| rule["ports"].as_array().unwrap().clone()).collect()
        };
        let (ingress, egress) = (ports("ingress"), ports("egress"));
        for protocol in ["UDP", "TCP"] {
            assert!(egress.contains(&json!({"port": 53, "protocol": protocol})), "{name}");
        }
        // Postgres by the secret, Redis by the URL.
        for port in [5432, 6379] {
            assert!(egress.contains(&json!({"port": port, "protocol": "TCP"})), "{name}: {port}");
        }
        let pod = pod(&objects);
        let open = containers(pod).into_iter().flat_map(|c| c["ports"].as_array().cloned());
        for port in open.flatten() {
            let rule = json!({"port": port["name"], "protocol": "TCP"});
            assert!(ingress.contains(&rule), "{name}: nobody may come to {port}");
        }
        // kustomize would write the app's own label into the peers.
        let peers = json!([policy["spec"]["ingress"], policy["spec"]["egress"]]).to_string();
        assert!(!peers.contains("matchLabels"), "{name}: {peers}");
    }
}

#[test]
fn every_selector_finds_the_pods() {
    for name in examples() {
        let objects = objects(&name);
        let deployment = objects.iter().find(|object| object["kind"] == "Deployment").unwrap();
        let labels = &deployment["spec"]["template"]["metadata"]["labels"];
        let spread = &deployment["spec"]["template"]["spec"]["topologySpreadConstraints"];
        assert_eq!(&deployment["spec"]["selector"]["matchLabels"], labels, "{name}");
        assert_eq!(&spread[0]["labelSelector"]["matchLabels"], labels, "{name}");
        for object in &objects {
            let selector = match object["kind"].as_str().unwrap() {
                "Service" => &object["spec"]["selector"],
                "PodDisruptionBudget" => &object["spec"]["selector"]["matchLabels"],
                "NetworkPolicy" => &object["spec"]["podSelector"]["matchLabels"],
                _ => labels,
            };
            assert_eq!(selector, labels, "{name}: {object}");
            if object["kind"] == "HorizontalPodAutoscaler" {
                let target = &object["spec"]["scaleTargetRef"]["name"];
                assert_eq!(target, &deployment["metadata"]["name"], "{name}");
                assert!(deployment["spec"]["replicas"].is_null(), "two masters of one number");
            }
        }
    }
}

#[test]
fn the_metric_of_the_autoscaler_is_served_by_the_rule_of_the_adapter() {
    let objects = objects("overlays/worker");
    let scaler = objects.iter().find(|object| object["kind"] == "HorizontalPodAutoscaler").unwrap();
    let metric = scaler["spec"]["metrics"][0]["external"]["metric"]["name"].as_str().unwrap();
    let rule = std::fs::read_to_string(example("overlays/worker/adapter-rule.yaml")).unwrap();
    let rule = &documents(&rule)[0]["externalRules"][0];
    assert!(rule["seriesQuery"].as_str().unwrap().contains(metric), "{rule}");

    // As the adapter fills the template in, asked of what three pods with the same queue tell.
    let query = rule["metricsQuery"].as_str().unwrap();
    let labels = r#"check="redis",namespace="default""#;
    let query = query.replace("<<.Series>>", metric).replace("<<.LabelMatchers>>", labels);
    let series: Vec<_> = (0..3)
        .map(|pod| json!({"series": format!("{metric}{{{labels},pod=\"worker-{pod}\"}}"), "values": "250 250"}))
        .collect();
    let expected = json!([{"labels": r#"{check="redis"}"#, "value": 250}]);
    let asked = json!([{"expr": query, "eval_time": "1m", "exp_samples": expected}]);
    let test =
        json!({"tests": [{"interval": "1m", "input_series": series, "promql_expr_test": asked}]});
    let folder = Scratch::new();
    let file = folder.file("test.yaml", test.to_string(), 0o644);
    let output = Command::new("promtool").args(["test", "rules"]).arg(file).output();
    let said = Finished::from(output.expect("promtool"));
    assert_eq!(said.code, 0, "{said:?}");
}

#[test]
fn the_pod_monitor_finds_a_port_of_that_name_in_each_pod() {
    let monitor =
        std::fs::read_to_string(example("components/monitoring/pod-monitor.yaml")).unwrap();
    let spec = &documents(&monitor)[0]["spec"];
    let endpoint = &spec["podMetricsEndpoints"][0];
    let wanted = spec["selector"]["matchExpressions"][0].clone();
    assert_eq!(endpoint["path"], "/metrics");
    for name in examples() {
        let objects = objects(&name);
        let deployment = objects.iter().find(|object| object["kind"] == "Deployment").unwrap();
        let template = &deployment["spec"]["template"];
        let label = &template["metadata"]["labels"][wanted["key"].as_str().unwrap()];
        assert!(wanted["values"].as_array().unwrap().contains(label), "{name}: {label}");
        let ports = containers(&template["spec"]).into_iter().flat_map(|c| c["ports"].as_array());
        let port = ports.flatten().find(|port| port["name"] == endpoint["port"]);
        let port = port.unwrap_or_else(|| panic!("{name}: no port {}", endpoint["port"]));
        assert_eq!(port["containerPort"], ENDPOINTS, "{name}");
        let annotated = &template["metadata"]["annotations"]["prometheus.io/port"];
        assert_eq!(annotated, &json!(ENDPOINTS.to_string()), "{name}");
    }
}

/// What becomes of an overlay that a user writes beside the others.
fn with_overlay(kustomization: &str) -> Vec<Value> {
    // kustomize takes nothing from above the directory that it builds, but for other such directories.
    let folder = Scratch::new();
    let copied = Command::new("cp").arg("-a").arg(example(".")).arg(folder.path()).status();
    assert!(copied.expect("cp").success());
    let overlay = folder.path().join("overlays/mine");
    std::fs::create_dir(&overlay).unwrap();
    std::fs::write(overlay.join("kustomization.yaml"), kustomization).unwrap();
    documents(&rendered(&overlay))
}

#[test]
fn the_component_for_the_prometheus_operator_can_be_added_to_an_overlay() {
    let text = "resources: [../worker]\ncomponents: [../../components/monitoring]\n";
    let objects = with_overlay(text);
    assert!(objects.iter().any(|object| object["kind"] == "PodMonitor"), "{objects:?}");
}

#[test]
fn the_overlay_of_the_guide_names_other_images_and_another_command() {
    let guide = std::fs::read_to_string(example("README.md")).unwrap();
    let (_, block) = guide.split_once("```yaml\n").expect("a block of YAML");
    let (block, _) = block.split_once("```").expect("its end");
    let objects = with_overlay(block);
    let pod = pod(&objects);
    let app = &pod["containers"][0];
    assert_eq!(app["args"], json!(["python", "-m", "orders"]));
    assert_eq!(app["command"], json!(["/shared/stead", "run", "--"]));
    assert_eq!(app["image"], "registry.example.org/orders:2.7.0");
    assert_eq!(pod["initContainers"][0]["image"], "registry.example.org/stead:0.1.0");
}
