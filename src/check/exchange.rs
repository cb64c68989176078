//! HTTP/1.1 over a stream that is open already: for every kind that speaks it. The deadline is the caller's.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST, HeaderMap, USER_AGENT};
use hyper::http::request::Builder;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::task::JoinSet;

use super::secret::Secret;
use super::stream::Stream;
use super::{Class, ProbeError, Progress, Stage, tls};

/// As much of a body is read as this; the rest is left.
pub(super) const BODY_LIMIT: usize = 64 * 1024;

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// The body, or its first 64 KiB.
    pub(super) body: Vec<u8>,
    /// Whether that was all of it.
    pub(super) whole: bool,
}

/// A question, to which the caller may add headers. `authority` is the host, with its port unless that
/// is the scheme's own; `path` is as in the URL, with the query.
pub(super) fn question(method: Method, authority: &str, path: &str) -> Builder {
    Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, authority)
        .header(USER_AGENT, concat!("stead/", env!("CARGO_PKG_VERSION")))
}

/// The host as the `Host` header wants it: an IPv6 address in brackets, the port unless it is the scheme's own.
pub(super) fn authority(host: &str, port: Option<u16>) -> String {
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    port.map_or(host.clone(), |port| format!("{host}:{port}"))
}

/// What stands behind `Basic ` in an `Authorization` header (RFC 7617). It is as secret as the password itself.
pub(super) fn basic(user: &str, password: &str) -> Secret {
    Secret::new(STANDARD.encode(format!("{user}:{password}")))
}

/// A connection for one question after the other. It ends when it is dropped.
#[derive(Debug)]
pub(super) struct Line {
    sender: http1::SendRequest<Full<Bytes>>,
    /// A JoinSet ends what it holds when it is dropped.
    _connection: JoinSet<hyper::Result<()>>,
}

impl Line {
    pub(super) async fn open(stream: Stream, progress: &Progress) -> Result<Self, ProbeError> {
        progress.enter(Stage::Query);
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| failed(&error, progress))?;
        let mut tasks = JoinSet::new();
        tasks.spawn(connection);
        Ok(Self { sender, _connection: tasks })
    }

    /// Whether it takes another question.
    pub(super) async fn is_open(&mut self) -> bool {
        self.sender.ready().await.is_ok()
    }

    /// Asks, and reads the answer. No redirect is followed.
    pub(super) async fn ask(
        &mut self,
        question: Builder,
        body: &'static str,
        progress: &Progress,
    ) -> Result<Answer, ProbeError> {
        let response = self.send(question, body, progress).await?;
        read(response).await.map_err(|error| failed(&error, progress))
    }

    async fn send(
        &mut self,
        question: Builder,
        body: &'static str,
        progress: &Progress,
    ) -> Result<Response<Incoming>, ProbeError> {
        let question = question.body(Full::from(body));
        let question = question.map_err(|error| ProbeError::new(Class::HttpMalformed, error))?;
        self.sender.send_request(question).await.map_err(|error| failed(&error, progress))
    }
}

/// One question without a body, on a connection of its own.
pub(super) async fn ask(
    stream: Stream,
    question: Builder,
    progress: &Progress,
) -> Result<Answer, ProbeError> {
    let mut line = Line::open(stream, progress).await?;
    line.ask(question.header(CONNECTION, "close"), "", progress).await
}

/// The same, and takes the answer without its body.
pub(super) async fn ask_head(
    stream: Stream,
    question: Builder,
    progress: &Progress,
) -> Result<Answer, ProbeError> {
    let mut line = Line::open(stream, progress).await?;
    let response = line.send(question.header(CONNECTION, "close"), "", progress).await?;
    let (head, rest) = response.into_parts();
    let whole = rest.is_end_stream();
    Ok(Answer { status: head.status, headers: head.headers, body: Vec::new(), whole })
}

async fn read(response: Response<Incoming>) -> hyper::Result<Answer> {
    let (head, mut rest) = response.into_parts();
    let mut answer =
        Answer { status: head.status, headers: head.headers, body: Vec::new(), whole: true };
    while let Some(frame) = rest.frame().await {
        let frame = frame?;
        let Some(data) = frame.data_ref() else { continue };
        let room = BODY_LIMIT - answer.body.len();
        answer.body.extend(data.iter().take(room));
        if data.len() > room {
            answer.whole = false;
            break;
        }
    }
    Ok(answer)
}

/// What became of an exchange that did not end with an answer.
fn failed(error: &hyper::Error, progress: &Progress) -> ProbeError {
    let cause =
        std::error::Error::source(error).and_then(|source| source.downcast_ref::<std::io::Error>());
    match cause {
        Some(cause) => {
            let class = tls::class_of(cause);
            // With TLS 1.3 a server refuses stead's certificate only by what is read first.
            if class == Class::TlsClientCertificate {
                progress.enter(Stage::Tls);
            }
            ProbeError::new(class, cause)
        }
        None if error.is_parse() => ProbeError::new(Class::HttpMalformed, error),
        // The connection was closed instead of an answer, or in the middle of one.
        None => ProbeError::new(Class::ConnectReset, error),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixStream;

    use super::*;

    /// Asks a server that reads the question and then says this and closes.
    async fn asked(says: Vec<u8>) -> (Result<Answer, ProbeError>, String) {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let server = tokio::spawn(async move {
            let mut heard = Vec::new();
            while !heard.ends_with(b"\r\n\r\n") {
                heard.push(theirs.read_u8().await.unwrap());
            }
            // A client that has read enough hangs up.
            let _ = theirs.write_all(&says).await;
            String::from_utf8(heard).unwrap()
        });
        let question = question(Method::GET, "example.org:8080", "/health?full=1");
        let answer = ask(Stream::Unix(ours), question, &Progress::new(true)).await;
        (answer, server.await.unwrap())
    }

    #[tokio::test]
    async fn the_question_names_the_host_and_ends_the_connection() {
        let (answer, heard) = asked(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi".into()).await;
        let answer = answer.unwrap();
        assert_eq!((answer.status, answer.body.as_slice()), (StatusCode::OK, b"hi".as_slice()));
        assert!(answer.whole);
        assert!(heard.starts_with("GET /health?full=1 HTTP/1.1\r\n"), "{heard}");
        for header in ["host: example.org:8080\r\n", "connection: close\r\n"] {
            assert!(heard.to_lowercase().contains(header), "{heard}");
        }
    }

    #[tokio::test]
    async fn no_more_than_the_limit_is_read() {
        let head = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
        let exact = [head.clone(), vec![b'x'; BODY_LIMIT]].concat();
        let answer = asked(exact).await.0.unwrap();
        assert_eq!((answer.body.len(), answer.whole), (BODY_LIMIT, true));
        let longer = [head, vec![b'x'; 4 * BODY_LIMIT]].concat();
        let answer = asked(longer).await.0.unwrap();
        assert_eq!((answer.body.len(), answer.whole), (BODY_LIMIT, false));
    }

    #[tokio::test]
    async fn what_is_no_answer_is_told_apart() {
        for (says, class) in [
            ("", Class::ConnectReset),
            ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhi", Class::ConnectReset),
            ("+PONG\r\n", Class::HttpMalformed),
        ] {
            let error = asked(says.into()).await.0.unwrap_err();
            assert_eq!(error.class, class, "{says:?}: {error}");
        }
    }
}
