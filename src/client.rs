//! `stead check` and `stead drain`: they ask the running stead over plain blocking sockets and say one line. No runtime is
//! started, and each question has one deadline.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;
#[expect(clippy::disallowed_types, reason = "there is no runtime here, and no paused time")]
use std::time::Instant;

use serde_json::Value;

use crate::cli::Group;
use crate::config::Listen;

/// For the whole of a question; Docker's and ECS's shortest time-outs are longer.
const DEADLINE: Duration = Duration::from_secs(2);
/// More than any answer of stead's is long.
const LONGEST_ANSWER: u64 = 64 * 1024;
/// How often it is asked whether a drain is over.
const LOOK: Duration = Duration::from_millis(100);
/// What a request for the drain begins with, which nothing but a program of this machine sends.
const DRAIN: &str = "/drain HTTP/1.1\r\nStead-Drain: 1";

/// What became of the question.
#[derive(Debug, Eq, PartialEq)]
pub struct Outcome {
    /// Whether the answer was a success.
    pub ok: bool,
    /// One line for a person.
    pub line: String,
}

impl Outcome {
    /// A failure to ask, or to understand.
    pub fn failed(group: Group, reason: impl std::fmt::Display) -> Self {
        Self { ok: false, line: format!("{}: {reason}", group.name()) }
    }
}

/// Asks the stead that listens there.
pub fn ask(group: Group, listen: Listen) -> Outcome {
    let addresses = addresses(listen);
    let Some(first) = addresses.first() else {
        return Outcome::failed(group, "the endpoints are off (STEAD_LISTEN=off)");
    };
    match exchange(&addresses, &format!("GET {} HTTP/1.1", group.path())) {
        Ok(answer) => understand(group, &answer, first),
        Err(error) => {
            Outcome::failed(group, format!("no stead answers at {first}: {}", reason(&error)))
        }
    }
}

/// Starts the drain of the stead that listens there, and waits for its end where that is wanted.
pub fn drain(listen: Listen, waits: bool) -> Outcome {
    let addresses = addresses(listen);
    let failed = |reason: String| Outcome { ok: false, line: format!("drain: {reason}") };
    let Some(first) = addresses.first() else {
        return failed("the endpoints are off (STEAD_LISTEN=off)".to_owned());
    };
    let asked = match exchange(&addresses, &format!("POST {DRAIN}")) {
        Ok(answer) => read(&answer),
        Err(error) => return failed(format!("no stead answers at {first}: {}", reason(&error))),
    };
    match asked {
        Some((202, told)) if waits => wait_for_drain(&addresses, told),
        Some((202, _)) => Outcome { ok: true, line: "drain: started".to_owned() },
        Some((_, told)) if field(&told, "error").is_some() => {
            failed(format!("refused: {}", field(&told, "error").unwrap_or_default()))
        }
        Some((503, told)) if field(&told, "drain").is_some() => failed("not started".to_owned()),
        _ => failed(format!("what answers at {first} is not stead")),
    }
}

/// Asks until the drain is over, as the deadline sees to, or stead is gone, which is the end of every drain.
fn wait_for_drain(addresses: &[SocketAddr], mut told: Value) -> Outcome {
    loop {
        if let Some(outcome) = drained(&told) {
            return outcome;
        }
        thread::sleep(LOOK);
        match exchange(addresses, &format!("GET {DRAIN}")).map(|answer| read(&answer)) {
            Ok(Some((200, answer))) => told = answer,
            // Not every answer comes in time on a machine that is busy, and more will not be known elsewhere.
            Err(error)
                if [io::ErrorKind::TimedOut, io::ErrorKind::WouldBlock].contains(&error.kind()) => {
            }
            Ok(_) | Err(_) => {
                return Outcome { ok: true, line: "drain: over, stead has ended".to_owned() };
            }
        }
    }
}

