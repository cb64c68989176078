//! What a drain waits for beside its delay: the app's connections.

use std::net::IpAddr;
use std::time::Duration;

use hyper::Uri;

use super::sources::Sources;
use super::value::{self, Wrong};
use super::{App, Listen, Mistake, Role};
use crate::supervisor::UntilIdle;

/// Whose connections are waited for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Idle {
    Off,
    App,
    Port(u16),
}

impl Sources {
    pub(super) fn until_idle(
        &mut self,
        role: Role,
        app: &App,
        listen: Listen,
    ) -> Result<Option<UntilIdle>, Mistake> {
        let key = "drain_until_idle";
        let apps = app.port.or_else(|| local_port(app.url.as_ref()?));
        let port = match self.one(key, idle)? {
            Some(Idle::Off) => None,
            Some(Idle::Port(port)) => Some(port),
            Some(Idle::App) if apps.is_none() => {
                let wrong =
                    "there is no port of the app to be on for (set --app-port, or name the port)";
                return Err(Mistake::at(self.place(key), wrong));
            }
            Some(Idle::App) => apps,
            // A sidecar has nothing else to wait for; but an app in another network namespace cannot be seen.
            None => apps.filter(|_| role == Role::Sidecar),
        };
        if port.is_some() && port == listen.port() {
            let wrong = "that is the port of stead's own endpoints";
            return Err(Mistake::at(self.place(key), wrong));
        }
        self.show(key, port.map_or("off".to_owned(), |port| port.to_string()));
        let idle_after = self.duration("idle_after", Duration::from_secs(5))?;
        Ok(port.map(|port| UntilIdle { port, idle_after }))
    }
}

/// A port, `on` or `off`.
fn idle(text: &str) -> Result<Idle, Wrong> {
    // A number is a port, also where it could be a switch.
    let is_number = text.trim().parse::<i64>().is_ok();
    match value::switch(text) {
        Ok(true) if !is_number => Ok(Idle::App),
        Ok(false) if !is_number => Ok(Idle::Off),
        _ => value::port(text).map(Idle::Port).map_err(|wrong| format!("{wrong}, nor on or off")),
    }
}

/// The port of a URL that leads to this very network namespace.
fn local_port(url: &Uri) -> Option<u16> {
    let host = url.host()?.trim_matches(['[', ']']);
    let is_local = host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
    let usual = if url.scheme_str() == Some("https") { 443 } else { 80 };
    is_local.then(|| url.port_u16().unwrap_or(usual))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_a_port_and_a_word_a_switch() {
        for (text, expected) in [
            ("8080", Idle::Port(8080)),
            (" 1 ", Idle::Port(1)),
            ("on", Idle::App),
            ("true", Idle::App),
            ("off", Idle::Off),
            ("no", Idle::Off),
        ] {
            assert_eq!(idle(text), Ok(expected), "{text}");
        }
        for text in ["", "0", "-1", "65536", "http", "8080/tcp", "app"] {
            assert!(idle(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_url_has_a_port_here_where_its_host_is_here() {
        for (url, expected) in [
            ("http://127.0.0.1:8080/health", Some(8080)),
            ("http://localhost/health", Some(80)),
            ("https://[::1]/", Some(443)),
            ("http://app:8080/", None),
            ("http://10.0.0.1:8080/", None),
        ] {
            assert_eq!(local_port(&url.parse().unwrap()), expected, "{url}");
        }
    }
}
