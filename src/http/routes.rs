//! From a request to a response; pure, but for the clock and the channels that it reads.

use std::time::SystemTime;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{
    ACCEPT, ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue,
    TRANSFER_ENCODING,
};
use hyper::{Method, Request, Response, StatusCode};
use tokio::sync::watch;

use super::drain;
use super::metrics::{self, Format};
use super::page;
use super::report::{Report, timestamp};
use super::verdict::{Verdict, counts, heed, judge, judge_one};
use crate::check::registry::{Finding, Registry};
use crate::cli::Group;
use crate::config::{Details, Labels};
use crate::notify::Notified;
use crate::supervisor::Phase;
use crate::supervisor::lifecycle::Progress;
use crate::supervisor::requests::Requester;

const JSON: &str = "application/json";
const HEALTH_JSON: &str = "application/health+json";
const OPEN_METRICS: &str = "application/openmetrics-text";
const TEXT: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";

/// All that the answers are made of.
pub struct View {
    /// Where stead is in its life.
    pub phase: watch::Receiver<Phase>,
    /// What the app says of itself, where it is listened to.
    pub notified: Option<watch::Receiver<Notified>>,
    /// The checks.
    pub registry: Registry,
    /// What labels the answers.
    pub labels: Labels,
    /// Who sees the details.
    pub details: Details,
    /// Who is asked for a drain, and tells of it.
    pub supervisor: Requester,
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer {
    /// From a loopback address.
    pub(super) is_loopback: bool,
    /// From this machine, as far as its network namespace goes.
    pub(super) is_here: bool,
}

/// A path that is answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Route<'a> {
    Page,
    Metrics,
    Drain,
    Group(Group),
    One(Group, &'a str),
}

/// What the query asks for.
#[derive(Debug, Default)]
struct Query<'a> {
    verbose: bool,
    excluded: Vec<&'a str>,
}

/// The endpoint that a path names, by its own name or by one of those that apps use.
fn route(path: &str) -> Option<Route<'_>> {
    Some(match path {
        "/" => Route::Page,
        "/metrics" => Route::Metrics,
        drain::PATH => Route::Drain,
        "/livez" | "/health" | "/health/live" | "/live" => Route::Group(Group::Live),
        "/readyz" | "/ready" | "/health/ready" => Route::Group(Group::Ready),
        "/startupz" => Route::Group(Group::Startup),
        _ => {
            let (group, check) =
                [Group::Live, Group::Ready, Group::Startup].into_iter().find_map(|group| {
                    Some((group, path.strip_prefix(group.path())?.strip_prefix('/')?))
                })?;
            Route::One(group, check)
        }
    })
}

fn query(text: &str) -> Query<'_> {
    let mut query = Query::default();
    for part in text.split('&') {
        match part.split_once('=') {
            None if part == "verbose" => query.verbose = true,
            Some(("verbose", value)) => query.verbose = !matches!(value, "0" | "false"),
            Some(("exclude", check)) => query.excluded.push(check),
            _ => {}
        }
    }
    query
}

