//! The forms of values: each parser says what would have been right, and never repeats what was given.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hyper::Uri;
use tracing::level_filters::LevelFilter;

use super::{Details, Listen, LogFormat, LogSchema};
use crate::signal::Signal;
pub use crate::value::{Patience, Wrong, duration, port, switch, timeout, wait};

/// A signal by name or number.
pub fn signal(text: &str) -> Result<Signal, Wrong> {
    let signal: Signal =
        text.parse().map_err(|error: crate::signal::NotASignal| error.to_string())?;
    let usable = signal.is_catchable() && signal != Signal::CHLD;
    usable.then_some(signal).ok_or_else(|| "a signal that cannot be forwarded".to_owned())
}

/// `FROM:TO`, two signals, where TO may be 0.
pub fn rewrite(text: &str) -> Result<(Signal, Option<Signal>), Wrong> {
    let (from, to) =
        text.split_once(':').ok_or("not FROM:TO (write TERM:QUIT, or HUP:0 to drop)")?;
    let to = if to.trim() == "0" { None } else { Some(signal(to)?) };
    Ok((signal(from)?, to))
}

/// `FROM:TO`, two exit codes.
pub fn remap(text: &str) -> Result<(u8, u8), Wrong> {
    let code = |text: &str| text.trim().parse().ok();
    let pair = text.split_once(':').and_then(|(from, to)| Some((code(from)?, code(to)?)));
    pair.ok_or_else(|| "not FROM:TO with exit codes from 0 to 255 (write 143:0)".to_owned())
}

/// A port or `off`.
pub fn port_or_off(text: &str) -> Result<Option<u16>, Wrong> {
    if text.trim().eq_ignore_ascii_case("off") {
        return Ok(None);
    }
    port(text).map(Some).map_err(|wrong| format!("{wrong}, nor off"))
}

/// `http://host[:port][/path]`, or `https`.
pub fn app_url(text: &str) -> Result<Uri, Wrong> {
    let url: Uri =
        text.trim().parse().map_err(|_| "not a URL (write http://127.0.0.1:8080/health)")?;
    let authority = url.authority().ok_or("not a URL with a scheme and a host")?;
    if !matches!(url.scheme_str(), Some("http" | "https")) {
        return Err("not an http or https URL".to_owned());
    }
    if authority.as_str().contains('@') {
        return Err("credentials in the URL are not supported".to_owned());
    }
    // `http://h:/` and `http://h:99999/` parse as authorities without a port.
    let bare = authority.as_str().len() == authority.host().len();
    if authority.host().is_empty() || (!bare && authority.port_u16().is_none_or(|port| port == 0)) {
        return Err("not a URL with a host and a port from 1 to 65535".to_owned());
    }
    Ok(url)
}

/// The name of a program: no path, and no arguments.
pub fn program(text: &str) -> Result<String, Wrong> {
    let name = text.trim();
    let is_name = !name.is_empty() && !name.contains(|c: char| c == '/' || c.is_control());
    is_name.then(|| name.to_owned()).ok_or_else(|| "not the name of a program (write node)".into())
}

/// `off`, `9321`, `:9321`, `127.0.0.1:9321`, `[::1]:9321`.
pub fn listen(text: &str) -> Result<Listen, Wrong> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("off") {
        return Ok(Listen::Off);
    }
    let wrong =
        || "not an address to listen on (write 9321, 127.0.0.1:9321, [::1]:9321 or off)".to_owned();
    if let Ok(port) = port(text.strip_prefix(':').unwrap_or(text)) {
        return Ok(Listen::Everywhere(port));
    }
    let (host, number) = text.rsplit_once(':').ok_or_else(wrong)?;
    let port = port(number)?;
    let address: IpAddr = match host {
        "localhost" => Ipv4Addr::LOCALHOST.into(),
        "*" => return Ok(Listen::Everywhere(port)),
        _ => match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(v6) => v6.parse::<Ipv6Addr>().map_err(|_| wrong())?.into(),
            None => host.parse::<Ipv4Addr>().map_err(|_| wrong())?.into(),
        },
    };
    if address == IpAddr::V6(Ipv6Addr::UNSPECIFIED) {
        return Ok(Listen::Everywhere(port));
    }
    Ok(Listen::At(SocketAddr::new(address, port)))
}

/// `always`, `loopback` or `never`.
pub fn details(text: &str) -> Result<Details, Wrong> {
    match text.trim() {
        "always" => Ok(Details::Always),
        "loopback" => Ok(Details::Loopback),
        "never" => Ok(Details::Never),
        _ => Err("none of always, loopback and never".to_owned()),
    }
}

/// `auto`, `json` or `text`.
pub fn log_format(text: &str) -> Result<LogFormat, Wrong> {
    match text.trim() {
        "auto" => Ok(LogFormat::Auto),
        "json" => Ok(LogFormat::Json),
        "text" => Ok(LogFormat::Text),
        _ => Err("none of auto, json and text".to_owned()),
    }
}

