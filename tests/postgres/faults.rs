//! What a real server does not do on demand: silence, garbage and resets at each stage of a login.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use super::checked;
use Step::{Close, Drip, Hang, Hear, Reset, Say};

/// What a scripted server does next with each of its connections.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Waits for a message.
    Hear,
    Say(&'static [u8]),
    /// Says it, a byte at a time and slowly.
    Drip(&'static [u8]),
    Close,
    Reset,
    Hang,
}

/// A server of this script, for as long as the test program runs; its port.
fn scripted(steps: &'static [Step]) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a listener");
    let port = listener.local_addr().expect("its address").port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || follow(steps, stream));
        }
    });
    port
}

fn follow(steps: &[Step], mut stream: TcpStream) {
    for step in steps {
        // A client that has had enough is gone.
        let _ = match step {
            Hear => stream.read(&mut [0; 4096]).map(drop),
            Say(bytes) => stream.write_all(bytes),
            Drip(bytes) => bytes.iter().try_for_each(|byte| {
                thread::sleep(Duration::from_millis(100));
                stream.write_all(&[*byte])
            }),
            Close => return,
            Reset => return drop(socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO))),
            Hang => stream.read_to_end(&mut Vec::new()).map(drop),
        };
    }
}

/// AuthenticationOk and ReadyForQuery.
const WELCOME: &[u8] = &[b'R', 0, 0, 0, 8, 0, 0, 0, 0, b'Z', 0, 0, 0, 5, b'I'];
/// AuthenticationGSS, which is Kerberos.
const KERBEROS: &[u8] = &[b'R', 0, 0, 0, 8, 0, 0, 0, 7];
/// A message whose length is too short to be one.
const GARBAGE: &[u8] = &[b'R', 0, 0, 0, 1, 0, 0, 0, 0];
/// ErrorResponse, of an administrator who ends the session.
const GOODBYE: &[u8] = b"E\0\0\0\x18SFATAL\0C57P01\0Mbye\0\0";
/// ErrorResponse, of a transaction that must not write; then ReadyForQuery.
const READ_ONLY: &[u8] = b"E\0\0\0\x18SERROR\0C25006\0Mbye\0\0Z\0\0\0\x05I";
const READY: &[u8] = &[b'Z', 0, 0, 0, 5, b'I'];
const SLOW: &[u8] =
    &[b'R', 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

const FAULTS: [(&str, &[Step], &str); 21] = [
    ("prefer", &[Hang], "timeout at tls"),
    ("prefer", &[Hear, Say(b"HTTP/1.1 400 Bad Request\r\n\r\n"), Hang], "protocol at tls"),
    ("prefer", &[Hear, Say(b"E"), Close], "protocol at tls"),
    ("prefer", &[Hear, Reset], "connect_reset at tls"),
    ("prefer", &[Hear, Close], "connect_reset at tls"),
    ("prefer", &[Hear, Say(b"N"), Hear, Say(GARBAGE), Hang], "protocol at authenticate"),
    ("require", &[Hear, Say(b"N"), Hang], "tls_refused at tls"),
    ("require", &[Hear, Say(b"S"), Hear, Say(b"no TLS at all"), Hang], "tls_refused at tls"),
    ("require", &[Hear, Say(b"S"), Hear, Close], "connect_reset at tls"),
    ("require", &[Hear, Say(b"S"), Hang], "timeout at tls"),
    ("disable", &[Hang], "timeout at authenticate"),
    ("disable", &[Hear, Drip(SLOW), Hang], "timeout at authenticate"),
    (
        "disable",
        &[Hear, Say(b"HTTP/1.1 400 Bad Request\r\n\r\n"), Close],
        "protocol at authenticate",
    ),
    ("disable", &[Hear, Say(KERBEROS), Hang], "not_supported at authenticate"),
    ("disable", &[Hear, Close], "connect_reset at authenticate"),
    ("disable", &[Hear, Say(WELCOME), Hang], "timeout at query"),
    ("disable", &[Hear, Say(WELCOME), Hear, Reset], "connect_reset at query"),
    ("disable", &[Hear, Say(WELCOME), Hear, Say(GARBAGE), Hang], "protocol at query"),
    ("disable", &[Hear, Say(WELCOME), Hear, Say(READY), Hang], "protocol at query"),
    // What it said before it closed counts, and not that it closed.
    ("disable", &[Hear, Say(WELCOME), Hear, Say(GOODBYE), Close], "shutting_down at query"),
    ("disable", &[Hear, Say(WELCOME), Hear, Say(READ_ONLY), Hang], "wrong_role at query"),
];

#[test]
fn each_fault_ends_at_its_stage_with_its_class() {
    thread::scope(|scope| {
        for (mode, steps, failure) in FAULTS {
            scope.spawn(move || {
                let port = scripted(steps);
                let place = format!("127.0.0.1:{port}/shop?sslmode={mode}&stead_timeout=1500ms");
                let (up, said) = checked(&format!("postgres://app:hidden@{place}"));
                let expected = format!(" down: {failure} ");
                assert!(!up && said.contains(&expected), "{mode} {steps:?}: not {failure}: {said}");
                assert!(!said.contains("hidden"), "{said}");
            });
        }
    });
}
