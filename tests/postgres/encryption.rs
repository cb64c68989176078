//! TLS as `sslmode` and its like ask for it, against what a server offers and demands.

use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::{gets_down, gets_up, is_down, is_up, watching};
use crate::harness::certificates::Authority;
use crate::harness::servers::postgres::{PASSWORD, Postgres};
use crate::harness::{LIMIT, Scratch, free_port, until};

/// A server with TLS: `app` may come either way, `secure` with TLS alone, `plain` without it alone, and `certain` with a
/// certificate of its own.
fn server(scratch: &Scratch, authority: &Authority) -> Postgres {
    let server = Postgres::start("");
    let roles = ["secure", "plain", "certain"];
    for role in roles {
        server.query(&format!("CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'"));
    }
    server.give(&authority.server("server"));
    let clients = scratch.path().join("clients.pem");
    std::fs::copy(authority.certificate(), &clients).expect("a copy");
    server.configure(&server.tls());
    server.configure(&format!("ssl_ca_file = '{}'", clients.display()));
    server.admit(
        "host all app all scram-sha-256\nhostssl all secure all scram-sha-256\n\
         hostnossl all plain all scram-sha-256\nhostssl all certain all cert\n",
    );
    server.stop();
    server.resume();
    server
}

fn url(server: &Postgres, user: &str, query: &str) -> String {
    format!("postgres://{user}:{PASSWORD}@127.0.0.1:{}/postgres?{query}", server.port)
}

fn root(path: &Path) -> String {
    format!("sslrootcert={}", path.display())
}

#[test]
fn every_sslmode_means_what_it_means_to_libpq() {
    let scratch = Scratch::new();
    let authority = Authority::new(&scratch, "ours");
    let server = server(&scratch, &authority);
    let ours = root(&authority.certificate());
    for (user, mode, up) in [
        ("secure", "disable", false),
        ("secure", "allow", true),
        ("secure", "prefer", true),
        ("secure", "require", true),
        ("secure", "verify-ca", true),
        ("secure", "verify-full", true),
        ("plain", "disable", true),
        ("plain", "allow", true),
        ("plain", "prefer", true),
        ("plain", "require", false),
        ("plain", "verify-ca", false),
        ("plain", "verify-full", false),
    ] {
        let query = format!("sslmode={mode}&{ours}");
        if up {
            is_up(&url(&server, user, &query));
        } else {
            is_down(&url(&server, user, &query), "access_denied at authenticate");
        }
    }
    is_up(&url(&server, "secure", ""));
    let said = is_down(&url(&server, "secure", "ssl=0"), "access_denied at authenticate");
    assert!(said.contains("it wants TLS"), "{said}");
    // An authority that is not there is none, and one that comes is one.
    let missing = scratch.path().join("later.pem");
    let with_it = format!("stead_fail_after=1&stead_reuse=off&sslmode=require&{}", root(&missing));
    let stead = watching(&url(&server, "secure", &with_it));
    gets_up(&stead);
    stead.wait_for_event("TLS not verified", LIMIT);
    let theirs = Authority::new(&scratch, "theirs").certificate();
    std::fs::copy(theirs, &missing).expect("a copy");
    gets_down(&stead, "tls_untrusted");
    // Who is let in neither way does not want TLS.
    server.admit("host all app all scram-sha-256\nhost all all all reject\n");
    server.reload();
    let refused = || super::checked(&url(&server, "plain", "")).1;
    assert!(until(LIMIT, || refused().contains("rejects connection")), "{}", refused());
    let said = is_down(&url(&server, "plain", ""), "access_denied at authenticate");
    assert!(said.contains("SSL encryption") && !said.contains("it wants TLS"), "{said}");
}

#[test]
fn a_certificate_is_verified_as_far_as_was_asked_and_refused_for_its_own_reason() {
    let scratch = Scratch::new();
    let (ours, theirs) = (Authority::new(&scratch, "ours"), Authority::new(&scratch, "theirs"));
    let server = server(&scratch, &ours);
    let (our_root, their_root) = (root(&ours.certificate()), root(&theirs.certificate()));
    let up = |query: &str| drop(is_up(&url(&server, "secure", query)));
    let down = |query: &str, class: &str| {
        drop(is_down(&url(&server, "secure", query), &format!("{class} at tls")));
    };
    down(&format!("sslmode=verify-full&{their_root}"), "tls_untrusted");
    down(&format!("sslmode=verify-ca&{their_root}"), "tls_untrusted");
    // With an authority, libpq verifies it in `require` too.
    down(&format!("sslmode=require&{their_root}"), "tls_untrusted");
    down("sslmode=verify-full", "tls_untrusted");
    down("sslrootcert=system", "tls_untrusted");
    down("ssl=true", "tls_untrusted");
    down("sslmode=require&sslaccept=strict", "tls_untrusted");
    down("sslmode=require&stead_verify=on", "tls_untrusted");
    up(&format!("ssl=true&stead_ca={}", ours.certificate().display()));
    up(&format!("sslmode=require&sslaccept=strict&sslcert={}", ours.certificate().display()));
    up(&format!("sslmode=verify-full&{their_root}&stead_verify=off"));
    up("ssl=no-verify");

    server.give(&ours.server_for("elsewhere", "DNS:example.org"));
    server.reload();
    down(&format!("sslmode=verify-full&{our_root}"), "tls_wrong_name");
    up(&format!("sslmode=verify-ca&{our_root}"));

    server.give(&ours.server_until("over", -1));
    server.reload();
    down(&format!("sslmode=verify-full&{our_root}"), "tls_expired");
    down(&format!("sslmode=verify-ca&{our_root}"), "tls_expired");
    up("sslmode=require");
}

