//! Passwords with every awkward character, by each source and into each kind of failure: none is told anywhere.

mod over_tls;

use std::io::{Read, Write};
use std::net::TcpListener;

use crate::app::{Serve, idle};
use crate::harness::http::{Response, request};
use crate::harness::{LIMIT, Running, Scratch, Stead, free_port, stead, until};

/// What no line, no answer and no configuration may hold, with every character that has a meaning in a URL, in JSON or
/// to a shell.
const PASSWORDS: [&str; 12] = [
    "s3cr3t",
    "s3:cr3t",
    "s3@cr3t",
    "s3/cr3t",
    "s3#cr3t",
    "s3%cr3t",
    "s3?cr3t",
    "s3\"cr3t",
    "s3\\cr3t",
    "s3 cr3t",
    "s3'$cr3t&",
    ":@/#%?\" \\s3cr3t",
];

fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// Fails where a text holds a password in any form that it may have been given or shown in.
fn tells_none(what: &str, text: &str) {
    for password in PASSWORDS {
        let quoted = serde_json::to_string(password).unwrap();
        let quoted = quoted.trim_matches('"').to_owned();
        let twice = serde_json::to_string(&quoted).unwrap();
        let page = password.replace('&', "&amp;").replace('"', "&quot;").replace('\'', "&#39;");
        for form in [password, &encoded(password), &quoted, twice.trim_matches('"'), &page] {
            assert!(!text.contains(form), "{what} holds {form}: {text}");
        }
    }
    // No two halves of one either.
    assert!(!text.contains("cr3t"), "{what} holds a part of a password: {text}");
}

/// How a server fails at the stage that it is for.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// Nobody listens.
    Refuses,
    /// Closes what it has accepted.
    Closes,
    /// Says what no protocol has.
    Garbage,
    /// Wants the password, and says in its error what it was given.
    Repeats,
}

/// The port of a server with this fault, which ends with the test.
fn faulty(fault: Fault) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    if matches!(fault, Fault::Refuses) {
        return free_port();
    }
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || -> std::io::Result<()> {
                let (mut stream, mut buffer) = (stream, [0; 4096]);
                if matches!(fault, Fault::Closes) {
                    return Ok(());
                }
                loop {
                    let count = stream.read(&mut buffer)?;
                    match fault {
                        _ if count == 0 => return Ok(()),
                        Fault::Garbage => stream.write_all(b"\x00\xffgarbage\r\n\r\n")?,
                        _ => stream.write_all(&repeated(&buffer[..count]))?,
                    }
                }
            });
        }
    });
    port
}

/// An answer of the protocol that was spoken, with all that was said in it.
fn repeated(said: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(said).replace(['\r', '\n', '\0'], " ");
    if said.starts_with(b"*") {
        return format!("-ERR refused: {text}\r\n").into_bytes();
    }
    if said.starts_with(b"AMQP") {
        return said.to_vec();
    }
    if said.starts_with(b"GET ") || said.starts_with(b"POST ") {
        let head = format!("HTTP/1.1 401 {}\r\ncontent-length: {}", text.trim(), text.len());
        return format!("{head}\r\n\r\n{text}").into_bytes();
    }
    if said.first() == Some(&b'p') {
        // Postgres' ErrorResponse, by its documentation "Message Formats".
        let fields = format!("SFATAL\0C28P01\0Mpassword {text} is wrong\0\0");
        let length = u32::try_from(fields.len() + 4).unwrap().to_be_bytes();
        return [b"E".as_slice(), &length, fields.as_bytes()].concat();
    }
    // AuthenticationCleartextPassword.
    vec![b'R', 0, 0, 0, 8, 0, 0, 0, 3]
}

/// A URL of each kind that has a password, at this place.
fn urls_with(password: &str, place: &str) -> Vec<String> {
    [
        format!("postgres://app:{password}@{place}/shop?sslmode=disable"),
        format!("postgres://app:{password}@{place}/shop?sslmode=require"),
        format!(
            "postgresql://{place}/shop?sslmode=disable&user=app&password={}",
            encoded(password)
        ),
        format!("redis://:{password}@{place}/0"),
        format!("rediss://app:{password}@{place}/0"),
        format!("amqp://app:{password}@{place}/shop"),
        format!("amqps://app:{password}@{place}/shop"),
        format!("amqp://app:app@{place}?stead_management=http://app:{}@{place}", encoded(password)),
        format!("meilisearch://:{password}@{place}"),
        format!("meilisearch://{place}?stead_api_key={}", encoded(password)),
        format!("http://app:{}@{place}/health", encoded(password)),
    ]
    .to_vec()
}