/// `stead`, `ecs`, `gcp` or `datadog`.
pub fn log_schema(text: &str) -> Result<LogSchema, Wrong> {
    match text.trim() {
        "stead" => Ok(LogSchema::Stead),
        "ecs" => Ok(LogSchema::Ecs),
        "gcp" => Ok(LogSchema::Gcp),
        "datadog" => Ok(LogSchema::Datadog),
        _ => Err("none of stead, ecs, gcp and datadog".to_owned()),
    }
}

/// `off`, `error`, `warn` (`warning`), `info` or `debug`, in any case.
pub fn log_level(text: &str) -> Result<LevelFilter, Wrong> {
    match text.trim().to_ascii_lowercase().as_str() {
        "off" => Ok(LevelFilter::OFF),
        "error" => Ok(LevelFilter::ERROR),
        "warn" | "warning" => Ok(LevelFilter::WARN),
        "info" => Ok(LevelFilter::INFO),
        "debug" => Ok(LevelFilter::DEBUG),
        _ => Err("none of off, error, warn, info and debug".to_owned()),
    }
}

/// A duration as people write it: `30s`, `1m 30s`.
pub fn show_duration(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

/// How long is waited.
pub fn show_patience(patience: Patience) -> String {
    match patience {
        Patience::None => "off".to_owned(),
        Patience::For(limit) => show_duration(limit),
        Patience::Endless => "forever".to_owned(),
    }
}

/// A URL without its query, which can hold a token.
pub fn show_url(url: &Uri) -> String {
    let query = if url.query().is_some() { "?..." } else { "" };
    let authority = url.authority().map_or("", |authority| authority.as_str());
    format!("{}://{authority}{}{query}", url.scheme_str().unwrap_or("http"), url.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_taken_with_a_unit_and_as_seconds() {
        for (text, millis) in [
            ("30s", 30_000),
            ("1500ms", 1500),
            ("2m", 120_000),
            ("1m 30s", 90_000),
            ("45", 45_000),
            ("0", 0),
            (" 5s ", 5000),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "s", "-1", "30x", "1.5", "99999999999", "infinity", "18446744073709551616"]
        {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn listening_addresses_are_taken_in_every_form() {
        let at = |text: &str| Listen::At(text.parse().unwrap());
        for (text, expected) in [
            ("off", Listen::Off),
            ("9321", Listen::Everywhere(9321)),
            (":9321", Listen::Everywhere(9321)),
            ("[::]:80", Listen::Everywhere(80)),
            ("*:80", Listen::Everywhere(80)),
            ("0.0.0.0:80", at("0.0.0.0:80")),
            ("127.0.0.1:80", at("127.0.0.1:80")),
            ("localhost:80", at("127.0.0.1:80")),
            ("[::1]:80", at("[::1]:80")),
        ] {
            assert_eq!(listen(text), Ok(expected), "{text}");
        }
        for text in [
            "",
            "0",
            "65536",
            "::1:80",
            "[::1]",
            "example.org:80",
            "127.0.0.1",
            "127.0.0.1:0",
            "unix:/x",
        ] {
            assert!(listen(text).is_err(), "{text}");
        }
    }

    #[test]
    fn app_urls_are_http_with_a_host_and_no_credentials() {
        for text in [
            "http://127.0.0.1:8080/health",
            "http://[::1]:80/",
            "http://app",
            "http://app/x?y=z",
            "https://app/?stead_verify=off",
        ] {
            assert!(app_url(text).is_ok(), "{text}");
        }
        for text in [
            "",
            "app:8080",
            "/health",
            "ftp://app/",
            "http://u:p@app/",
            "http://:80/",
            "http://app:0/",
            "http://app:99999/",
            "http://app:/",
        ] {
            assert!(app_url(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_shown_url_has_no_query() {
        assert_eq!(show_url(&app_url("http://app:1/x?token=y").unwrap()), "http://app:1/x?...");
        assert_eq!(show_url(&app_url("https://app/").unwrap()), "https://app/");
    }

    #[test]
    fn rewrites_and_remaps_are_pairs() {
        assert_eq!(rewrite("HUP:0"), Ok((Signal::HUP, None)));
        assert_eq!(rewrite("TERM:SIGINT"), Ok((Signal::TERM, Some(Signal::INT))));
        assert_eq!(remap("143:0"), Ok((143, 0)));
        for text in
            ["", "TERM", "TERM:", ":TERM", "TERM:KILL", "KILL:TERM", "0:TERM", "TERM:QUIT:INT"]
        {
            assert!(rewrite(text).is_err(), "{text}");
        }
        for text in ["", "143", "256:0", "1:-1", "a:b"] {
            assert!(remap(text).is_err(), "{text}");
        }
    }
}
