//! A network between two hosts that is cut, and mended: nobody is told, so only a deadline can notice.

use std::process::Command;

use serde_json::Value;

use crate::app::{Serve, idle};
use crate::harness::servers::redis::Redis;
use crate::harness::{LIMIT, until};
use crate::network::in_own_network;

/// The server's host and stead's, each in a network namespace, with a cable between them.
#[test]
fn a_network_that_is_cut_is_a_timeout_and_comes_back_without_a_restart() {
    in_own_network(|| {
        let server = in_own_network(|| Redis::start(&["bind 0.0.0.0", "protected-mode no"]));
        let far = server.pid().to_string();
        run(&["ip", "link", "add", "near", "type", "veth", "peer", "name", "far", "netns", &far]);
        run(&["ip", "addr", "add", "10.213.0.1/30", "dev", "near"]);
        run(&["ip", "link", "set", "near", "up"]);
        let there = |args: &[&str]| {
            run(&[&["nsenter", "--net", "--target", far.as_str(), "ip"], args].concat());
        };
        there(&["addr", "add", "10.213.0.2/30", "dev", "far"]);
        there(&["link", "set", "far", "up"]);

        let options = "stead_interval=500ms&stead_timeout=500ms&stead_fail_after=2";
        let url = format!("redis://10.213.0.2:{}?{options}", server.port());
        let stead = idle().env("STEAD_CHECK_CACHE", url).serve();
        let finding = || stead.get("/readyz").json()["checks"]["cache"].take();
        let becomes = |status: &str| {
            let mut last = Value::Null;
            let came = until(LIMIT, || {
                last = finding();
                last["status"] == status
            });
            assert!(came, "never {status}: {last}");
            last
        };
        for _ in 0..2 {
            becomes("up");
            there(&["link", "set", "far", "down"]);
            let down = becomes("down");
            assert_eq!(down["class"], "timeout", "{down}");
            assert_eq!((stead.status("/readyz"), stead.status("/livez")), (503, 200));
            there(&["link", "set", "far", "up"]);
        }
        becomes("up");
        assert_eq!(stead.status("/readyz"), 200);
    });
}

fn run(line: &[&str]) {
    let status = Command::new(line[0]).args(&line[1..]).status();
    assert!(status.as_ref().is_ok_and(|status| status.success()), "{line:?}: {status:?}");
}
