//! A probe as a kubelet sends it: to the pod's address, with the manifest's own period, limit and thresholds.

use std::net::SocketAddr;
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::super::http;
use super::spec::{only, seconds, text};

/// The defaults of Kubernetes.
const PERIOD: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_secs(1);
const FAILURES: u64 = 3;

/// A switch that is turned once, and ends a wait.
#[derive(Default)]
pub struct Stop {
    turned: Mutex<bool>,
    bell: Condvar,
}

impl Stop {
    /// Turns it.
    pub fn turn(&self) {
        *self.turned.lock().unwrap() = true;
        self.bell.notify_all();
    }

    /// Waits; true where it was turned.
    fn wait(&self, time: Duration) -> bool {
        let turned = self.turned.lock().unwrap();
        *self.bell.wait_timeout_while(turned, time, |turned| !*turned).unwrap().0
    }
}

/// An HTTP probe: the examples have no other.
#[derive(Clone)]
pub struct Probe {
    at: SocketAddr,
    path: String,
    period: Duration,
    timeout: Duration,
    failures: u64,
    delay: Duration,
    /// In the place of the pod's grace, where the container ends because of this probe.
    pub grace: Option<Duration>,
}

impl Probe {
    /// The probe of a container, where it has this one.
    pub fn of(container: &Value, name: &str, address: &str) -> Option<Self> {
        let probe = &container[name];
        let get = probe.get("httpGet")?;
        only(
            probe,
            &[
                "httpGet",
                "periodSeconds",
                "timeoutSeconds",
                "failureThreshold",
                "initialDelaySeconds",
                "terminationGracePeriodSeconds",
            ],
        );
        only(get, &["path", "port"]);
        Some(Self {
            at: format!("{address}:{}", port(container, &get["port"])).parse().expect("an address"),
            path: text(&get["path"]),
            period: seconds(&probe["periodSeconds"]).unwrap_or(PERIOD),
            timeout: seconds(&probe["timeoutSeconds"]).unwrap_or(TIMEOUT),
            failures: probe["failureThreshold"].as_u64().unwrap_or(FAILURES),
            delay: seconds(&probe["initialDelaySeconds"]).unwrap_or_default(),
            grace: seconds(&probe["terminationGracePeriodSeconds"]),
        })
    }

    /// Sends it at each period and reports each attempt and the verdict that it leads to, until it is
    /// stopped or told that it is done.
    pub fn run(&self, stop: &Stop, mut done: impl FnMut(bool, Option<bool>) -> bool) {
        let mut failed = 0;
        let mut next = self.delay;
        while !stop.wait(next) {
            let begun = Instant::now();
            let passed = self.passes();
            failed = if passed { 0 } else { failed + 1 };
            let verdict = match failed {
                0 => Some(true),
                _ if failed >= self.failures => Some(false),
                _ => None,
            };
            // What was asked before the stop counts no more.
            if stop.wait(Duration::ZERO) || done(passed, verdict) {
                return;
            }
            next = self.period.saturating_sub(begun.elapsed());
        }
    }

    /// kubelet takes any status from 200 to 399 for a pass.
    fn passes(&self) -> bool {
        let response = http::get(self.at, &self.path, self.timeout);
        response.is_some_and(|response| (200..400).contains(&response.status))
    }
}

/// A number, or the name of one of the container's own ports.
fn port(container: &Value, port: &Value) -> u64 {
    port.as_u64().unwrap_or_else(|| {
        let ports = container["ports"].as_array().expect("ports with names");
        let named = ports.iter().find(|known| known["name"] == *port);
        named.unwrap_or_else(|| panic!("no port {port}"))["containerPort"].as_u64().expect("a port")
    })
}
