//! What ails the server, and what becomes of the command then.

use std::time::{Duration, Instant};

use super::journal::Journal;
use super::{replica, stands_by};
use crate::harness::servers::postgres::{PASSWORD, Postgres};
use crate::harness::{LIMIT, Stead, until};

/// Ends the session that holds an advisory lock.
const TERMINATE: &str =
    "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'";

#[test]
fn one_whose_session_is_ended_stops_its_command_and_fails_though_that_ended_well() {
    let server = Postgres::start("");
    let journal = Journal::new();
    let mut holder = replica(&server.url("postgres"), &journal, "first").start();
    journal.wait_for("first");
    server.query(TERMINATE);
    assert_eq!(holder.wait_exit(LIMIT), 1);
    let lost = holder.wait_for_event("lock lost", LIMIT);
    assert_eq!((&lost["class"], &lost["stage"]), (&"shutting_down".into(), &"query".into()));
    assert!(holder.events_of("lease over").is_empty());
}

#[test]
fn a_command_that_does_not_hear_is_killed_within_the_grace_and_the_next_holder_waits_for_that() {
    let server = Postgres::start("");
    let journal = Journal::new();
    let url = server.url("postgres");
    let mut holder = Stead::run(journal.deaf_command("first"))
        .options(["--singleton", &url, "--singleton-grace", super::GRACE])
        .env("SERVICE_NAME", "cron")
        .start();
    journal.wait_for("first");
    let next = replica(&url, &journal, "second").start();
    stands_by(&next);
    server.stop();
    let noticed = Instant::now();
    holder.wait_for_event("lock lost", LIMIT);
    assert_eq!(holder.wait_exit(LIMIT), 128 + libc::SIGKILL);
    // From the loss at the latest to the lease's end, and the grace from there.
    assert!(
        noticed.elapsed() < Duration::from_millis(1200 + 2000 + 1800),
        "{:?}",
        noticed.elapsed()
    );
    server.resume();
    journal.wait_for("second");
    assert_eq!(next.wait_for_event("lock taken", LIMIT)["wait_s"], 3.6);
    assert_eq!(journal.holders(), ["first", "second"]);
}

#[test]
fn a_wrong_password_is_told_once_and_waited_out() {
    let server = Postgres::start("");
    server.query("CREATE ROLE cron LOGIN PASSWORD 'wrong'");
    let journal = Journal::new();
    let url = format!("postgres://cron:{PASSWORD}@127.0.0.1:{}/postgres", server.port);
    let stead = replica(&url, &journal, "one").start();
    let failed = stead.wait_for_event("lock not reached", LIMIT);
    assert_eq!(
        (&failed["class"], &failed["stage"]),
        (&"auth_failed".into(), &"authenticate".into())
    );
    assert!(!failed.to_string().contains(PASSWORD), "{failed}");
    assert_eq!(stead.get("/readyz").json()["status"], "standby");
    server.query(&format!("ALTER ROLE cron PASSWORD '{PASSWORD}'"));
    journal.wait_for("one");
    assert_eq!(stead.events_of("lock not reached").len(), 1, "{:?}", stead.stderr());
}

#[test]
fn a_full_table_of_locks_is_told_once_and_waited_out() {
    let server = Postgres::start("max_locks_per_transaction = 10\nmax_connections = 10");
    // One row of the table each, until there is none.
    let hog = server.session("SELECT pg_advisory_lock(n) FROM generate_series(1, 100000) n");
    let journal = Journal::new();
    let stead = replica(&server.url("postgres"), &journal, "one").start();
    // It has been asked for more than once by then.
    assert!(until(LIMIT, || server.log().matches("out of shared memory").count() > 3));
    drop(hog);
    journal.wait_for("one");
    let said = stead.events_of("lock not reached");
    assert!(said.iter().all(|event| event["class"] == "out_of_memory"), "{said:?}");
    // A server that has no row at all left refuses the login, one that has a few refuses the lock.
    assert!(
        !said.is_empty() && said.windows(2).all(|two| two[0]["stage"] != two[1]["stage"]),
        "{said:?}"
    );
}

#[test]
fn a_standby_server_that_is_promoted_has_the_lock_and_a_greater_fence() {
    let primary = Postgres::start("");
    let other = primary.standby();
    let journal = Journal::new();
    let url = format!(
        "postgres://app:{PASSWORD}@127.0.0.1:{},127.0.0.1:{}/postgres",
        other.port, primary.port
    );
    let mut first = replica(&url, &journal, "first").start();
    journal.wait_for("first");
    // The server that is read-only would give the lock as well.
    assert_eq!(other.query("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"), "0");
    let second = replica(&url, &journal, "second").start();
    stands_by(&second);
    primary.stop();
    assert_eq!(first.wait_exit(LIMIT), 1);
    other.promote();
    journal.wait_for("second");
    assert_eq!(journal.holders(), ["first", "second"]);
}