/// Looks through everything that a stead with these checks says, once each of them has failed.
fn nothing_tells(stead: &mut Running, count: usize) {
    let failed = |answer: &Response| {
        let checks = answer.json()["checks"].as_object().cloned().unwrap_or_default();
        checks.values().filter(|check| check["status"] == "down").count()
    };
    let all_failed = until(LIMIT, || failed(&stead.get("/readyz")) == count);
    assert!(all_failed, "{:?}", stead.get("/readyz?verbose"));
    for path in ["/readyz", "/readyz?verbose", "/livez?verbose", "/metrics", "/", "/startupz"] {
        tells_none(path, &stead.get(path).body);
    }
    let ietf = [("Accept", "application/health+json")];
    tells_none("health+json", &request(stead.port(), "GET", "/readyz", &ietf).body);
    stead.signal(libc::SIGTERM);
    stead.wait_exit(LIMIT);
    tells_none("stderr", &stead.stderr().join("\n"));
    tells_none("stdout", &stead.stdout().join("\n"));
}

#[test]
fn no_password_is_told_whatever_fails_at_whichever_stage() {
    let mut urls = Vec::new();
    let faults = [Fault::Refuses, Fault::Closes, Fault::Garbage, Fault::Repeats];
    let places = faults.map(|fault| format!("127.0.0.1:{}", faulty(fault)));
    let places = places.into_iter().chain(["nowhere.invalid:1".to_owned()]);
    let mut passwords = PASSWORDS.iter().cycle();
    for place in places {
        for (number, bare) in urls_with("", &place).iter().enumerate() {
            for form in [encoded, str::to_owned] {
                let url = &urls_with(&form(passwords.next().unwrap()), &place)[number];
                let separator = if bare.contains('?') { '&' } else { '?' };
                urls.push(format!("{url}{separator}stead_fail_after=1&stead_timeout=1s"));
            }
        }
    }
    let named = urls.into_iter().enumerate();
    let checks: Vec<(String, String)> =
        named.map(|(number, url)| (format!("STEAD_CHECK_C{number}"), url)).collect();
    let mut run = idle();
    for (name, url) in &checks {
        run = run.env(name, url);
    }
    nothing_tells(&mut run.env("STEAD_LOG_LEVEL", "debug").serve(), checks.len());
    for form in [&["config"][..], &["config", "--json"], &["check", "--all"]] {
        let output = stead(form).envs(checks.iter().cloned()).output().unwrap();
        tells_none(&form.join(" "), &String::from_utf8(output.stdout).unwrap());
        tells_none(&form.join(" "), &String::from_utf8(output.stderr).unwrap());
    }
}

#[test]
fn no_password_is_told_by_whichever_source_it_came() {
    let scratch = Scratch::new();
    let port = free_port();
    for (number, password) in PASSWORDS.iter().enumerate() {
        let url = format!("postgres://app:{}@127.0.0.1:{port}/shop", encoded(password));
        let raw = format!("redis://:{password}@127.0.0.1:{port}");
        let in_toml = serde_json::to_string(&raw).unwrap();
        let toml = format!("[check.filed]\nurl = {in_toml}\n");
        let variables: [(&str, String); 10] = [
            ("DATABASE_URL", url.clone()),
            ("POSTGRES_URL_FILE", path_of(&scratch, "url", number, &url)),
            ("REDIS_URL", raw.clone()),
            ("REDIS_HOST", format!("localhost:{port}")),
            ("REDIS_PASSWORD_FILE", path_of(&scratch, "password", number, password)),
            ("PGHOST", "localhost".to_owned()),
            ("PGPASSWORD", (*password).to_owned()),
            ("MEILI_HOST", format!("127.0.0.1:{port}")),
            ("MEILI_MASTER_KEY", (*password).to_owned()),
            ("STEAD_CONFIG", path_of(&scratch, "toml", number, &toml)),
        ];
        let broken = [
            ("AMQP_URL", format!("amqp://app:{password}@a b/")),
            ("VALKEY_URL", format!("valkey://:{password}%ff@h")),
            ("MONGO_URL", format!("mongodb://app:{}@h", encoded(password))),
        ];
        let variables = variables.into_iter().chain(broken);
        let variables: Vec<(&str, String)> =
            variables.chain([("PGUSER", "app".to_owned())]).collect();
        let flag = format!("--check=flagged={raw}");
        for form in [&["config", &flag][..], &["config", "--json", &flag], &["check", "--all"]] {
            let output = stead(form).envs(variables.iter().cloned()).output().unwrap();
            tells_none("stdout", &String::from_utf8(output.stdout).unwrap());
            tells_none("stderr", &String::from_utf8(output.stderr).unwrap());
            assert!(form[0] == "check" || output.status.success());
        }
        let mut run = Stead::run(["true"]).options([&flag]);
        for (name, value) in variables {
            run = run.env(name, value);
        }
        let mut stead = run.start();
        assert_eq!(stead.wait_exit(LIMIT), 0);
        assert_eq!(stead.events_of("setting ignored").len(), 3, "{:?}", stead.stderr());
        tells_none("stderr", &stead.stderr().join("\n"));
    }
}

fn path_of(scratch: &Scratch, name: &str, number: usize, text: &str) -> String {
    scratch.file(&format!("{name}{number}"), text, 0o600).display().to_string()
}
