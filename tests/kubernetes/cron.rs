//! The cron worker that must never run twice.

use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::{ENDPOINTS, START, applied};
use crate::harness::kubelet::Pod;
use crate::harness::until;

/// The old holder ends, and the new one waits until it is sure of that.
const TAKEN_OVER: Duration = Duration::from_secs(60);

/// When a pod's worker said that it runs, and its fence.
fn ticks(pod: &Pod) -> Vec<(SystemTime, u64)> {
    let logs = pod.container("app").logs();
    let lines = logs.stdout.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let ticks = lines.filter_map(|line| {
        let fence = line["message"].as_str()?.strip_prefix("tick ")?.parse().ok()?;
        let at = humantime::parse_rfc3339(line["timestamp"].as_str()?).ok()?;
        Some((at, fence))
    });
    ticks.collect()
}

#[test]
fn a_standby_takes_over_when_the_holder_is_gone_and_never_before() {
    let applied = applied("overlays/cron");
    let mut pods = [Pod::start(&applied.cluster), Pod::start(&applied.cluster)];
    for pod in &pods {
        pod.wait_ready(true, START);
    }
    let runs = |pods: &[Pod; 2]| pods.iter().any(|pod| ticks(pod).len() > 5);
    assert!(until(TAKEN_OVER, || runs(&pods)), "nobody runs");
    if ticks(&pods[0]).is_empty() {
        pods.swap(0, 1);
    }
    let [mut holder, mut standby] = pods;
    assert_eq!(ticks(&standby), [], "both run");
    assert_eq!(holder.status(ENDPOINTS, "/readyz"), Some(200));
    for path in ["/readyz", "/startupz"] {
        assert_eq!(standby.status(ENDPOINTS, path), Some(503), "{path}");
    }

    holder.delete();
    let end = holder.wait_gone().remove("app").unwrap();
    assert!(end.code == 0 && !end.killed && end.after < holder.grace(), "{end:?}");
    assert!(until(TAKEN_OVER, || ticks(&standby).len() > 5), "nobody took over");
    let (last, fence) = *ticks(&holder).last().unwrap();
    let (first, next) = ticks(&standby)[0];
    assert!(last < first && fence < next, "{fence} until {last:?}, {next} from {first:?}");

    standby.delete();
    let end = standby.wait_gone().remove("app").unwrap();
    assert!(end.code == 0 && !end.killed && end.after < standby.grace(), "{end:?}");
    for pod in [&holder, &standby] {
        assert_eq!((pod.restarts("app"), pod.failed_liveness("app")), (0, 0));
    }
}
