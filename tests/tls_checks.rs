//! TLS as every kind has it, shown by `tls`, `https`, nginx and haproxy: whom stead trusts, what it tells apart, what it
//! notices while it runs. Beside it the kinds without it: `tcp` and `unix`.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::thread;

use socket2::{Domain, SockAddr, Socket, Type};

use crate::app::{Serve, idle};
use crate::harness::certificates::{Authority, Pair, replace, self_signed};
use crate::harness::direct::{check, is_down, is_up, said};
use crate::harness::servers::web::Web;
use crate::harness::{LIMIT, Running, Scratch, binary, free_port, stead, until};

/// An nginx with this certificate on this port.
fn nginx(port: u16, pair: &Pair, further: &str) -> Web {
    let (certificate, key) = (pair.certificate.display(), pair.key.display());
    let server = format!(
        "server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {certificate};
         ssl_certificate_key {key}; {further} return 200 x; }}"
    );
    Web::nginx(&server, port)
}

#[test]
fn good_wrong_over_early_and_foreign_certificates_are_told_apart() {
    let scratch = Scratch::new();
    let ours = Authority::new(&scratch, "ours");
    let foreign = Authority::new(&scratch, "foreign");
    let ca = format!("stead_ca={}", ours.certificate().display());
    for (pair, class) in [
        (ours.server("good"), None),
        (ours.server_for("other", "DNS:example.org,IP:127.0.0.2"), Some("tls_wrong_name")),
        (ours.server_until("over", -1), Some("tls_expired")),
        (ours.server_from_tomorrow("early"), Some("tls_expired")),
        (foreign.server("unknown"), Some("tls_untrusted")),
    ] {
        let (one, two) = (free_port(), free_port());
        let servers = (nginx(one, &pair, ""), Web::haproxy(two, &pair, "ssl-max-ver TLSv1.2"));
        for (port, host) in [(one, "localhost"), (one, "127.0.0.1"), (two, "localhost")] {
            for scheme in ["tls", "https"] {
                let url = format!("{scheme}://{host}:{port}/?{ca}");
                match class {
                    None => {
                        is_up(&url);
                        is_down(&format!("{scheme}://{host}:{port}/"), "tls_untrusted at tls");
                    }
                    Some(class) => drop(is_down(&url, &format!("{class} at tls"))),
                }
                // Off only when asked in words.
                is_up(&format!("{scheme}://{host}:{port}/?stead_verify=off"));
            }
        }
        drop(servers);
    }
}

#[test]
fn a_certificate_must_last_as_many_days_as_asked() {
    let scratch = Scratch::new();
    let authority = Authority::new(&scratch, "ca");
    let port = free_port();
    let _web = nginx(port, &authority.server_until("short", 7), "");
    let ca = authority.certificate();
    let url = format!("tls://localhost:{port}/?stead_ca={}", ca.display());
    assert!(is_up(&url).contains("days_left 7.0"), "{}", is_up(&url));
    is_up(&format!("{url}&stead_min_days=7"));
    let line = is_down(&format!("{url}&stead_min_days=8"), "certificate_expires at state");
    assert!(line.contains("lasts 7.0 days, fewer than 8"), "{line}");
    let (up, line) = check(&format!("{url}&stead_min_days=soon"));
    assert!(!up && line.contains("stead_min_days: not a whole number"), "{line}");
}

#[test]
fn a_certificate_that_is_its_own_issuer_may_be_trusted_by_name() {
    let scratch = Scratch::new();
    let [own, other] = ["own", "other"].map(|name| self_signed(&scratch, name));
    let port = free_port();
    let _web = nginx(port, &own, "");
    let trusting = |pair: &Pair| format!("stead_ca={}", pair.certificate.display());
    is_up(&format!("tls://localhost:{port}/?{}", trusting(&own)));
    is_down(&format!("tls://127.0.0.1:{port}/?{}", trusting(&own)), "tls_wrong_name at tls");
    is_down(&format!("tls://localhost:{port}/?{}", trusting(&other)), "tls_untrusted at tls");
    is_down(&format!("tls://localhost:{port}"), "tls_untrusted at tls");
}

