//! A primary and its replica: who is which, a link that is lost, a replica that is promoted.

use super::{assert_not_up, assert_up, becomes, wait_down, wait_up, watching};
use crate::harness::servers::redis::Redis;

/// A replica of a primary, with these further lines of configuration.
fn replica_of(primary: &Redis, lines: &[&str]) -> Redis {
    let origin = format!("replicaof 127.0.0.1 {}", primary.port());
    let lines: Vec<&str> = lines.iter().copied().chain([origin.as_str()]).collect();
    Redis::start(&lines)
}

#[test]
fn a_replica_that_lost_its_primary_is_down_unless_it_may_serve_what_it_has() {
    let mut primary = Redis::start(&["repl-diskless-sync-delay 0"]);
    let replica = replica_of(&primary, &["replica-serve-stale-data no"]);
    let stead = watching(&replica.url(""));
    wait_up(&stead);
    primary.stop();
    wait_down(&stead, "master_down", "query");
    replica.order(&["CONFIG", "SET", "replica-serve-stale-data", "yes"]);
    assert_not_up(&replica.url(""), "degraded: master_down at state");
    replica.order(&["CONFIG", "SET", "replica-serve-stale-data", "no"]);
    primary.start_again();
    wait_up(&stead);
}

#[test]
fn a_replica_is_up_where_a_primary_is_wanted_once_it_is_promoted() {
    let primary = Redis::start(&["repl-diskless-sync-delay 0"]);
    let replica = replica_of(&primary, &[]);
    becomes(&replica.url(""), "up in ");
    assert!(assert_up(&replica.url("?stead_role=slave")).contains("role replica"));
    assert_up(&primary.url("?stead_role=master"));
    assert_not_up(&primary.url("?stead_role=replica"), "down: wrong_role at state");
    let stead = watching(&replica.url("?stead_role=primary"));
    wait_down(&stead, "wrong_role", "state");
    replica.order(&["REPLICAOF", "NO", "ONE"]);
    wait_up(&stead);
    // The old primary comes back as the new one's replica.
    let old = watching(&primary.url("?stead_role=primary"));
    wait_up(&old);
    primary.order(&["REPLICAOF", "127.0.0.1", &replica.port().to_string()]);
    wait_down(&old, "wrong_role", "state");
}
