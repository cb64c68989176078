//! Who is let in, by what, and how each refusal is told from the others.

use super::{is_down, is_up};
use crate::harness::servers::postgres::{PASSWORD, PgBouncer, Postgres};
use crate::harness::{LIMIT, Scratch, until};

#[test]
fn each_way_to_log_in_works_and_each_refusal_has_its_class() {
    let server = Postgres::start("");
    server.query("CREATE ROLE scram LOGIN PASSWORD 'pw2'");
    server.query("SET password_encryption = md5; CREATE ROLE hashed LOGIN PASSWORD 'pw3'");
    server.query("CREATE ROLE clear LOGIN PASSWORD 'pw4'; CREATE ROLE trusted LOGIN");
    server
        .query("CREATE ROLE denied LOGIN PASSWORD 'pw5'; CREATE ROLE outside LOGIN PASSWORD 'pw6'");
    server.query("CREATE DATABASE inner_one");
    server.query("REVOKE CONNECT ON DATABASE inner_one FROM PUBLIC");
    server.query("CREATE DATABASE closed ALLOW_CONNECTIONS false");
    server.admit(
        "local all all scram-sha-256\nhost all hashed all md5\nhost all clear all password\n\
         host all trusted all trust\nhost all denied all reject\nhost all outside 192.0.2.0/24 md5\n\
         host all scram,app,nobody all scram-sha-256\n",
    );
    server.reload();
    let (port, sockets) = (server.port, server.sockets());
    let url = |login: &str| format!("postgres://{login}@127.0.0.1:{port}/postgres");
    for login in ["scram:pw2", "hashed:pw3", "clear:pw4", "trusted", "trusted:ignored"] {
        let said = is_up(&url(login));
        assert!(said.contains("role primary"), "{said}");
        assert!(said.contains("version 15."), "{said}");
        // What an ordinary user can have: 100 but for the superusers' 3.
        assert!(said.contains("connections_max 97"), "{said}");
    }
    let socket = format!("host={}&port={port}", sockets.display());
    is_up(&format!("postgresql:///postgres?{socket}&user=scram&password=pw2"));
    let encoded = sockets.display().to_string().replace('/', "%2F");
    is_up(&format!("postgresql://scram:pw2@{encoded}:{port}/postgres?sslmode=require"));

    for login in ["scram:pw9", "hashed:pw9", "clear:pw9", "nobody:pw9", "scram"] {
        is_down(&url(login), "auth_failed at authenticate");
    }
    is_down(&url("denied:pw5"), "access_denied at authenticate");
    is_down(&url("outside:pw6"), "access_denied at authenticate");
    let database = |name: &str| format!("postgres://scram:pw2@127.0.0.1:{port}/{name}");
    is_down(&database("nothing"), "not_found at authenticate");
    is_down(&database("inner_one"), "access_denied at authenticate");
    is_down(&database("closed"), "access_denied at authenticate");
    is_down("postgres://a:b@/c?host=/nowhere", "not_found at connect");
    is_down("postgres://a:b@127.0.0.1:1/c", "connect_refused at connect");
}

