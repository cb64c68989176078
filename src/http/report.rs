//! A verdict and its findings, in each of the forms that an answer is written in. Pure.

use std::fmt::Write;
use std::time::{Duration, SystemTime};

use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::verdict::Verdict;
use crate::check::State;
use crate::check::registry::{Finding, Need};
use crate::config::Labels;
use crate::supervisor::Phase;

/// One answer before it is written.
#[derive(Debug)]
pub struct Report<'a> {
    /// The verdict.
    pub verdict: Verdict,
    /// Where stead is in its life.
    pub phase: Phase,
    /// The checks that the verdict is made of.
    pub findings: Vec<Finding>,
    /// The checks that were left out of it, as was asked for.
    pub excluded: Vec<String>,
    /// What labels the answer.
    pub labels: &'a Labels,
    /// Whether reasons and times are shown.
    pub details: bool,
    /// The time of the answer.
    pub now: SystemTime,
}

/// The answer as JSON; DESIGN, "Endpoints".
#[derive(Serialize)]
struct Answer<'a> {
    status: &'static str,
    phase: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<&'a str>,
    instance: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    environment: Option<&'a str>,
    timestamp: String,
    checks: Checks<'a>,
}

/// The checks in their order, by name.
struct Checks<'a>(&'a [Finding], bool);

#[derive(Serialize)]
struct CheckAnswer {
    status: &'static str,
    required: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    age_ms: Option<u64>,
    since: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stage: Option<&'static str>,
    #[serde(skip_serializing_if = "is_zero")]
    failures: u32,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde's skip_serializing_if passes a reference"
)]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Serialize for Checks<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(
            self.0.iter().map(|finding| (&finding.name, check_answer(finding, self.1))),
        )
    }
}

fn check_answer(finding: &Finding, details: bool) -> CheckAnswer {
    let failure = finding.status.failure.filter(|_| details);
    CheckAnswer {
        status: finding.state.name(),
        required: finding.need == Need::Required,
        latency_ms: finding.status.latency.filter(|_| details).map(millis),
        age_ms: finding.age.and_then(|age| u64::try_from(age.as_millis()).ok()),
        since: timestamp(finding.status.since),
        class: failure.map(|(class, _)| class.name()),
        stage: failure.map(|(_, stage)| stage.name()),
        failures: finding.status.failures,
    }
}

impl Report<'_> {
    /// stead's own shape.
    pub fn json(&self) -> String {
        let answer = Answer {
            status: self.verdict.name(),
            phase: self.phase.name(),
            service: self.labels.service.as_deref(),
            instance: &self.labels.instance,
            environment: self.labels.environment.as_deref(),
            timestamp: timestamp(self.now),
            checks: Checks(&self.findings, self.details),
        };
        // Text, numbers and string keys cannot fail to be written.
        serde_json::to_string(&answer).unwrap_or_default()
    }

    /// `application/health+json` of draft-inadarei-api-health-check-06.
    pub fn ietf_json(&self) -> String {
        let checks = self.findings.iter().map(|finding| {
            let mut member = json!({
                "componentType": "component",
                "status": match finding.state {
                    State::Up => "pass",
                    _ if finding.need == Need::Degraded => "warn",
                    State::Unknown | State::Down => "fail",
                },
                "time": timestamp(finding.age.map_or(self.now, |age| self.now - age)),
            });
            if let (Some(object), true) = (member.as_object_mut(), self.details) {
                if let Some(latency) = finding.status.latency {
                    object.insert("observedValue".to_owned(), json!(millis(latency)));
                    object.insert("observedUnit".to_owned(), json!("ms"));
                }
                if let Some((class, stage)) = finding.status.failure {
                    object.insert(
                        "output".to_owned(),
                        json!(format!("{} at {}", class.name(), stage.name())),
                    );
                }
            }
            (format!("{}:responseTime", finding.name), Value::from(vec![member]))
        });
        let mut answer = json!({
            "status": self.verdict.ietf(),
            "serviceId": self.labels.instance,
            "notes": [self.phase.name()],
            "checks": checks.collect::<serde_json::Map<_, _>>(),
        });
        let further =
            [("description", &self.labels.service), ("releaseId", &self.labels.app_version)];
        for (name, value) in further {
            if let (Some(object), Some(value)) = (answer.as_object_mut(), value) {
                object.insert(name.to_owned(), json!(value));
            }
        }
        answer.to_string()
    }

    /// The lines of Kubernetes' API server: `[+]app ok`, `[-]app failed: reason`.
    pub fn verbose(&self, endpoint: &str) -> String {
        let mut text = String::new();
        for finding in &self.findings {
            // Writing to a String cannot fail.
            let _ = match (finding.state, finding.status.failure) {
                (State::Up, _) => writeln!(text, "[+]{} ok", finding.name),
                (_, Some((class, stage))) if self.details => {
                    writeln!(
                        text,
                        "[-]{} failed: {} at {}",
                        finding.name,
                        class.name(),
                        stage.name()
                    )
                }
                _ if self.details => writeln!(text, "[-]{} failed: no result yet", finding.name),
                _ => writeln!(text, "[-]{} failed: reason withheld", finding.name),
            };
        }
        for name in &self.excluded {
            let _ = writeln!(text, "[+]{name} excluded: ok");
        }
        let outcome = if self.verdict.is_success() { "passed" } else { "failed" };
        let _ = writeln!(text, "{endpoint} check {outcome}");
        text
    }
}

/// Milliseconds with three decimals.
fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

/// RFC 3339 in UTC with milliseconds.
pub fn timestamp(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_details_no_reason_is_told() {
        let labels = Labels::default();
        let report = |details| Report {
            verdict: Verdict::Unavailable,
            phase: Phase::Running,
            findings: vec![Finding::example("app", State::Down)],
            excluded: Vec::new(),
            labels: &labels,
            details,
            now: SystemTime::now(),
        };
        for text in
            [report(false).json(), report(false).ietf_json(), report(false).verbose("readyz")]
        {
            assert!(!text.contains("connect"), "{text}");
        }
        assert_eq!(
            report(true).verbose("readyz"),
            "[-]app failed: connect_refused at connect\nreadyz check failed\n"
        );
    }
}
