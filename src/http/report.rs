//! A verdict and its findings, in each of the forms that an answer is written in. Pure.

use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::verdict::Verdict;
use crate::check::registry::{Finding, Need};
use crate::check::{Class, Detail, Fact, Stage, State};
use crate::config::Labels;
use crate::notify::Notified;
use crate::supervisor::Phase;

/// One answer before it is written.
#[derive(Debug)]
pub struct Report<'a> {
    /// The verdict.
    pub verdict: Verdict,
    /// Where stead is in its life.
    pub phase: Phase,
    /// What the app says of itself, where it is listened to.
    pub notified: Option<Notified>,
    /// What of that has made the verdict.
    pub complaint: Option<&'static str>,
    /// The checks that the verdict is made of.
    pub findings: Vec<Finding>,
    /// The checks that were left out of it, as was asked for.
    pub excluded: Vec<Arc<str>>,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    notify: Option<NotifyAnswer<'a>>,
    checks: Checks<'a>,
}

/// What the app says of itself.
#[derive(Serialize)]
struct NotifyAnswer<'a> {
    state: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    status: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

/// The checks in their order, by name.
struct Checks<'a>(&'a [Finding], Shown);

/// What is shown of a check beside its state.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Shown {
    /// All of it.
    All,
    /// All but the facts about the target.
    Reasons,
    /// Nothing.
    Nothing,
}

#[derive(Serialize)]
struct CheckAnswer<'a> {
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
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<Facts<'a>>,
}

/// Facts about a target, by name.
struct Facts<'a>(&'a Detail);

impl Serialize for Facts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, fact)| (name, value(fact))))
    }
}

/// A fact as JSON.
fn value(fact: &Fact) -> Value {
    match fact {
        Fact::Text(text) => json!(text),
        Fact::Count(count) => json!(count),
        Fact::Number(number) => json!(number),
        Fact::Flag(flag) => json!(flag),
    }
}

/// A reason in words: `timeout at query`.
pub fn in_words((class, stage): (Class, Stage)) -> String {
    format!("{} at {}", class.name(), stage.name())
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
            self.0.iter().map(|finding| (&*finding.name, check_answer(finding, self.1))),
        )
    }
}

fn check_answer(finding: &Finding, shown: Shown) -> CheckAnswer<'_> {
    let status = &finding.status;
    let reason = status.reason.filter(|_| shown != Shown::Nothing);
    let has_facts = shown == Shown::All && !status.detail.is_empty();
    CheckAnswer {
        status: finding.state.name(),
        required: finding.need == Need::Required,
        latency_ms: status.latency.filter(|_| shown != Shown::Nothing).map(millis),
        age_ms: finding.age.and_then(|age| u64::try_from(age.as_millis()).ok()),
        since: timestamp(status.since),
        class: reason.map(|(class, _)| class.name()),
        stage: reason.map(|(_, stage)| stage.name()),
        failures: status.failures,
        detail: has_facts.then(|| Facts(&status.detail)),
    }
}

/// The size that an answer should not exceed, in bytes: Docker keeps 4096 of a health check's output.
const GOOD_SIZE: usize = 4096;

impl Report<'_> {
    /// stead's own shape; without the facts about the targets where they would make it too long.
    pub fn json(&self) -> String {
        let whole = self.json_with(if self.details { Shown::All } else { Shown::Nothing });
        if whole.len() > GOOD_SIZE && self.details {
            return self.json_with(Shown::Reasons);
        }
        whole
    }

    fn json_with(&self, shown: Shown) -> String {
        let answer = Answer {
            status: self.verdict.name(),
            phase: self.phase.name(),
            service: self.labels.service.as_deref(),
            instance: &self.labels.instance,
            environment: self.labels.environment.as_deref(),
            timestamp: timestamp(self.now),
            notify: self.notified.as_ref().filter(|_| self.details).map(|notified| NotifyAnswer {
                state: notified.doing.name(),
                status: &notified.status,
                reason: self.complaint,
            }),
            checks: Checks(&self.findings, shown),
        };
        // Text, numbers and string keys cannot fail to be written.
        serde_json::to_string(&answer).unwrap_or_default()
    }

    /// `application/health+json` of draft-inadarei-api-health-check-06.
    pub fn ietf_json(&self) -> String {
        let checks = self.findings.iter().flat_map(|finding| self.ietf_members(finding));
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

    /// A check's members of the draft's `checks`: the state with the response time, then each fact.
    fn ietf_members(&self, finding: &Finding) -> Vec<(String, Value)> {
        let time = finding.age.and_then(|age| self.now.checked_sub(age)).unwrap_or(self.now);
        let mut first = json!({
            "componentType": "component",
            "status": match finding.state {
                State::Up => "pass",
                State::Degraded => "warn",
                _ if finding.need == Need::Degraded => "warn",
                State::Unknown | State::Down => "fail",
            },
            "time": timestamp(time),
        });
        let mut members = Vec::new();
        if let (Some(object), true) = (first.as_object_mut(), self.details) {
            if let Some(latency) = finding.status.latency {
                object.insert("observedValue".to_owned(), json!(millis(latency)));
                object.insert("observedUnit".to_owned(), json!("ms"));
            }
            if let Some(reason) = finding.status.reason {
                object.insert("output".to_owned(), json!(in_words(reason)));
            }
            members.extend(finding.status.detail.iter().map(|(name, fact)| {
                let member = json!([{"observedValue": value(fact), "time": timestamp(time)}]);
                (format!("{}:{name}", finding.name), member)
            }));
        }
        members.insert(0, (format!("{}:responseTime", finding.name), json!([first])));
        members
    }

    /// The lines of Kubernetes' API server: `[+]app ok`, `[-]app failed: reason`.
    pub fn verbose(&self, endpoint: &str) -> String {
        let mut text = String::new();
        for finding in &self.findings {
            let name = &finding.name;
            let reason = finding.status.reason.map(in_words);
            // Writing to a String cannot fail.
            let _ = match (finding.state, reason) {
                (State::Up, _) => writeln!(text, "[+]{name} ok"),
                (State::Degraded, Some(reason)) if self.details => {
                    writeln!(text, "[+]{name} degraded: {reason}")
                }
                (State::Degraded, _) => writeln!(text, "[+]{name} degraded: reason withheld"),
                (_, Some(reason)) if self.details => writeln!(text, "[-]{name} failed: {reason}"),
                _ if self.details => writeln!(text, "[-]{name} failed: no result yet"),
                _ => writeln!(text, "[-]{name} failed: reason withheld"),
            };
        }
        if let Some(complaint) = self.complaint {
            let reason = if self.details { complaint } else { "reason withheld" };
            let _ = writeln!(text, "[-]notify failed: {reason}");
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

/// RFC 3339 in UTC with milliseconds; not before 1970, which could not be written.
pub fn timestamp(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time.max(SystemTime::UNIX_EPOCH)).to_string()
}

#[cfg(test)]
mod tests;
