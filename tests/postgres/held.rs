//! The one connection between rounds, and when it is given up.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use super::{gets_up, watching};
use crate::app::{Serve, idle};
use crate::harness::servers::postgres::{PASSWORD, PgBouncer, Postgres};
use crate::harness::{LIMIT, Running, Scratch, until};

/// What a server logs, at the level of debug1, of a client that leaves without a Terminate message.
const LEFT_WITHOUT_A_WORD: &str = "unexpected EOF on client connection";

/// A configuration by which each connection is logged, from its beginning to its end.
const TALKATIVE: &str = "log_connections = on\nlog_min_messages = debug1";

/// Sessions of stead that the server has begun.
fn begun(server: &Postgres) -> usize {
    server.log().matches("application_name=stead").count()
}

/// Waits for this many more attempts.
fn attempts(stead: &Running, count: u64) {
    let age = || stead.get("/readyz").json()["checks"]["database"]["age_ms"].as_u64();
    let mut seen = 0;
    let mut last = age();
    let enough = until(LIMIT, || {
        let now = age();
        // Each attempt makes the result young again.
        seen += u64::from(now < last);
        last = now;
        seen >= count
    });
    assert!(enough, "{seen} attempts and not {count}");
}

#[test]
fn one_connection_serves_all_rounds_and_a_killed_one_is_replaced_without_a_failure() {
    let server = Postgres::start(TALKATIVE);
    let mut stead = watching(&server.url("postgres"));
    gets_up(&stead);
    attempts(&stead, 4);
    assert_eq!(begun(&server), 1);
    assert_eq!(server.connections_of_stead(), 1);

    let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                WHERE application_name = 'stead'";
    server.query(kill);
    assert!(until(LIMIT, || begun(&server) == 2), "no new connection");
    server.stop();
    server.resume();
    gets_up(&stead);
    attempts(&stead, 2);
    assert_eq!(server.connections_of_stead(), 1);

    stead.signal(libc::SIGTERM);
    assert_eq!(stead.wait_exit(LIMIT), 128 + libc::SIGTERM);
    assert!(until(LIMIT, || server.connections_of_stead() == 0), "the connection stays");
    assert!(!server.log().contains(LEFT_WITHOUT_A_WORD), "{}", server.log());
}

/// How many attempts at the check have failed.
fn failures(stead: &Running) -> usize {
    stead.get("/metrics").body.matches("stead_check_failures_total{").count()
}

#[test]
fn a_connection_that_is_as_old_as_it_may_become_is_closed_and_made_anew() {
    let server = Postgres::start(TALKATIVE);
    let stead = watching(&format!("{}?stead_reuse=1s", server.url("postgres")));
    gets_up(&stead);
    assert!(until(LIMIT, || begun(&server) >= 4), "{}", begun(&server));
    // Attempts are 300 ms apart: some of them shared a connection.
    let made = begun(&server);
    let metrics = stead.get("/metrics").body;
    let count =
        metrics.lines().find_map(|line| line.strip_prefix("stead_check_duration_seconds_count"));
    let count: usize = count.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap();
    assert!(count > made, "{count} attempts, {made} connections");
    assert!(until(LIMIT, || server.connections_of_stead() == 1), "not one is held");
    assert_eq!(failures(&stead), 0, "{metrics}");
    assert!(!server.log().contains(LEFT_WITHOUT_A_WORD), "{}", server.log());
}

#[test]
fn a_server_that_ends_idle_sessions_is_up_all_the_time() {
    let server = Postgres::start(&format!("{TALKATIVE}\nidle_session_timeout = 100ms"));
    let stead = watching(&server.url("postgres"));
    gets_up(&stead);
    attempts(&stead, 5);
    let ended = "terminating connection due to idle-session timeout";
    assert!(server.log().matches(ended).count() >= 4, "{}", server.log());
    assert_eq!(failures(&stead), 0, "{}", stead.get("/metrics").body);
    assert_eq!(stead.events_of("check changed").len(), 1, "{:?}", stead.stderr());
}

#[test]
fn a_pooler_that_ends_idle_clients_is_up_all_the_time() {
    let server = Postgres::start("");
    let pooler = PgBouncer::in_front_of(&server, "client_idle_timeout = 1");
    let (port, options) = (pooler.port, "stead_interval=2500ms&stead_timeout=15s");
    let url = format!("postgres://app:{PASSWORD}@127.0.0.1:{port}/shop?{options}");
    let stead = idle().env("STEAD_CHECK_DATABASE", url).serve();
    gets_up(&stead);
    attempts(&stead, 3);
    assert_eq!(failures(&stead), 0, "{}", stead.get("/metrics").body);
}

