//! Stands in for the program of Meilisearch, by which the tests prove that they can drive the real one: its options and
//! variables, the keys that it makes for a master key, an index that is there some time after it was asked for, and
//! documents that are found by a word of theirs. What it answers follows the published API document.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

const SEARCH_KEY: &str = "74c9b8f5d2f2c8b1a0a358ba8f05fc09fc1";

/// Its options, and the indexes that were made.
struct Engine {
    master: String,
    indexes: Mutex<Vec<String>>,
    documents: Mutex<Vec<Value>>,
}

/// A request: `METHOD /path`, the key, the body.
struct Request {
    line: String,
    key: Option<String>,
    body: Value,
    is_last: bool,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    // An option is over its variable: `--http-addr` is `MEILI_HTTP_ADDR`.
    let after = |name: &str| {
        let place = args.iter().position(|arg| arg == name);
        let variable = name.replace("--", "MEILI_").replace('-', "_").to_uppercase();
        place
            .and_then(|place| args.get(place + 1).cloned())
            .or_else(|| std::env::var(variable).ok())
    };
    let listener = after("--http-addr").and_then(|address| TcpListener::bind(address).ok());
    // "In production mode the master key must be at least 16 bytes."
    let master = after("--master-key").filter(|key| key.len() >= 16);
    let is_production = after("--env").as_deref() == Some("production");
    let (Some(listener), Some(master), true) = (listener, master, is_production) else {
        return ExitCode::FAILURE;
    };
    let engine =
        Arc::new(Engine { master, indexes: Mutex::default(), documents: Mutex::default() });
    for stream in listener.incoming().flatten() {
        let engine = engine.clone();
        thread::spawn(move || engine.serve(&stream));
    }
    ExitCode::SUCCESS
}

impl Engine {
    fn serve(self: &Arc<Self>, mut stream: &TcpStream) {
        let mut reader = BufReader::new(stream);
        while let Some(request) = read(&mut reader) {
            let (status, body) = self.answer(&request);
            let body = body.to_string();
            let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n", body.len());
            if stream.write_all((head + &body).as_bytes()).is_err() || request.is_last {
                return;
            }
        }
    }

    fn indexes(&self) -> MutexGuard<'_, Vec<String>> {
        self.indexes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn documents(&self) -> MutexGuard<'_, Vec<Value>> {
        self.documents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The documents of the one index that have the words somewhere, and all where there are none.
    fn found(&self, query: &Value) -> Vec<Value> {
        let words = query.get("q").and_then(Value::as_str).unwrap_or_default();
        let documents = self.documents();
        documents.iter().filter(|document| document.to_string().contains(words)).cloned().collect()
    }

    fn answer(self: &Arc<Self>, request: &Request) -> (u16, Value) {
        let (line, key) = (request.line.as_str(), request.key.as_deref());
        let may_search = line == "POST /multi-search" || line.ends_with("/search");
        match key {
            _ if line == "GET /health" => (200, json!({"status": "available"})),
            None => (401, error("missing_authorization_header")),
            Some(key) if key == self.master || key == SEARCH_KEY && may_search => {
                self.work(request)
            }
            Some(_) => (403, error("invalid_api_key")),
        }
    }

    fn work(self: &Arc<Self>, Request { line, body, .. }: &Request) -> (u16, Value) {
        let path = line.split('/').collect::<Vec<_>>();
        let known = |uid: &str| self.indexes().iter().any(|index| index == uid);
        match path.as_slice() {
            ["GET ", "version"] => (200, json!({"pkgVersion": "1.50.0"})),
            ["GET ", "keys"] => {
                let key = |key: &str, actions: Value| json!({"key": key, "actions": actions});
                let admin = key("another", json!(["*"]));
                (200, json!({"results": [admin, key(SEARCH_KEY, json!(["search"]))]}))
            }
            ["POST ", "indexes"] => {
                let (this, uid) = (
                    self.clone(),
                    body.get("uid").and_then(Value::as_str).unwrap_or_default().to_owned(),
                );
                // It is a task, which is done later.
                thread::spawn(move || {
                    thread::sleep(Duration::from_millis(100));
                    this.indexes().push(uid);
                });
                (202, json!({"taskUid": 0, "status": "enqueued", "type": "indexCreation"}))
            }
            ["POST ", "multi-search"] => (200, json!({"results": []})),
            // Documents make their index, where it is not there yet.
            ["POST ", "indexes", uid, "documents"] => {
                if !known(uid) {
                    self.indexes().push((*uid).to_owned());
                }
                self.documents().extend(body.as_array().cloned().unwrap_or_default());
                (
                    202,
                    json!({"taskUid": 0, "status": "enqueued", "type": "documentAdditionOrUpdate"}),
                )
            }
            ["GET " | "POST ", "indexes", uid, ..] if !known(uid) => {
                (404, error("index_not_found"))
            }
            ["GET ", "indexes", uid] => (200, json!({"uid": uid, "primaryKey": null})),
            ["GET ", "indexes", _, "stats"] => {
                (200, json!({"numberOfDocuments": 0, "isIndexing": false, "fieldDistribution": {}}))
            }
            ["POST ", "indexes", _, "search"] => {
                (200, json!({"hits": self.found(body), "limit": body.get("limit")}))
            }
            _ => (404, json!({})),
        }
    }
}

fn error(code: &str) -> Value {
    json!({"message": format!("no: {code}"), "code": code, "type": "auth", "link": ""})
}

fn read(reader: &mut impl BufRead) -> Option<Request> {
    let mut head = Vec::new();
    while head.last().is_none_or(|line: &String| !line.trim().is_empty()) {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|count| *count > 0)?;
        head.push(line);
    }
    let header = |name: &str| {
        let mut lines = head.iter().filter_map(|line| line.trim_end().split_once(": "));
        lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    };
    let length = header("content-length").map_or(Some(0), |length| length.parse().ok())?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let key = header("authorization").and_then(|value| value.strip_prefix("Bearer "));
    let line = head.first()?.rsplit_once(' ')?.0.to_owned();
    let body = serde_json::from_slice(&body).unwrap_or_default();
    let is_last = header("connection") == Some("close");
    Some(Request { is_last, line, key: key.map(str::to_owned), body })
}
