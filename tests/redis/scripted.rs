//! What cannot be had, or does not do it on demand: Dragonfly, a Redis of long ago, a proxy, garbage.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{assert_not_up, assert_up, wait_down, wait_up, watching};
use crate::harness::LIMIT;
use crate::harness::servers::redis::{Scripted, bulk};
use crate::harness::until;

/// A Dragonfly answers PING while it loads a snapshot, and says that it loads in INFO alone: its own health check asks
/// for that too (tools/docker/healthcheck.sh of github.com/dragonflydb/dragonfly).
#[test]
fn a_dragonfly_that_loads_is_starting_though_it_answers_ping() {
    let loading = Arc::new(AtomicBool::new(true));
    let loads = loading.clone();
    let dragonfly = Scripted::start(move |words| match words[0].as_str() {
        "PING" => "+PONG\r\n".to_owned(),
        "INFO" => bulk(&format!(
            "# Server\r\nredis_version:7.4.0\r\ndragonfly_version:df-v1.34.2\r\nredis_mode:standalone\r\n\
             # Memory\r\nused_memory:1000\r\nmaxmemory:2000\r\nmaxmemory_policy:noeviction\r\n\
             # Persistence\r\nloading:{}\r\n# Replication\r\nrole:master\r\n",
            u8::from(loads.load(Ordering::SeqCst))
        )),
        _ => "-ERR unknown command\r\n".to_owned(),
    });
    let stead = watching(&dragonfly.url("").replace("redis:", "dragonfly:"));
    wait_down(&stead, "starting", "state");
    loading.store(false, Ordering::SeqCst);
    wait_up(&stead);
    let said = assert_up(&dragonfly.url(""));
    assert!(said.contains("server df-v1.34.2, role primary, loading no"), "{said}");
    loading.store(true, Ordering::SeqCst);
    wait_down(&stead, "starting", "state");
}

/// Before version 6 there were no users, and AUTH took the password alone.
#[test]
fn a_redis_without_users_is_given_the_password_alone() {
    let redis = Scripted::start(|words| match words {
        [auth, password] if auth == "AUTH" && password == "pw" => "+OK\r\n".to_owned(),
        [auth, _] if auth == "AUTH" => "-ERR invalid password\r\n".to_owned(),
        [auth, ..] if auth == "AUTH" => {
            "-ERR wrong number of arguments for 'auth' command\r\n".to_owned()
        }
        [ping] if ping == "PING" => "+PONG\r\n".to_owned(),
        _ => "-ERR unknown command\r\n".to_owned(),
    });
    let url = |password: &str| redis.url("").replace("//", &format!("//user:{password}@"));
    assert_up(&url("pw"));
    assert_not_up(&url("other"), "down: auth_failed at authenticate");
}

#[test]
fn a_proxy_that_knows_no_info_is_up_and_not_asked_again() {
    let proxy = Scripted::start(|words| match words[0].as_str() {
        "PING" => "+PONG\r\n".to_owned(),
        _ => "-ERR unsupported command\r\n".to_owned(),
    });
    let stead = watching(&proxy.url(""));
    wait_up(&stead);
    assert!(until(LIMIT, || proxy.commands().len() > 4), "{:?}", proxy.commands());
    let infos = proxy.commands().iter().filter(|command| *command == "INFO").count();
    assert_eq!(infos, 1, "{:?}", proxy.commands());
}

#[test]
fn what_is_no_redis_is_told_in_each_of_its_ways() {
    for (answer, reason) in [
        ("", "down: connect_reset at query"),
        ("HTTP/1.1 400 Bad Request\r\n\r\n", "down: protocol at query"),
        ("+PINGPONG\r\n", "down: protocol at query"),
        (":1\r\n", "down: protocol at query"),
        ("*1000000000\r\n", "down: protocol at query"),
        ("\u{15}\u{3}\u{1}\0\u{2}\u{2}", "down: protocol at query"),
        ("$1000000000\r\nabc", "down: timeout at query"),
        ("+PON", "down: timeout at query"),
    ] {
        let fake = Scripted::start(move |_| answer.to_owned());
        assert_not_up(&fake.url("?stead_timeout=500ms"), reason);
    }
    let endless = Scripted::start(|_| format!("+{}", "a".repeat(2 * 1024 * 1024)));
    assert_not_up(&endless.url("?stead_timeout=10s"), "down: protocol at query");
}
