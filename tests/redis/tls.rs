//! Redis over TLS: who is trusted, for which name, how long, and who stead is.

use super::{assert_not_up, assert_up, wait_down, wait_up, watching};
use crate::harness::Scratch;
use crate::harness::certificates::{Authority, Pair};
use crate::harness::servers::redis::Redis;

#[test]
fn certificates_are_verified_and_told_apart() {
    let scratch = Scratch::new();
    let (authority, other) = (Authority::new(&scratch, "one"), Authority::new(&scratch, "two"));
    let good = authority.server("good");
    let client = authority.client("stead");
    let redis = Redis::over_tls(&[
        &format!("tls-cert-file {}", good.certificate.display()),
        &format!("tls-key-file {}", good.key.display()),
        &format!("tls-ca-cert-file {}", authority.certificate().display()),
        "tls-auth-clients no",
        "requirepass pw",
    ]);
    let admin = |words: &[&str]| redis.cli(&[&["-a", "pw"], words].concat());
    let url = |end: &str| format!("rediss://:pw@localhost:{}{end}", redis.port());
    let trusting =
        |end: &str| url(&format!("?stead_ca={}{end}", authority.certificate().display()));
    assert_up(&trusting(""));
    assert_up(&url(&format!("?ssl_ca_certs={}", authority.certificate().display())));
    let by_number = trusting("").replace("localhost", "127.0.0.1");
    assert_up(&by_number.replace("rediss:", "valkeys:"));
    assert_not_up(&url(""), "down: tls_untrusted at tls");
    let distrusting = url(&format!("?stead_ca={}", other.certificate().display()));
    assert_not_up(&distrusting, "down: tls_untrusted at tls");
    for off in ["?stead_verify=off", "?ssl_cert_reqs=none"] {
        assert_up(&url(off));
    }
    let plain = url("").replace("rediss:", "redis:");
    assert_not_up(&plain, "down: connect_reset at authenticate");

    let stead = watching(&trusting("&stead_reuse=off"));
    wait_up(&stead);
    let show = |pair: &Pair| {
        let (certificate, key) = (pair.certificate.to_str().unwrap(), pair.key.to_str().unwrap());
        let files = ["CONFIG", "SET", "tls-cert-file", certificate, "tls-key-file", key];
        assert_eq!(admin(&files), "OK");
    };
    show(&authority.server_for("elsewhere", "DNS:example.org"));
    wait_down(&stead, "tls_wrong_name", "tls");
    show(&authority.server_until("over", -1));
    assert_not_up(&trusting(""), "down: tls_expired at tls");
    show(&authority.server_from_tomorrow("early"));
    assert_not_up(&trusting(""), "down: tls_expired at tls");
    show(&good);
    wait_up(&stead);

    assert_eq!(admin(&["CONFIG", "SET", "tls-auth-clients", "yes"]), "OK");
    assert_not_up(&trusting(""), "down: tls_client_certificate at tls");
    let own = |pair: &Pair| {
        let (certificate, key) = (pair.certificate.display(), pair.key.display());
        trusting(&format!("&stead_cert={certificate}&stead_key={key}"))
    };
    assert_up(&own(&client));
    assert_not_up(&own(&other.client("stranger")), "down: tls_client_certificate at tls");
}
