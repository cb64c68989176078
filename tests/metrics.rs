//! `/metrics`: what Prometheus reads of the checks, in both of its text forms, by Prometheus' own reader.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::app::{App, Serve, idle};
use crate::harness::http::request;
use crate::harness::{LIMIT, Running, free_port, until};

const OPEN_METRICS: (&str, &str) = ("Accept", "application/openmetrics-text;version=1.0.0;q=0.5");

/// A stead of one check that passes and one that is refused, once the refused one is down.
fn of_two_checks(app: &App) -> Running {
    let stead = app
        .watched()
        .env("STEAD_CHECK_GONE", format!("tcp://127.0.0.1:{}?stead_required=false", free_port()))
        .serve();
    let both = until(LIMIT, || {
        let checks = stead.get("/readyz").json()["checks"].take();
        checks["app"]["status"] == "up" && checks["gone"]["status"] == "down"
    });
    assert!(both, "{:?}", stead.get("/readyz"));
    stead
}

/// The value of the one sample that begins so.
fn sample(text: &str, start: &str) -> f64 {
    let found: Vec<_> = text.lines().filter(|line| line.starts_with(start)).collect();
    assert_eq!(found.len(), 1, "{start}: {found:?}");
    found[0].rsplit(' ').next().unwrap().parse().expect("a number")
}

/// What `promtool check metrics` says of a text.
fn check(text: &str) -> Result<(), String> {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool of the package prometheus");
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let said = promtool.wait_with_output().unwrap();
    let lines = String::from_utf8_lossy(&said.stderr).into_owned();
    if said.status.success() && lines.is_empty() { Ok(()) } else { Err(lines) }
}

#[test]
fn prometheus_reads_every_metric_and_finds_nothing_to_complain_of() {
    let app = App::new();
    let stead = of_two_checks(&app);
    let answer = stead.get("/metrics");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let text = answer.body;
    assert_eq!(check(&text), Ok(()), "{text}");
    assert!(check(&text.replace("_total", "")).is_err(), "promtool does not look");

    assert_eq!(sample(&text, "stead_check_up{check=\"app\"}"), 1.0);
    assert_eq!(sample(&text, "stead_check_up{check=\"gone\"}"), 0.0);
    assert_eq!(sample(&text, "stead_check_degraded{check=\"app\"}"), 0.0);
    assert_eq!(sample(&text, "stead_check_transitions_total{check=\"gone\",to=\"down\"}"), 1.0);
    assert_eq!(sample(&text, "stead_check_transitions_total{check=\"app\",to=\"up\"}"), 1.0);
    assert!(sample(&text, "stead_check_last_pass_age_seconds{check=\"app\"}") >= 0.0);
    assert!(!text.contains("stead_check_last_pass_age_seconds{check=\"gone\"}"), "{text}");
    let failures = "stead_check_failures_total{check=\"gone\",class=\"connect_refused\",";
    let failures = sample(&text, failures);
    assert!(failures >= 3.0, "{text}");
    let attempts = |of: &str| sample(&text, &format!("stead_check_duration_seconds_{of}"));
    assert_eq!(attempts("count{check=\"gone\"}"), failures);
    assert_eq!(attempts("bucket{le=\"+Inf\",check=\"gone\"}"), failures);
    assert!(attempts("sum{check=\"gone\"}") > 0.0);
    assert_eq!(sample(&text, "stead_phase{phase=\"running\"}"), 1.0);
    assert_eq!(sample(&text, "stead_phase{phase=\"draining\"}"), 0.0);
    let build = concat!("stead_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"}");
    assert_eq!(sample(&text, build), 1.0);
}

#[test]
fn openmetrics_is_given_to_whoever_asks_for_it() {
    let app = App::new();
    let stead = of_two_checks(&app);
    let answer = request(stead.port(), "GET", "/metrics", &[OPEN_METRICS]);
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(answer.header("content-type"), Some(kind));
    let text = answer.body;
    assert!(text.ends_with("\n# EOF\n"), "{text}");
    assert!(text.contains("\n# TYPE stead_check_failures counter\n"), "{text}");
    assert!(sample(&text, "stead_check_failures_total{check=\"gone\"") >= 3.0);
    // No family is told of twice, and each sample belongs to the one above it.
    let mut family = "";
    let mut families = Vec::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            family = rest.split(' ').next().unwrap();
            assert!(!families.contains(&family), "{family} twice");
            families.push(family);
        }
        assert!(line.starts_with('#') || line.starts_with(family), "{line} under {family}");
    }
    assert!(families.len() >= 7, "{families:?}");
}

#[test]
fn metrics_are_details() {
    let app = App::new();
    let never = app.watched().env("STEAD_DETAILS", "never").serve();
    assert_eq!(never.status("/metrics"), 404);
    let loopback = app.watched().env("STEAD_DETAILS", "loopback").serve();
    assert_eq!(loopback.status("/metrics"), 200);
    assert_eq!(loopback.head("/metrics").body, "");
}

#[test]
fn without_checks_the_metrics_are_those_of_stead_alone() {
    let stead = idle().serve();
    let text = stead.get("/metrics").body;
    assert_eq!(check(&text), Ok(()), "{text}");
    assert!(text.contains("stead_build_info") && !text.contains("stead_check"), "{text}");
}

#[test]
fn the_phase_is_told_through_the_drain() {
    let app = App::new();
    let stead = crate::app::stubborn().env("PORT", app.port().to_string()).serve();
    stead.wait_ready();
    stead.signal(libc::SIGTERM);
    let told = until(LIMIT, || stead.get("/metrics").body.contains("{phase=\"draining\"} 1\n"));
    assert!(told, "{:?}", stead.get("/metrics"));
}