#[test]
fn a_login_is_bound_to_its_channel_and_a_client_has_its_certificate() {
    let scratch = Scratch::new();
    let authority = Authority::new(&scratch, "ours");
    let server = server(&scratch, &authority);
    let ours = root(&authority.certificate());
    is_up(&url(&server, "app", &format!("sslmode=verify-full&{ours}&channel_binding=require")));
    is_up(&url(&server, "app", "sslmode=require&channel_binding=disable"));
    let said = is_down(
        &url(&server, "app", "sslmode=disable&channel_binding=require"),
        "auth_failed at authenticate",
    );
    assert!(said.contains("channel binding"), "{said}");

    let client = authority.client("certain");
    let files = format!("sslcert={}&sslkey={}", client.certificate.display(), client.key.display());
    is_up(&url(&server, "certain", &format!("sslmode=verify-full&{ours}&{files}")));
    let other = authority.client("someone");
    let files = format!("sslcert={}&sslkey={}", other.certificate.display(), other.key.display());
    let said = is_down(
        &url(&server, "certain", &format!("sslmode=require&{files}")),
        "access_denied at authenticate",
    );
    assert!(said.contains("certificate authentication failed"), "{said}");
    is_down(&url(&server, "certain", "sslmode=require"), "access_denied at authenticate");
}

/// haproxy that ends TLS in front of a server, for clients that begin with it and name the protocol.
struct DirectTls {
    port: u16,
    haproxy: Child,
}

impl DirectTls {
    fn in_front_of(server: &Postgres, both: &Path, scratch: &Scratch) -> Self {
        let port = free_port();
        let settings = format!(
            "defaults\n timeout connect 5s\n timeout client 60s\n timeout server 60s\n\
             listen direct\n bind 127.0.0.1:{port} ssl crt {} alpn postgresql\n\
             tcp-request content reject unless {{ ssl_fc_alpn postgresql }}\n\
             server one 127.0.0.1:{}\n",
            both.display(),
            server.port
        );
        let settings = scratch.file("haproxy", settings, 0o600);
        let mut haproxy = Command::new("haproxy");
        haproxy.arg("-db").arg("-f").arg(settings).stdout(Stdio::null()).stderr(Stdio::null());
        let haproxy = haproxy.spawn().expect("haproxy");
        let this = Self { port, haproxy };
        let listens = || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
        assert!(until(LIMIT, listens), "haproxy does not listen");
        this
    }
}

impl Drop for DirectTls {
    fn drop(&mut self) {
        let _ = self.haproxy.kill();
        let _ = self.haproxy.wait();
    }
}

#[test]
fn tls_from_the_first_byte_on_is_spoken_where_it_is_asked_for() {
    let scratch = Scratch::new();
    let authority = Authority::new(&scratch, "ours");
    let server = Postgres::start("");
    let pair = authority.server("direct");
    let proxy = DirectTls::in_front_of(&server, &pair.both, &scratch);
    let url = |query: &str| {
        format!("postgres://app:{PASSWORD}@127.0.0.1:{}/postgres?{query}", proxy.port)
    };
    let verified = format!("sslmode=verify-full&{}", root(&authority.certificate()));
    is_up(&url(&format!("{verified}&sslnegotiation=direct")));
    let (up, said) = super::checked(&url(&verified));
    assert!(!up && said.contains(" at tls "), "it asks first where it is not told: {said}");
    // PostgreSQL 15 itself knows nothing of it.
    let old = format!("{}?sslmode=require&sslnegotiation=direct", server.url("postgres"));
    let (up, said) = super::checked(&old);
    assert!(!up && said.contains(" at tls "), "{said}");
    let (up, said) = super::checked(&url("sslnegotiation=direct"));
    assert!(!up && said.contains("needs sslmode=require"), "{said}");
}

#[test]
fn tls_that_nobody_verifies_is_one_warning_unless_the_url_says_so_in_words() {
    let scratch = Scratch::new();
    let authority = Authority::new(&scratch, "ours");
    let server = server(&scratch, &authority);
    let careless = super::watching(&url(&server, "app", "sslmode=require&stead_reuse=false"));
    super::gets_up(&careless);
    let event = careless.wait_for_event("TLS not verified", LIMIT);
    assert_eq!(event["level"], "warn");
    assert_eq!(event["target"], format!("127.0.0.1:{}", server.port));
    for query in ["sslmode=no-verify", "sslmode=disable", "sslmode=prefer"] {
        let asked = super::watching(&url(&server, "app", query));
        super::gets_up(&asked);
        assert!(asked.events_of("TLS not verified").is_empty(), "{query}");
    }
    assert_eq!(careless.events_of("TLS not verified").len(), 1);
}
