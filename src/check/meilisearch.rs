//! Meilisearch: its health, its key, one of its indexes.

use std::sync::atomic::{AtomicBool, Ordering};

use hyper::Method;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use serde_json::Value;

use super::address::Address;
use super::exchange::{self, Answer, Line};
use super::options::Options;
use super::secret::Secret;
use super::stream::{Stream, connect};
use super::tls::Tls;
use super::url::Url;
use super::{Class, Detail, Fact, Pass, ProbeError, Progress, Stage, UNKNOWN};
use crate::value::Wrong;

/// A Meilisearch.
///
/// Up proves: the host resolves, the port accepts (for `meilisearch+https` with a certificate as asked), and `GET /health`
/// is answered with a status of 200 to 299 and no other word than `available`. With a key: that the server knows it. With
/// `stead_index`: that this index is there. An attempt is one connection; what it asks with POST only reads.
#[derive(Debug)]
pub struct MeilisearchTarget {
    address: Address,
    authority: String,
    /// Of the path, where a proxy has it somewhere else.
    prefix: String,
    tls: Option<Tls>,
    key: Option<Secret>,
    index: Option<String>,
    /// Whether the key has shown that it may search, and not ask for the version.
    key_searches: AtomicBool,
    /// Whether the key has shown that it may search the index, and not ask for its stats.
    index_is_searched: AtomicBool,
}

/// One attempt, on its connection.
struct Talk<'a> {
    target: &'a MeilisearchTarget,
    progress: &'a Progress,
    line: Line,
}

/// A search for nothing: it needs the right `search`, and is answered without a look into any index.
const NO_SEARCH: &str = r#"{"queries":[]}"#;
/// A search that returns no document.
const EMPTY_SEARCH: &str = r#"{"limit":0}"#;

impl MeilisearchTarget {
    /// `meilisearch://:key@host:7700`, `meilisearch+https` for TLS; the key also as `stead_api_key`.
    pub fn parse(url: &Url, options: &mut Options) -> Result<Self, Wrong> {
        let (tls, port) = match url.scheme.as_str() {
            "meilisearch" => (None, 7700),
            "meilisearch+http" => (None, 80),
            "meilisearch+https" => (Some(Tls::take(options)?), 443),
            _ => return Err(UNKNOWN.to_owned()),
        };
        if url.user.as_ref().is_some_and(|user| !user.is_empty()) {
            return Err(
                "a user; the key stands behind a colon (meilisearch://:key@host)".to_owned()
            );
        }
        let host = url.only_host()?;
        let port = host.port.unwrap_or(port);
        let key = options.take("api_key").filter(|key| !key.is_empty()).map(Secret::new);
        Ok(Self {
            address: Address::new(&host.name, port),
            authority: exchange::authority(&host.name, Some(port)),
            prefix: url.path.trim_end_matches('/').to_owned(),
            tls,
            key: key.or_else(|| url.password.clone()),
            index: options.take_as("index", uid)?,
            key_searches: AtomicBool::new(false),
            index_is_searched: AtomicBool::new(false),
        })
    }

    pub(super) async fn probe(&self, progress: &Progress) -> Result<Pass, ProbeError> {
        let line = self.connect(progress).await?;
        let mut talk = Talk { target: self, progress, line };
        talk.health().await?;
        let mut detail = Detail::new();
        if self.key.is_some() {
            detail.extend(talk.key().await?.map(|version| ("version", Fact::Text(version))));
        }
        if let Some(index) = &self.index {
            detail.extend(talk.index(index).await?);
        }
        Ok(Pass { detail, concern: None })
    }

    async fn connect(&self, progress: &Progress) -> Result<Line, ProbeError> {
        let addresses = self.address.resolve(progress).await?;
        let mut stream = Stream::Tcp(connect(&addresses, progress).await?);
        if let Some(tls) = &self.tls {
            stream = tls.handshake(stream, self.address.host(), progress).await?;
        }
        Line::open(stream, progress).await
    }
}