#[test]
fn a_client_certificate_is_shown_and_its_refusal_is_told() {
    let scratch = Scratch::new();
    let ours = Authority::new(&scratch, "ours");
    let foreign = Authority::new(&scratch, "foreign");
    let ca = ours.certificate();
    let (server, good, bad) = (ours.server("server"), ours.client("me"), foreign.client("other"));
    let options = |pair: &Pair| {
        let (cert, key) = (pair.certificate.display(), pair.key.display());
        format!("&stead_cert={cert}&stead_key={key}")
    };
    let verify = format!("ca-file {} verify required", ca.display());
    for version in ["", "ssl-max-ver TLSv1.2"] {
        let port = free_port();
        let _web = Web::haproxy(port, &server, &format!("{verify} {version}"));
        let url = format!("https://localhost:{port}/?stead_ca={}", ca.display());
        is_up(&format!("{url}{}", options(&good)));
        is_down(&format!("{url}{}", options(&bad)), "tls_client_certificate at tls");
        if version.is_empty() {
            is_down(&url, "tls_client_certificate at tls");
        }
    }
    let (up, line) = check("tls://localhost/?stead_cert=/nothing");
    assert!(!up && line.contains("stead_cert and stead_key go together"), "{line}");
    let missing = format!("tls://localhost:{}/?stead_ca=/nothing.pem", free_port());
    assert!(!check(&missing).0);
}

#[test]
fn what_speaks_no_tls_is_told_from_what_hangs_up() {
    let port = free_port();
    let plain = format!("server {{ listen 127.0.0.1:{port}; return 200 x; }}");
    let _web = Web::nginx(&plain, port);
    is_down(&format!("tls://localhost:{port}"), "tls_refused at tls");
    is_down(&format!("https://localhost:{port}"), "tls_refused at tls");

    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("its address").port();
    thread::spawn(move || listener.incoming().flatten().for_each(drop));
    is_down(&format!("tls://127.0.0.1:{port}"), "connect_reset at tls");

    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("its address").port();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.write_all(b"220 mail.example ESMTP\r\n");
            thread::sleep(LIMIT);
        }
    });
    is_down(&format!("tls://127.0.0.1:{port}"), "tls_refused at tls");
    // One that accepts and says nothing.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("its address").port();
    is_down(&format!("tls://127.0.0.1:{port}/?stead_timeout=300ms"), "timeout at tls");
    is_down(&format!("tls://127.0.0.1:{}", free_port()), "connect_refused at connect");
}

/// `stead check URL` where /etc/ssl is another folder, in a mount namespace of its own.
fn check_with_ssl_folder(folder: &Path, url: &str) -> (bool, String) {
    let script = "mount --bind \"$1\" /etc/ssl && exec \"$2\" check \"$3\"";
    let mut command = std::process::Command::new("unshare");
    command.args(["--mount", "--", "/bin/sh", "-c", script, "sh"]);
    said(command.arg(folder).arg(binary()).arg(url).output().expect("unshare"))
}

#[test]
fn the_systems_roots_are_trusted_and_built_in_ones_where_it_has_none() {
    let scratch = Scratch::new();
    let authority = Authority::new(&scratch, "ca");
    let port = free_port();
    let _web = nginx(port, &authority.server("server"), "");
    let url = format!("tls://localhost:{port}");

    let system = Scratch::new();
    fs::create_dir(system.path().join("certs")).expect("a folder");
    // An image without roots: the server is unknown to the built-in ones, which are no mistake.
    let (up, line) = check_with_ssl_folder(system.path(), &url);
    assert!(!up && line.contains(" down: tls_untrusted at tls "), "{line}");
    // A bundle with rubbish in it still counts.
    let bundle = system.path().join("certs/ca-certificates.crt");
    let rubbish = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let own = fs::read_to_string(authority.certificate()).expect("a certificate");
    fs::write(&bundle, format!("{rubbish}{own}")).expect("a bundle");
    let (up, line) = check_with_ssl_folder(system.path(), &url);
    assert!(up, "{line}");
    // An empty one is none.
    fs::write(&bundle, "").expect("a bundle");
    let (_, line) = check_with_ssl_folder(system.path(), &url);
    assert!(line.contains(" down: tls_untrusted at tls "), "{line}");

    let mut command = stead(["check", &url]);
    command.env("SSL_CERT_FILE", authority.certificate());
    let (up, line) = said(command.output().expect("stead"));
    assert!(up, "{line}");
}

