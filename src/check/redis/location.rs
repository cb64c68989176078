//! Where a URL leads to and who stead is there, in all the forms that clients of Redis take.

use std::net::SocketAddr;

use percent_encoding::percent_decode_str;
use redis::ServerError;

use super::connection::{Connection, Login};
use super::stage_of;
use crate::check::address::Address;
use crate::check::options::Options;
use crate::check::secret::Secret;
use crate::check::stream::Place;
use crate::check::tls::Tls;
use crate::check::url::Url;
use crate::check::{ProbeError, Progress, Stage};
use crate::value::Wrong;

/// Of Redis and of all that took its protocol over, with TLS and without.
const PORT: u16 = 6379;

/// What a URL says of the way to a server.
#[derive(Debug)]
pub(super) struct Location {
    pub(super) place: Place,
    pub(super) tls: Option<Tls>,
    pub(super) login: Login,
}

impl Location {
    /// `redis://[[user]:password@]host[:port][/database]`, the same over TLS with `rediss:`, or `redis+unix:///path`.
    pub(super) fn parse(url: &Url, options: &mut Options) -> Result<Self, Wrong> {
        let (kind, driver) = url.scheme.split_once('+').unwrap_or((&url.scheme, ""));
        let (is_socket, is_tls) = match (kind, driver) {
            (_, "sentinel") | ("redis-sentinel", _) => {
                return Err("stead asks no Sentinel: name the server itself".to_owned());
            }
            ("unix" | "redis-socket", "") | (_, "unix" | "socket") => (true, false),
            ("rediss" | "valkeys", "") | (_, "tls" | "ssl") => (false, true),
            (_, "") => (false, false),
            _ => return Err("a driver that stead does not know".to_owned()),
        };
        let (place, path) = if is_socket { (socket(url)?, "") } else { server(url)? };
        let tls = is_tls.then(|| tls(url, options)).transpose()?;
        Ok(Self { place, tls, login: login(url, path)? })
    }

    /// A new connection, logged in: to its own place, or to another one of the same cluster.
    pub(super) async fn open(
        &self,
        place: &Place,
        progress: &Progress,
    ) -> Result<(Connection, Option<SocketAddr>), ProbeError> {
        let (mut stream, address) = place.connect(progress).await?;
        if let Some(tls) = &self.tls {
            stream = tls.handshake(stream, place.host(), progress).await?;
        }
        progress.enter(Stage::Authenticate);
        let link = Connection::log_in(stream, &self.login).await;
        let link = link.inspect_err(|error| stage_of(error, progress))?;
        Ok((link, address))
    }
}

/// The path of a socket.
fn socket(url: &Url) -> Result<Place, Wrong> {
    if !url.hosts.is_empty() || url.path.len() < 2 {
        return Err("not the path of a socket (write redis+unix:///path)".to_owned());
    }
    Ok(Place::Path(decoded(&url.path)?.into()))
}

/// The host, as all clients take it `localhost` where there is none, and the path behind it.
fn server(url: &Url) -> Result<(Place, &str), Wrong> {
    let place = match url.hosts.as_slice() {
        [] => Address::new("localhost", PORT),
        _ => {
            let host = url.only_host()?;
            Address::new(&host.name, host.port.unwrap_or(PORT))
        }
    };
    Ok((Place::Host(place), url.path.trim_matches('/')))
}

/// Where a node of a cluster says that a key is: `MOVED slot host:port`, without a host where it is the same one
/// (redis.io, "Redis cluster specification").
pub(super) fn moved_to(error: &ServerError, from: &Place) -> Option<Place> {
    let (_, address) = error.details()?.split_once(' ')?;
    let (host, port) = address.trim().rsplit_once(':')?;
    let host = if host.is_empty() { from.host() } else { host };
    Some(Place::Host(Address::new(host, port.parse().ok()?)))
}

/// User, password and database, each also as a query key, which wins as it does in Redis' own clients.
fn login(url: &Url, path: &str) -> Result<Login, Wrong> {
    let user = url.value("username").map(str::to_owned).or_else(|| url.user.clone());
    let password = url.value("password").map(Secret::new).or_else(|| url.password.clone());
    let database = match url.value("db").or_else(|| url.value("virtual_host")).unwrap_or(path) {
        "" => 0,
        number => number.parse().map_err(|_| {
            "the database is no number (for a socket write redis+unix:///path)".to_owned()
        })?,
    };
    Ok(Login { user: user.filter(|user| !user.is_empty()), password, database })
}

/// TLS as the options say, and where they are silent, as the query keys of Python's client do.
fn tls(url: &Url, options: &mut Options) -> Result<Tls, Wrong> {
    let reqs = url.value("ssl_cert_reqs").map(str::to_ascii_lowercase);
    if matches!(reqs.as_deref(), Some("none" | "cert_none")) {
        options.add("verify", "off");
    }
    for (key, option) in [("ssl_ca_certs", "ca"), ("ssl_certfile", "cert"), ("ssl_keyfile", "key")]
    {
        if let Some(path) = url.value(key) {
            options.add(option, path);
        }
    }
    Tls::take(options)
}

