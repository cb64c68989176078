//! What the answers show, and what they keep to themselves.

use std::sync::LazyLock;

use super::*;
use crate::check::Status;

fn report(findings: Vec<Finding>, details: bool) -> Report<'static> {
    static LABELS: LazyLock<Labels> = LazyLock::new(Labels::default);
    Report {
        verdict: Verdict::Unavailable,
        phase: Phase::Running,
        notified: None,
        complaint: None,
        findings,
        excluded: Vec::new(),
        labels: &LABELS,
        details,
        now: SystemTime::now(),
    }
}

fn telling(name: &str) -> Finding {
    let detail = vec![
        ("version", Fact::Text("a\"b".to_owned())),
        ("connections", Fact::Count(12)),
        ("saturation", Fact::Number(12.5)),
        ("primary", Fact::Flag(true)),
    ];
    let finding = Finding::example(name, State::Degraded);
    Finding { status: Status { detail: Arc::new(detail), ..finding.status }, ..finding }
}

#[test]
fn without_details_no_reason_and_no_fact_is_told() {
    let report =
        |details| report(vec![Finding::example("app", State::Down), telling("database")], details);
    let hidden = report(false);
    for text in [hidden.json(), hidden.ietf_json(), hidden.verbose("readyz")] {
        for detail in ["connect", "too_many", "saturation"] {
            assert!(!text.contains(detail), "{text}");
        }
    }
    let told = "[-]app failed: connect_refused at connect\n\
                [+]database degraded: too_many_messages at state\nreadyz check failed\n";
    assert_eq!(report(true).verbose("readyz"), told);
}

#[test]
fn facts_keep_their_types_in_both_forms() {
    let report = report(vec![telling("database")], true);
    let answer: Value = serde_json::from_str(&report.json()).unwrap();
    let facts = json!({"version": "a\"b", "connections": 12, "saturation": 12.5, "primary": true});
    assert_eq!(answer["checks"]["database"]["detail"], facts);
    let ietf: Value = serde_json::from_str(&report.ietf_json()).unwrap();
    for (name, value) in facts.as_object().unwrap() {
        let member = &ietf["checks"][format!("database:{name}")];
        assert_eq!(&member[0]["observedValue"], value);
    }
}

#[test]
fn facts_give_way_where_the_answer_would_be_too_long() {
    let of = |count: usize| -> Vec<Finding> {
        (0..count).map(|number| telling(&format!("check-{number}"))).collect()
    };
    assert!(report(of(10), true).json().contains("saturation"));
    let many = report(of(20), true).json();
    assert!(!many.contains("saturation") && many.contains("too_many_messages"), "{many}");
    assert!(many.len() <= GOOD_SIZE, "{}", many.len());
}

#[test]
fn an_age_older_than_the_clock_is_no_trouble() {
    let age = Some(Duration::from_secs(u64::MAX / 2));
    let old = Finding { age, ..Finding::example("app", State::Up) };
    assert!(report(vec![old], true).ietf_json().contains("app:responseTime"));
}

#[test]
fn what_the_app_says_of_itself_is_a_detail() {
    let said = |details| {
        let notified = Notified { status: "17 \"jobs\"".to_owned(), ..Notified::default() };
        let complaint = Some("READY=1 was not said");
        Report { notified: Some(notified), complaint, ..report(Vec::new(), details) }
    };
    let shown: Value = serde_json::from_str(&said(true).json()).unwrap();
    let expected =
        json!({"state": "starting", "status": "17 \"jobs\"", "reason": "READY=1 was not said"});
    assert_eq!(shown["notify"], expected);
    assert!(said(true).verbose("readyz").starts_with("[-]notify failed: READY=1 was not said\n"));
    assert!(!said(false).json().contains("jobs"));
    assert!(said(false).verbose("readyz").starts_with("[-]notify failed: reason withheld\n"));
}