fn reaches(stead: &Running, status: &str, class: Option<&str>) {
    let mut check = serde_json::Value::Null;
    let reached = until(LIMIT, || {
        check = stead.get("/readyz").json()["checks"]["site"].take();
        check["status"] == status && check["class"].as_str() == class
    });
    assert!(reached, "never {status} {class:?}: {check}");
}

#[test]
fn a_certificate_that_is_swapped_on_the_server_is_noticed_both_ways() {
    let scratch = Scratch::new();
    let authority = Authority::new(&scratch, "ca");
    let served = authority.server("served");
    let (good, over) = (authority.server("good"), authority.server_until("over", -1));
    let ca = authority.certificate();
    for scheme in ["tls", "https"] {
        good.replace(&served);
        let port = free_port();
        // Sessions that could go on, which would show no certificate.
        let sessions = "ssl_session_cache shared:s:1m; ssl_session_tickets on;";
        let web = nginx(port, &served, sessions);
        let url = format!("{scheme}://localhost:{port}/?stead_ca={}", ca.display());
        let stead = idle().env("STEAD_CHECK_SITE", format!("{url}&stead_interval=200ms")).serve();
        reaches(&stead, "up", None);
        over.replace(&served);
        web.reload();
        reaches(&stead, "down", Some("tls_expired"));
        good.replace(&served);
        web.reload();
        reaches(&stead, "up", None);
    }
}

#[test]
fn files_that_are_swapped_on_disk_are_read_again() {
    let scratch = Scratch::new();
    let old = Authority::new(&scratch, "old");
    let new = Authority::new(&scratch, "new");
    let trusted = scratch.path().join("trusted.pem");
    replace(&old.certificate(), &trusted);
    let port = free_port();
    let _web = nginx(port, &new.server("server"), "");
    let url =
        format!("tls://localhost:{port}/?stead_interval=200ms&stead_ca={}", trusted.display());
    let stead = idle().env("STEAD_CHECK_SITE", url).serve();
    reaches(&stead, "down", Some("tls_untrusted"));
    replace(&new.certificate(), &trusted);
    reaches(&stead, "up", None);
    fs::remove_file(&trusted).expect("removing a file");
    reaches(&stead, "down", Some("tls_failed"));
    replace(&new.certificate(), &trusted);
    reaches(&stead, "up", None);
}

#[test]
fn ports_and_sockets_are_up_when_they_accept() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = listener.local_addr().expect("its address");
    is_up(&format!("tcp://{at}"));
    is_up(&format!("tcp://localhost:{}", at.port()));
    is_down(&format!("tcp://127.0.0.1:{}", free_port()), "connect_refused at connect");
    for mistake in ["tcp://localhost", "tcp://", "unix://host/path", "unix://", "tcp://a,b:1"] {
        assert!(!check(mistake).0, "{mistake}");
    }

    let scratch = Scratch::new();
    let path = scratch.path().join("a socket");
    let url = format!("unix://{}", path.display()).replace(' ', "%20");
    is_down(&url, "not_found at connect");
    let socket = || Socket::new(Domain::UNIX, Type::STREAM, None).expect("a socket");
    let address = SockAddr::unix(&path).expect("its address");
    let listener = socket();
    listener.bind(&address).and_then(|()| listener.listen(1)).expect("a listener");
    is_up(&url);
    // A program that hangs accepts until its queue is full.
    let waiting = [socket(), socket(), socket()];
    for socket in &waiting {
        socket.set_nonblocking(true).expect("a socket that does not wait");
        let _ = socket.connect(&address);
    }
    is_down(&format!("{url}?stead_timeout=300ms"), "timeout at connect");
    drop(waiting);
    drop(listener);
    is_down(&url, "connect_refused at connect");
}
