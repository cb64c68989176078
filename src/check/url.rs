//! The URL of a target, taken apart. What its parts mean is each kind's.
//!
//! By RFC 3986 a password has its `@ : / ? # %` percent-encoded. Many are not: where the text as it stands names no host,
//! the `@` behind which a host does stand ends the password.

use std::ffi::OsString;
use std::fmt;
use std::net::Ipv6Addr;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;

use super::options::Options;
use super::secret::{self, Secret};
use crate::value::{self, Wrong};

/// A URL in its parts, percent-decoded but for the path. Its `Debug` shows scheme and hosts alone.
#[derive(Clone, Eq, PartialEq)]
pub struct Url {
    /// In lower case, without the `:`; with its driver (`postgresql+asyncpg`), without `jdbc:`.
    pub scheme: String,
    /// Before the `:` of what stands before the `@`; empty in `redis://:password@host`.
    pub user: Option<String>,
    /// Behind it.
    pub password: Option<Secret>,
    /// One or more, separated by commas; none in `unix:///path` and `postgres:///name`.
    pub hosts: Vec<Host>,
    /// With its first `/`, as it was written; empty where there is none.
    pub path: String,
    /// The query without `stead_*`, in its order.
    pub query: Vec<(String, String)>,
    /// The same as it was written, without its `?`.
    pub raw_query: String,
}

/// One host of a URL.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Host {
    /// A name or an address, an IPv6 one without its brackets; a path, where it was percent-encoded.
    pub name: String,
    /// Its port, if one is given.
    pub port: Option<u16>,
}

/// Longer ones are refused.
const LONGEST: usize = 16 * 1024;
/// The length that DNS allows a name, and more than a Unix socket's path may have.
const LONGEST_HOST: usize = 253;
/// Kinds whose paths may well hold an `@`, and whose `#` begins a fragment.
const WEB: [&str; 5] = ["http", "https", "kong", "meilisearch", "grpc"];

impl Url {
    /// Takes a URL apart, its `stead_*` options into `options`.
    pub fn parse(text: &str, options: &mut Options) -> Result<Self, Wrong> {
        let text = text.trim();
        if text.is_empty() {
            return Err("empty".to_owned());
        }
        if text.len() > LONGEST {
            return Err(format!("a URL of more than {LONGEST} bytes"));
        }
        if text.contains(char::is_control) {
            return Err("a control character in the URL".to_owned());
        }
        if text.starts_with(['"', '\'']) {
            return Err("in quotation marks, which belong to no URL".to_owned());
        }
        let text = text.strip_prefix("jdbc:").unwrap_or(text);
        let (scheme, rest) = split_scheme(text).ok_or("not a URL (write scheme://host:port)")?;
        let parts = Parts::of(rest, WEB.contains(&kind_of(&scheme)))?;
        let mut url = Self {
            scheme,
            user: parts.user.map(decoded).transpose()?,
            password: parts.password.map(secret_of).transpose()?,
            hosts: parts.hosts,
            path: parts.path.to_owned(),
            query: Vec::new(),
            raw_query: String::new(),
        };
        url.take_query(parts.query, options)?;
        Ok(url)
    }

    fn take_query(&mut self, query: &str, options: &mut Options) -> Result<(), Wrong> {
        let (mut kept, mut options_here) = (Vec::new(), Vec::new());
        for part in query.split('&').filter(|part| !part.is_empty()) {
            let (key, raw) = part.split_once('=').unwrap_or((part, ""));
            let (key, text) = (decoded(key)?, decoded(raw)?);
            if secret::is_named_by(&key) {
                secret_of(raw)?;
            }
            match key.strip_prefix("stead_") {
                Some(name) if options_here.contains(&name.to_owned()) => {
                    return Err(format!("stead_{name}: given twice"));
                }
                Some(name) => {
                    options_here.push(name.to_owned());
                    options.add(name, text);
                }
                None => {
                    self.query.push((key, text));
                    kept.push(part);
                }
            }
        }
        self.raw_query = kept.join("&");
        Ok(())
    }

    /// The scheme without its driver: `postgresql` of `postgresql+asyncpg`.
    pub fn kind(&self) -> &str {
        kind_of(&self.scheme)
    }

