//! HTTP/1.0 and HTTP/1.1 as clients really speak it: kept connections, pipelines, odd but legal forms.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::app::{Serve, idle};
use crate::harness::http::{Response, connect, exchange};
use crate::harness::{LIMIT, Running, until};

/// Sends these bytes to `ADDRESS:PORT` and reads to the end of the connection.
pub fn ask(address: &str, bytes: &[u8]) -> Option<Response> {
    let address: SocketAddr = address.parse().expect("an address");
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5)).ok()?;
    stream.set_read_timeout(Some(LIMIT)).ok()?;
    stream.write_all(bytes).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    Response::parse(&answer)
}

/// Reads one answer with a `Content-Length` and leaves the connection as it is.
pub fn read_answer(stream: &mut TcpStream) -> std::io::Result<Response> {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        bytes.push(byte[0]);
    }
    let incomplete = || std::io::Error::from(ErrorKind::InvalidData);
    let mut answer = Response::parse(&bytes).ok_or_else(incomplete)?;
    let length = answer.header("content-length").and_then(|l| l.parse().ok());
    let mut body = vec![0; length.ok_or_else(incomplete)?];
    stream.read_exact(&mut body)?;
    answer.body = String::from_utf8(body).map_err(|_| incomplete())?;
    Ok(answer)
}

/// A stead without checks that runs and is ready.
pub fn answering() -> Running {
    let stead = idle().serve();
    assert!(until(LIMIT, || stead.status("/readyz") == 200));
    stead
}

/// Fails when `/livez` does not answer 200 on a new connection.
pub fn is_answered(stead: &Running) {
    let ask = || exchange(stead.port(), b"GET /livez HTTP/1.0\r\n\r\n");
    let answered = until(LIMIT, || ask().is_some_and(|answer| answer.status == 200));
    assert!(answered, "stead answers no more: {:?}", stead.stderr());
}

/// Whether the other side has ended the connection; waits for that, or for more bytes.
fn has_ended(stream: &mut TcpStream) -> bool {
    matches!(stream.read(&mut [0]), Ok(0))
}

/// Whether the connection still takes a request and answers it.
fn answers_once_more(stream: &mut TcpStream) -> bool {
    stream.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").is_ok()
        && read_answer(stream).is_ok_and(|answer| answer.status == 200)
}

#[test]
fn a_thousand_requests_are_answered_on_one_connection() {
    let stead = answering();
    let mut stream = connect(stead.port()).unwrap();
    stream.set_nodelay(true).unwrap();
    for number in 0..1000 {
        let (path, status) = match number % 3 {
            0 => ("/livez", 200),
            1 => ("/nothing", 404),
            _ => ("/readyz?verbose", 200),
        };
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let answer = read_answer(&mut stream).unwrap();
        assert_eq!(answer.status, status, "request {number}: {answer:?}");
    }
}

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    let stead = answering();
    let mut stream = connect(stead.port()).unwrap();
    let paths = ["/livez", "/nothing", "/startupz?verbose", "/"];
    let mut requests = String::new();
    for path in paths.iter().cycle().take(60) {
        requests.push_str(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    }
    stream.write_all(requests.as_bytes()).unwrap();
    for path in paths.iter().cycle().take(60) {
        let answer = read_answer(&mut stream).unwrap();
        let expected = match *path {
            "/livez" => (200, "application/json"),
            "/nothing" => (404, "application/json"),
            "/" => (200, "text/html"),
            _ => (200, "text/plain"),
        };
        let kind = answer.header("content-type").unwrap_or_default();
        assert_eq!(answer.status, expected.0, "{path}: {answer:?}");
        assert!(kind.starts_with(expected.1), "{path}: {answer:?}");
    }
}

#[test]
fn connection_close_is_obeyed_and_said() {
    let stead = answering();
    let mut stream = connect(stead.port()).unwrap();
    let request = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request).unwrap();
    let answer = read_answer(&mut stream).unwrap();
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(has_ended(&mut stream));
}

#[test]
fn http_1_0_closes_unless_it_asks_to_be_kept() {
    let stead = answering();
    let mut stream = connect(stead.port()).unwrap();
    stream.write_all(b"GET /livez HTTP/1.0\r\n\r\n").unwrap();
    assert_eq!(read_answer(&mut stream).unwrap().status, 200);
    assert!(has_ended(&mut stream));

    let mut kept = connect(stead.port()).unwrap();
    let request = b"GET /livez HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    for _ in 0..3 {
        kept.write_all(request).unwrap();
        let answer = read_answer(&mut kept).unwrap();
        assert_eq!(answer.status, 200);
        let said = answer.header("connection").unwrap_or_default();
        assert!(said.eq_ignore_ascii_case("keep-alive"), "{answer:?}");
    }
}

#[test]
fn http_1_1_is_kept_by_default() {
    let stead = answering();
    let mut stream = connect(stead.port()).unwrap();
    assert!(answers_once_more(&mut stream));
    assert!(answers_once_more(&mut stream));
}

#[test]
fn a_connection_is_kept_after_head_and_after_an_unknown_path() {
    let stead = answering();
    let mut stream = connect(stead.port()).unwrap();
    stream.write_all(b"HEAD /livez HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    // A HEAD's answer has a length and no body: were one sent, the next answer would begin with it.
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    assert_eq!(Response::parse(&head).unwrap().status, 200);
    stream.write_all(b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    assert_eq!(read_answer(&mut stream).unwrap().status, 404);
    assert!(answers_once_more(&mut stream));
}

#[test]
fn a_request_that_comes_byte_by_byte_is_a_request() {
    let stead = answering();
    let mut stream = connect(stead.port()).unwrap();
    stream.set_nodelay(true).unwrap();
    for byte in b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" {
        stream.write_all(&[*byte]).unwrap();
    }
    assert_eq!(read_answer(&mut stream).unwrap().status, 200);
}

#[test]
fn legal_but_unusual_requests_are_answered() {
    let stead = answering();
    let requests: [&[u8]; 6] = [
        // RFC 9112, 3.2.2: a server must accept the absolute form.
        b"GET http://localhost/livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        // 2.2: an empty line before the request line should be ignored.
        b"\r\nGET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        // RFC 9110, 5.5: white space around a value is none of it; 5.1: names have no case.
        b"GET /livez HTTP/1.1\r\nhOsT:\t localhost \r\ncOnNeCtIoN:  Close  \r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: \xff\xfe\r\nConnection: close\r\nX: \xe9\r\n\r\n",
        b"GET /livez? HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"GET /livez?&&=&a=b=c&%zz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    ];
    for bytes in requests {
        let answer = exchange(stead.port(), bytes);
        let status = answer.as_ref().map(|answer| answer.status);
        let text = String::from_utf8_lossy(bytes);
        assert_eq!(status, Some(200), "{text:?}: {answer:?}");
    }
}

#[test]
fn a_client_that_closes_its_side_after_the_request_is_answered() {
    let stead = answering();
    let mut stream = connect(stead.port()).unwrap();
    stream.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(read_answer(&mut stream).unwrap().status, 200);
}
