//! Hooks under a lock: of many replicas that start together, one migrates at a time.

use crate::harness::servers::postgres::Postgres;
use crate::harness::{LIMIT, Running, Scratch, Stead, until};

/// A migration as many are: it looks which version the schema has, and makes the next one, which takes its time. It leaves
/// a trace of each run, and fails where another one runs beside it.
const MIGRATION: &str = "\
    BEGIN;\n\
    LOCK TABLE version IN EXCLUSIVE MODE NOWAIT;\n\
    INSERT INTO runs DEFAULT VALUES;\n\
    SELECT NOT EXISTS (SELECT FROM version WHERE number = 2) AS is_old \\gset\n\
    \\if :is_old\n\
    CREATE TABLE customers (id int);\n\
    SELECT pg_sleep(2);\n\
    INSERT INTO version VALUES (2);\n\
    \\endif\n\
    COMMIT;\n";

/// A server with the tables that the migration works on, and the command that runs it.
fn prepared(scratch: &Scratch) -> (Postgres, String) {
    let server = Postgres::start("");
    server.query(
        "CREATE TABLE version (number int PRIMARY KEY); INSERT INTO version VALUES (1); \
         CREATE TABLE runs (at timestamptz DEFAULT now())",
    );
    let file = scratch.file("migration.sql", MIGRATION, 0o644);
    let url = server.url("postgres");
    let command = format!("psql -X -q -v ON_ERROR_STOP=1 -f {} {url}", file.display());
    (server, command)
}

fn replica(server: &Postgres, hook: &str) -> Running {
    Stead::run(["sleep", "1000"])
        .options([
            "--lock",
            &server.url("postgres"),
            "--singleton-grace",
            "2s",
            "--pre-start",
            hook,
        ])
        .env("SERVICE_NAME", "api")
        .listening()
        .start()
}

#[test]
fn of_twenty_replicas_one_migrates_at_a_time_also_when_one_is_killed_in_the_middle() {
    let scratch = Scratch::new();
    let (server, hook) = prepared(&scratch);
    let mut replicas: Vec<Running> = (0..20).map(|_| replica(&server, &hook)).collect();
    let asleep = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
    assert!(until(LIMIT, || server.query(asleep) == "1"), "no migration");
    let busy = replicas.iter().position(|stead| !stead.events_of("hook started").is_empty());
    let mut killed = replicas.swap_remove(busy.expect("one that migrates"));
    assert_eq!((killed.status("/livez"), killed.status("/readyz")), (200, 503));
    killed.signal(libc::SIGKILL);
    killed.wait_exit(LIMIT);
    for stead in &replicas {
        stead.wait_for_event("child started", 6 * LIMIT);
        assert_eq!(stead.events_of("hook ended")[0]["code"], 0, "{:?}", stead.stderr());
    }
    assert_eq!(server.query("SELECT count(*) FROM runs"), "19");
    assert_eq!(server.query("SELECT count(*) FROM version"), "2");
}

#[test]
fn a_hook_whose_lock_is_lost_is_ended_and_the_command_is_never_started() {
    let server = Postgres::start("");
    let scratch = Scratch::new();
    let trace = scratch.path().join("trace");
    let hook =
        format!("sh -c 'trap \"\" TERM; echo > {}; while :; do sleep 0.1; done'", trace.display());
    let mut stead = replica(&server, &hook);
    assert!(until(LIMIT, || trace.exists()), "{:?}", stead.stderr());
    server.stop();
    assert_eq!(stead.wait_exit(LIMIT), 1);
    assert!(stead.events_of("child started").is_empty());
    stead.wait_for_event("lock lost", LIMIT);
    assert!(stead.stderr().iter().any(|line| line.contains("the lock was lost")));
}

#[test]
fn the_lock_is_given_back_before_the_command_is_started() {
    let server = Postgres::start("");
    let stead = replica(&server, "true");
    stead.wait_for_event("child started", LIMIT);
    assert_eq!(server.query("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"), "0");
}
