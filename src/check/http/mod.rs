//! A URL that answers well, and Kong by its status API.

mod expectation;
mod origin;

use std::fmt;

use hyper::header::{AUTHORIZATION, HeaderName, HeaderValue, LOCATION};
use hyper::{Method, Uri};

use super::exchange::{self, Answer};
use super::options::Options;
use super::secret::Secret;
use super::tls::{Terms, Tls};
use super::url::Url;
use super::{Class, Fact, Pass, ProbeError, Progress, Stage, UNKNOWN};
use crate::value::Wrong;
use expectation::{Expectation, Kong};
use origin::{Elsewhere, Origin, basic};

/// A URL.
///
/// Up proves: the host resolves, the port accepts, TLS is agreed on where it is `https`, and the path is answered with a
/// status of `stead_status` (200 to 399), by a body that holds `stead_body` and the value of `stead_json` where these
/// are given. Only then is the body read, no more than 64 KB of it. Redirects are not followed unless `stead_redirects`
/// says how many, no proxy is asked, and each attempt is a connection of its own.
///
/// For `kong+http` and `kong+https`: what answers is Kong's status API (`GET /status`), and Kong works. That it does not
/// reach its database is a concern and no failure, because it goes on with the configuration that it has.
pub struct HttpTarget {
    origin: Origin,
    path: String,
    method: Method,
    /// They go to this origin alone.
    headers: Vec<(HeaderName, HeaderValue)>,
    redirects: Vec<Elsewhere>,
    tls: Tls,
    expectation: Expectation,
    is_kong: bool,
}

/// More redirects than these are a loop.
const MOST_REDIRECTS: u64 = 10;

impl HttpTarget {
    /// The target of a URL.
    pub fn parse(url: &Url, options: &mut Options) -> Result<Self, Wrong> {
        let is_kong = url.kind() == "kong";
        let is_secure = match url.scheme.as_str() {
            "http" | "kong+http" => false,
            "https" | "kong+https" => true,
            _ => return Err(UNKNOWN.to_owned()),
        };
        let host = url.only_host()?;
        let terms = Terms { protocols: vec![b"http/1.1".to_vec()], ..Terms::take(options)? };
        let mut headers = options.take_as("header", headers)?.unwrap_or_default();
        if let Some(user) = &url.user {
            headers.push((AUTHORIZATION, basic(user, url.password.as_ref())?));
        }
        let redirects = options.take_number("redirects")?.unwrap_or_default();
        if redirects > MOST_REDIRECTS {
            return Err(format!("stead_redirects: more than {MOST_REDIRECTS}"));
        }
        Ok(Self {
            origin: Origin::new(is_secure, &host.name, host.port)?,
            path: path(url, is_kong)?,
            method: options.take_as("method", method)?.unwrap_or(Method::GET),
            headers,
            redirects: (0..redirects).map(|_| Elsewhere::default()).collect(),
            tls: Tls::from(terms),
            expectation: Expectation::take(options)?,
            is_kong,
        })
    }

    pub(super) async fn probe(&self, progress: &Progress) -> Result<Pass, ProbeError> {
        let answer = self.follow(progress).await?;
        progress.enter(Stage::State);
        self.expectation.judge(&answer)?;
        let mut detail = vec![("status", Fact::Count(answer.status.as_u16().into()))];
        let kong = if self.is_kong { Some(Kong::read(&answer)?) } else { None };
        let concern = kong.and_then(|kong| kong.tell(&mut detail));
        Ok(Pass { detail, concern })
    }

