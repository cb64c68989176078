//! A URL of the app.

use bytes::Bytes;
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST, USER_AGENT};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use tokio::task::JoinSet;

use super::address::Address;
use super::options::Options;
use super::stream::connect;
use super::url::Url;
use super::{Class, Pass, ProbeError, Progress, Stage};
use crate::value::Wrong;

/// A URL.
///
/// Up proves: the host resolves, the port accepts, and a GET of the path is answered with a status from 200 to 399.
/// The body is not read, redirects are not followed, no proxy is asked, and each attempt is a connection of its own.
#[derive(Debug)]
pub struct HttpTarget {
    address: Address,
    authority: String,
    path: String,
}

impl HttpTarget {
    /// The target of an `http` URL.
    pub fn new(url: &Uri) -> Self {
        let port = url.port_u16().unwrap_or(80);
        Self {
            address: Address::new(url.host().unwrap_or_default(), port),
            authority: url.authority().map_or_else(String::new, ToString::to_string),
            path: url.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
        }
    }

    /// The target of a URL.
    pub fn parse(url: &Url, _options: &mut Options) -> Result<Self, Wrong> {
        let host = url.only_host()?;
        let path = if url.path.is_empty() { "/" } else { &url.path };
        Ok(Self {
            address: Address::new(&host.name, host.port.unwrap_or(80)),
            authority: host.name.clone(),
            path: path.to_owned(),
        })
    }

    pub(super) async fn probe(&self, progress: &Progress) -> Result<Pass, ProbeError> {
        let stream = connect(&self.address.resolve(progress).await?, progress).await?;
        progress.enter(Stage::Query);
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
        // The connection's own task ends with this attempt, also when that is cancelled: a JoinSet aborts what it holds.
        let mut tasks = JoinSet::new();
        tasks.spawn(connection);
        let request = Request::get(&self.path)
            .header(HOST, &self.authority)
            .header(USER_AGENT, concat!("stead/", env!("CARGO_PKG_VERSION")))
            .header(CONNECTION, "close")
            .body(Empty::<Bytes>::new())
            .map_err(|error| ProbeError::new(Class::HttpMalformed, error))?;
        let status = sender.send_request(request).await.map_err(failed)?.status().as_u16();
        if (200..400).contains(&status) {
            return Ok(Pass::default());
        }
        Err(ProbeError::new(Class::HttpStatus, format!("status {status}")))
    }
}

/// What became of an exchange that did not end with an answer.
fn failed(error: hyper::Error) -> ProbeError {
    let cause = std::error::Error::source(&error)
        .and_then(|source| source.downcast_ref::<std::io::Error>());
    let class = match cause {
        Some(cause) => Class::of(cause),
        None if error.is_parse() => Class::HttpMalformed,
        // The app closed the connection instead of answering.
        None => Class::ConnectReset,
    };
    ProbeError::new(class, error)
}
