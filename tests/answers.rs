//! The forms of an answer: the JSON shape, the IETF draft's, the API server's text; and what is left out of it.

use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::app::{Answer, App, Serve, idle};
use crate::endpoints::{answer_when, get, keys, paths};
use crate::harness::{LIMIT, free_port, until};

/// Whether it is RFC 3339 in UTC with milliseconds, and within a minute of now.
fn is_a_time_of_today(text: &Value) -> bool {
    let text = text.as_str().unwrap_or_default();
    let form: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    let time = humantime::parse_rfc3339(text);
    let minute = Duration::from_secs(60);
    form == "0000-00-00T00:00:00.000Z"
        && time.is_ok_and(|time| {
            let now = SystemTime::now();
            time > now - minute && time < now + minute
        })
}

#[test]
fn an_answer_has_exactly_the_documented_fields() {
    let app = App::new();
    let stead = app.watched().serve();
    let said = answer_when(&stead, "/readyz", 200).json();
    assert_eq!(keys(&said), ["checks", "instance", "phase", "status", "timestamp"]);
    assert_eq!(said["status"], "ok");
    assert_eq!(said["phase"], "running");
    assert!(said["instance"].as_str().is_some_and(|i| !i.is_empty()));
    assert!(is_a_time_of_today(&said["timestamp"]), "{said}");

    assert_eq!(keys(&said["checks"]), ["app"]);
    let check = &said["checks"]["app"];
    assert_eq!(keys(check), ["age_ms", "latency_ms", "required", "since", "status"]);
    assert_eq!(check["status"], "up");
    assert_eq!(check["required"], true);
    assert!(check["latency_ms"].as_f64().is_some_and(|ms| ms > 0.0));
    assert!(check["age_ms"].is_u64(), "{check}");
    assert!(is_a_time_of_today(&check["since"]), "{check}");
}

#[test]
fn a_check_that_fails_says_its_class_stage_and_number_of_failures() {
    let app = App::new();
    app.answers(Answer::Status(500));
    let stead = app.watched_at("/").serve();
    let mut check = Value::Null;
    let failed_twice = until(LIMIT, || {
        check = stead.get("/readyz").json()["checks"]["app-url"].take();
        check["failures"].as_u64() >= Some(2)
    });
    assert!(failed_twice, "{check}");
    assert_eq!(check["required"], true);
    assert_eq!(check["class"], "http_status");
    assert!(check["stage"].as_str().is_some_and(|s| !s.is_empty()));
    assert!(is_a_time_of_today(&check["since"]), "{check}");
    let known =
        ["age_ms", "class", "failures", "latency_ms", "required", "since", "stage", "status"];
    assert!(keys(&check).iter().all(|k| known.contains(k)), "{check}");
}

#[test]
fn the_ietf_health_format_is_given_to_those_who_accept_it() {
    let app = App::new();
    let stead = app.watched().env("SERVICE_NAME", "api").serve();
    answer_when(&stead, "/readyz", 200);
    let accepts = [
        "application/health+json",
        "Application/Health+JSON",
        "text/html, application/health+json;q=0.9",
    ];
    for accept in accepts {
        let answer = get(&stead, "/readyz", &[("Accept", accept)]);
        assert_eq!(answer.status, 200, "{accept}");
        assert_eq!(answer.header("content-type"), Some("application/health+json"), "{accept}");
        is_the_ietf_format(&answer.json(), "pass");
    }
    for accept in ["*/*", "application/json", ""] {
        let answer = get(&stead, "/readyz", &[("Accept", accept)]);
        assert_eq!(answer.header("content-type"), Some("application/json"));
    }

    app.answers(Answer::Status(500));
    let down = app.watched_at("/").serve();
    let ietf = [("Accept", "application/health+json")];
    let failed = until(LIMIT, || {
        let answer = get(&down, "/readyz", &ietf).json();
        answer["checks"]["app-url:responseTime"][0]["status"] == "fail"
    });
    assert!(failed, "{:?}", get(&down, "/readyz", &ietf));
    let answer = get(&down, "/readyz", &ietf);
    assert_eq!(answer.status, 503);
    is_the_ietf_format(&answer.json(), "fail");
}

