//! The check of Meilisearch: its health, its key and its index, against a real one where there is one.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::app::idle;
use crate::harness::certificates::{Authority, Pair};
use crate::harness::servers::meilisearch::{Fake, MASTER, Meilisearch};
use crate::harness::{LIMIT, Scratch, example, free_port, http, stead, until};

/// What `stead check URL` says.
fn says(url: &str) -> String {
    // A busy machine must not make the difference.
    let join = if url.contains('?') { '&' } else { '?' };
    let output = stead(["check", &format!("{url}{join}stead_timeout=20s")]).output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(!said.contains(MASTER), "{said}");
    said
}

fn says_each(cases: &[(String, &str)]) {
    for (url, words) in cases {
        let said = says(url);
        assert!(said.contains(words), "not `{words}`: {said}");
    }
}

#[test]
fn a_key_and_an_index_are_proven_with_the_least_right() {
    are_proven(&Meilisearch::start());
}

/// What `MEILISEARCH_BIN` is for, with a program that has Meilisearch's options and answers.
#[test]
fn a_program_that_is_named_takes_the_fakes_place() {
    are_proven(&Meilisearch::by(example("search_engine")));
}

fn are_proven(server: &Meilisearch) {
    let (port, search) = (server.port(), server.search_key());
    let url = |key: &str| format!("meilisearch://:{key}@127.0.0.1:{port}");
    says_each(&[
        (format!("meilisearch://127.0.0.1:{port}"), " up in "),
        (format!("meilisearch+http://127.0.0.1:{port}/"), " up in "),
        (url(MASTER), "version "),
        (format!("meilisearch://127.0.0.1:{port}?stead_api_key={MASTER}"), "version "),
        (url(&search), " up in "),
        (url("wrong"), "down: auth_failed at authenticate"),
        (format!("{}?stead_index=movies", url(MASTER)), "documents 0"),
        (format!("{}?stead_index=movies", url(&search)), " up in "),
        (format!("{}?stead_index=missing", url(MASTER)), "down: not_found at state"),
        (format!("{}?stead_index=missing", url(&search)), "down: not_found at state"),
        (
            format!("meilisearch://127.0.0.1:{port}?stead_index=movies"),
            "down: auth_failed at state",
        ),
        (format!("meilisearch+https://127.0.0.1:{port}"), " at tls"),
    ]);
}

/// An nginx that speaks TLS to the outside and not to this port, until it is dropped.
struct Proxy {
    port: u16,
    process: Child,
    _scratch: Scratch,
}

impl Proxy {
    fn start(scratch: Scratch, pair: &Pair, to: u16) -> Self {
        let port = free_port();
        let config = format!(
            "daemon off; master_process off; error_log stderr; pid pid;\n\
             events {{}}\n\
             http {{ access_log off; client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f;\n\
             uwsgi_temp_path u; scgi_temp_path s;\n\
             server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {}; ssl_certificate_key {};\n\
             location /search/ {{ proxy_pass http://127.0.0.1:{to}/; }} }} }}\n",
            pair.certificate.display(),
            pair.key.display()
        );
        let config = scratch.file("nginx.conf", config, 0o644);
        let mut command = Command::new("/usr/sbin/nginx");
        command.arg("-p").arg(scratch.path()).arg("-c").arg(config).stderr(Stdio::null());
        let process = command.spawn().expect("nginx");
        assert!(until(LIMIT, || http::connect(port).is_ok()), "nginx does not listen");
        Self { port, process, _scratch: scratch }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn it_is_found_behind_tls_and_below_a_path() {
    let server = Meilisearch::start();
    let scratch = Scratch::new();
    let authority = Authority::new(&scratch, "meilisearch");
    let (ca, pair) = (authority.certificate(), authority.server("proxy"));
    let proxy = Proxy::start(scratch, &pair, server.port());
    let url = format!("meilisearch+https://:{MASTER}@localhost:{}", proxy.port);
    let ca = ca.display();
    says_each(&[
        (format!("{url}/search?stead_ca={ca}&stead_index=movies"), "documents 0"),
        (format!("{url}/search"), "down: tls_untrusted at tls"),
        (format!("{url}/search?stead_verify=off"), "version "),
        (format!("{url}/elsewhere?stead_ca={ca}"), "down: http_status"),
    ]);
}

#[test]
fn every_word_but_available_is_down() {
    let server = Fake::start();
    let url = format!("meilisearch://127.0.0.1:{}", server.port());
    for (status, body, words) in [
        // "Get health": after a compaction of the task queue, say.
        (500, r#"{"status":"mustRestart"}"#, "down: must_restart at state"),
        (204, "", " up in "),
        (200, "{}", " up in "),
        (200, r#"{"status":"unavailable"}"#, "down: http_body at state"),
        (503, "no server is available", "down: http_status"),
        (302, "", "down: http_status"),
    ] {
        server.set_health(status, body);
        let said = says(&url);
        assert!(said.contains(words), "not `{words}` for {status} {body}: {said}");
    }
}

#[test]
fn an_attempt_is_one_connection_and_a_right_that_is_missing_is_not_asked_for_again() {
    let server = Fake::start();
    let url = format!(
        "meilisearch://:a-search-key@127.0.0.1:{}?stead_index=movies&stead_interval=300ms&stead_timeout=20s",
        server.port()
    );
    let stead = idle().env("STEAD_CHECK_SEARCH", url).listening().start();
    let rounds = |requests: &[String]| requests.iter().filter(|r| *r == "GET /health").count();
    assert!(until(LIMIT, || rounds(&server.seen().0) >= 4), "{:?}", server.seen());
    drop(stead);
    let (requests, connections) = server.seen();
    // The end may have come between a connection and its first question.
    let rounds = rounds(&requests);
    assert!((rounds..=rounds + 1).contains(&connections), "{connections}: {requests:?}");
    let denied = |path: &str| requests.iter().filter(|request| *request == path).count();
    assert_eq!((denied("GET /version"), denied("GET /indexes/movies/stats")), (1, 1));
}

#[test]
fn a_server_that_must_be_restarted_degrades_and_its_restart_is_seen() {
    let server = Fake::start();
    let url =
        format!("meilisearch://127.0.0.1:{}?stead_interval=300ms&stead_timeout=20s", server.port());
    let stead = idle().env("STEAD_CHECK_SEARCH", url).listening().start();
    stead.wait_for_event("check changed", LIMIT);
    assert_eq!(stead.get("/readyz").json()["status"], "ok");
    server.set_health(500, r#"{"status":"mustRestart"}"#);
    let is = |status: &str| {
        until(Duration::from_secs(60), || stead.get("/readyz").json()["status"] == status)
    };
    assert!(is("degraded"), "{:?}", stead.get("/readyz"));
    let answer = stead.get("/readyz");
    assert_eq!(answer.status, 200, "it is not required");
    assert_eq!(answer.json()["checks"]["search"]["class"], "must_restart");
    server.set_health(200, r#"{"status":"available"}"#);
    assert!(is("ok"), "{:?}", stead.get("/readyz"));
}