    /// The value of a query key; of the last one, if there are more.
    pub fn value(&self, key: &str) -> Option<&str> {
        self.query.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// The path in the file system that a URL without a host names.
    pub fn only_path(&self) -> Result<PathBuf, Wrong> {
        if !self.hosts.is_empty() || !self.path.starts_with('/') {
            return Err(format!("no path of this machine (write {}:///path)", self.scheme));
        }
        let bytes: Vec<u8> = percent_decode_str(&self.path).collect();
        if bytes.contains(&0) {
            return Err("a path with a NUL in it".to_owned());
        }
        Ok(OsString::from_vec(bytes).into())
    }

    /// The one host, which most kinds need.
    pub fn only_host(&self) -> Result<&Host, Wrong> {
        match self.hosts.as_slice() {
            [host] => Ok(host),
            [] => Err("no host".to_owned()),
            _ => Err("more than one host".to_owned()),
        }
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.scheme)?;
        for (index, host) in self.hosts.iter().enumerate() {
            write!(f, "{}{host}", if index == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name.contains(':') {
            true => write!(f, "[{}]", self.name)?,
            false => f.write_str(&self.name)?,
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// The scheme in lower case, and what follows its `:` or `://`.
fn split_scheme(text: &str) -> Option<(String, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let known = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic());
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    (is_scheme && scheme.chars().all(known)).then(|| (scheme.to_ascii_lowercase(), rest))
}

fn kind_of(scheme: &str) -> &str {
    scheme.split('+').next().unwrap_or_default()
}

/// One reading of what follows the scheme.
struct Parts<'a> {
    user: Option<&'a str>,
    password: Option<&'a str>,
    hosts: Vec<Host>,
    path: &'a str,
    query: &'a str,
}

impl<'a> Parts<'a> {
    /// The first reading that has sane hosts and leaves no `@` where none belongs; else the first with sane hosts.
    fn of(rest: &'a str, web: bool) -> Result<Self, Wrong> {
        let mut second_best = None;
        for at in std::iter::once(None).chain(rest.match_indices('@').map(|(at, _)| Some(at))) {
            match Self::read(rest, at, web) {
                Some(parts) if web || !parts.leaves_an_at() => return Ok(parts),
                Some(parts) => second_best = second_best.or(Some(parts)),
                None => {}
            }
        }
        second_best.ok_or_else(|| match rest.contains('@') {
            true => "no host can be made out (in a password, write @ as %40, / as %2F, ? as %3F, # as %23, % as %25)".to_owned(),
            false => "not a host and a port from 1 to 65535".to_owned(),
        })
    }

    /// The reading by which the host begins behind this `@`, or at the beginning.
    fn read(rest: &'a str, at: Option<usize>, web: bool) -> Option<Self> {
        let (userinfo, rest) = match at {
            None => (None, rest),
            Some(at) => (Some(rest.get(..at)?), rest.get(at + 1..)?),
        };
        let (user, password) = match userinfo.map(|info| info.split_once(':')) {
            None => (None, None),
            Some(None) => (userinfo, None),
            Some(Some((user, password))) => (Some(user), Some(password)),
        };
        if user.is_some_and(|user| user.contains(['/', '?'])) {
            return None;
        }
        let end = rest.find(|c| "/?@".contains(c) || (web && c == '#')).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        if rest.starts_with('@') {
            return None;
        }
        let rest = if web { rest.split('#').next().unwrap_or_default() } else { rest };
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let hosts = hosts(authority)?;
        // A user of nowhere: only Postgres and Redis have sockets in the place of hosts.
        if web && at.is_some() && hosts.is_empty() {
            return None;
        }
        let password = password.filter(|password| !password.is_empty());
        Some(Self { user, password, hosts, path, query })
    }

    /// Whether an `@` stands in the path or in the name of a query key, so that a password may have been cut.
    fn leaves_an_at(&self) -> bool {
        let key = self.query.split('=').next().unwrap_or_default();
        let has_authority = !self.hosts.is_empty() || self.user.is_some();
        has_authority && (self.path.contains('@') || key.contains('@'))
    }
}

fn hosts(text: &str) -> Option<Vec<Host>> {
    if text.is_empty() { Some(Vec::new()) } else { text.split(',').map(Host::parse).collect() }
}

impl Host {
    /// `name`, `name:port`, `[::1]:port`.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, port) = rest.split_once(']')?;
                let name = decoded(address).ok().filter(|name| is_ipv6(name))?;
                (name, if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
            }
            None => {
                let (name, port) = text.split_once(':').map_or((text, None), |(n, p)| (n, Some(p)));
                (decoded(name).ok().filter(|name| is_name(name))?, port)
            }
        };
        let port = match port.filter(|port| !port.is_empty()) {
            None => None,
            Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(value::port(port).ok()?)
            }
            Some(_) => return None,
        };
        Some(Self { name, port })
    }
}

/// An address, with its zone if it has one (`fe80::1%eth0`, RFC 6874).
fn is_ipv6(name: &str) -> bool {
    let (address, zone) = name.split_once('%').unwrap_or((name, "0"));
    let is_zone = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    address.parse::<Ipv6Addr>().is_ok() && !zone.is_empty() && zone.chars().all(is_zone)
}

/// A name, an IPv4 address, or the path of a Unix socket as libpq has it.
fn is_name(name: &str) -> bool {
    let of_name = |c: char| c.is_alphanumeric() || "-_.".contains(c);
    let of_path = |c: char| !c.is_control();
    let path = name.starts_with('/');
    let fits = !name.is_empty() && name.len() <= LONGEST_HOST;
    fits && name.chars().all(|c| if path { of_path(c) } else { of_name(c) })
}

/// A secret that a URL has in this form.
fn secret_of(encoded: &str) -> Result<Secret, Wrong> {
    secret::remember(encoded);
    decoded(encoded).map(Secret::new)
}

fn decoded(text: &str) -> Result<String, Wrong> {
    let decoded = percent_decode_str(text).decode_utf8();
    let decoded = decoded.map_err(|_| "percent-encoded bytes that are not UTF-8".to_owned())?;
    if decoded.contains('\0') {
        return Err("a percent-encoded zero byte".to_owned());
    }
    Ok(decoded.into_owned())
}