/// What there is to say of a drain that is over.
fn drained(told: &Value) -> Option<Outcome> {
    let outcome = |ok, line: String| Some(Outcome { ok, line: format!("drain: {line}") });
    let is_before_child = matches!(field(told, "phase"), Some("starting" | "standby"));
    match field(told, "drain") {
        Some("none") if is_before_child => outcome(true, "nothing runs yet".to_owned()),
        Some("drained") => outcome(true, "over".to_owned()),
        Some("timed out") => {
            let left = told.get("connections").and_then(Value::as_u64).filter(|left| *left > 0);
            outcome(
                false,
                match left {
                    Some(count) => format!("the time is over with {count} connections left"),
                    None => {
                        "the time is over, and a hook or what cannot be counted is not".to_owned()
                    }
                },
            )
        }
        _ => None,
    }
}

/// Loopback of both families where no address is named.
fn addresses(listen: Listen) -> Vec<SocketAddr> {
    let loopback =
        |port| vec![(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()];
    match listen {
        Listen::Off => Vec::new(),
        Listen::Everywhere(port) => loopback(port),
        Listen::At(address) if address.ip() == IpAddr::V4(Ipv4Addr::UNSPECIFIED) => {
            loopback(address.port())
        }
        Listen::At(address) => vec![address],
    }
}

/// Sends the request, of which `request` is the beginning, and reads the whole answer, all within the deadline.
fn exchange(addresses: &[SocketAddr], request: &str) -> io::Result<Vec<u8>> {
    #[expect(clippy::disallowed_types, reason = "see the import")]
    let start = Instant::now();
    let left = || Some(DEADLINE.saturating_sub(start.elapsed())).filter(|left| !left.is_zero());
    let timed_out = || io::Error::from(io::ErrorKind::TimedOut);
    let mut first_error = None;
    let connected = addresses.iter().find_map(|address| {
        let tried = TcpStream::connect_timeout(address, left()?);
        tried.map_err(|error| first_error.get_or_insert(error).kind()).ok()
    });
    let Some(mut stream) = connected else {
        return Err(first_error.unwrap_or_else(timed_out));
    };
    stream.set_write_timeout(left())?;
    let request =
        format!("{request}\r\nHost: localhost\r\nUser-Agent: stead\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    loop {
        // One time-out for each read would let a slow answer go on for ever.
        stream.set_read_timeout(Some(left().ok_or_else(timed_out)?))?;
        let read = match stream.read(&mut piece) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        answer.extend(piece.iter().take(read));
        if read == 0 || answer.len() as u64 > LONGEST_ANSWER {
            return Ok(answer);
        }
    }
}

/// An error in the words of a person.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused (nothing listens there)".to_owned(),
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => {
            format!("no answer within {} s", DEADLINE.as_secs())
        }
        _ => error.to_string(),
    }
}

/// The status code of an answer, and what its body holds if that is JSON.
fn read(answer: &[u8]) -> Option<(u16, Value)> {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let code = head.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    Some((code, serde_json::from_str(body).unwrap_or_default()))
}

/// From an answer to a line: what failed comes first.
fn understand(group: Group, answer: &[u8], from: &SocketAddr) -> Outcome {
    let foreign = || Outcome::failed(group, format!("what answers at {from} is not stead"));
    let Some((code, body)) = read(answer) else {
        return foreign();
    };
    let (200 | 503, Some(status), Some(checks)) = (
        code,
        body.get("status").and_then(Value::as_str),
        body.get("checks").and_then(Value::as_object),
    ) else {
        return foreign();
    };
    let failing = checks
        .iter()
        .filter(|(_, check)| field(check, "status") != Some("up"))
        .min_by_key(|(_, check)| check.get("required") != Some(&Value::Bool(true)));
    let mut line = format!("{}: {status}", group.name());
    if let Some(reason) = body.get("notify").and_then(|notify| field(notify, "reason")) {
        line.push_str(&format!(": {reason}"));
    } else if let Some((name, check)) =
        failing.filter(|_| matches!(status, "degraded" | "unavailable" | "starting"))
    {
        line.push_str(&format!(": {name} {}", field(check, "status").unwrap_or("unknown")));
        if let (Some(class), Some(stage)) = (field(check, "class"), field(check, "stage")) {
            line.push_str(&format!(": {class} at {stage}"));
        }
    }
    Outcome { ok: code == 200, line }
}