#[test]
fn without_reuse_each_round_has_a_connection_of_its_own_and_says_goodbye() {
    let server = Postgres::start(TALKATIVE);
    let stead = watching(&format!("{}?stead_reuse=false", server.url("postgres")));
    gets_up(&stead);
    attempts(&stead, 3);
    assert!(begun(&server) >= 3, "{}", begun(&server));
    assert!(!server.log().contains(LEFT_WITHOUT_A_WORD), "{}", server.log());
}

#[test]
fn a_name_that_leads_elsewhere_is_followed() {
    let server = Postgres::start("listen_addresses = '127.0.0.1,127.0.0.2'\nlog_connections = on");
    let scratch = Scratch::new();
    let hosts = scratch.file("hosts", "127.0.0.1 database.internal\n", 0o644);
    let url = format!(
        "postgres://app:{PASSWORD}@database.internal:{}/postgres?stead_interval=300ms",
        server.port
    );
    // A file system of its own, in which names are what the test says.
    let script = "mount --bind \"$0\" /etc/hosts && exec \"$@\"";
    let own = ["unshare", "--mount", "--", "/bin/sh", "-c", script].map(OsString::from);
    let own = own.into_iter().chain([hosts.clone().into_os_string()]);
    let stead = idle().under(own).env("STEAD_CHECK_DATABASE", url).serve();
    gets_up(&stead);
    attempts(&stead, 3);
    assert_eq!(begun(&server), 1);
    std::fs::write(&hosts, "127.0.0.2 database.internal\n").expect("another address");
    assert!(until(LIMIT, || begun(&server) == 2), "the name was not followed");
    std::fs::write(&hosts, "").expect("no address");
    attempts(&stead, 3);
    // A resolver that knows nothing any more says nothing about the server.
    assert_eq!((begun(&server), server.connections_of_stead()), (2, 1));
    assert_eq!(stead.status("/readyz"), 200);
}

#[test]
fn above_its_limit_a_server_is_degraded_and_no_connection_is_held() {
    let server = Postgres::start("max_connections = 13");
    // Ten for ordinary users; one of them is asking.
    let above = format!("{}?stead_max_saturation=9", server.url("postgres"));
    let (up, said) = super::checked(&above);
    assert!(up && said.contains("degraded: too_many_connections"), "{said}");
    super::is_up(&format!("{}?stead_max_saturation=10", server.url("postgres")));
    let stead = watching(&above);
    assert!(until(LIMIT, || stead.status("/readyz") == 200), "{}", stead.get("/readyz").json());
    assert!(until(LIMIT, || server.connections_of_stead() == 0), "it is held");
}

#[test]
fn a_full_server_is_degraded_for_who_was_in_before_and_down_for_who_was_not() {
    let server = Postgres::start("max_connections = 13");
    server.query("CREATE ROLE guest LOGIN PASSWORD 'pw2'");
    let url = format!("postgres://guest:pw2@127.0.0.1:{}/postgres", server.port);
    let stead = watching(&url);
    gets_up(&stead);
    assert!(until(LIMIT, || server.connections_of_stead() == 1), "no connection is held");
    // Superusers may take the last three too, so that what stead loses is not free for it.
    let _others: Vec<_> = (0..11).map(|_| Guest::of(&server)).collect();
    let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                WHERE application_name = 'stead'";
    server.query(kill);
    let refused = || server.log().contains("remaining connection slots are reserved");
    assert!(until(2 * LIMIT, refused), "stead did not ask again: {}", server.log());
    assert_eq!(stead.status("/readyz"), 200, "{}", stead.get("/readyz").json());
    // One that starts now has nothing to go by but the refusal.
    super::is_down(&url, "too_many_connections at authenticate");
    let changes = stead.events_of("check changed");
    assert!(changes.iter().all(|change| change["status"] != "down"), "{changes:?}");
}

/// A connection of somebody else's, psql's.
struct Guest(Child);

impl Guest {
    /// One that is connected as the superuser.
    fn of(server: &Postgres) -> Self {
        let mut psql = Command::new("psql");
        psql.args(["-X", "-qAt"]).arg(server.url("postgres"));
        psql.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = psql.spawn().expect("psql");
        writeln!(child.stdin.as_mut().expect("its input"), "SELECT 'in';").expect("a question");
        let mut line = String::new();
        let output = child.stdout.take().expect("its output");
        BufReader::new(output).read_line(&mut line).expect("an answer");
        assert_eq!(line.trim(), "in");
        Self(child)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
