//! Probes as a kubelet sends them: to the pod's address, with the manifest's own periods, limits and thresholds.

use std::net::SocketAddr;
use std::sync::{Condvar, Mutex};
use std::thread;
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

/// What the probes of a container tell.
pub enum News {
    /// The startup probe has passed, or there is none.
    Started,
    /// Readiness, at each verdict.
    Ready(bool),
    /// One attempt at liveness has failed.
    LivenessFailed,
    /// The startup or the liveness probe has failed for good: the container is to end, within this
    /// time where the probe has one of its own.
    Unhealthy(Option<Duration>),
}

/// The probes of a container.
pub struct Probes {
    startup: Option<Probe>,
    liveness: Option<Probe>,
    readiness: Option<Probe>,
}

impl Probes {
    /// Those of its manifest, at the pod's address.
    pub fn of(container: &Value, address: &str) -> Self {
        let of = |name| Probe::of(container, name, address);
        Self {
            startup: of("startupProbe"),
            liveness: of("livenessProbe"),
            readiness: of("readinessProbe"),
        }
    }

    /// Sends the startup probe, and once that has passed the two others side by side: liveness until
    /// the container is to end, and readiness until it has ended.
    pub fn run(&self, ending: &Stop, ended: &Stop, tell: &(dyn Fn(News) + Sync)) {
        if let Some(probe) = &self.startup {
            let mut verdict = None;
            probe.run(ending, |_, now| {
                verdict = now;
                verdict.is_some()
            });
            match verdict {
                Some(true) => {}
                Some(false) => return tell(News::Unhealthy(probe.grace)),
                None => return,
            }
        }
        tell(News::Started);
        thread::scope(|scope| {
            if let Some(probe) = &self.liveness {
                scope.spawn(|| probe.watch_liveness(ending, tell));
            }
            match &self.readiness {
                Some(probe) => probe.run(ended, |_, verdict| {
                    verdict.map(News::Ready).into_iter().for_each(tell);
                    false
                }),
                None => tell(News::Ready(true)),
            }
        });
    }
}

/// An HTTP probe: the examples have no other.
struct Probe {
    at: SocketAddr,
    path: String,
    period: Duration,
    timeout: Duration,
    failures: u64,
    delay: Duration,
    grace: Option<Duration>,
}

impl Probe {
    /// The probe of this name, where the container has it.
    fn of(container: &Value, name: &str, address: &str) -> Option<Self> {
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

    fn watch_liveness(&self, stop: &Stop, tell: &(dyn Fn(News) + Sync)) {
        self.run(stop, |passed, verdict| {
            if !passed {
                tell(News::LivenessFailed);
            }
            if verdict == Some(false) {
                tell(News::Unhealthy(self.grace));
            }
            verdict == Some(false)
        });
    }

    /// Sends it at each period; `done` is given each attempt and the verdict that it leads to, until it
    /// says that this is enough, or `stop` is turned.
    fn run(&self, stop: &Stop, mut done: impl FnMut(bool, Option<bool>) -> bool) {
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