/// Answers one request.
pub(super) fn respond<B>(request: &Request<B>, peer: Peer, view: &View) -> Response<Full<Bytes>> {
    let mut response = answer(request, peer, view);
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // No body is ever read, so a connection that carries one cannot be used again.
    let has_body = request.headers().get(CONTENT_LENGTH).is_some_and(|length| length != "0");
    if has_body || request.headers().contains_key(TRANSFER_ENCODING) {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

fn answer<B>(request: &Request<B>, peer: Peer, view: &View) -> Response<Full<Bytes>> {
    let Some(route) = route(request.uri().path()) else {
        return not_found();
    };
    let is_post = route == Route::Drain && request.method() == Method::POST;
    if !is_post && ![Method::GET, Method::HEAD].contains(request.method()) {
        let allowed = if route == Route::Drain { "GET, HEAD, POST" } else { "GET, HEAD" };
        let mut response = problem(StatusCode::METHOD_NOT_ALLOWED, "method not allowed");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
        return response;
    }
    let details = match view.details {
        Details::Always => true,
        Details::Loopback => peer.is_loopback,
        Details::Never => false,
    };
    let all = view.registry.findings();
    let phase = *view.phase.borrow();
    let notified = view.notified.as_ref().map(|notified| notified.borrow().clone());
    let query = query(request.uri().query().unwrap_or_default());
    let (verdict, findings, excluded) = match route {
        Route::Drain => return drain_told(request, peer, view),
        Route::Page | Route::Metrics if !details => return not_found(),
        Route::Page => {
            let said = (phase, notified.as_ref());
            let page = page::render(said, &all, &view.labels, SystemTime::now());
            return written(StatusCode::OK, HTML, page);
        }
        Route::Metrics => {
            let is_open = accepts(request, OPEN_METRICS);
            let format = if is_open { Format::OpenMetrics } else { Format::Prometheus };
            return written(
                StatusCode::OK,
                format.content_type(),
                metrics::render(phase, all, view.supervisor.drain(), format),
            );
        }
        Route::Group(group) => {
            let in_group = all.iter().filter(|finding| counts(finding, group)).cloned();
            let (left_out, counted): (Vec<Finding>, Vec<Finding>) =
                in_group.partition(|finding| query.excluded.contains(&&*finding.name));
            (judge(group, phase, &all, &counted), counted, left_out)
        }
        Route::One(group, name) => {
            let one = all.iter().find(|finding| *finding.name == *name && counts(finding, group));
            let Some(one) = one else { return not_found() };
            (judge_one(group, phase, &all, one), vec![one.clone()], Vec::new())
        }
    };
    let (verdict, complaint) = match route {
        Route::Group(group) => heed(verdict, (group, phase), notified.as_ref()),
        _ => (verdict, None),
    };
    let excluded = excluded.into_iter().map(|finding| finding.name).collect();
    let (labels, now) = (&view.labels, SystemTime::now());
    let report =
        Report { verdict, phase, notified, complaint, findings, excluded, labels, details, now };
    told(request, route, &report, query.verbose)
}

/// A report in the form that the client asks for.
fn told<B>(
    request: &Request<B>,
    route: Route<'_>,
    report: &Report<'_>,
    verbose: bool,
) -> Response<Full<Bytes>> {
    let is_success = report.verdict.is_success();
    let status = if is_success { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    match route {
        Route::Group(group) if verbose => {
            let endpoint = group.path().trim_start_matches('/');
            written(status, TEXT, report.verbose(endpoint))
        }
        Route::One(group, name) if verbose => {
            let endpoint = format!("{}/{name}", group.path().trim_start_matches('/'));
            written(status, TEXT, report.verbose(&endpoint))
        }
        _ if accepts(request, HEALTH_JSON) => written(status, HEALTH_JSON, report.ietf_json()),
        _ => written(status, JSON, report.json()),
    }
}

/// What there is to say of the drain, to whom it may be told. It was asked for by now where it was to be.
fn drain_told<B>(request: &Request<B>, peer: Peer, view: &View) -> Response<Full<Bytes>> {
    if let Some(reason) = drain::refusal(request, peer.is_here) {
        return problem(StatusCode::FORBIDDEN, reason);
    }
    let (told, phase) = (view.supervisor.drain(), *view.phase.borrow());
    let has_begun = told.progress != Progress::NotBegun || phase.is_before_child();
    let status = match *request.method() {
        Method::POST if has_begun => StatusCode::ACCEPTED,
        Method::POST => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::OK,
    };
    written(status, JSON, drain::body(told, phase))
}

/// Whether a media type is among those that the client names.
fn accepts<B>(request: &Request<B>, wanted: &str) -> bool {
    let accepted = request.headers().get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|range| {
        range.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case(wanted))
    })
}

fn not_found() -> Response<Full<Bytes>> {
    problem(StatusCode::NOT_FOUND, "not found")
}

/// An answer that is about the request and not about the app.
fn problem(status: StatusCode, error: &str) -> Response<Full<Bytes>> {
    let timestamp = timestamp(SystemTime::now());
    let body = serde_json::json!({"status": Verdict::Unavailable.name(), "error": error, "timestamp": timestamp});
    written(status, JSON, body.to_string())
}

fn written(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_alias_leads_to_its_group() {
        for (path, expected) in [
            ("/", Some(Route::Page)),
            ("/livez", Some(Route::Group(Group::Live))),
            ("/live", Some(Route::Group(Group::Live))),
            ("/health", Some(Route::Group(Group::Live))),
            ("/health/live", Some(Route::Group(Group::Live))),
            ("/readyz", Some(Route::Group(Group::Ready))),
            ("/ready", Some(Route::Group(Group::Ready))),
            ("/health/ready", Some(Route::Group(Group::Ready))),
            ("/startupz", Some(Route::Group(Group::Startup))),
            ("/readyz/app", Some(Route::One(Group::Ready, "app"))),
            ("/readyzapp", None),
            ("/livez2", None),
            ("/metrics/x", None),
            ("/metrics", Some(Route::Metrics)),
            ("/drain", Some(Route::Drain)),
            ("/drain/", None),
            ("", None),
        ] {
            assert_eq!(route(path), expected, "{path}");
        }
    }

    #[test]
    fn queries_are_read_and_unknown_ones_passed_over() {
        let found = query("exclude=a&verbose&x=y&exclude=b&");
        assert!(found.verbose);
        assert_eq!(found.excluded, ["a", "b"]);
        assert!(!query("verbose=false").verbose);
        assert!(!query("").verbose);
    }
}
