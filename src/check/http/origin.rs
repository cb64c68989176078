//! Who is asked over HTTP: scheme, host and port, also those that a redirect names.

use std::sync::{Arc, Mutex, PoisonError};

use base64::prelude::{BASE64_STANDARD, Engine};
use hyper::Uri;
use hyper::header::HeaderValue;

use crate::check::address::Address;
use crate::check::secret::{self, Secret};
use crate::check::stream::{Stream, connect};
use crate::check::tls::Tls;
use crate::check::{Class, ProbeError, Progress};
use crate::value::Wrong;

/// Scheme, host and port.
#[derive(Debug)]
pub(super) struct Origin {
    is_secure: bool,
    address: Address,
    /// The host, with its port where that is not the scheme's own.
    authority: String,
}

impl Origin {
    pub(super) fn new(is_secure: bool, host: &str, port: Option<u16>) -> Result<Self, Wrong> {
        let default = if is_secure { 443 } else { 80 };
        let bracketed = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let authority = match port {
            Some(port) if port != default => format!("{bracketed}:{port}"),
            _ => bracketed,
        };
        if HeaderValue::from_str(&authority).is_err() {
            return Err("a host that HTTP cannot name".to_owned());
        }
        Ok(Self { is_secure, address: Address::new(host, port.unwrap_or(default)), authority })
    }

    /// What the `Host` header says.
    pub(super) fn authority(&self) -> &str {
        &self.authority
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.is_secure == other.is_secure && self.authority == other.authority
    }

    pub(super) async fn connect(
        &self,
        tls: &Tls,
        progress: &Progress,
    ) -> Result<Stream, ProbeError> {
        let stream = Stream::Tcp(connect(&self.address.resolve(progress).await?, progress).await?);
        if self.is_secure {
            tls.handshake(stream, self.address.host(), progress).await
        } else {
            Ok(stream)
        }
    }
}

/// Where a redirect has led to last: kept, so that a look-up of its name that hangs is the only one.
#[derive(Debug, Default)]
pub(super) struct Elsewhere(Mutex<Option<Arc<Origin>>>);

impl Elsewhere {
    /// The origin and the path that a `Location` means which `from` has given for `path`.
    pub(super) fn resolve(
        &self,
        location: &str,
        from: &Origin,
        path: &str,
    ) -> Result<(Arc<Origin>, String), ProbeError> {
        let wrong = || ProbeError::new(Class::HttpMalformed, "a redirect to what is no HTTP URL");
        let uri: Uri = absolute(location, from, path).parse().map_err(|_| wrong())?;
        let is_secure = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(wrong()),
        };
        let authority = uri.authority().ok_or_else(wrong)?;
        // `http://h:99999/` parses as an authority without a port.
        if authority.port().is_none() && !authority.as_str().ends_with(authority.host()) {
            return Err(wrong());
        }
        let host = authority.host().trim_matches(['[', ']']);
        let origin = Origin::new(is_secure, host, authority.port_u16()).map_err(|_| wrong())?;
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let origin = match kept.take() {
            Some(known) if known.is_same(&origin) => known,
            _ => Arc::new(origin),
        };
        *kept = Some(origin.clone());
        Ok((origin, path.to_owned()))
    }
}

/// A reference as a whole URL, RFC 3986, 5.2, but for `..`, which servers resolve too.
fn absolute(location: &str, from: &Origin, path: &str) -> String {
    let location = location.split('#').next().unwrap_or_default();
    let scheme = if from.is_secure { "https" } else { "http" };
    let path = path.split('?').next().unwrap_or_default();
    if location.contains("://") {
        location.to_owned()
    } else if location.starts_with("//") {
        format!("{scheme}:{location}")
    } else if location.starts_with('/') {
        format!("{scheme}://{}{location}", from.authority)
    } else if location.is_empty() || location.starts_with('?') {
        format!("{scheme}://{}{path}{location}", from.authority)
    } else {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        format!("{scheme}://{}{folder}/{location}", from.authority)
    }
}

/// The value of the header that names a user, RFC 7617.
pub(super) fn basic(user: &str, password: Option<&Secret>) -> Result<HeaderValue, Wrong> {
    let pair = format!("{user}:{}", password.map_or("", Secret::reveal));
    let encoded = BASE64_STANDARD.encode(pair);
    secret::remember(&encoded);
    let mut value: HeaderValue =
        format!("Basic {encoded}").parse().map_err(|_| "a user that HTTP cannot name")?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_is_understood_in_every_form() {
        let from = Origin::new(true, "a.example", Some(8443)).unwrap();
        for (location, authority, path) in [
            ("http://b.example/x?y=z#part", "b.example", "/x?y=z"),
            ("https://[::1]:81", "[::1]:81", "/"),
            ("//c.example:443/x", "c.example", "/x"),
            ("/x", "a.example:8443", "/x"),
            ("x?y", "a.example:8443", "/deep/x?y"),
            ("?y", "a.example:8443", "/deep/er?y"),
            ("", "a.example:8443", "/deep/er"),
        ] {
            let (origin, to) =
                Elsewhere::default().resolve(location, &from, "/deep/er?old").unwrap();
            assert_eq!((origin.authority(), to.as_str()), (authority, path), "{location}");
        }
        for location in ["ftp://b.example/", "http://", "mailto:x@y://", "http://b.example:99999/"]
        {
            let resolved = Elsewhere::default().resolve(location, &from, "/");
            assert_eq!(resolved.unwrap_err().class, Class::HttpMalformed, "{location}");
        }
    }

    #[test]
    fn the_origin_of_a_redirect_is_kept_while_it_is_the_same() {
        let from = Origin::new(false, "a.example", None).unwrap();
        let elsewhere = Elsewhere::default();
        let resolve = |location| elsewhere.resolve(location, &from, "/").unwrap().0;
        let first = resolve("http://b.example/1");
        assert!(Arc::ptr_eq(&first, &resolve("http://b.example/2")));
        assert!(!Arc::ptr_eq(&first, &resolve("http://c.example/2")));
    }
}
