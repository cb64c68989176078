//! The answer of `/metrics`: what the monitors have counted, as OpenMetrics or as Prometheus text. Nothing is counted
//! here, and nothing is asked.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use crate::check::registry::Finding;
use crate::check::status::{BOUNDS, Tally};
use crate::check::{Fact, State};
use crate::supervisor::Phase;
use crate::supervisor::requests::Drain;

/// The two forms of the text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// Prometheus text 0.0.4.
    Prometheus,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// The content type that says which it is.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

const TRANSITIONS: &str = "stead_check_transitions";
const FAILURES: &str = "stead_check_failures";

/// What people scale on: the kind of the target, its detail, the metric, and its help.
const SCALED_ON: [(&str, &str, &str, &str); 4] = [
    (
        "postgres",
        "connections",
        "stead_postgres_connections",
        "Connections that the Postgres server has.",
    ),
    (
        "postgres",
        "connections_max",
        "stead_postgres_connections_max",
        "Connections that the Postgres server can have.",
    ),
    (
        "amqp",
        "messages",
        "stead_rabbitmq_queue_messages",
        "Messages that wait in the RabbitMQ queue.",
    ),
    ("redis", "list_length", "stead_redis_list_length", "Entries of the Redis list."),
];

/// All metrics as text.
pub fn render(phase: Phase, findings: Vec<Finding>, drain: Drain, format: Format) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Snapshot { phase, findings, drain }));
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = text::encode(&mut text, &registry);
    match format {
        Format::OpenMetrics => text,
        Format::Prometheus => as_prometheus(&text),
    }
}

/// OpenMetrics as the older text: there, a counter's own name ends in `_total`, and nothing marks the end.
fn as_prometheus(text: &str) -> String {
    let mut lines = String::with_capacity(text.len() + 64);
    for line in text.lines().filter(|line| *line != "# EOF") {
        let comment = line.strip_prefix("# HELP ").or_else(|| line.strip_prefix("# TYPE "));
        let name = comment.and_then(|rest| rest.split(' ').next()).unwrap_or_default();
        if [TRANSITIONS, FAILURES].contains(&name) {
            lines.push_str(&line.replacen(name, &format!("{name}_total"), 1));
        } else {
            lines.push_str(line);
        }
        lines.push('\n');
    }
    lines
}

/// What is known at the moment of the scrape.
#[derive(Debug)]
struct Snapshot {
    phase: Phase,
    findings: Vec<Finding>,
    drain: Drain,
}

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let encoder = &mut encoder;
        self.encode_stead(encoder)?;
        self.encode_states(encoder)?;
        self.encode_durations(encoder)?;
        self.encode_counters(encoder)?;
        for (kind, detail, name, help) in SCALED_ON {
            let value = |finding: &Finding| {
                let detail = finding.status.detail.iter().find(|(name, _)| *name == detail);
                match detail {
                    Some((_, Fact::Count(count))) if finding.kind == kind => Some(*count as f64),
                    _ => None,
                }
            };
            self.encode_gauges(encoder, (name, help), value)?;
        }
        Ok(())
    }
}

impl Snapshot {
    fn encode_stead(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Always 1; the label says which stead this is.";
        let mut info =
            encoder.encode_descriptor("stead_build_info", help, None, MetricType::Gauge)?;
        info.encode_family(&[("version", env!("CARGO_PKG_VERSION"))])?.encode_gauge(&1_i64)?;
        let help = "1 for the phase that stead is in.";
        let mut phases = encoder.encode_descriptor("stead_phase", help, None, MetricType::Gauge)?;
        for phase in Phase::ALL {
            let is_now = i64::from(phase == self.phase);
            phases.encode_family(&[("phase", phase.name())])?.encode_gauge(&is_now)?;
        }
        let Some(connections) = self.drain.connections else { return Ok(()) };
        let help = "Connections of the app's that the drain has found last, busy or idle.";
        let name = "stead_drain_connections";
        let mut counts = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (state, count) in [("busy", connections.busy), ("idle", connections.idle)] {
            counts.encode_family(&[("state", state)])?.encode_gauge(&i64::from(count))?;
        }
        Ok(())
    }

