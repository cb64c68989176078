//! Who stead is to the broker, and which virtual host it wants.

use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo};
use percent_encoding::percent_decode_str;

use super::wanted::name;
use crate::check::secret::Secret;
use crate::check::url::Url;
use crate::value::Wrong;

/// Seconds between heartbeats; the broker may want them more often. Twice as long a silence ends the connection.
const HEARTBEAT: u16 = 30;
/// Within these the URL's own `heartbeat` is heard: an app may want none at all, or ten a second.
const HEARTBEATS: (u16, u16) = (5, 60);

/// lapin keeps two buffers of 32 frames, so that they are small; RabbitMQ 4 wants no less than this.
const FRAME_MAX: u32 = 8192;

/// RabbitMQ's own user and password, which is no secret, as its clients have them where a URL names none.
const GUEST: &str = "guest";

/// A user, a password and a virtual host.
#[derive(Debug)]
pub(super) struct Login {
    user: String,
    password: Option<Secret>,
    vhost: String,
    heartbeat: u16,
}

impl Login {
    pub(super) fn parse(url: &Url) -> Result<Self, Wrong> {
        Ok(Self {
            user: url.user.clone().filter(|user| !user.is_empty()).unwrap_or(GUEST.to_owned()),
            password: url.password.clone(),
            vhost: vhost(&url.path)?,
            heartbeat: heartbeat(url.value("heartbeat")),
        })
    }

    /// The user.
    pub(super) fn user(&self) -> &str {
        &self.user
    }

    /// The password, which must not be shown.
    pub(super) fn password(&self) -> &str {
        self.password.as_ref().map_or(GUEST, Secret::reveal)
    }

    /// The virtual host.
    pub(super) fn vhost(&self) -> &str {
        &self.vhost
    }

    /// What lapin wants to know. It connects to nothing by itself, so that scheme and host do not matter.
    pub(super) fn uri(&self) -> AMQPUri {
        let userinfo =
            AMQPUserInfo { username: self.user.clone(), password: self.password().to_owned() };
        AMQPUri {
            scheme: AMQPScheme::AMQP,
            authority: AMQPAuthority { userinfo, host: String::new(), port: 0 },
            vhost: self.vhost.clone(),
            query: AMQPQueryString {
                frame_max: Some(FRAME_MAX),
                heartbeat: Some(self.heartbeat),
                ..AMQPQueryString::default()
            },
        }
    }
}

/// `/` where there is none. `amqp://host/` names the one with the empty name (RabbitMQ's "URI Specification"), yet most
/// clients, and whoever writes it, mean `/`.
fn vhost(path: &str) -> Result<String, Wrong> {
    let encoded = path.strip_prefix('/').unwrap_or(path);
    if encoded.is_empty() {
        return Ok("/".to_owned());
    }
    let decoded = percent_decode_str(encoded).decode_utf8();
    let decoded = decoded.map_err(|_| "a virtual host that is not UTF-8".to_owned())?;
    name(&decoded).map_err(|wrong| format!("the virtual host: {wrong}"))
}

fn heartbeat(asked: Option<&str>) -> u16 {
    let (shortest, longest) = HEARTBEATS;
    match asked.and_then(|text| text.parse::<u16>().ok()) {
        None | Some(0) => HEARTBEAT,
        Some(seconds) => seconds.clamp(shortest, longest),
    }
}
