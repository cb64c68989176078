//! What stands before a database: only what keeps its sessions apart can hold a lock.

use super::journal::Journal;
use super::{replica, stands_by};
use crate::harness::LIMIT;
use crate::harness::servers::postgres::{PASSWORD, PgBouncer, Postgres};

fn shop(pooler: &PgBouncer) -> String {
    format!("postgres://app:{PASSWORD}@127.0.0.1:{}/shop", pooler.port)
}

#[test]
fn a_pool_of_transactions_is_refused_in_one_line_before_the_command_is_started() {
    let server = Postgres::start("");
    for mode in ["transaction", "statement", "transaction\nserver_round_robin = 1"] {
        let pooler = PgBouncer::in_front_of(&server, &format!("pool_mode = {mode}"));
        let journal = Journal::new();
        let mut stead = replica(&shop(&pooler), &journal, "one").start();
        assert_eq!(stead.wait_exit(LIMIT), 64, "{mode}");
        let said = stead.stderr();
        let lines: Vec<&String> = said.iter().filter(|line| line.starts_with("stead: ")).collect();
        assert!(matches!(lines[..], [line] if line.contains("--singleton: a pooler")), "{said:?}");
        assert!(journal.holders().is_empty());
    }
}

#[test]
fn a_pool_of_sessions_holds_a_lock() {
    let server = Postgres::start("");
    let pooler = PgBouncer::in_front_of(&server, "pool_mode = session");
    let journal = Journal::new();
    let mut first = replica(&shop(&pooler), &journal, "first").start();
    journal.wait_for("first");
    let second = replica(&shop(&pooler), &journal, "second").start();
    stands_by(&second);
    first.signal(libc::SIGTERM);
    assert_eq!(first.wait_exit(LIMIT), 0);
    journal.wait_for("second");
    assert_eq!(journal.holders(), ["first", "second"]);
}

#[test]
fn on_is_the_database_itself_where_the_app_knows_a_way_around_its_pooler() {
    let server = Postgres::start("");
    let pooler = PgBouncer::in_front_of(&server, "");
    let journal = Journal::new();
    let stead = replica("on", &journal, "one")
        .env("STEAD_DISCOVER", "off")
        .env("DATABASE_URL", shop(&pooler))
        .env("DIRECT_URL", server.url("postgres"));
    let _running = stead.start();
    journal.wait_for("one");
    let mut without = replica("on", &journal, "two").env("DATABASE_URL", shop(&pooler)).start();
    assert_eq!(without.wait_exit(LIMIT), 64);
}
