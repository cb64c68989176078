//! Who is told what: the details by `STEAD_DETAILS`, the page for a person, and no client's own text.

use crate::app::{App, Serve, idle};
use crate::endpoints::answer_when;
use crate::harness::http::{Response, request, try_request};
use crate::harness::{LIMIT, Running, Scratch, Stead, free_port, stead, until};
use crate::network::{OTHER, in_own_network};
use crate::protocol::ask;

/// A stead of one check that passes and one that fails, with these details.
fn of_two_checks(app: &App, details: &str) -> Running {
    let stead = app
        .watched()
        .env("STEAD_APP_URL", format!("http://127.0.0.1:{}/", free_port()))
        .env("STEAD_DETAILS", details)
        .serve();
    let both_tried = until(LIMIT, || one_up_one_failed(&stead.get("/readyz")));
    assert!(both_tried, "{:?}", stead.get("/readyz"));
    stead
}

fn one_up_one_failed(answer: &Response) -> bool {
    let checks = &answer.json()["checks"];
    checks["app"]["status"] == "up" && checks["app-url"]["failures"].as_u64() >= Some(1)
}

fn shows_details(answers: [Response; 3]) {
    let [json, verbose, page] = answers;
    let checks = &json.json()["checks"];
    assert!(checks["app"]["latency_ms"].is_number(), "{checks}");
    assert!(checks["app-url"]["class"].is_string(), "{checks}");
    assert!(checks["app-url"]["stage"].is_string(), "{checks}");
    assert!(verbose.body.contains("[-]app-url failed: connect_refused at connect\n"));
    assert_eq!(page.status, 200);
}

fn withholds_details(answers: [Response; 3]) {
    let [json, verbose, page] = answers;
    let said = json.json();
    assert!(said["checks"]["app"]["status"].is_string(), "{said}");
    for check in ["app", "app-url"] {
        for detail in ["class", "stage", "latency_ms"] {
            assert_eq!(said["checks"][check].get(detail), None, "{said}");
        }
    }
    assert_eq!(
        verbose.body,
        "[+]app ok\n[-]app-url failed: reason withheld\nreadyz check failed\n"
    );
    assert_eq!(page.status, 404);
    for answer in [json, verbose, page] {
        assert!(!answer.body.contains("refused"), "{answer:?}");
    }
}

fn json_verbose_and_page(stead: &Running) -> [Response; 3] {
    ["/readyz", "/readyz?verbose", "/"].map(|path| stead.get(path))
}

#[test]
fn details_are_shown_to_all_or_to_none() {
    let app = App::new();
    let always = of_two_checks(&app, "always");
    shows_details(json_verbose_and_page(&always));
    let never = of_two_checks(&app, "never");
    withholds_details(json_verbose_and_page(&never));
    let ietf = [("Accept", "application/health+json")];
    let answer = request(never.port(), "GET", "/readyz", &ietf);
    assert_eq!(answer.json()["status"], "fail");
    assert!(!answer.body.contains("connect"), "{answer:?}");
}

#[test]
fn details_for_loopback_are_withheld_from_everyone_else() {
    in_own_network(|| {
        let (app, port) = (App::new(), free_port());
        let listen = format!("STEAD_LISTEN=[::]:{port}");
        let stead = app
            .watched()
            .env("STEAD_APP_URL", format!("http://127.0.0.1:{}/", free_port()))
            .env("STEAD_DETAILS", "loopback")
            .under(["env", &listen])
            .start();
        let answers = |host: &str| {
            ["/readyz", "/readyz?verbose", "/"].map(|path| {
                let request = format!("GET {path} HTTP/1.0\r\n\r\n");
                ask(&format!("{host}:{port}"), request.as_bytes())
                    .unwrap_or_else(|| panic!("no answer at {host}"))
            })
        };
        let both_tried = until(LIMIT, || {
            let answer = ask(&format!("127.0.0.1:{port}"), b"GET /readyz HTTP/1.0\r\n\r\n");
            answer.is_some_and(|answer| one_up_one_failed(&answer))
        });
        assert!(both_tried, "{:?}", stead.stderr());
        shows_details(answers("127.0.0.1"));
        shows_details(answers("[::1]"));
        withholds_details(answers(&OTHER.to_string()));
    });
}