/// A text of an object.
fn field<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object.get(name)?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(group: Group, code: u16, body: &str) -> (bool, String) {
        let answer = format!("HTTP/1.1 {code} X\r\ncontent-type: application/json\r\n\r\n{body}");
        let outcome = understand(group, answer.as_bytes(), &"127.0.0.1:9321".parse().unwrap());
        (outcome.ok, outcome.line)
    }

    #[test]
    fn what_is_required_and_failed_is_named_first() {
        let body = r#"{"status":"unavailable","checks":{
            "search":{"status":"down","required":false,"class":"timeout","stage":"query"},
            "app":{"status":"down","required":true,"class":"connect_refused","stage":"connect"}}}"#;
        assert_eq!(
            line(Group::Ready, 503, body),
            (false, "ready: unavailable: app down: connect_refused at connect".to_owned())
        );
    }

    #[test]
    fn what_the_app_said_or_did_not_say_goes_before_its_checks() {
        let body = r#"{"status":"starting","notify":{"state":"starting","reason":"READY=1 was not said"},
            "checks":{"app":{"status":"down","required":true}}}"#;
        let expected = "ready: starting: READY=1 was not said";
        assert_eq!(line(Group::Ready, 503, body), (false, expected.to_owned()));
    }

    #[test]
    fn a_success_is_short() {
        assert_eq!(
            line(Group::Live, 200, r#"{"status":"ok","checks":{}}"#),
            (true, "live: ok".to_owned())
        );
        assert_eq!(
            line(Group::Ready, 503, r#"{"status":"draining","checks":{}}"#),
            (false, "ready: draining".to_owned())
        );
    }

    #[test]
    fn another_server_is_not_taken_for_stead() {
        for (code, body) in [(200, "hello"), (200, "{}"), (404, r#"{"status":"ok","checks":{}}"#)] {
            assert_eq!(
                line(Group::Live, code, body),
                (false, "live: what answers at 127.0.0.1:9321 is not stead".to_owned())
            );
        }
    }

    #[test]
    fn a_drain_is_over_when_it_says_so() {
        let said = |text: &str| drained(&serde_json::from_str(text).unwrap());
        let over = |text| said(text).map(|outcome| (outcome.ok, outcome.line));
        for waiting in [r#"{"drain":"waiting"}"#, r#"{"drain":"none","phase":"running"}"#, "{}"] {
            assert_eq!(over(waiting), None, "{waiting}");
        }
        for (text, ok, line) in [
            (r#"{"drain":"drained","connections":0}"#, true, "drain: over"),
            (r#"{"drain":"none","phase":"standby"}"#, true, "drain: nothing runs yet"),
            (
                r#"{"drain":"timed out","connections":3}"#,
                false,
                "drain: the time is over with 3 connections left",
            ),
            (
                r#"{"drain":"timed out","connections":null}"#,
                false,
                "drain: the time is over, and a hook or what cannot be counted is not",
            ),
        ] {
            assert_eq!(over(text), Some((ok, line.to_owned())));
        }
    }

    #[test]
    fn without_an_address_loopback_of_both_families_is_asked() {
        assert_eq!(addresses(Listen::Everywhere(1)).len(), 2);
        assert_eq!(addresses(Listen::At("0.0.0.0:1".parse().unwrap())).len(), 2);
        assert_eq!(addresses(Listen::At("[::1]:1".parse().unwrap())).len(), 1);
        assert_eq!(addresses(Listen::Off).len(), 0);
    }
}
