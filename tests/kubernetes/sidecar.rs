//! stead beside the app, as a native sidecar.

use std::time::Duration;

use serde_json::json;

use super::traffic::Traffic;
use super::{ENDPOINTS, HTTP, REMOVAL, RESTART, START, applied};
use crate::harness::kubelet::Pod;
use crate::harness::{LIMIT, http, until};

#[test]
fn the_app_starts_behind_it_and_ends_before_it_and_no_request_is_lost() {
    let applied = applied("overlays/sidecar");
    let mut pod = Pod::start(&applied.cluster);
    pod.wait_ready(true, START);
    let (app, stead) = (pod.container("app"), pod.container("stead"));
    let started = app.inspect("{{.State.StartedAt}}");
    for check in ["database", "redis"] {
        let events = stead.events();
        let up = events.iter().find(|event| event["check"] == check && event["status"] == "up");
        let up = up.unwrap_or_else(|| panic!("{check} was never up"))["timestamp"].as_str();
        assert!(up.unwrap() < started.as_str(), "{check} came up at {up:?}, the app at {started}");
    }

    let traffic = Traffic::to(pod.at(HTTP));
    pod.delete();
    assert!(until(LIMIT, || pod.status(ENDPOINTS, "/readyz") == Some(503)));
    assert_eq!(pod.status(ENDPOINTS, "/livez"), Some(200));
    // Its TERM is still to come: what made the pod not ready is the sidecar's preStop.
    assert!(!app.logs().stdout.contains("TERM"), "{:?}", app.logs());
    traffic.end_after(REMOVAL);
    pod.wait_ready(false, REMOVAL);

    let failed = pod.failed_liveness("app");
    let ends = pod.wait_gone();
    for (name, end) in &ends {
        assert!(end.code == 0 && !end.killed && end.after < pod.grace(), "{name}: {end:?}");
        assert_eq!(pod.restarts(name), 0, "{name}");
    }
    assert_eq!((failed, pod.hook("stead")), (0, Some(0)));
    assert!(ends["app"].after > Duration::from_secs(5), "{ends:?}");
    assert!(ends["stead"].after >= ends["app"].after, "{ends:?}");
    assert!(app.logs().stdout.contains("TERM"), "{:?}", app.logs());
}

#[test]
fn in_a_shared_pid_namespace_it_watches_the_apps_process_too() {
    let mut applied = applied("overlays/sidecar");
    let deployment = applied.cluster.objects.iter_mut().find(|o| o["kind"] == "Deployment");
    let pod = &mut deployment.unwrap()["spec"]["template"]["spec"];
    pod["shareProcessNamespace"] = json!(true);
    let environment = pod["initContainers"][0]["env"].as_array_mut().unwrap();
    environment.push(json!({"name": "STEAD_APP_PID_OF", "value": "node"}));
    let mut pod = Pod::start(&applied.cluster);
    pod.wait_ready(true, START);
    assert_eq!(pod.status(ENDPOINTS, "/readyz/app-process"), Some(200));

    pod.delete();
    for (name, end) in pod.wait_gone() {
        assert!(end.code == 0 && !end.killed && end.after < pod.grace(), "{name}: {end:?}");
        assert_eq!((pod.restarts(&name), pod.failed_liveness(&name)), (0, 0), "{name}");
    }
}

/// An app that hangs is restarted, and the sidecar is not.
pub fn has_an_app_that_hangs_restarted() {
    let applied = applied("overlays/sidecar");
    let mut pod = Pod::start(&applied.cluster);
    pod.wait_ready(true, START);
    let hung = pod.container("app");
    assert!(http::get(pod.at(HTTP), "/hang", Duration::from_millis(100)).is_none());

    assert!(until(RESTART, || pod.restarts("app") == 1), "not restarted within {RESTART:?}");
    assert_eq!(hung.inspect("{{.State.ExitCode}}"), "137", "TERM does not end what hangs");
    pod.wait_ready(true, START);
    assert_eq!(pod.restarts("stead"), 0);

    pod.delete();
    for (name, end) in pod.wait_gone() {
        assert!(end.code == 0 && !end.killed && end.after < pod.grace(), "{name}: {end:?}");
    }
    assert_eq!((pod.restarts("app"), pod.restarts("stead")), (1, 0));
}
