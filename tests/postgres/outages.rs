//! A server that goes and comes back: down within its promise, up again by itself.

use super::{gets_down, gets_up, watching};
use crate::harness::servers::postgres::Postgres;

#[test]
fn a_server_that_is_stopped_or_frozen_is_down_and_up_again_by_itself() {
    let server = Postgres::start("");
    let stead = watching(&server.url("postgres"));
    gets_up(&stead);
    server.stop();
    gets_down(&stead, "connect_refused");
    server.resume();
    gets_up(&stead);
    server.freeze();
    gets_down(&stead, "timeout");
    server.thaw();
    gets_up(&stead);
}

#[test]
fn a_password_that_was_changed_is_noticed_and_so_is_its_return() {
    let server = Postgres::start("");
    server.query("CREATE ROLE guest LOGIN PASSWORD 'pw2'");
    let url = format!("postgres://guest:pw2@127.0.0.1:{}/postgres", server.port);
    let stead = watching(&format!("{url}?stead_reuse=false"));
    let holding = watching(&url);
    gets_up(&stead);
    gets_up(&holding);
    server.query("ALTER ROLE guest PASSWORD 'pw3'");
    gets_down(&stead, "auth_failed");
    assert_eq!(holding.status("/readyz"), 200, "who is in stays in, the app's connections too");
    server.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'guest'");
    gets_down(&holding, "auth_failed");
    server.query("ALTER ROLE guest PASSWORD 'pw2'");
    gets_up(&stead);
    gets_up(&holding);
}

#[test]
fn a_server_that_is_still_starting_says_so() {
    let primary = Postgres::start("");
    // A standby that takes no queries answers 57P03 for as long as it is one.
    let standby = primary.standby();
    standby.configure("hot_standby = off");
    standby.stop();
    standby.resume_without_waiting();
    super::is_down(&standby.url("postgres"), "starting at authenticate");
    let two = format!("{},127.0.0.1:{}", standby.url("").trim_end_matches('/'), primary.port);
    let said = super::is_up(&format!("{two}/postgres"));
    assert!(said.contains("role primary"), "{said}");
}