#[test]
fn a_url_in_the_dialect_of_any_driver_is_understood_and_its_other_keys_are_not_sent() {
    let server = Postgres::start("");
    server.query(r#"CREATE ROLE "o'dd@:/" LOGIN PASSWORD 'p:@/#?%"\ w'"#);
    let pooler = PgBouncer::in_front_of(&server, "");
    let passwords = Scratch::new();
    let line = format!("127.0.0.1:{}:*:app:{PASSWORD}\n", server.port);
    let file = passwords.file("pgpass", line, 0o600);
    let (host, pooled) =
        (format!("127.0.0.1:{}", server.port), format!("127.0.0.1:{}", pooler.port));
    let file = file.display();
    for url in [
        format!(
            "postgresql://app:{PASSWORD}@{host}/postgres?schema=public&connection_limit=5&pool_timeout=2"
        ),
        format!(
            "postgresql+asyncpg://app:{PASSWORD}@{host}/postgres?ssl=prefer&prepared_statement_cache_size=0"
        ),
        format!(
            "postgresql+psycopg://app:{PASSWORD}@{host}/postgres?ssl=false&options=-c%20work_mem%3D1"
        ),
        format!(
            "jdbc:postgresql://{host}/postgres?user=app&password={PASSWORD}&currentSchema=x&ApplicationName=y"
        ),
        format!("postgis://app:{PASSWORD}@{host}?dbname=postgres&connect_timeout=10&keepalives=1"),
        format!("postgres://app@{host}/postgres?passfile={file}"),
        format!("postgres://o'dd%40%3A%2F:p:%40%2F%23%3F%25%22%5C%20w@{host}/postgres"),
        // PgBouncer refuses a startup packet with a key that it does not know.
        format!(
            "postgresql://app:{PASSWORD}@{pooled}/shop?pgbouncer=true&schema=public&options=-cx&search_path=a"
        ),
        format!(
            "postgresql://app:{PASSWORD}@{pooled}/shop?application_name=mine&statement_timeout=5&sslmode=prefer"
        ),
    ] {
        is_up(&url);
    }
    for wrong in
        ["sslmode=sometimes", "target_session_attrs=best", "channel_binding=maybe", "port=x"]
    {
        let (up, said) =
            super::checked(&format!("postgres://app:{PASSWORD}@{host}/postgres?{wrong}"));
        assert!(!up && !said.contains(PASSWORD), "{wrong}: {said}");
        assert!(!said.contains(" down: "), "a mistake is no failure: {said}");
    }
}

#[test]
fn a_password_is_in_no_text_at_whatever_stage_a_login_fails() {
    let server = Postgres::start("");
    let (raw, encoded) = (r#"s:@/#?%"\ x"#, "s:%40%2F%23%3F%25%22%5C%20x");
    server.query(&format!("CREATE ROLE secretive LOGIN PASSWORD '{raw}'"));
    let port = server.port;
    for (place, failure) in [
        ("no-such-name.invalid/x".to_owned(), "dns_not_found at dns"),
        ("127.0.0.1:1/x".to_owned(), "connect_refused at connect"),
        (format!("127.0.0.1:{port}/x?sslmode=require"), "tls_refused at tls"),
        (format!("127.0.0.1:{port}/{encoded}"), "not_found at authenticate"),
        (format!("127.0.0.1:{port}/postgres?stead_role=standby"), "wrong_role at state"),
    ] {
        let said = is_down(&format!("postgres://secretive:{encoded}@{place}"), failure);
        assert!(!said.contains(raw) && !said.contains(encoded), "{said}");
    }
    let wrong = format!("postgres://app:{encoded}@127.0.0.1:{port}/postgres");
    let said = is_down(&wrong, "auth_failed at authenticate");
    assert!(!said.contains(raw) && !said.contains(encoded), "{said}");
}

#[test]
fn pgbouncer_in_transaction_mode_is_checked_through_and_its_refusals_are_told_apart() {
    let server = Postgres::start("");
    let pooler = PgBouncer::in_front_of(&server, "default_pool_size = 2\nserver_login_retry = 1");
    let url =
        |login: &str, name: &str| format!("postgres://{login}@127.0.0.1:{}/{name}", pooler.port);
    let said = is_up(&url("app:pw1", "shop"));
    assert!(said.contains("role primary") && said.contains("version 15."), "{said}");
    assert!(said.contains("connections_max 97"), "{said}");
    is_down(&url("app:pw9", "shop"), "auth_failed at authenticate");
    is_down(&url("app:pw1", "nothing"), "not_found at authenticate");
    let stead = super::watching(&url("app:pw1", "shop"));
    super::gets_up(&stead);
    server.stop();
    assert!(until(LIMIT, || stead.status("/readyz") == 503), "{}", stead.get("/readyz").json());
    // It lets its clients wait for a while before it says what is wrong.
    let class = stead.get("/readyz").json()["checks"]["database"]["class"].take();
    assert!(["timeout", "connect_failed"].map(Into::into).contains(&class), "{class}");
    server.resume();
    super::gets_up(&stead);
}
