//! `/drain`: `POST` asks for a drain, `GET` tells how far it has come. Both are for this machine's own `stead drain`.
//!
//! Who can reach the port must not be able to take the app out of its balancer: the peer must be here; the header is one
//! that a web page can send only after asking (a preflight, which is refused); and the `Host` must be loopback's, because
//! a name can be made to lead here (DNS rebinding).

use std::net::IpAddr;
use std::time::Duration;

use hyper::header::HOST;
use hyper::{Method, Request};
use tokio::time::timeout;

use super::routes::View;
use crate::supervisor::Phase;
use crate::supervisor::lifecycle::Progress;
use crate::supervisor::requests::{self, Drain};

/// The path.
pub(super) const PATH: &str = "/drain";
/// stead's own header; its value is nobody's business.
const HEADER: &str = "stead-drain";
/// How long the supervisor may take to begin. It is never busy for as long.
const PATIENCE: Duration = Duration::from_secs(1);

/// Why a request is refused, if it is.
pub(super) fn refusal<B>(request: &Request<B>, is_here: bool) -> Option<&'static str> {
    let headers = request.headers();
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    if !is_here {
        Some("only for a peer on this machine")
    } else if !headers.contains_key(HEADER) {
        Some("the header Stead-Drain is missing")
    } else if !host.is_some_and(is_loopback) {
        Some("the Host is not localhost, nor a loopback address")
    } else {
        None
    }
}

/// Whether a `Host` is loopback's, with any port.
fn is_loopback(host: &str) -> bool {
    let is_port = |port: &str| port.is_empty() || port.parse::<u16>().is_ok();
    let bare = match host.rsplit_once(':') {
        Some((name, port)) if is_port(port) && !name.ends_with(':') => name,
        _ => host,
    };
    let address = bare.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match address {
        Some(address) => address.parse().is_ok_and(|ip: IpAddr| ip.to_canonical().is_loopback()),
        None => {
            let ip = bare.parse::<std::net::Ipv4Addr>();
            bare.eq_ignore_ascii_case("localhost") || ip.is_ok_and(|ip| ip.is_loopback())
        }
    }
}

/// Asks for the drain that a request is for, if it is, and waits until readiness has turned.
pub(super) async fn begin<B>(request: &Request<B>, is_here: bool, view: &View) {
    let is_asked = request.uri().path() == PATH && request.method() == Method::POST;
    if !is_asked || refusal(request, is_here).is_some() {
        return;
    }
    let asked = view.supervisor.ask(requests::Request::Drain);
    // Before the child nobody looks: there is nothing to be drained, and what was asked for is done when there is.
    if asked.is_ok() && !view.phase.borrow().is_before_child() {
        // What has not begun by then is told as it is.
        let _ = timeout(PATIENCE, view.supervisor.drain_begun()).await;
    }
}

/// The body of the answer.
pub(super) fn body(Drain { progress, connections }: Drain, phase: Phase) -> String {
    let name = match progress {
        Progress::NotBegun => "none",
        Progress::Waiting => "waiting",
        Progress::Over { drained: true } => "drained",
        Progress::Over { drained: false } => "timed out",
    };
    let said = serde_json::json!({
        "drain": name,
        "phase": phase.name(),
        "connections": connections.map(|connections| connections.busy),
        "idle_connections": connections.map(|connections| connections.idle),
    });
    said.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_loopback() {
        for host in [
            "localhost",
            "LocalHost:9321",
            "127.0.0.1",
            "127.8.9.1:80",
            "[::1]",
            "[::1]:9321",
            "[::ffff:127.0.0.1]:1",
            "localhost:",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "",
            "localhost.example.org",
            "evil.example.org:80",
            "127.0.0.1.example.org",
            "10.0.0.1",
            "0.0.0.0",
            "[::]",
            "::1",
            "[::1",
            "localhost:x",
            "localhost:80:80",
            "127.1",
            "2130706433",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let request = |header: &str, host: &str| {
            Request::builder().header(header, "1").header(HOST, host).body(()).unwrap()
        };
        let complete = request("Stead-Drain", "localhost:9321");
        assert_eq!(refusal(&complete, true), None);
        for (request, is_here, word) in [
            (complete, false, "peer"),
            (request("Stead", "localhost:9321"), true, "header"),
            (request("Stead-Drain", "rebound.example.org"), true, "Host"),
        ] {
            assert!(refusal(&request, is_here).is_some_and(|why| why.contains(word)), "{word}");
        }
    }
}
