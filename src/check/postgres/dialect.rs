//! The URLs that apps have for Postgres: libpq's keys, and what Prisma, SQLAlchemy with its drivers, JDBC and node add to
//! them or mean by them. Keys that are not about connecting are ignored, and none is sent.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use tokio_postgres::config::ChannelBinding;

use super::super::address::Address;
use super::super::options::Options;
use super::super::secret::Secret;
use super::super::stream::Place;
use super::super::tls::{Terms, Verify};
use super::super::url::Url;
use super::encryption::{Encryption, Mode};
use super::passfile::Passfile;
use super::role::Wanted;
use super::servers::{Login, Server, Servers};
use crate::value::{self, Wrong};

/// Where Debian, and the official container images, have the socket; for URLs that name no host.
const SOCKETS: &str = "/var/run/postgresql";

/// The servers that a URL names.
pub(super) fn servers(url: &Url, options: &mut Options) -> Result<Servers, Wrong> {
    let wanted = either(url, &["target_session_attrs", "targetServerType"]);
    let wanted = wanted.map(Wanted::of_url).transpose()?.unwrap_or_default();
    let limit = either(url, &["connect_timeout", "connectTimeout", "timeout"]);
    // 0 is no limit to all who have the key; what is no number is not worth a check.
    let limit = limit.and_then(|text| value::duration(text).ok()).filter(|limit| !limit.is_zero());
    let servers = Servers::new(places(url)?, login(url)?, encryption(url, options)?);
    Ok(servers.wanting(wanted, limit))
}

/// The value of the first of these keys that the URL has.
fn either<'a>(url: &'a Url, keys: &[&str]) -> Option<&'a str> {
    keys.iter().find_map(|key| url.value(key))
}

/// Hosts before the path, or in the query, which wins.
fn places(url: &Url) -> Result<Vec<Server>, Wrong> {
    let list = |key: &str| -> Vec<String> {
        let value = url.value(key).filter(|value| !value.is_empty());
        value.map(|value| value.split(',').map(str::to_owned).collect()).unwrap_or_default()
    };
    let (addresses, ports) = (list("hostaddr"), list("port"));
    let mut hosts = list("host");
    let mut own_ports = Vec::new();
    if hosts.is_empty() {
        hosts = url.hosts.iter().map(|host| host.name.clone()).collect();
        own_ports = url.hosts.iter().map(|host| host.port).collect();
    }
    if hosts.is_empty() {
        hosts = if addresses.is_empty() { vec![SOCKETS.to_owned()] } else { addresses.clone() };
    }
    let count = hosts.len();
    if !addresses.is_empty() && addresses.len() != count || ports.len() > 1 && ports.len() != count
    {
        return Err("host, hostaddr and port are lists of different lengths".to_owned());
    }
    let servers = hosts.into_iter().enumerate().map(|(index, host)| {
        let port = ports.get(index).or(ports.first()).filter(|port| !port.is_empty());
        let port = port.map(|port| value::port(port)).transpose()?;
        let port = port.or(own_ports.get(index).copied().flatten()).unwrap_or(5432);
        Ok(server(host, addresses.get(index), port))
    });
    servers.collect()
}

fn server(host: String, address: Option<&String>, port: u16) -> Server {
    let place = if host.starts_with('/') {
        Place::Path(format!("{host}/.s.PGSQL.{port}").into())
    } else {
        Place::Host(Address::new(address.unwrap_or(&host), port))
    };
    Server { place, host: host.trim_matches(['[', ']']).to_owned(), port }
}

fn login(url: &Url) -> Result<Login, Wrong> {
    let user = either(url, &["user", "username"]).map(str::to_owned);
    let user = user.or_else(|| url.user.clone().filter(|user| !user.is_empty()));
    let user = user.or_else(own_user).ok_or("no user")?;
    let path = percent_decode_str(url.path.trim_start_matches('/')).decode_utf8();
    let path = path.map_err(|_| "percent-encoded bytes that are not UTF-8")?;
    let database = either(url, &["dbname", "database"]).unwrap_or(&path);
    let database = if database.is_empty() { user.clone() } else { database.to_owned() };
    let password = url.value("password").filter(|text| !text.is_empty()).map(Secret::new);
    let channel_binding = match either(url, &["channel_binding", "channelBinding"]) {
        None | Some("prefer") => ChannelBinding::Prefer,
        Some("disable") => ChannelBinding::Disable,
        Some("require") => ChannelBinding::Require,
        Some(_) => {
            return Err("channel_binding: none of disable, prefer and require".to_owned());
        }
    };
    Ok(Login {
        user,
        password: password.or_else(|| url.password.clone()),
        passfile: url.value("passfile").map(Passfile::new),
        database,
        channel_binding,
    })
}

