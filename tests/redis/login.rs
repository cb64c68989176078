//! Passwords, ACL users and databases: what is right, what is wrong, and what a user may not.

use super::{assert_not_up, assert_up, wait_down, wait_up, watching};
use crate::harness::servers::redis::Redis;
use crate::harness::{LIMIT, stead, until};

#[test]
fn passwords_users_and_databases_that_are_wrong_are_told_apart() {
    let redis = Redis::start(&[
        "requirepass right",
        "user app on >word ~* &* +@all",
        "user free on nopass ~* &* +@all",
        "user mute on >word ~* &* -@all",
    ]);
    let at = format!("127.0.0.1:{}", redis.port());
    for right in [":right@", "default:right@", "app:word@", "free@", "free:any@"] {
        assert_up(&format!("redis://{right}{at}"));
        assert_up(&format!("redis://{right}{at}/15"));
    }
    assert_not_up(&format!("redis://{at}"), "down: auth_failed at query");
    assert_not_up(&format!("redis://{at}/1"), "down: auth_failed at authenticate");
    for wrong in [":wrong@", "app:right@", "nobody:right@", "app@"] {
        assert_not_up(&format!("redis://{wrong}{at}"), "down: auth_failed at authenticate");
    }
    assert_not_up(&format!("redis://:right@{at}/16"), "down: not_found at authenticate");
    assert_not_up(&format!("redis://mute:word@{at}"), "down: access_denied at query");
    assert_not_up(&format!("redis://mute:word@{at}/1"), "down: access_denied at authenticate");
    let open = Redis::start(&[]);
    assert_not_up(
        &format!("redis://:pw@127.0.0.1:{}", open.port()),
        "down: auth_failed at authenticate",
    );
}

#[test]
fn a_password_that_is_changed_is_found_out_when_the_connection_is_made_anew() {
    let redis = Redis::start(&["requirepass old"]);
    let stead = watching(&format!("redis://:old@127.0.0.1:{}", redis.port()));
    wait_up(&stead);
    let admin = |password: &str, words: &[&str]| {
        redis.cli(&[&["-a", password], words].concat());
    };
    admin("old", &["CONFIG", "SET", "requirepass", "new"]);
    admin("new", &["CLIENT", "KILL", "TYPE", "normal"]);
    wait_down(&stead, "auth_failed", "authenticate");
    admin("new", &["CONFIG", "SET", "requirepass", "old"]);
    wait_up(&stead);
}

#[test]
fn an_info_that_is_denied_is_not_down_and_not_asked_again() {
    let redis = Redis::start(&["user hc on >pw +ping"]);
    let stead = watching(&format!("redis://hc:pw@127.0.0.1:{}", redis.port()));
    wait_up(&stead);
    let asked = || redis.info("cmdstat_ping").contains("calls=");
    assert!(until(LIMIT, asked), "no PING is counted");
    // Two connections and some rounds later.
    for _ in 0..2 {
        redis.cli(&["CONFIG", "RESETSTAT"]);
        redis.cli(&["CLIENT", "KILL", "TYPE", "normal"]);
        assert!(until(LIMIT, asked), "it is not asked any more");
    }
    let log = redis.cli(&["ACL", "LOG"]);
    let of = |wanted: &str| -> Vec<&str> {
        let pairs = log.lines().zip(log.lines().skip(1));
        pairs.filter(|(key, _)| *key == wanted).map(|(_, value)| value).collect()
    };
    assert_eq!((of("object"), of("count")), (vec!["info"], vec!["1"]), "{log}");
    let url = format!("redis://hc:pw@127.0.0.1:{}", redis.port());
    assert_not_up(&format!("{url}?stead_role=primary"), "down: access_denied at state");
    assert_not_up(&format!("{url}?stead_list=jobs"), "down: access_denied at query");
}

#[test]
fn a_password_of_strange_characters_logs_in_and_is_never_shown() {
    let password = r#"a:b@c/d#e%f?g"h\i j&k=l+m"#;
    let encoded: String = password.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let redis = Redis::start(&[]);
    redis.order(&["CONFIG", "SET", "requirepass", password]);
    assert_up(&format!("redis://:{encoded}@127.0.0.1:{}", redis.port()));
    for (host, port) in [("127.0.0.1", redis.port()), ("127.0.0.1", 1), ("nowhere.invalid", 1)] {
        for (user, end) in [("", "/99"), ("nobody", ""), ("", "?stead_list=a&stead_role=replica")] {
            let url = format!("redis://{user}:{encoded}@{host}:{port}{end}");
            let output = stead(["check", &url]).output().unwrap();
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8_lossy(&said);
            assert!(said.contains("down: "), "{said}");
            assert!(!said.contains(password) && !said.contains(&encoded), "{said}");
        }
    }
}
