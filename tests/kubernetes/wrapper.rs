//! The base: stead as PID 1 of an app whose image knows nothing of it.

use std::time::Duration;

use serde_json::{Value, json};

use super::traffic::Traffic;
use super::{ENDPOINTS, HTTP, REMOVAL, START, applied};
use crate::harness::kubelet::Pod;
use crate::harness::{LIMIT, http, until};

/// Readiness at its own period, and a second for the answer.
const SEEN: Duration = Duration::from_secs(4);

/// What stead was warned of, but for the checks that the test itself has failed.
fn warnings(events: &[Value]) -> Vec<&Value> {
    let warned = |event: &&Value| event["level"] == "warn" && event["message"] != "check changed";
    events.iter().filter(warned).collect()
}

#[test]
fn a_deleted_pod_loses_no_request_and_ends_inside_its_grace() {
    let applied = applied("base");
    let mut pod = Pod::start(&applied.cluster);
    pod.wait_ready(true, START);
    let app = pod.container("app");
    let starting = app.event("starting");
    assert_eq!(starting["pid1"], true, "{starting}");
    let stop_timeout = starting["stop_timeout_s"].as_f64().unwrap();
    assert!(stop_timeout <= pod.grace().as_secs_f64(), "{starting} in {:?}", pod.grace());

    let traffic = Traffic::to(pod.at(HTTP));
    pod.delete();
    assert!(until(LIMIT, || pod.status(ENDPOINTS, "/readyz") == Some(503)));
    assert_eq!(pod.status(ENDPOINTS, "/livez"), Some(200));
    traffic.end_after(REMOVAL);
    pod.wait_ready(false, SEEN);

    let failed = pod.failed_liveness("app");
    let ends = pod.wait_gone();
    let end = &ends["app"];
    assert!(end.code == 0 && !end.killed && end.after < pod.grace(), "{end:?}");
    assert_eq!((pod.restarts("app"), failed), (0, 0));
    assert!(app.logs().stdout.contains("TERM"), "{:?}", app.logs());
    assert_eq!(warnings(&app.events()), Vec::<&Value>::new());
}

#[test]
fn in_a_shared_pid_namespace_it_works_too_and_a_dead_dependency_takes_no_pod_out() {
    let mut applied = applied("base");
    let deployment = applied.cluster.objects.iter_mut().find(|o| o["kind"] == "Deployment");
    deployment.unwrap()["spec"]["template"]["spec"]["shareProcessNamespace"] = json!(true);
    let mut pod = Pod::start(&applied.cluster);
    pod.wait_ready(true, START);
    let app = pod.container("app");
    assert_eq!(app.event("starting")["pid1"], false);

    applied.redis.signal("KILL");
    let status = || {
        let ready = http::get(pod.at(ENDPOINTS), "/readyz", LIMIT).unwrap();
        ready.json()["status"].as_str().unwrap().to_owned()
    };
    assert!(until(LIMIT, || status() == "degraded"), "{}", status());
    assert!(pod.stays_ready(SEEN), "not ready");

    pod.delete();
    let end = pod.wait_gone().remove("app").unwrap();
    assert!(end.code == 0 && !end.killed && end.after < pod.grace(), "{end:?}");
    assert_eq!((pod.restarts("app"), pod.failed_liveness("app")), (0, 0));
    assert_eq!(warnings(&app.events()), Vec::<&Value>::new());
}

/// An app that hangs is out of service, and is not restarted; deleted, it still ends inside the grace.
pub fn leaves_an_app_that_hangs() {
    let applied = applied("base");
    assert!(!applied.cluster.object("Deployment").to_string().contains("STEAD_APP_LIVE"));
    let mut pod = Pod::start(&applied.cluster);
    pod.wait_ready(true, START);
    assert!(http::get(pod.at(HTTP), "/hang", Duration::from_millis(100)).is_none());

    pod.wait_ready(false, LIMIT);
    // Three of its liveness probes, and one more.
    assert!(!until(LIMIT, || pod.is_ready() || pod.restarts("app") > 0), "ready or restarted");
    assert_eq!(pod.failed_liveness("app"), 0);

    pod.delete();
    let end = pod.wait_gone().remove("app").unwrap();
    assert!(!end.killed && end.after < pod.grace(), "{end:?}");
    assert_eq!(end.code, 137, "stead's own KILL, at the end of its own grace");
}
