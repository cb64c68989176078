//! The URL of a target, taken apart. What its parts mean is each kind's.

use percent_encoding::percent_decode_str;

use super::options::Options;
use super::secret::{self, Secret};
use crate::value::{self, Wrong};

/// A URL in its parts, percent-decoded but for the path.
#[derive(Clone, Debug, Eq, PartialEq)]
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
}

/// One host of a URL.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Host {
    /// A name or an address, an IPv6 one without its brackets.
    pub name: String,
    /// Its port, if one is given.
    pub port: Option<u16>,
}

impl Url {
    /// Takes a URL apart, its `stead_*` options into `options`.
    pub fn parse(text: &str, options: &mut Options) -> Result<Self, Wrong> {
        let text = text.trim();
        let text = text.strip_prefix("jdbc:").unwrap_or(text);
        let (scheme, rest) = text.split_once(':').ok_or("not a URL (write scheme://host:port)")?;
        let is_scheme = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
        if !scheme.starts_with(|c: char| c.is_ascii_alphabetic()) || !scheme.chars().all(is_scheme)
        {
            return Err("not a URL (write scheme://host:port)".to_owned());
        }
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        let (rest, _fragment) = rest.split_once('#').unwrap_or((rest, ""));
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let end = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (userinfo, hosts) = match authority.rsplit_once('@') {
            Some((userinfo, hosts)) => (Some(userinfo), hosts),
            None => (None, authority),
        };
        let (user, password) = match userinfo.map(|info| info.split_once(':').unwrap_or((info, "")))
        {
            Some((user, password)) => (Some(decoded(user)?), Some(password)),
            None => (None, None),
        };
        let password =
            password.filter(|password| !password.is_empty()).map(secret_of).transpose()?;
        let hosts =
            hosts.split(',').filter(|host| !host.is_empty()).map(host).collect::<Result<_, _>>()?;
        let mut pairs = Vec::new();
        for part in query.split('&').filter(|part| !part.is_empty()) {
            let (key, text) = part.split_once('=').unwrap_or((part, ""));
            let (key, text) = (decoded(key)?, decoded(text)?);
            match key.strip_prefix("stead_") {
                Some(name) => options.add(name, text),
                None => pairs.push((key, text)),
            }
        }
        let scheme = scheme.to_ascii_lowercase();
        Ok(Self { scheme, user, password, hosts, path: path.to_owned(), query: pairs })
    }

    /// The scheme without its driver: `postgresql` of `postgresql+asyncpg`.
    pub fn kind(&self) -> &str {
        self.scheme.split('+').next().unwrap_or_default()
    }

    /// The value of a query key; of the last one, if there are more.
    pub fn value(&self, key: &str) -> Option<&str> {
        self.query.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
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

fn secret_of(encoded: &str) -> Result<Secret, Wrong> {
    secret::remember(encoded);
    decoded(encoded).map(Secret::new)
}

fn host(text: &str) -> Result<Host, Wrong> {
    let wrong = || "not a host and a port from 1 to 65535".to_owned();
    let (name, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']').ok_or_else(wrong)?;
            (address, port.strip_prefix(':'))
        }
        None => match text.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (text, None),
        },
    };
    let port =
        port.filter(|port| !port.is_empty()).map(value::port).transpose().map_err(|_| wrong())?;
    Ok(Host { name: decoded(name)?, port })
}

fn decoded(text: &str) -> Result<String, Wrong> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(Into::into).map_err(|_| "percent-encoded bytes that are not UTF-8".to_owned())
}
