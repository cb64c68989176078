//! A command that runs at one place alone: `--singleton`, and `--lock` for what comes before it.

mod journal;
mod network;
mod outages;
mod poolers;
mod pre_start;
mod redis;
mod settings;
mod stopped;

use crate::harness::servers::postgres::Postgres;
use crate::harness::{LIMIT, Running, Stead};
use journal::Journal;

/// What goes by a lock's grace is tested with this one.
const GRACE: &str = "2s";

/// A replica of the service `cron` whose command writes the journal under this name.
fn replica(url: &str, journal: &Journal, name: &str) -> Stead {
    Stead::run(journal.command(name))
        .options(["--singleton", url, "--singleton-grace", GRACE])
        .env("SERVICE_NAME", "cron")
        .listening()
}

/// Waits until it stands by.
fn stands_by(stead: &Running) {
    stead.wait_for_event("standby", LIMIT);
    assert_eq!(statuses(stead), [200, 503, 503]);
    assert_eq!(stead.get("/readyz").json()["status"], "standby");
}

fn statuses(stead: &Running) -> [u16; 3] {
    ["/livez", "/readyz", "/startupz"].map(|path| stead.status(path))
}

#[test]
fn a_standby_is_live_and_not_ready_and_takes_over_at_once_from_one_that_has_ended_in_order() {
    let server = Postgres::start("");
    let journal = Journal::new();
    let mut first = replica(&server.url("postgres"), &journal, "first").start();
    journal.wait_for("first");
    let taken = first.wait_for_event("lock taken", LIMIT);
    // Nobody can know of a holder before that is gone without a word.
    assert_eq!(taken["wait_s"], 3.6, "{taken}");
    let mut second = replica(&server.url("postgres"), &journal, "second").start();
    stands_by(&second);
    assert_eq!(statuses(&first), [200, 200, 200]);

    first.signal(libc::SIGTERM);
    assert_eq!(first.wait_exit(LIMIT), 0);
    journal.wait_for("second");
    let next = second.wait_for_event("lock taken", LIMIT);
    assert_eq!(next["wait_s"], 0.0, "{next}");
    assert!(next["fence"].as_u64() > taken["fence"].as_u64(), "{taken} {next}");
    second.signal(libc::SIGTERM);
    assert_eq!(second.wait_exit(LIMIT), 0);
    assert_eq!(journal.holders(), ["first", "second"]);
    assert_eq!(server.query("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"), "0");
}

#[test]
fn a_standby_that_is_told_to_end_has_started_nothing() {
    let server = Postgres::start("");
    let journal = Journal::new();
    let _holder = replica(&server.url("postgres"), &journal, "holder").start();
    journal.wait_for("holder");
    let mut standby = replica(&server.url("postgres"), &journal, "standby").start();
    stands_by(&standby);
    standby.signal(libc::SIGTERM);
    assert_eq!(standby.wait_exit(LIMIT), 128 + libc::SIGTERM);
    standby.wait_for_event("ended before the child was started", LIMIT);
    assert_eq!(journal.holders(), ["holder"]);
}
