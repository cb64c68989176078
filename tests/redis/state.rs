//! A single server: there, gone, frozen, loading, full, and the connection that stead holds to it.

use std::ffi::OsString;
use std::net::TcpStream;
use std::path::Path;

use super::{assert_not_up, assert_up, becomes, wait_down, wait_up, watching};
use crate::app::{Serve, idle};
use crate::harness::servers::redis::Redis;
use crate::harness::{LIMIT, Running, Scratch, free_port, until};

#[test]
fn a_redis_that_stops_is_down_and_up_again_once_it_is_back() {
    let mut redis = Redis::start(&[]);
    let stead = watching(&redis.url(""));
    wait_up(&stead);
    redis.stop();
    wait_down(&stead, "connect_refused", "connect");
    redis.start_again();
    wait_up(&stead);
}

#[test]
fn a_redis_that_is_frozen_is_down_and_up_again_once_it_goes_on() {
    let redis = Redis::start(&[]);
    let stead = watching(&redis.url("?stead_timeout=500ms"));
    wait_up(&stead);
    redis.signal(libc::SIGSTOP);
    wait_down(&stead, "timeout", "query");
    redis.signal(libc::SIGCONT);
    wait_up(&stead);
}

#[test]
fn what_a_redis_is_and_uses_is_reported() {
    let redis = Redis::start(&["maxmemory 100mb"]);
    let said = assert_up(&redis.url(""));
    for fact in ["server redis ", "role primary", "loading no", "memory_used ", "memory_percent "] {
        assert!(said.contains(fact), "{fact}: {said}");
    }
    assert!(said.contains("memory_max 104857600"), "{said}");
}

#[test]
fn a_socket_in_the_file_system_is_asked_like_a_port() {
    let redis = Redis::start(&[]);
    let path = redis.socket();
    for scheme in ["redis+unix", "valkey+unix", "redis-socket"] {
        assert_up(&format!("{scheme}://{}?db=2", path.display()));
    }
    let gone = path.with_file_name("gone");
    let url = format!("redis+unix://{}", gone.display());
    assert_not_up(&url, "down: not_found at connect");
    assert_not_up(
        &format!("redis://127.0.0.1:{}", free_port()),
        "down: connect_refused at connect",
    );
}

/// How often the server was asked PING.
fn pings(redis: &Redis) -> u32 {
    let stats = redis.info("cmdstat_ping");
    let calls = stats.strip_prefix("calls=").and_then(|rest| rest.split(',').next());
    calls.map_or(0, |calls| calls.parse().unwrap())
}