    fn encode_states(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let flag = |value: bool| Some(if value { 1.0 } else { 0.0 });
        let up = ("stead_check_up", "1 while the check is up, degraded or not.");
        self.encode_gauges(encoder, up, |finding| flag(finding.state.is_up()))?;
        let degraded = ("stead_check_degraded", "1 while the target works and complains.");
        self.encode_gauges(encoder, degraded, |finding| flag(finding.state == State::Degraded))?;
        let age = ("stead_check_last_pass_age_seconds", "How long ago the check passed last.");
        self.encode_gauges(encoder, age, |finding| {
            finding.status.last_pass.map(|at| at.elapsed().as_secs_f64())
        })
    }

    /// One value for each check that has one.
    fn encode_gauges(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        (name, help): (&str, &str),
        value: impl Fn(&Finding) -> Option<f64>,
    ) -> fmt::Result {
        let mut values = self
            .findings
            .iter()
            .filter_map(|finding| Some((&*finding.name, value(finding)?)))
            .peekable();
        if values.peek().is_none() {
            return Ok(());
        }
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (check, value) in values {
            family.encode_family(&[("check", check)])?.encode_gauge(&value)?;
        }
        Ok(())
    }

    fn encode_durations(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        if self.findings.is_empty() {
            return Ok(());
        }
        let name = "stead_check_duration_seconds";
        let help = "How long the check's attempts took, failed ones too.";
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for finding in &self.findings {
            let Tally { buckets, total, .. } = &*finding.status.tally;
            let bounds = BOUNDS.into_iter().chain([f64::MAX]);
            let counts: Vec<(f64, u64)> = bounds.zip(buckets.iter().copied()).collect();
            family.encode_family(&[("check", &*finding.name)])?.encode_histogram::<NoLabelSet>(
                total.as_secs_f64(),
                buckets.iter().sum(),
                &counts,
                None,
            )?;
        }
        Ok(())
    }

    fn encode_counters(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        if self.findings.is_empty() {
            return Ok(());
        }
        let help = "How often the check came into a state.";
        let mut family = encoder.encode_descriptor(TRANSITIONS, help, None, MetricType::Counter)?;
        for finding in &self.findings {
            let counts = State::ALL.into_iter().zip(finding.status.tally.transitions);
            for (state, count) in counts {
                let labels = [("check", &*finding.name), ("to", state.name())];
                count_up(family.encode_family(&labels)?, count)?;
            }
        }
        let help = "How often the check failed, by class and stage.";
        let mut family = encoder.encode_descriptor(FAILURES, help, None, MetricType::Counter)?;
        for finding in &self.findings {
            for ((class, stage), count) in &finding.status.tally.failures {
                let labels =
                    [("check", &*finding.name), ("class", class.name()), ("stage", stage.name())];
                count_up(family.encode_family(&labels)?, *count)?;
            }
        }
        Ok(())
    }
}

fn count_up(mut counter: MetricEncoder<'_>, count: u64) -> fmt::Result {
    counter.encode_counter::<NoLabelSet, u64, u64>(&count, None)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::check::Status;

    #[test]
    fn what_people_scale_on_is_told_of_its_kind_alone() {
        let detail =
            [("connections", 7), ("connections_max", 97), ("messages", 3), ("list_length", 5)];
        let detail = Arc::new(detail.map(|(name, count)| (name, Fact::Count(count))).to_vec());
        let of = |kind: &'static str| {
            let finding = Finding::example("it", State::Up);
            let status = Status { detail: Arc::clone(&detail), ..finding.status };
            let findings = vec![Finding { kind, status, ..finding }];
            render(Phase::Running, findings, Drain::default(), Format::Prometheus)
        };
        for (kind, lines) in [
            ("postgres", &["stead_postgres_connections{", "stead_postgres_connections_max{"][..]),
            ("amqp", &["stead_rabbitmq_queue_messages{"]),
            ("redis", &["stead_redis_list_length{"]),
            ("http", &[]),
        ] {
            let text = of(kind);
            let scaled = |line: &&str| !line.starts_with("stead_check") && line.contains("check=");
            let told: Vec<&str> = text.lines().filter(scaled).collect();
            assert_eq!(told.len(), lines.len(), "{kind}: {told:?}");
            for (line, start) in told.iter().zip(lines) {
                assert!(line.starts_with(start), "{kind}: {line}");
            }
        }
    }
}