#[test]
fn the_page_shows_the_checks_to_a_person_without_any_script() {
    let app = App::new();
    let stead = of_two_checks(&app, "always");
    let page = stead.get("/");
    assert_eq!(page.status, 200);
    assert!(
        page.header("content-type").is_some_and(|kind| {
            kind.to_ascii_lowercase().starts_with("text/html; charset=utf-8")
        })
    );
    let html = page.body.to_ascii_lowercase();
    assert!(html.starts_with("<!doctype html>"), "{html}");
    for element in ["<html", "<title>", "</title>", "</html>"] {
        assert!(html.contains(element), "no {element}: {html}");
    }
    for active in ["<script", "javascript:", " onload=", " onclick=", "http://", "https://"] {
        assert!(!html.contains(active), "{active}: {html}");
    }
    for shown in ["app-url", "connect_refused", "up", "running"] {
        assert!(html.contains(shown), "no {shown}: {html}");
    }
    assert_eq!(unclosed(&html), Vec::<String>::new(), "{html}");
}

/// The elements that are opened and not closed in order; those that need no end are passed over.
fn unclosed(html: &str) -> Vec<String> {
    const WITHOUT_END: [&str; 6] = ["!doctype", "meta", "link", "br", "hr", "input"];
    let mut open: Vec<String> = Vec::new();
    for tag in html.split('<').skip(1) {
        let tag = tag.split('>').next().unwrap_or_default();
        let name = tag.split([' ', '/', '\n']).find(|part| !part.is_empty());
        let name = name.unwrap_or_default().to_owned();
        if tag.starts_with('/') {
            if open.last() == Some(&name) {
                open.pop();
            } else {
                open.push(format!("/{name}"));
            }
        } else if !WITHOUT_END.contains(&name.as_str()) && !tag.ends_with('/') {
            open.push(name);
        }
    }
    open
}

#[test]
fn labels_are_text_on_the_page_and_strings_in_json() {
    let label = "a<b>&\"'\\\u{7f}é\u{1F6A2}";
    let stead = idle()
        .env("SERVICE_NAME", label)
        .env("INSTANCE_ID", label)
        .env("ENVIRONMENT", label)
        .serve();
    stead.wait_for_event("child started", LIMIT);
    assert_eq!(stead.get("/livez").json()["service"], label);
    let page = stead.get("/").body;
    assert!(page.contains("a&lt;b&gt;&amp;"), "{page}");
    assert!(!page.contains("a<b>"), "{page}");
    let event = stead.wait_for_event("starting", LIMIT);
    assert_eq!(event["service"], label);
}

#[test]
fn a_label_of_any_length_or_encoding_does_no_harm() {
    use std::os::unix::ffi::OsStringExt;
    let odd = std::ffi::OsString::from_vec(b"a\xff\nb".to_vec());
    let stead = idle().env("SERVICE_NAME", odd).env("INSTANCE_ID", "x".repeat(100_000)).serve();
    stead.wait_for_event("child started", LIMIT);
    for path in ["/livez", "/readyz", "/", "/readyz?verbose"] {
        assert!(stead.get(path).body.len() < 8192, "{path}");
        assert_eq!(stead.status(path), 200, "{path}");
    }
    assert!(stead.get("/livez").json()["instance"].is_string());
}

#[test]
fn nothing_that_a_client_sends_comes_back() {
    let stead = App::new().watched().serve();
    answer_when(&stead, "/livez", 200);
    let marker = "m4rk3r<b>";
    let headers = [
        ("Accept", marker),
        ("User-Agent", marker),
        ("X-Forwarded-For", marker),
        ("Origin", marker),
        ("Referer", marker),
        (marker, "1"),
    ];
    for path in ["/", "/livez", "/readyz", "/nothing", "/readyz/", "/livez/", "/startupz/"] {
        for query in ["", "?verbose", "?exclude=", "?verbose&exclude="] {
            let target = format!("{path}{query}m4rk3r%3Cb%3E");
            for header in headers {
                let Some(answer) = try_request(stead.port(), "GET", &target, &[header]) else {
                    continue; // Refused outright.
                };
                let all = format!("{answer:?}");
                assert!(!all.contains("m4rk3r"), "{target} {header:?}: {all}");
            }
            let plain = format!("{path}{query}m4rk3r");
            let answer = stead.get(&plain);
            assert!(!format!("{answer:?}").contains("m4rk3r"), "{answer:?}");
            let answer = request(stead.port(), "M4RK3R", path, &[]);
            assert!(!format!("{answer:?}").contains("M4RK3R"), "{answer:?}");
        }
    }
}

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
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
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
