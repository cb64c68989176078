//! The page at `/`, for a person: the state of each check at a glance, without a script.

use std::fmt::Write;
use std::time::SystemTime;

use super::report::timestamp;
use super::verdict::{Verdict, judge};
use crate::check::State;
use crate::check::registry::{Finding, Need};
use crate::cli::Group;
use crate::config::Labels;
use crate::supervisor::Phase;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}\
    table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.4rem .8rem .4rem 0;border-bottom:1px solid #ddd}\
    .good{color:#17692f}.bad{color:#b3261e}.middling{color:#8a5a00}small{color:#666}\
    @media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}th,td{border-color:#444}\
    .good{color:#6fd48b}.bad{color:#ff8a80}.middling{color:#f2c05c}small{color:#999}}";

/// The page as HTML; it asks for itself again every five seconds.
pub fn render(phase: Phase, findings: &[Finding], labels: &Labels, now: SystemTime) -> String {
    let name = escaped(labels.service.as_deref().unwrap_or("stead"));
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta http-equiv=\"refresh\" content=\"5\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{name}: {phase}</title><style>{STYLE}</style></head>\
         <body><h1>{name} <small>{}</small></h1><p>Phase <b>{phase}</b>",
        escaped(&labels.instance),
        phase = phase.name(),
    );
    let live: Vec<Finding> =
        findings.iter().filter(|finding| finding.groups.live).cloned().collect();
    for (group, counted) in
        [(Group::Live, &live[..]), (Group::Ready, findings), (Group::Startup, findings)]
    {
        let verdict = judge(group, phase, findings, counted);
        // Writing to a String cannot fail.
        let _ = write!(
            page,
            " · {} <b class=\"{}\">{}</b>",
            group.name(),
            colour(verdict),
            verdict.name()
        );
    }
    page.push_str("</p>");
    if findings.is_empty() {
        page.push_str(
            "<p>There is no check of the app: readiness knows only that the command runs.</p>",
        );
    } else {
        page.push_str("<table><tr><th>Check</th><th>State</th><th>Since</th><th>Latency</th><th>Reason</th></tr>");
        findings.iter().for_each(|finding| row(&mut page, finding));
        page.push_str("</table>");
    }
    let _ = write!(
        page,
        "<p><small>stead {} · {}</small></p></body></html>",
        env!("CARGO_PKG_VERSION"),
        timestamp(now)
    );
    page
}

fn row(page: &mut String, finding: &Finding) {
    let class = match finding.state {
        State::Up => "good",
        State::Down if finding.need == Need::Required => "bad",
        _ => "middling",
    };
    let latency =
        finding.status.latency.map(|latency| format!("{:.1} ms", latency.as_secs_f64() * 1e3));
    let reason = finding
        .status
        .failure
        .map(|(class, stage)| format!("{} at {}", class.name(), stage.name()));
    let _ = write!(
        page,
        "<tr><td>{}</td><td class=\"{class}\">{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
        escaped(&finding.name),
        finding.state.name(),
        timestamp(finding.status.since),
        latency.unwrap_or_default(),
        reason.unwrap_or_default(),
    );
}

const fn colour(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Ok => "good",
        Verdict::Degraded | Verdict::Starting => "middling",
        Verdict::Unavailable | Verdict::Draining => "bad",
    }
}

/// Text with HTML's special characters written out.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_cannot_carry_markup() {
        let labels = Labels { service: Some("<script>\"&".to_owned()), ..Labels::default() };
        let page = render(Phase::Running, &[], &labels, SystemTime::now());
        assert!(page.contains("&lt;script&gt;&quot;&amp;") && !page.contains("<script"));
    }
}
