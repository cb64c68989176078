//! `stead sidecar` in a pod: containers that share a network and a pid namespace, whose PID 1 is a pause container.

use serde_json::Value;

use super::{NONE, STOP, has_connection, published};
use crate::harness::engine::{Container, ENDPOINTS, images};
use crate::harness::{LIMIT, http, until};

/// What a pod's containers share, kept by one that only waits and reaps.
struct Pod(Container);

impl Pod {
    fn new() -> Self {
        let pause = ["-c", "sleep 1000 & while :; do wait; done"];
        let options = [&published()[..], &["--entrypoint=/bin/sh".to_owned()]].concat();
        Self(Container::run(images::busybox(), &options, &pause))
    }

    fn start(&self, program: &str, line: &[&str]) -> Container {
        let name = self.0.name();
        let shared = ["--pid", "--network"].map(|kind| format!("{kind}=container:{name}"));
        let entry = format!("--entrypoint={program}");
        Container::run(images::busybox(), &[&shared[..], &[entry]].concat(), line)
    }

    /// A check as `/readyz` shows it.
    fn check(&self, name: &str) -> Value {
        let answer = http::request(self.0.port(ENDPOINTS), "GET", "/readyz", &[]);
        answer.json()["checks"][name].clone()
    }
}

fn is_running(container: &Container) -> bool {
    container.inspect("{{.State.Status}}") == "running"
}

/// What it said that somebody would be woken up by, but for checks that were down.
fn warnings(container: &Container) -> Vec<Value> {
    let mut events = container.events();
    events.retain(|e| e["level"] != "info" && e["message"] != "check changed");
    events
}

#[test]
fn in_a_pod_a_sidecar_follows_its_apps_port_and_process_and_ends_alone() {
    let pod = Pod::new();
    let checks = ["--check", "app-process=?stead_interval=200ms"];
    let line = [&["sidecar", "--app-pid-of", "hello", "--app-live"], &checks[..]].concat();
    let sidecar = pod.start("/stead", &line);
    // As a kubelet asks, before it starts the app's container.
    pod.0.wait_for_status(ENDPOINTS, "/startupz", 200);
    assert!(until(LIMIT, || pod.check("app-process")["class"] == "process_not_found"));
    pod.0.wait_for_status(ENDPOINTS, "/livez", 200);

    let app = pod.start("/hello", NONE);
    pod.0.wait_for_status(ENDPOINTS, "/readyz", 200);
    assert_eq!(pod.check("app-process")["detail"]["processes"], 1);
    assert_eq!(sidecar.event("starting")["pid1"], false);

    app.signal("KILL");
    pod.0.wait_for_status(ENDPOINTS, "/readyz", 503);
    assert!(until(LIMIT, || pod.check("app-process")["class"] == "process_not_found"));
    pod.0.wait_for_status(ENDPOINTS, "/livez", 503);

    let app = pod.start("/hello", NONE);
    pod.0.wait_for_status(ENDPOINTS, "/readyz", 200);
    sidecar.stop(STOP);
    assert_eq!(sidecar.wait_exit(LIMIT), 0);
    assert!(is_running(&app) && is_running(&pod.0), "another container's process was ended");
    assert_eq!(warnings(&sidecar), [] as [Value; 0]);
}

#[test]
fn in_a_pod_a_sidecar_stays_until_its_app_has_answered() {
    let pod = Pod::new();
    let sidecar = pod.start("/stead", &["sidecar"]);
    let app = pod.start("/hello", NONE);
    pod.0.wait_for_status(ENDPOINTS, "/readyz", 200);
    app.exec_detached(&["wget", "-q", "-O", "/tmp/answer", "http://127.0.0.1:8080/slow"]);
    assert!(until(LIMIT, || has_connection(&app)), "no request is under way");
    sidecar.stop(STOP);
    assert_eq!(sidecar.wait_exit(LIMIT), 0);
    assert_eq!(app.exec(&["test", "-s", "/tmp/answer"]).code, 0, "it did not wait");
    assert_eq!(sidecar.event("drain ended")["connections"], 0);
    assert_eq!(warnings(&sidecar), [] as [Value; 0]);
}

#[test]
fn as_pid_1_of_a_shared_namespace_a_sidecar_reaps_what_another_container_leaves() {
    let sidecar = Container::run(images::busybox(), &["--entrypoint=/stead"], &["sidecar"]);
    sidecar.wait_for_output("starting");
    let shared = ["--entrypoint=/bin/sh".to_owned(), format!("--pid=container:{}", sidecar.name())];
    let script = "for i in 1 2 3 4 5; do (sleep 3 &); done; while :; do sleep 1; done";
    let other = Container::run(images::busybox(), &shared, &["-c", script]);
    let orphans = || {
        let ps = sidecar.exec(&["ps", "-o", "ppid,comm"]).stdout;
        ps.lines().filter(|line| line.split_whitespace().eq(["1", "sleep"])).count()
    };
    assert!(until(LIMIT, || orphans() == 5), "they were not left to it");
    assert!(until(LIMIT, || orphans() == 0), "they were not reaped");
    assert!(is_running(&other));
}