fn decoded(text: &str) -> Result<String, Wrong> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(Into::into).map_err(|_| "percent-encoded bytes that are not UTF-8".to_owned())
}

#[cfg(test)]
mod tests {
    use redis::{Value, parse_redis_value};

    use super::*;
    use crate::check::tls::Terms;

    fn parse(text: &str) -> Result<(Location, Options), Wrong> {
        let mut options = Options::default();
        let url = Url::parse(text, &mut options)?;
        let location = Location::parse(&url, &mut options)?;
        Ok((location, options))
    }

    fn summary(text: &str) -> String {
        let (Location { place, tls, login }, _) = parse(text).unwrap();
        let place = match place {
            Place::Host(address) => address.host().to_owned(),
            Place::Path(path) => path.display().to_string(),
        };
        let tls = tls.map(|tls| {
            let Terms { verify, ca, client, .. } = &*tls.terms;
            format!(" {verify:?} {ca:?} {client:?}")
        });
        let password = login.password.as_ref().map_or("-", Secret::reveal);
        let user = login.user.as_deref().unwrap_or("-");
        format!("{user} {password} {place} {}{}", login.database, tls.unwrap_or_default())
    }

    #[test]
    fn urls_are_understood_as_the_clients_of_redis_do() {
        for (text, meant) in [
            ("redis://cache", "- - cache 0"),
            ("redis://:pw@cache:7000/", "- pw cache 0"),
            ("redis://user:p%40w@cache/2", "user p@w cache 2"),
            ("redis://user@cache", "user - cache 0"),
            ("dragonfly://cache?db=3", "- - cache 3"),
            ("valkey://cache/1?db=3&protocol=3&max_connections=9", "- - cache 3"),
            ("redis:///2", "- - localhost 2"),
            ("redis+unix:///run/my%20redis.sock?db=4", "- - /run/my redis.sock 4"),
            ("redis-socket:///r.sock", "- - /r.sock 0"),
            ("redis+socket:///r.sock?virtual_host=5", "- - /r.sock 5"),
            ("unix://user:pw@/r.sock", "user pw /r.sock 0"),
            ("unix:///r.sock?username=u&password=p", "u p /r.sock 0"),
            ("rediss://cache", "- - cache 0 Full None None"),
            ("valkeys://cache?ssl_cert_reqs=none", "- - cache 0 Nothing None None"),
            ("rediss://cache?ssl_cert_reqs=CERT_NONE", "- - cache 0 Nothing None None"),
            ("rediss://cache?ssl_cert_reqs=none&stead_verify=on", "- - cache 0 Full None None"),
            ("rediss://cache?ssl_ca_certs=/a", "- - cache 0 Full Some(\"/a\") None"),
            (
                "rediss://c?ssl_certfile=/c&ssl_keyfile=/k&ssl_ca_certs=/a&stead_ca=/b",
                "- - c 0 Full Some(\"/b\") Some((\"/c\", \"/k\"))",
            ),
        ] {
            assert_eq!(summary(text), meant, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_a_mistake_that_repeats_nothing() {
        for (text, wrong) in [
            ("redis:///run/redis.sock", "the database is no number"),
            ("redis://cache/zero", "the database is no number"),
            ("redis://cache?db=-1", "the database is no number"),
            ("redis://one,two", "more than one host"),
            ("redis+unix://cache", "not the path of a socket"),
            ("redis+unix:///", "not the path of a socket"),
            ("redis-sentinel://cache/mymaster", "no Sentinel"),
            ("redis+sentinel://cache/mymaster", "no Sentinel"),
            ("redis+srv://cache", "a driver"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(wrong), "{text}: {error}");
        }
    }

    #[test]
    fn a_key_that_moved_is_followed_to_its_node() {
        let from = Place::Host(Address::new("first", 1));
        for (answer, host) in [
            ("-MOVED 3999 127.0.0.1:6381\r\n", Some("127.0.0.1")),
            ("-MOVED 3999 node.internal:6381\r\n", Some("node.internal")),
            ("-MOVED 3999 :6381\r\n", Some("first")),
            ("-MOVED 3999 ::1:6381\r\n", Some("::1")),
            ("-MOVED 3999 ?:99999\r\n", None),
            ("-MOVED\r\n", None),
        ] {
            let Ok(Value::ServerError(error)) = parse_redis_value(answer.as_bytes()) else {
                panic!("{answer}");
            };
            let place = moved_to(&error, &from);
            assert_eq!(place.as_ref().map(Place::host), host, "{answer}");
        }
    }

    #[test]
    fn options_of_tls_are_left_over_where_there_is_no_tls() {
        let (_, options) = parse("redis://cache?stead_ca=/a&ssl_ca_certs=/b").unwrap();
        assert_eq!(options.left(), Some("ca"));
    }
}