impl Talk<'_> {
    /// `GET /health`: 200 and `available`, or 500 and `mustRestart`, by the API's document ("Get health"). Old versions
    /// answer 204 without a body.
    async fn health(&mut self) -> Result<(), ProbeError> {
        let answer = self.ask(Method::GET, "/health", "").await?;
        let body = json(&answer);
        match body.get("status").and_then(Value::as_str) {
            Some("mustRestart") => {
                Err(self.state(Class::MustRestart, "the server says that it must be restarted"))
            }
            _ if !answer.status.is_success() => Err(self.unexpected(&answer)),
            None | Some("available") => Ok(()),
            Some(_) => Err(self.state(Class::HttpBody, "the status is not `available`")),
        }
    }

    /// Whether the server knows the key: it may ask for the version, or else search. An unknown key and a missing right
    /// have one answer (403 `invalid_api_key`), so that a key which may do neither is taken for a wrong one.
    async fn key(&mut self) -> Result<Option<String>, ProbeError> {
        self.progress.enter(Stage::Authenticate);
        if !self.target.key_searches.load(Ordering::Relaxed) {
            let answer = self.ask(Method::GET, "/version", "").await?;
            if !is_denied(&answer) {
                self.progress.enter(Stage::Query);
                let version =
                    json(&answer).get("pkgVersion").and_then(Value::as_str).map(Into::into);
                return if answer.status.is_success() {
                    Ok(version)
                } else {
                    Err(self.unexpected(&answer))
                };
            }
        }
        let answer = self.ask(Method::POST, "/multi-search", NO_SEARCH).await?;
        let searches = !is_denied(&answer);
        self.target.key_searches.store(searches, Ordering::Relaxed);
        if !searches {
            return Err(ProbeError::new(Class::AuthFailed, message(&answer)));
        }
        self.progress.enter(Stage::Query);
        if answer.status.is_server_error() { Err(self.unexpected(&answer)) } else { Ok(None) }
    }

    /// Whether the index is there: by its stats, or by a search where the key may do no more.
    async fn index(&mut self, index: &str) -> Result<Detail, ProbeError> {
        let mut answer = None;
        if !self.target.index_is_searched.load(Ordering::Relaxed) {
            let stats = self.ask(Method::GET, &format!("/indexes/{index}/stats"), "").await?;
            answer = Some(stats).filter(|stats| !is_denied(stats));
        }
        let answer = match answer {
            Some(answer) => answer,
            None => {
                let path = format!("/indexes/{index}/search");
                let answer = self.ask(Method::POST, &path, EMPTY_SEARCH).await?;
                self.target.index_is_searched.store(!is_denied(&answer), Ordering::Relaxed);
                answer
            }
        };
        match answer.status.as_u16() {
            200..=299 => Ok(stats(&json(&answer))),
            401 => Err(self.state(Class::AuthFailed, message(&answer))),
            403 => Err(self.state(Class::AccessDenied, message(&answer))),
            404 => Err(self.state(Class::NotFound, message(&answer))),
            _ => Err(self.unexpected(&answer)),
        }
    }

    async fn ask(
        &mut self,
        method: Method,
        path: &str,
        body: &'static str,
    ) -> Result<Answer, ProbeError> {
        let target = self.target;
        if !self.line.is_open().await {
            let stage = self.progress.stage();
            self.line = target.connect(self.progress).await?;
            self.progress.enter(stage);
        }
        let path = format!("{}{path}", target.prefix);
        let mut question = exchange::question(method, &target.authority, &path);
        if let Some(key) = &target.key {
            question = question.header(AUTHORIZATION, format!("Bearer {}", key.reveal()));
        }
        if !body.is_empty() {
            question = question.header(CONTENT_TYPE, "application/json");
        }
        self.line.ask(question, body, self.progress).await
    }

    /// The answer came, and says no.
    fn state(&self, class: Class, text: impl std::fmt::Display) -> ProbeError {
        self.progress.enter(Stage::State);
        ProbeError::new(class, text)
    }

    fn unexpected(&self, answer: &Answer) -> ProbeError {
        ProbeError::new(Class::HttpStatus, format!("{}: {}", answer.status, message(answer)))
    }
}

/// An index's name: letters, digits, `-` and `_`, at most 400 (the API's document, "Index uid").
fn uid(text: &str) -> Result<String, Wrong> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if (1..=400).contains(&text.len()) && text.bytes().all(is_allowed) {
        Ok(text.to_owned())
    } else {
        Err("not a name of letters, digits, `-` and `_`".to_owned())
    }
}

/// Missing authorization, or one that is not enough.
fn is_denied(answer: &Answer) -> bool {
    matches!(answer.status.as_u16(), 401 | 403)
}

/// The body; null where it is no JSON, or too long.
fn json(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or_default()
}

/// What the server says about an error: each has a `message` and a `code`.
fn message(answer: &Answer) -> String {
    let body = json(answer);
    let message = body.get("message").and_then(Value::as_str).unwrap_or("no reason is given");
    message.chars().take(300).collect()
}

fn stats(body: &Value) -> Detail {
    let mut detail = Detail::new();
    if let Some(documents) = body.get("numberOfDocuments").and_then(Value::as_u64) {
        detail.push(("documents", Fact::Count(documents)));
    }
    if let Some(indexing) = body.get("isIndexing").and_then(Value::as_bool) {
        detail.push(("indexing", Fact::Flag(indexing)));
    }
    detail
}
