//! A real cluster of three nodes that loses one of them, and slots.

use std::process::Command;

use super::{assert_not_up, assert_up, wait_down, wait_up, watching};
use crate::harness::free_port;
use crate::harness::servers::redis::Redis;

fn node() -> Redis {
    let bus = format!("cluster-port {}", free_port());
    Redis::start(&["cluster-enabled yes", "cluster-node-timeout 1000", &bus])
}

/// Three nodes that are a cluster, and share all slots.
pub fn cluster() -> [Redis; 3] {
    let nodes = [node(), node(), node()];
    // A node without a cluster has no slots, and says so.
    assert_not_up(&nodes[0].url(""), "down: cluster_down at state");
    let addresses = nodes.each_ref().map(|node| format!("127.0.0.1:{}", node.port()));
    let mut command = Command::new("redis-cli");
    command.args(["--cluster", "create"]).args(addresses).arg("--cluster-yes");
    let output = command.output().expect("redis-cli");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    nodes
}

#[test]
fn a_cluster_that_is_not_whole_is_down_and_up_again_once_it_is() {
    let [first, mut second, third] = cluster();
    let stead = watching(&first.url(""));
    wait_up(&stead);
    assert!(assert_up(&first.url("")).contains("cluster ok"));
    second.kill();
    wait_down(&stead, "cluster_down", "state");
    second.start_again();
    wait_up(&stead);
    // PING is answered all the same: only CLUSTER INFO tells.
    first.order(&["CLUSTER", "DELSLOTS", "1"]);
    wait_down(&stead, "cluster_down", "state");
    assert_eq!(first.cli(&["PING"]), "PONG");
    first.order(&["CLUSTER", "ADDSLOTS", "1"]);
    wait_up(&stead);
    // A list is another node's, and found there.
    for list in ["a", "b", "c", "d", "e", "f"] {
        let pushed = |node: &Redis| node.cli(&["RPUSH", list, "1", "2"]) == "2";
        assert!([&first, &second, &third].into_iter().any(pushed), "{list}");
        let url = first.url(&format!("?stead_list={list}"));
        assert!(assert_up(&url).ends_with("list_length 2"), "{list}");
    }
}
