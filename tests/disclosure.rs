//! Who is told what: the details by `STEAD_DETAILS`, the page for a person, and no client's own text.

use crate::app::{App, Serve, idle};
use crate::endpoints::answer_when;
use crate::harness::http::{Response, request, try_request};
use crate::harness::{LIMIT, Running, free_port, until};
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
