//! A primary with its standby, and which of them is wanted.

use super::{gets_down, gets_up, is_down, is_up, watching};
use crate::harness::servers::postgres::{PASSWORD, Postgres};
use crate::harness::{LIMIT, until};

#[test]
fn a_pair_is_told_apart_and_followed_through_a_promotion() {
    let primary = Postgres::start("");
    let standby = primary.standby();
    let both = format!(
        "postgres://app:{PASSWORD}@127.0.0.1:{},127.0.0.1:{}/postgres",
        standby.port, primary.port
    );
    let said = is_up(&standby.url("postgres"));
    assert!(said.contains("role standby"), "{said}");
    assert!(said.contains("replay_lag_s 0"), "{said}");
    is_down(&format!("{}?stead_role=primary", standby.url("postgres")), "wrong_role at state");
    is_down(
        &format!("{}?target_session_attrs=read-write", standby.url("postgres")),
        "wrong_role at state",
    );
    for (wanted, role) in [
        ("any", "standby"),
        ("read-write", "primary"),
        ("read-only", "standby"),
        ("primary", "primary"),
        ("standby", "standby"),
        ("prefer-standby", "standby"),
    ] {
        let said = is_up(&format!("{both}?target_session_attrs={wanted}"));
        assert!(said.contains(&format!("role {role}")), "{wanted}: {said}");
    }
    let said = is_up(&format!("{}?target_session_attrs=prefer-standby", primary.url("postgres")));
    assert!(said.contains("role primary"), "{said}");
    primary.query("ALTER ROLE app SET default_transaction_read_only = on");
    let read_only = format!("{}?target_session_attrs=read-write", primary.url("postgres"));
    is_down(&read_only, "wrong_role at state");
    // A primary it is all the same.
    is_up(&format!("{}?stead_role=primary", primary.url("postgres")));
    primary.query("BEGIN READ WRITE; ALTER ROLE app RESET default_transaction_read_only; COMMIT");

    let promoted = watching(&format!("{}?stead_role=primary", standby.url("postgres")));
    let pair = watching(&format!("{both}?target_session_attrs=primary"));
    gets_down(&promoted, "wrong_role");
    gets_up(&pair);
    let held = || standby.connections_of_stead();
    assert_eq!(held(), 0, "a connection to the wrong server was kept");
    primary.stop();
    gets_down(&pair, "wrong_role");
    standby.promote();
    gets_up(&pair);
    gets_up(&promoted);
    assert!(until(LIMIT, || held() == 2), "not both are held: {}", held());
}