    /// Asks, and asks where the answer points to for as often as that is allowed.
    async fn follow(&self, progress: &Progress) -> Result<Answer, ProbeError> {
        let mut answer = self.ask(&self.origin, &self.path, &self.method, progress).await?;
        let (mut origin, mut path) = (None, self.path.clone());
        for elsewhere in &self.redirects {
            let Some(location) = redirect(&answer) else {
                return Ok(answer);
            };
            let from = origin.as_deref().unwrap_or(&self.origin);
            let next = elsewhere.resolve(&location, from, &path)?;
            (origin, path) = (Some(next.0), next.1);
            let origin = origin.as_deref().unwrap_or(&self.origin);
            // RFC 9110, 15.4.4: 303 asks for another resource, by GET.
            let method = if answer.status == 303 { &Method::GET } else { &self.method };
            answer = self.ask(origin, &path, method, progress).await?;
        }
        if !self.redirects.is_empty() && redirect(&answer).is_some() {
            let text = format!("more than {} redirects", self.redirects.len());
            return Err(ProbeError::new(Class::HttpStatus, text));
        }
        Ok(answer)
    }

    async fn ask(
        &self,
        origin: &Origin,
        path: &str,
        method: &Method,
        progress: &Progress,
    ) -> Result<Answer, ProbeError> {
        let stream = origin.connect(&self.tls, progress).await?;
        let mut question = exchange::question(method.clone(), origin.authority(), path);
        if origin.is_same(&self.origin) {
            question = self
                .headers
                .iter()
                .fold(question, |question, (name, value)| question.header(name, value));
        }
        if self.is_kong || self.expectation.is_of_the_body() {
            exchange::ask(stream, question, progress).await
        } else {
            exchange::ask_head(stream, question, progress).await
        }
    }
}

impl fmt::Debug for HttpTarget {
    /// Without the path, the query and the headers, which can hold a token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HttpTarget").field(&self.origin.authority()).finish()
    }
}

/// Where an answer sends its reader, if it does.
fn redirect(answer: &Answer) -> Option<String> {
    let redirects = [301, 302, 303, 307, 308].contains(&answer.status.as_u16());
    let location = answer.headers.get(LOCATION).filter(|_| redirects)?;
    location.to_str().ok().map(str::to_owned)
}

/// The path and the query as they were written.
fn path(url: &Url, is_kong: bool) -> Result<String, Wrong> {
    let mut path = match url.path.as_str() {
        "" | "/" if is_kong => "/status".to_owned(),
        "" => "/".to_owned(),
        path => path.to_owned(),
    };
    if !url.raw_query.is_empty() {
        path = format!("{path}?{}", url.raw_query);
    }
    match path.parse::<Uri>() {
        Ok(_) => Ok(path),
        Err(_) => Err("a path or a query that HTTP cannot ask for".to_owned()),
    }
}

/// A method that changes nothing by itself.
fn method(text: &str) -> Result<Method, Wrong> {
    match text.trim().to_ascii_uppercase().as_str() {
        "GET" => Ok(Method::GET),
        "HEAD" => Ok(Method::HEAD),
        "OPTIONS" => Ok(Method::OPTIONS),
        "POST" => Ok(Method::POST),
        _ => Err("none of GET, HEAD, OPTIONS and POST".to_owned()),
    }
}

/// `Name: value`, more than one on lines of their own (`%0A` in a URL): no other sign is in no value.
fn headers(text: &str) -> Result<Vec<(HeaderName, HeaderValue)>, Wrong> {
    let header = |line: &str| -> Result<_, Wrong> {
        let (name, value) = line.split_once(':').ok_or("not Name: value")?;
        let name: HeaderName = name.trim().parse().map_err(|_| "not the name of a header")?;
        let value = value.trim();
        if is_secret(&name) {
            Secret::new(value);
            // `Bearer TOKEN`: a server that quotes it quotes the token.
            value.split_whitespace().skip(1).for_each(|part| drop(Secret::new(part)));
        }
        let value = value.parse().map_err(|_| "not the value of a header")?;
        Ok((name, value))
    };
    text.lines().filter(|line| !line.trim().is_empty()).map(header).collect()
}

/// Whether it is one of the headers that prove who is asking.
fn is_secret(name: &HeaderName) -> bool {
    ["auth", "cookie", "key", "token", "secret", "password"]
        .iter()
        .any(|part| name.as_str().contains(part))
}