/// draft-inadarei-api-health-check-06, sections 3 and 4.
fn is_the_ietf_format(answer: &Value, status: &str) {
    let top = [
        "checks",
        "description",
        "links",
        "notes",
        "output",
        "releaseId",
        "serviceId",
        "status",
        "version",
    ];
    let component = [
        "affectedEndpoints",
        "componentId",
        "componentType",
        "links",
        "observedUnit",
        "observedValue",
        "output",
        "status",
        "time",
    ];
    assert_eq!(answer["status"], status);
    assert!(keys(answer).iter().all(|k| top.contains(k)), "{answer}");
    let checks = answer["checks"].as_object().expect("checks");
    assert!(!checks.is_empty(), "{answer}");
    for (name, measured) in checks {
        let measured = measured.as_array().expect("an array for each check");
        assert!(!measured.is_empty(), "{name}");
        for one in measured {
            assert!(keys(one).iter().all(|k| component.contains(k)), "{one}");
            assert_eq!(one["status"], status, "{one}");
            assert!(is_a_time_of_today(&one["time"]), "{one}");
        }
    }
}

#[test]
fn verbose_answers_in_the_form_of_kubernetes_api_server() {
    let app = App::new();
    let stead = app.watched().serve();
    answer_when(&stead, "/readyz", 200);
    for path in ["/readyz?verbose", "/ready?verbose", "/readyz?verbose=1"] {
        let answer = stead.get(path);
        assert_eq!(answer.status, 200);
        assert!(answer.header("content-type").is_some_and(|t| t.starts_with("text/plain")));
        assert_eq!(answer.body, "[+]app ok\nreadyz check passed\n", "{path}");
    }
    assert_eq!(stead.get("/startupz?verbose").body, "[+]app ok\nstartupz check passed\n");
    assert_eq!(stead.get("/livez?verbose").body, "livez check passed\n");
    assert_eq!(stead.get("/health?verbose").body, "livez check passed\n");
    assert_eq!(
        stead.get("/readyz?exclude=app&verbose").body,
        "[+]app excluded: ok\nreadyz check passed\n"
    );

    let missing = idle().env("PORT", free_port().to_string()).serve();
    let expected = "[-]app failed: connect_refused at connect\nreadyz check failed\n";
    let said = until(LIMIT, || missing.get("/readyz?verbose").body == expected);
    assert!(said, "{:?}", missing.get("/readyz?verbose"));
    assert_eq!(missing.get("/readyz?verbose").status, 503);
}

#[test]
fn excluded_checks_do_not_count() {
    let stead = idle()
        .env("PORT", free_port().to_string())
        .env("STEAD_APP_URL", format!("http://127.0.0.1:{}/", free_port()))
        .serve();
    stead.wait_for_event("child started", LIMIT);
    for (query, status) in [
        ("", 503),
        ("?exclude=app", 503),
        ("?exclude=app-url", 503),
        ("?exclude=app&exclude=nosuch", 503),
        ("?exclude=", 503),
        ("?exclude=app&exclude=app-url", 200),
        ("?exclude=app-url&exclude=app&exclude=app", 200),
        ("?verbose&exclude=app-url&exclude=app", 200),
    ] {
        assert_eq!(stead.status(&format!("/readyz{query}")), status, "{query}");
    }
}

#[test]
fn the_labels_come_from_the_environment_of_the_app() {
    let labelled = idle()
        .env("SERVICE_NAME", "api")
        .env("INSTANCE_ID", "api-1")
        .env("ENVIRONMENT", "production")
        .env("NODE_ENV", "development")
        .serve();
    let said = answer_when(&labelled, "/livez", 200).json();
    assert_eq!(said["service"], "api");
    assert_eq!(said["instance"], "api-1");
    assert_eq!(said["environment"], "production");

    let sparse = idle().env("NODE_ENV", "development").serve();
    let said = answer_when(&sparse, "/livez", 200).json();
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("the host's name");
    assert_eq!(said["instance"], host.trim());
    assert_eq!(said["environment"], "development");
    assert_eq!(said.get("service"), None);
}

#[test]
fn bodies_stay_under_4_kib() {
    let app = App::new();
    let stead = app
        .watched()
        .env("STEAD_APP_URL", app.url("/"))
        .env("SERVICE_NAME", "s".repeat(60))
        .env("INSTANCE_ID", "i".repeat(60))
        .env("ENVIRONMENT", "e".repeat(60))
        .serve();
    answer_when(&stead, "/readyz", 200);
    for path in paths().chain(["/readyz?verbose", "/nothing"]) {
        for accept in ["*/*", "application/health+json"] {
            let answer = get(&stead, path, &[("Accept", accept)]);
            assert!(answer.body.len() < 4096, "{path} {accept}: {answer:?}");
        }
    }
}
