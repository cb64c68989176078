//! The page at `/`, for a person: the state of each check at a glance, without a script.

use std::fmt::Write;
use std::time::SystemTime;

use super::report::{in_words, timestamp};
use super::verdict::{Verdict, counts, heed, judge};
use crate::check::registry::{Finding, Need};
use crate::check::status::{Attempt, Tally};
use crate::check::{Detail, Fact, State};
use crate::cli::Group;
use crate::config::Labels;
use crate::notify::Notified;
use crate::supervisor::Phase;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}\
    table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.4rem .8rem .4rem 0;border-bottom:1px solid #ddd}\
    .good{color:#17692f}.bad{color:#b3261e}.middling{color:#8a5a00}path{stroke:currentColor}small{color:#666}\
    @media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}th,td{border-color:#444}\
    .good{color:#6fd48b}.bad{color:#ff8a80}.middling{color:#f2c05c}small{color:#999}}";

/// How many changes of state the page shows.
const MOST_CHANGES: usize = 20;

/// The page as HTML; it asks for itself again every five seconds. First comes what stead and the app say of themselves.
pub fn render(
    (phase, notified): (Phase, Option<&Notified>),
    findings: &[Finding],
    labels: &Labels,
    now: SystemTime,
) -> String {
    let name = escaped(labels.service.as_deref().unwrap_or("stead"));
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta http-equiv=\"refresh\" content=\"5\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{name}: {phase}</title><style>{STYLE}</style></head>\
         <body><h1>{name} <small>{}</small></h1><p>Phase <b>{phase}</b>",
        escaped(&labels.instance),
        phase = phase.name(),
    );
    for group in [Group::Live, Group::Ready, Group::Startup] {
        let counted: Vec<Finding> =
            findings.iter().filter(|finding| counts(finding, group)).cloned().collect();
        let verdict = judge(group, phase, findings, &counted);
        let (verdict, _) = heed(verdict, (group, phase), notified);
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
    if let Some(Notified { doing, status, .. }) = notified {
        let _ = write!(page, "<p>The app says: <b>{}</b> {}</p>", doing.name(), escaped(status));
    } else if findings.is_empty() {
        page.push_str(
            "<p>There is no check of the app: readiness knows only that the command runs.</p>",
        );
    }
    if !findings.is_empty() {
        page.push_str("<table><tr><th>Check</th><th>State</th><th>Since</th><th>Latency</th><th>Reason, detail</th></tr>");
        findings.iter().for_each(|finding| row(&mut page, finding));
        page.push_str("</table>");
        changes(&mut page, findings);
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
    let status = &finding.status;
    let latency = status.latency.map(|latency| format!("{:.1} ms", latency.as_secs_f64() * 1e3));
    let _ = write!(
        page,
        "<tr><td>{}</td><td class=\"{class}\">{}</td><td>{}</td><td>{}{}</td><td>{} <small>{}</small></td></tr>",
        escaped(&finding.name),
        finding.state.name(),
        timestamp(status.since),
        latency.unwrap_or_default(),
        curve(&status.tally),
        status.reason.map(in_words).unwrap_or_default(),
        facts(&status.detail),
    );
}

/// The facts about a target in one line.
fn facts(detail: &Detail) -> String {
    let in_words = detail.iter().map(|(name, fact)| match fact {
        Fact::Text(text) => format!("{name} {}", escaped(text)),
        Fact::Count(count) => format!("{name} {count}"),
        Fact::Number(number) => format!("{name} {number:.1}"),
        Fact::Flag(flag) => format!("{name} {flag}"),
    });
    in_words.collect::<Vec<_>>().join(", ")
}

/// The last attempts as bars, as high as each took of the longest; a failed one is marked.
fn curve(tally: &Tally) -> String {
    let longest = tally.attempts.iter().map(|attempt| attempt.took).max().unwrap_or_default();
    let bars = |passed: bool| -> String {
        let attempts = tally.attempts.iter().enumerate().filter(|(_, a)| a.passed == passed);
        let bar = |(place, attempt): (usize, &Attempt)| {
            let share = attempt.took.as_secs_f64() / longest.as_secs_f64().max(f64::MIN_POSITIVE);
            format!("M{} 16v-{}", place * 2 + 1, (15.0 * share).ceil().max(1.0))
        };
        attempts.map(bar).collect()
    };
    format!(
        "<br><svg width=\"120\" height=\"16\"><path class=\"good\" d=\"{}\"/><path class=\"bad\" d=\"{}\"/></svg>",
        bars(true),
        bars(false)
    )
}

/// What changed last, of all checks, the newest first.
fn changes(page: &mut String, findings: &[Finding]) {
    let of_one = |finding: &'_ Finding| {
        let name = finding.name.clone();
        finding.status.tally.changes.clone().into_iter().map(move |change| (change, name.clone()))
    };
    let mut all: Vec<_> = findings.iter().flat_map(of_one).collect();
    all.sort_by_key(|(change, _)| std::cmp::Reverse(change.at));
    if all.is_empty() {
        return;
    }
    page.push_str("<h2>What changed</h2><table>");
    for (change, name) in all.into_iter().take(MOST_CHANGES) {
        let _ = write!(
            page,
            "<tr><td>{}</td><td>{}</td><td>{} to {}</td><td>{}</td></tr>",
            timestamp(change.at),
            escaped(&name),
            change.from.name(),
            change.to.name(),
            change.reason.map(in_words).unwrap_or_default(),
        );
    }
    page.push_str("</table>");
}

const fn colour(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Ok => "good",
        Verdict::Degraded | Verdict::Starting | Verdict::Standby => "middling",
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
        let page = render((Phase::Running, None), &[], &labels, SystemTime::now());
        assert!(page.contains("&lt;script&gt;&quot;&amp;") && !page.contains("<script"));
    }
}