/// The name of the user that stead runs as, libpq's default, where the container knows one.
fn own_user() -> Option<String> {
    let id = fs::metadata("/proc/self").ok()?.uid().to_string();
    let users = fs::read_to_string("/etc/passwd").ok()?;
    let fields = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
    fields.filter(|fields| fields.get(2) == Some(&id.as_str())).find_map(|fields| {
        let name = fields.first().filter(|name| !name.is_empty())?;
        Some((*name).to_owned())
    })
}

fn encryption(url: &Url, options: &mut Options) -> Result<Encryption, Wrong> {
    let switch = options.take_switch("verify")?;
    let mut tls = Terms::take(options)?;
    let mut mode = mode(url)?;
    let root = url.value("sslrootcert").filter(|path| !path.is_empty());
    if root == Some("system") {
        // As in libpq: whoever names the system's roots means to use them.
        if mode.is_some_and(|mode| mode < Mode::VerifyFull) {
            return Err("sslrootcert=system goes with sslmode=verify-full alone".to_owned());
        }
        mode = Some(Mode::VerifyFull);
    }
    if switch == Some(true) {
        mode = Some(Mode::VerifyFull);
    }
    let mode = mode.unwrap_or_default();
    let strict = url.value("sslaccept") == Some("strict");
    let (certificate, key) = (url.value("sslcert"), url.value("sslkey"));
    let root = root.filter(|path| *path != "system").map(PathBuf::from);
    // libpq overlooks a file that is not there where nothing needs it.
    tls.ca_may_be_missing = tls.ca.is_none() && root.is_some() && mode < Mode::VerifyCa && !strict;
    // To Prisma, sslcert is the authority's.
    let authority = certificate.filter(|_| strict && key.is_none()).map(PathBuf::from);
    tls.ca = tls.ca.take().or(root).or(authority);
    let client = || Some((PathBuf::from(certificate?), PathBuf::from(key?)));
    tls.client = tls.client.take().or_else(client);
    tls.verify = match mode {
        _ if switch == Some(false) => Verify::Nothing,
        Mode::VerifyFull => Verify::Full,
        _ if strict => Verify::Full,
        Mode::VerifyCa => Verify::Issuer,
        // With an authority at hand, libpq checks that it issued the certificate.
        _ if tls.ca.is_some() => Verify::Issuer,
        _ => Verify::Nothing,
    };
    let direct = url.value("sslnegotiation") == Some("direct");
    if direct {
        if mode < Mode::Require {
            return Err("sslnegotiation=direct needs sslmode=require or better".to_owned());
        }
        tls.protocols = vec![b"postgresql".to_vec()];
    }
    let unverified_as_asked = switch == Some(false) || says_unverified(url);
    Ok(Encryption { mode, direct, tls: tls.into(), unverified_as_asked })
}

/// `sslmode`, or `ssl` of SQLAlchemy's drivers, JDBC and node, to which true is a verified certificate.
fn mode(url: &Url) -> Result<Option<Mode>, Wrong> {
    if let Some(text) = url.value("sslmode").filter(|text| !text.is_empty()) {
        return Mode::parse(text).map(Some);
    }
    match url.value("ssl") {
        None => Ok(None),
        Some(_) if url.value("sslfactory").is_some_and(|name| name.contains("NonValidating")) => {
            Ok(Some(Mode::Require))
        }
        // JDBC's `?ssl` has no value and is on.
        Some("") => Ok(Some(Mode::VerifyFull)),
        Some(text) => match value::switch(text) {
            Ok(true) => Ok(Some(Mode::VerifyFull)),
            Ok(false) => Ok(Some(Mode::Disable)),
            Err(_) => Mode::parse(text).map(Some),
        },
    }
}

