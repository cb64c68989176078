//! Meilisearch: the real one where `MEILISEARCH_BIN` names it, else a fake that answers as the published API document
//! says (OpenAPI, 1.41 and later; the section of each answer stands with it).

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};

use crate::harness::{LIMIT, Scratch, free_port, http, until};

/// The key that may do anything. Its characters are those that a URL does not need encoded.
pub const MASTER: &str = "the-master-key-of-the-tests";

/// A server with one index, `movies`, which is empty.
pub enum Meilisearch {
    /// The program that `MEILISEARCH_BIN` names.
    Real(Real),
    /// Its stand-in.
    Fake(Fake),
}

/// A process of a test's own.
pub struct Real {
    port: u16,
    process: Child,
    _scratch: Scratch,
}

impl Drop for Real {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Meilisearch {
    /// Starts one.
    pub fn start() -> Self {
        match std::env::var_os("MEILISEARCH_BIN") {
            None => Self::Fake(Fake::start()),
            Some(program) => Self::by(program),
        }
    }

    /// Starts this program, with the options that Meilisearch has.
    pub fn by(program: impl AsRef<OsStr>) -> Self {
        let (port, scratch) = (free_port(), Scratch::new());
        let mut command = Command::new(program);
        command.args(["--http-addr", &format!("127.0.0.1:{port}"), "--no-analytics"]);
        command.args(["--env", "production", "--master-key", MASTER]);
        command.current_dir(scratch.path()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().expect("the program that MEILISEARCH_BIN names");
        let this = Self::Real(Real { port, process, _scratch: scratch });
        let ready = || this.ask("GET", "/health", "").is_some();
        assert!(until(LIMIT, ready), "no Meilisearch");
        this.ask("POST", "/indexes", r#"{"uid":"movies"}"#).expect("a task for an index");
        let made = until(LIMIT, || this.ask("GET", "/indexes/movies", "").is_some());
        assert!(made, "no index");
        this
    }

    /// Its port of 127.0.0.1.
    pub fn port(&self) -> u16 {
        match self {
            Self::Real(real) => real.port,
            Self::Fake(fake) => fake.port,
        }
    }

    /// A key that may search and nothing else.
    pub fn search_key(&self) -> String {
        match self {
            Self::Fake(_) => SEARCH.to_owned(),
            Self::Real(_) => {
                let keys = self.ask("GET", "/keys", "").expect("the keys");
                let keys = keys["results"].as_array().expect("a list of keys").clone();
                let only_search = |key: &Value| key["actions"] == json!(["search"]);
                let key = keys.into_iter().find(only_search).expect("the default search key");
                key["key"].as_str().expect("a key").to_owned()
            }
        }
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> Option<Value> {
        let text = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {MASTER}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = http::exchange(self.port(), text.as_bytes())?;
        (answer.status < 300).then(|| answer.json())
    }
}

const SEARCH: &str = "a-search-key";

/// A stand-in.
pub struct Fake {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    health: Mutex<Option<(u16, String)>>,
    requests: Mutex<Vec<String>>,
    connections: Mutex<usize>,
}

impl Fake {
    /// One whose threads end with the test program.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let shared = Arc::new(Shared::default());
        let serving = shared.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                *serving.connections.lock().unwrap() += 1;
                let serving = serving.clone();
                thread::spawn(move || serving.serve(&stream));
            }
        });
        Self { port, shared }
    }

    /// Its port of 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it answers to `GET /health` from now on.
    pub fn set_health(&self, status: u16, body: &str) {
        *self.shared.health.lock().unwrap() = Some((status, body.to_owned()));
    }

    /// The requests so far, as `METHOD /path`, and how many connections they came on.
    pub fn seen(&self) -> (Vec<String>, usize) {
        (self.shared.requests.lock().unwrap().clone(), *self.shared.connections.lock().unwrap())
    }
}

impl Shared {
    fn serve(&self, mut stream: &TcpStream) {
        let mut reader = BufReader::new(stream);
        while let Some((request, key, body)) = read_request(&mut reader) {
            self.requests.lock().unwrap().push(request.clone());
            let (status, body) = self.answer(&request, key.as_deref(), &body);
            let text =
                format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            if stream.write_all(text.as_bytes()).is_err() {
                return;
            }
        }
    }

    fn answer(&self, request: &str, key: Option<&str>, body: &str) -> (u16, String) {
        // "Get health": no key is asked for.
        if request == "GET /health" {
            let health = self.health.lock().unwrap().clone();
            return health.unwrap_or((200, json!({"status": "available"}).to_string()));
        }
        let needs_master = !request.contains("search");
        let (status, body) = match key {
            // "Error codes": missing_authorization_header.
            None => (
                401,
                error(
                    "missing_authorization_header",
                    "auth",
                    "The Authorization header is missing. It must use the bearer authorization method.",
                ),
            ),
            // "Error codes": invalid_api_key, also where the key lacks the right.
            Some(key) if key != MASTER && (needs_master || key != SEARCH) => {
                (403, error("invalid_api_key", "auth", "The provided API key is invalid."))
            }
            Some(_) => match (request, body) {
                // "Get version".
                ("GET /version", "") => (
                    200,
                    json!({"commitSha": "b46889b5f0f2f8b91438a08a358ba8f05fc09fc1", "commitDate": "2019-11-15T09:51:54.278247+00:00", "pkgVersion": "1.41.0"}),
                ),
                // "Perform a multi-search"; without queries as in the server's own test of it.
                ("POST /multi-search", r#"{"queries":[]}"#) => (200, json!({"results": []})),
                // "Get stats of index".
                ("GET /indexes/movies/stats", "") => (
                    200,
                    json!({"numberOfDocuments": 0, "rawDocumentDbSize": 0, "avgDocumentSize": 0, "isIndexing": false, "fieldDistribution": {}}),
                ),
                // "Search with POST".
                ("POST /indexes/movies/search", r#"{"limit":0}"#) => (
                    200,
                    json!({"hits": [], "query": "", "processingTimeMs": 0, "limit": 0, "offset": 0, "estimatedTotalHits": 0}),
                ),
                // "Error codes": index_not_found.
                _ => {
                    (404, error("index_not_found", "invalid_request", "Index `missing` not found."))
                }
            },
        };
        (status, body.to_string())
    }
}

/// "Errors": the members that each has.
fn error(code: &str, kind: &str, message: &str) -> Value {
    let link = format!("https://docs.meilisearch.com/errors#{code}");
    json!({"message": message, "code": code, "type": kind, "link": link})
}

/// `METHOD /path`, the bearer's key, the body.
fn read_request(reader: &mut impl BufRead) -> Option<(String, Option<String>, String)> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let request = line.rsplit_once(' ')?.0.to_owned();
    let (mut key, mut length) = (None, 0);
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "authorization" => key = value.strip_prefix("Bearer ").map(str::to_owned),
            "content-length" => length = value.parse().ok()?,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((request, key, String::from_utf8(body).ok()?))
}