/// The numbers of the connections by TCP that the server has: the test's own are not.
fn connections(redis: &Redis) -> Vec<String> {
    let clients = redis.cli(&["CLIENT", "LIST"]);
    let by_port = clients.lines().filter(|line| line.contains(" addr=127.0.0.1:"));
    by_port.filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

/// No attempt has failed, not even one that has brought no verdict.
fn assert_no_failure(stead: &Running) {
    let metrics = stead.get("/metrics").body;
    assert!(metrics.contains("stead_check_up{check=\"cache\"}"), "{metrics}");
    let failures: Vec<&str> =
        metrics.lines().filter(|line| line.starts_with("stead_check_failures_total")).collect();
    assert!(failures.is_empty(), "{failures:?}");
}

fn wait_for_pings(redis: &Redis, more: u32) {
    let wanted = pings(redis) + more;
    assert!(until(LIMIT, || pings(redis) >= wanted), "it is not asked any more");
}

#[test]
fn rounds_share_a_connection_that_is_made_anew_when_the_server_closed_it() {
    let redis = Redis::start(&[]);
    let stead = watching(&redis.url(""));
    wait_up(&stead);
    let first = connections(&redis);
    assert_eq!(first.len(), 1, "{first:?}");
    wait_for_pings(&redis, 3);
    assert_eq!(connections(&redis), first);
    redis.cli(&["CLIENT", "KILL", "TYPE", "normal"]);
    wait_for_pings(&redis, 3);
    let second = connections(&redis);
    assert_eq!(second.len(), 1, "{second:?}");
    assert_ne!(second, first);
    assert_no_failure(&stead);
    // What it asks is all that it asks.
    assert_eq!(redis.info("cmdstat_client|setinfo"), "");
    assert_eq!(redis.info("cmdstat_hello"), "");
}

#[test]
fn the_connection_follows_the_name_and_outlives_the_resolver() {
    let first = Redis::start(&[]);
    let second = Redis::beside(&first, "127.0.0.2");
    let scratch = Scratch::new();
    let hosts = scratch.file("hosts", "127.0.0.1 cache.test\n", 0o644);
    let resolver = scratch.file("resolv.conf", "nameserver 127.9.9.9\n", 0o644);
    let own_files = "mount --bind $0 /etc/hosts && mount --bind $1 /etc/resolv.conf && \
                     shift && exec \"$@\"";
    let under = ["unshare", "--mount", "sh", "-c", own_files].map(OsString::from);
    let under = under.into_iter().chain([hosts.clone().into(), resolver.into()]);
    let schedule = "stead_interval=500ms&stead_fail_after=1";
    let url = format!("redis://cache.test:{}?{schedule}", first.port());
    let stead = idle().env("STEAD_CHECK_CACHE", url).under(under).serve();
    wait_up(&stead);
    assert_eq!((connections(&first).len(), connections(&second).len()), (1, 0));
    // Written over and not replaced: it is this file that is mounted.
    std::fs::write(&hosts, "127.0.0.2 cache.test\n").unwrap();
    let moved = || (connections(&first).len(), connections(&second).len()) == (0, 1);
    assert!(until(LIMIT, moved), "{:?} {:?}", connections(&first), connections(&second));
    std::fs::write(&hosts, "").unwrap();
    wait_for_pings(&second, 3);
    assert_no_failure(&stead);
    second.cli(&["CLIENT", "KILL", "TYPE", "normal"]);
    wait_down(&stead, "dns_failed", "dns");
}

#[test]
fn a_connection_a_round_is_had_for_the_asking() {
    let redis = Redis::start(&[]);
    let stead = watching(&redis.url("?stead_reuse=off"));
    wait_up(&stead);
    let before: u32 = redis.info("total_connections_received").parse().unwrap();
    wait_for_pings(&redis, 3);
    let after: u32 = redis.info("total_connections_received").parse().unwrap();
    assert!(after >= before + 3, "{before} {after}");
    assert!(until(LIMIT, || connections(&redis).is_empty()), "{:?}", connections(&redis));
    assert_ne!(redis.info("cmdstat_quit"), "");
}

#[test]
fn a_redis_that_loads_its_data_is_starting_and_then_up() {
    let mut redis = Redis::start(&[
        "save 3600 100000",
        // Slow, and yet answering: 10 ms a key until the test says otherwise, clients served every KiB.
        "loading-process-events-interval-bytes 1024",
        "rdbcompression no",
    ]);
    redis.order(&["DEBUG", "POPULATE", "20000", "key", "100"]);
    redis.order(&["CONFIG", "SET", "key-load-delay", "10000"]);
    let stead = watching(&redis.url(""));
    wait_up(&stead);
    redis.order(&["SAVE"]);
    redis.kill();
    redis.configure("key-load-delay 10000");
    redis.start_again();
    assert_not_up(&redis.url(""), "down: starting at query");
    wait_down(&stead, "starting", "query");
    redis.order(&["CONFIG", "SET", "key-load-delay", "0"]);
    wait_up(&stead);
    assert_eq!(redis.cli(&["DBSIZE"]), "20000");
}

#[test]
fn a_list_is_measured_and_is_a_concern_when_too_many_wait() {
    let redis = Redis::start(&[]);
    let url = redis.url("?stead_list=bull:jobs:wait&stead_max_messages=2");
    assert!(assert_up(&url).ends_with("list_length 0"));
    redis.cli(&["RPUSH", "bull:jobs:wait", "one", "two"]);
    assert!(assert_up(&url).ends_with("list_length 2"));
    redis.cli(&["RPUSH", "bull:jobs:wait", "three"]);
    let said = assert_not_up(&url, "degraded: too_many_messages at state");
    assert!(said.contains("3 in the list"), "{said}");
    assert!(assert_up(&redis.url("?stead_list=bull:jobs:wait")).ends_with("list_length 3"));
    redis.order(&["SET", "word", "1"]);
    let said = assert_not_up(&redis.url("?stead_list=word"), "down: protocol at query");
    assert!(said.contains("WRONGTYPE"), "{said}");
}

#[test]
fn memory_that_is_full_is_a_concern_where_nothing_is_evicted() {
    let redis = Redis::start(&["maxmemory-policy noeviction"]);
    assert_up(&redis.url(""));
    redis.order(&["CONFIG", "SET", "maxmemory", "100kb"]);
    assert!(redis.cli(&["SET", "a", "b"]).starts_with("OOM"));
    assert_not_up(&redis.url(""), "degraded: out_of_memory at state");
    redis.order(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
    assert_up(&redis.url(""));
}

#[test]
fn a_redis_that_cannot_write_its_snapshot_and_takes_no_writes_is_blocked() {
    let redis = Redis::start(&["save 3600 100000", "dbfilename missing.rdb"]);
    let url = redis.url("");
    assert_up(&url);
    // A snapshot cannot be put in the place of a directory.
    let in_the_way = redis.socket().with_file_name("missing.rdb");
    std::fs::create_dir(&in_the_way).unwrap();
    redis.cli(&["BGSAVE"]);
    becomes(&url, "down: blocked at query");
    std::fs::remove_dir(&in_the_way).unwrap();
    assert!(until(LIMIT, || redis.cli(&["BGSAVE"]).contains("started")));
    becomes(&url, "up in ");
}

#[test]
fn a_script_that_does_not_end_blocks() {
    let redis = Redis::start(&["busy-reply-threshold 50"]);
    let mut endless = redis.cli_command(&["EVAL", "while true do end", "0"]).spawn().unwrap();
    becomes(&redis.url("?stead_timeout=5s"), "down: blocked at query");
    redis.order(&["SCRIPT", "KILL"]);
    endless.wait().unwrap();
    assert_up(&redis.url(""));
}

#[test]
fn a_redis_that_has_all_its_clients_says_so() {
    let redis = Redis::start(&[]);
    let held = TcpStream::connect(("127.0.0.1", redis.port())).unwrap();
    redis.order(&["CONFIG", "SET", "maxclients", "1"]);
    for _ in 0..20 {
        assert_not_up(&redis.url(""), "down: too_many_connections at query");
        assert_not_up(&redis.url("/1"), "down: too_many_connections at authenticate");
    }
    drop(held);
    becomes(&redis.url(""), "up in ");
}

#[test]
fn a_valkey_is_a_valkey() {
    let program =
        std::env::var_os("VALKEY_SERVER").expect("VALKEY_SERVER, which tests/run.sh sets");
    assert!(Path::new(&program).exists(), "no {program:?}: tests/run.sh could not fetch it");
    let valkey = Redis::of(program, &["user hc on >pw +ping"]);
    let url = valkey.url("?stead_list=jobs").replace("redis:", "valkey:");
    let said = assert_up(&url);
    for fact in ["server valkey 9.", "role primary", "loading no", "list_length 0"] {
        assert!(said.contains(fact), "{fact}: {said}");
    }
    // Its users may not name their library either (CLIENT SETINFO), so that nothing but INFO is in its log.
    assert_up(&format!("valkey://hc:pw@127.0.0.1:{}", valkey.port()));
    let log = valkey.cli(&["ACL", "LOG"]);
    let mut entries = log.lines().zip(log.lines().skip(1)).filter(|(key, _)| *key == "object");
    assert_eq!((entries.next(), entries.next()), (Some(("object", "info")), None), "{log}");
}

#[test]
fn a_connection_that_is_as_old_as_it_may_become_is_closed_and_made_anew() {
    let redis = Redis::start(&["loglevel verbose"]);
    let stead = watching(&redis.url("/?stead_reuse=1s"));
    wait_up(&stead);
    let quits = || redis.cli(&["INFO", "commandstats"]).matches("cmdstat_quit:calls=").count();
    assert!(until(LIMIT, || quits() == 1), "leave is never taken");
    // The test's own connections are by the socket.
    let accepted = || redis.log().matches("Accepted 127.0.0.1:").count();
    assert!(until(LIMIT, || accepted() >= 4), "{}", redis.log());
    let held =
        || redis.cli(&["CLIENT", "LIST", "TYPE", "normal"]).matches(" addr=127.0.0.1:").count();
    assert!(until(LIMIT, || held() == 1), "{} are held", held());
    assert!(!stead.get("/metrics").body.contains("stead_check_failures_total{"));
    assert!(!redis.log().contains("Error"), "{}", redis.log());
}