/// Whether the URL has words that turn verification off, in any of the dialects.
fn says_unverified(url: &Url) -> bool {
    let has = |key: &str, text: &str| url.value(key).is_some_and(|value| value.contains(text));
    has("sslmode", "no-verify")
        || has("ssl", "no-verify")
        || has("sslaccept", "accept_invalid_certs")
        || has("sslfactory", "NonValidating")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> (Url, Options) {
        let mut options = Options::default();
        (Url::parse(text, &mut options).unwrap(), options)
    }

    /// `place,place user/database`.
    fn read(text: &str) -> Result<String, Wrong> {
        let (url, _) = url(text);
        let places = places(&url)?.into_iter().map(|server| match server.place {
            Place::Path(path) => path.display().to_string(),
            Place::Host(_) => format!("{}:{}", server.host, server.port),
        });
        let places: Vec<_> = places.collect();
        let login = login(&url)?;
        Ok(format!("{} {}/{}", places.join(","), login.user, login.database))
    }

    #[test]
    fn each_dialect_names_its_servers_user_and_database() {
        for (text, meant) in [
            ("postgres://u:p@db/shop", "db:5432 u/shop"),
            ("postgresql+asyncpg://u:p@db:6543/shop?ssl=require", "db:6543 u/shop"),
            ("jdbc:postgresql://db:1,db2/shop?user=u&password=p", "db:1,db2:5432 u/shop"),
            ("postgres://u@db", "db:5432 u/u"),
            ("postgres://u@db/a%2Fb", "db:5432 u/a/b"),
            ("postgres:///?user=u&dbname=d", "/var/run/postgresql/.s.PGSQL.5432 u/d"),
            ("postgresql:///d?host=/run/pg&port=1&user=u", "/run/pg/.s.PGSQL.1 u/d"),
            ("postgres://u@localhost/d?host=/cloudsql/a", "/cloudsql/a/.s.PGSQL.5432 u/d"),
            ("postgres://u@/d?host=a,b&port=1,2", "a:1,b:2 u/d"),
            ("postgres://u@/d?host=a,b&port=7", "a:7,b:7 u/d"),
            ("postgres://u@[::1]:7/d", "::1:7 u/d"),
            ("postgres://u@/d?hostaddr=192.0.2.1", "192.0.2.1:5432 u/d"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(meant), "{text}");
        }
        assert!(read("postgres://u@/d?host=a,b,c&port=1,2").is_err());
        assert!(read("postgres://u@/d?host=a&port=0").is_err());
    }

    #[test]
    fn each_dialect_says_what_of_tls_is_verified() {
        use Mode::{Allow, Disable, Prefer, Require, VerifyCa, VerifyFull};
        for (query, mode, verify) in [
            ("", Prefer, Verify::Nothing),
            ("sslmode=disable", Disable, Verify::Nothing),
            ("sslmode=allow", Allow, Verify::Nothing),
            ("sslmode=require", Require, Verify::Nothing),
            ("sslmode=require&sslrootcert=/", Require, Verify::Issuer),
            ("sslmode=require&sslrootcert=/not/there", Require, Verify::Issuer),
            ("sslmode=verify-ca&sslrootcert=/not/there", VerifyCa, Verify::Issuer),
            ("sslmode=verify-full", VerifyFull, Verify::Full),
            ("sslrootcert=system", VerifyFull, Verify::Full),
            ("sslmode=require&sslaccept=strict", Require, Verify::Full),
            ("sslmode=prefer&sslaccept=strict", Prefer, Verify::Full),
            ("ssl", VerifyFull, Verify::Full),
            ("ssl=true", VerifyFull, Verify::Full),
            ("ssl=true&sslmode=require", Require, Verify::Nothing),
            ("ssl=false", Disable, Verify::Nothing),
            ("ssl=require", Require, Verify::Nothing),
            (
                "ssl=true&sslfactory=org.postgresql.ssl.NonValidatingFactory",
                Require,
                Verify::Nothing,
            ),
            ("sslmode=require&stead_verify=on", VerifyFull, Verify::Full),
            ("sslmode=verify-full&stead_verify=off", VerifyFull, Verify::Nothing),
            ("sslmode=require&stead_ca=/ca", Require, Verify::Issuer),
        ] {
            let (url, mut options) = url(&format!("postgres://u@db/d?{query}"));
            let encryption = encryption(&url, &mut options).unwrap();
            assert_eq!((encryption.mode, encryption.tls.terms.verify), (mode, verify), "{query}");
            assert_eq!(options.left(), None, "{query}");
        }
        for careless in ["sslmode=require", "ssl=require"] {
            let (url, mut options) = url(&format!("postgres://u@db/d?{careless}"));
            assert!(encryption(&url, &mut options).unwrap().is_careless(), "{careless}");
        }
        for asked in ["ssl=no-verify", "sslmode=require&sslaccept=accept_invalid_certs"] {
            let (url, mut options) = url(&format!("postgres://u@db/d?{asked}"));
            assert!(!encryption(&url, &mut options).unwrap().is_careless(), "{asked}");
        }
        for wrong in ["sslmode=require&sslrootcert=system", "sslnegotiation=direct", "ssl=perhaps"]
        {
            let (url, mut options) = url(&format!("postgres://u@db/d?{wrong}"));
            assert!(encryption(&url, &mut options).is_err(), "{wrong}");
        }
    }
}
