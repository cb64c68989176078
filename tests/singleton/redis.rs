//! The lock as a key of Redis.

use super::journal::Journal;
use super::{replica, stands_by};
use crate::harness::servers::redis::Redis;
use crate::harness::{LIMIT, until};
use crate::redis::cluster::cluster;

const KEY: &str = "stead:{cron/singleton}";

#[test]
fn a_standby_takes_over_at_once_from_one_that_has_ended_in_order() {
    let server = Redis::start(&[]);
    let journal = Journal::new();
    let mut first = replica(&server.url(""), &journal, "first").start();
    journal.wait_for("first");
    let life: i64 = server.cli(&["PTTL", KEY]).parse().unwrap();
    assert!((1..=1600).contains(&life), "{life}");
    let second = replica(&server.url(""), &journal, "second").start();
    stands_by(&second);
    first.signal(libc::SIGTERM);
    assert_eq!(first.wait_exit(LIMIT), 0);
    journal.wait_for("second");
    assert_eq!(second.wait_for_event("lock taken", LIMIT)["wait_s"], 0.0);
    assert_eq!(journal.holders(), ["first", "second"]);
}

#[test]
fn a_connection_that_is_lost_is_made_anew_and_a_key_that_is_lost_is_the_end() {
    let server = Redis::start(&[]);
    let journal = Journal::new();
    let mut holder = replica(&server.url(""), &journal, "first").start();
    journal.wait_for("first");
    let before: u64 = server.info("total_connections_received").parse().unwrap();
    server.cli(&["CLIENT", "KILL", "TYPE", "normal"]);
    let again = || server.info("total_connections_received").parse::<u64>().unwrap() > before + 2;
    assert!(until(LIMIT, again), "no new connection");
    assert!(holder.is_running());
    server.order(&["SET", KEY, "somebody"]);
    assert_eq!(holder.wait_exit(LIMIT), 1);
    let lost = holder.wait_for_event("lock lost", LIMIT);
    assert_eq!((&lost["class"], &lost["stage"]), (&"not_held".into(), &"state".into()));
}

#[test]
fn a_server_that_forgets_everything_gives_the_next_holder_a_greater_fence_and_a_wait() {
    let mut server = Redis::start(&["save \"\""]);
    let journal = Journal::new();
    let mut first = replica(&server.url(""), &journal, "first").start();
    journal.wait_for("first");
    let second = replica(&server.url(""), &journal, "second").start();
    stands_by(&second);
    server.kill();
    assert_eq!(first.wait_exit(LIMIT), 1);
    server.start_again();
    journal.wait_for("second");
    assert_eq!(second.wait_for_event("lock taken", LIMIT)["wait_s"], 3.6);
    assert_eq!(journal.holders(), ["first", "second"]);
}

#[test]
fn a_server_that_hangs_is_a_lock_lost_in_time() {
    let server = Redis::start(&[]);
    let journal = Journal::new();
    let mut holder = replica(&server.url(""), &journal, "first").start();
    journal.wait_for("first");
    server.signal(libc::SIGSTOP);
    let lost = holder.wait_for_event("lock lost", LIMIT);
    server.signal(libc::SIGCONT);
    assert_eq!(lost["class"], "timeout", "{lost}");
    assert_eq!(holder.wait_exit(LIMIT), 1);
}

#[test]
fn a_user_who_may_run_scripts_on_these_keys_alone_holds_the_lock() {
    let server = Redis::start(&["user cron on >pw ~stead:* -@all +eval +get +set +incr +pexpire"]);
    let journal = Journal::new();
    let url = server.url("").replace("://", "://cron:pw@");
    let _holder = replica(&url, &journal, "one").start();
    journal.wait_for("one");
}

#[test]
fn in_a_cluster_the_key_is_found_where_it_is() {
    let nodes = cluster();
    for node in &nodes {
        let journal = Journal::new();
        let mut stead = replica(&node.url(""), &journal, "one").start();
        journal.wait_for("one");
        assert!(nodes.iter().any(|node| node.cli(&["EXISTS", KEY]) == "1"));
        stead.signal(libc::SIGTERM);
        assert_eq!(stead.wait_exit(LIMIT), 0);
    }
}
