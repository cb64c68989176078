//! The broker's alarms, which it tells only to connections that publish: asked of its management API.

use std::time::Duration;

use hyper::Method;
use hyper::header::AUTHORIZATION;
use serde_json::Value;
use tokio::time::timeout;

use crate::check::address::Address;
use crate::check::exchange::{self, Answer};
use crate::check::options::Options;
use crate::check::secret::Secret;
use crate::check::stream::{Stream, connect};
use crate::check::tls::Tls;
use crate::check::url::Url;
use crate::check::{Class, ProbeError, Progress};
use crate::value::Wrong;

/// Its answer may take this long: the AMQP connection has proved already that the broker works.
const PATIENCE: Duration = Duration::from_secs(1);

/// The management API of a broker.
#[derive(Debug)]
pub(super) struct Management {
    address: Address,
    authority: String,
    path: String,
    authorization: Secret,
    secure: bool,
}

impl Management {
    /// `http://user:password@host:15672`; without a user, `user` of the AMQP URL.
    pub(super) fn parse(text: &str, user: (&str, &str)) -> Result<Self, Wrong> {
        let mut options = Options::default();
        let url = Url::parse(text, &mut options)?;
        if let Some(left) = options.left() {
            return Err(format!("stead_{left} belongs to the check itself"));
        }
        let secure = match url.scheme.as_str() {
            "http" => false,
            "https" => true,
            _ => return Err("not an http or https URL".to_owned()),
        };
        let host = url.only_host()?;
        let port = host.port.unwrap_or(if secure { 15671 } else { 15672 });
        let authorization = match (&url.user, &url.password) {
            (None, _) => exchange::basic(user.0, user.1),
            (Some(user), password) => {
                exchange::basic(user, password.as_ref().map_or("", |password| password.reveal()))
            }
        };
        Ok(Self {
            address: Address::new(&host.name, port),
            authority: exchange::authority(&host.name, Some(port)),
            path: format!("{}/api/health/checks/alarms", url.path.trim_end_matches('/')),
            authorization,
            secure,
        })
    }

    /// Whether it is asked over TLS.
    pub(super) fn is_secure(&self) -> bool {
        self.secure
    }

    /// What there is to be concerned about: an alarm, or that nobody can say.
    pub(super) async fn concern(&self, tls: &Tls, progress: &Progress) -> Option<ProbeError> {
        let silence = |_| Err(ProbeError::new(Class::Timeout, "no answer"));
        let answer = timeout(PATIENCE, self.ask(tls, &progress.aside())).await;
        match answer.unwrap_or_else(silence) {
            Ok(answer) => judged(&answer),
            Err(error) if error.class == Class::Draining => None,
            Err(error) => {
                let text = format!("cannot ask the management API: {error}");
                Some(ProbeError::new(error.class, text))
            }
        }
    }

    async fn ask(&self, tls: &Tls, progress: &Progress) -> Result<Answer, ProbeError> {
        let addresses = self.address.resolve(progress).await?;
        let mut stream = Stream::Tcp(connect(&addresses, progress).await?);
        if self.secure {
            stream = tls.handshake(stream, self.address.host(), progress).await?;
        }
        let question = exchange::question(Method::GET, &self.authority, &self.path)
            .header(AUTHORIZATION, format!("Basic {}", self.authorization.reveal()));
        exchange::ask(stream, question, progress).await
    }
}

/// 200 without an alarm, 503 with one: RabbitMQ's management API, `/api/health/checks/alarms`.
fn judged(answer: &Answer) -> Option<ProbeError> {
    let class = match answer.status.as_u16() {
        200 => return None,
        503 => return Some(ProbeError::new(Class::Blocked, alarms(&answer.body))),
        401 => Class::AuthFailed,
        403 => Class::AccessDenied,
        _ => Class::HttpStatus,
    };
    Some(ProbeError::new(class, format!("the management API answers {}", answer.status)))
}

/// `alarms: memory, disk`.
fn alarms(body: &[u8]) -> String {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let alarms = body.get("alarms").and_then(Value::as_array);
    let mut names: Vec<&str> = alarms
        .into_iter()
        .flatten()
        .filter_map(|alarm| alarm.get("resource").and_then(Value::as_str))
        .collect();
    names.sort_unstable();
    names.dedup();
    format!("alarms: {}", names.join(", "))
}
