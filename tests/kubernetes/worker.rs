//! The worker: no port, a heartbeat, and a queue whose length is its autoscaler's metric.

use std::io::Write;
use std::net::TcpStream;

use super::{ENDPOINTS, RESTART, START, applied};
use crate::harness::kubelet::Pod;
use crate::harness::{LIMIT, http, until};

#[test]
fn a_worker_tells_the_length_of_its_queue_and_finishes_its_job_when_it_is_deleted() {
    let applied = applied("overlays/worker");
    let mut pod = Pod::start(&applied.cluster);
    pod.wait_ready(true, START);
    let queue = applied.redis.inspect("{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}");
    let mut queue = TcpStream::connect(format!("{queue}:6379")).unwrap();
    queue.write_all(b"LPUSH bull:jobs:wait a b c\r\n").unwrap();

    let autoscaler = applied.cluster.object("HorizontalPodAutoscaler");
    let metric = &autoscaler["spec"]["metrics"][0]["external"]["metric"];
    let (name, labels) = (metric["name"].as_str().unwrap(), &metric["selector"]["matchLabels"]);
    let expected = format!("{name}{{check={}}} 3.0", labels["check"]);
    let mut metrics = String::new();
    let came = until(LIMIT, || {
        metrics = http::get(pod.at(ENDPOINTS), "/metrics", LIMIT).unwrap().body;
        metrics.lines().any(|line| line == expected)
    });
    assert!(came, "no `{expected}` in {metrics}");

    pod.delete();
    let end = pod.wait_gone().remove("app").unwrap();
    assert!(end.code == 0 && !end.killed && end.after < pod.grace(), "{end:?}");
    assert_eq!((pod.restarts("app"), pod.failed_liveness("app")), (0, 0));
    let logs = pod.container("app").logs();
    assert!(logs.stdout.contains("job finished"), "{logs:?}");
}

/// A worker that hangs is restarted.
pub fn that_hangs_is_restarted() {
    let applied = applied("overlays/worker");
    let mut pod = Pod::start(&applied.cluster);
    pod.wait_ready(true, START);
    let hung = pod.container("app");
    // stead forwards it, and the worker busies itself for ever.
    hung.signal("USR2");
    assert!(until(RESTART, || pod.restarts("app") == 1), "not restarted within {RESTART:?}");
    assert_eq!(hung.inspect("{{.State.ExitCode}}"), "137", "TERM does not end what hangs");
    pod.wait_ready(true, START);

    pod.delete();
    let end = pod.wait_gone().remove("app").unwrap();
    assert!(end.code == 0 && !end.killed && end.after < pod.grace(), "{end:?}");
    assert_eq!(pod.restarts("app"), 1);
}
