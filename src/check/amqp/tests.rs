//! What URLs mean, and that nothing is left of an attempt that was cut off.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::*;

fn parse(text: &str) -> Result<AmqpTarget, Wrong> {
    let mut options = Options::default();
    let url = Url::parse(text, &mut options)?;
    let target = AmqpTarget::parse(&url, &mut options)?;
    match options.left() {
        Some(left) => Err(format!("stead_{left} is left")),
        None => Ok(target),
    }
}

#[test]
fn a_virtual_host_is_one_segment_and_the_empty_one_is_the_default() {
    for (url, vhost) in [
        ("amqp://h", "/"),
        ("amqp://h/", "/"),
        ("amqp://h/%2F", "/"),
        ("amqp://h/%2f", "/"),
        ("amqp://h:5672/codecave", "codecave"),
        ("amqp://h/a%2Fb?heartbeat=10", "a/b"),
        ("amqp://h/%C3%A4", "ä"),
    ] {
        assert_eq!(parse(url).unwrap().login.uri().vhost, vhost, "{url}");
    }
    let longest = format!("amqp://h/{}", "v".repeat(255));
    assert!(parse(&longest).is_ok());
    assert!(parse(&format!("{longest}v")).is_err());
    assert!(parse("amqp://h/%FF").is_err());
}

#[test]
fn a_url_without_a_user_is_the_guests() {
    for (url, user, password) in [
        ("amqp://h", "guest", "guest"),
        ("amqp://app:s%40%3Ae@h", "app", "s@:e"),
        ("amqp://app@h", "app", "guest"),
        ("amqp://:secret@h", "guest", "secret"),
    ] {
        let userinfo = parse(url).unwrap().login.uri().authority.userinfo;
        assert_eq!((userinfo.username.as_str(), userinfo.password.as_str()), (user, password));
    }
}

#[test]
fn the_apps_heartbeat_counts_within_limits() {
    for (query, seconds) in [
        ("", 30),
        ("?heartbeat=10", 10),
        ("?heartbeat=0", 30),
        ("?heartbeat=1", 5),
        ("?heartbeat=580", 60),
        ("?heartbeat=none", 30),
    ] {
        let uri = parse(&format!("amqp://h{query}")).unwrap().login.uri();
        assert_eq!(uri.query.heartbeat, Some(seconds), "{query}");
    }
}

#[test]
fn options_that_make_no_sense_are_mistakes() {
    for (url, what) in [
        ("amqp://h?stead_max_messages=3", "need stead_queue"),
        ("amqp://h?stead_min_consumers=3", "need stead_queue"),
        ("amqp://h?stead_queue=", "stead_queue"),
        ("amqp://h?stead_queue=q&stead_max_messages=many", "stead_max_messages"),
        ("amqp://h?stead_ca=/ca.pem", "stead_ca is left"),
        ("amqp://h?stead_management=ftp://h", "stead_management"),
        ("amqp://h?stead_management=http://", "stead_management"),
        ("amqp+x://h", "scheme"),
        ("amqp://a,b", "more than one host"),
        ("amqp:///v", "no host"),
    ] {
        let wrong = parse(url).unwrap_err();
        assert!(wrong.contains(what), "{url}: {wrong}");
    }
    parse("amqps://h/v?stead_ca=/ca.pem&stead_verify=off").unwrap();
    parse("amqp://h/v?stead_ca=/ca.pem&stead_management=https://m").unwrap();
    parse("amqps://h/v?cacertfile=/ca.pem&verify=verify_peer&connection_timeout=3000").unwrap();
}

#[test]
fn neither_passwords_nor_what_is_made_of_them_is_shown() {
    let url = "amqp://app:hush-hush@h?stead_management=http://app:quiet@h:15672";
    let shown = format!("{:?}", parse(url).unwrap());
    // The user and the password of the management API, as its header has them.
    for secret in ["hush", "quiet", "YXBwOnF1aWV0"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

/// A frame of AMQP 0-9-1 (2.3.5) with a method on channel 0.
fn method(class: u16, method: u16, arguments: &[u8]) -> Vec<u8> {
    let payload = [&class.to_be_bytes()[..], &method.to_be_bytes(), arguments].concat();
    let size = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&[1, 0, 0][..], &size, &payload, &[0xCE]].concat()
}

/// The class and the method of the next frame that has one, or none at the end.
async fn heard(stream: &mut UnixStream) -> Option<(u16, u16)> {
    loop {
        let kind = stream.read_u8().await.ok()?;
        let _channel = stream.read_u16().await.ok()?;
        let size = stream.read_u32().await.ok()?;
        let mut payload = vec![0; size as usize + 1];
        stream.read_exact(&mut payload).await.ok()?;
        if kind == 1 {
            let number = |at: usize| u16::from_be_bytes([payload[at], payload[at + 1]]);
            return Some((number(0), number(2)));
        }
    }
}

/// A broker's side of a login.
async fn accept(stream: &mut UnixStream) {
    let mut header = [0; 8];
    stream.read_exact(&mut header).await.unwrap();
    assert_eq!(&header, b"AMQP\0\0\x09\x01");
    let start = [&[0, 9][..], &[0, 0, 0, 0], &[0, 0, 0, 5], b"PLAIN", &[0, 0, 0, 5], b"en_US"];
    stream.write_all(&method(10, 10, &start.concat())).await.unwrap();
    assert_eq!(heard(stream).await, Some((10, 11)), "Start-Ok");
    // At most 2047 channels, frames of 128 KiB, a heartbeat a minute.
    let tune = [&2047u16.to_be_bytes()[..], &131_072u32.to_be_bytes(), &60u16.to_be_bytes()];
    stream.write_all(&method(10, 30, &tune.concat())).await.unwrap();
    assert_eq!(heard(stream).await, Some((10, 31)), "Tune-Ok");
    assert_eq!(heard(stream).await, Some((10, 40)), "Open");
    stream.write_all(&method(10, 41, &[0])).await.unwrap();
}

async fn opened() -> (Session, UnixStream) {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let uri = parse("amqp://h").unwrap().login.uri();
    let (session, ()) = tokio::join!(Session::open(Stream::Unix(ours), uri), accept(&mut theirs));
    (session.unwrap(), theirs)
}

const A_WHILE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_connection_that_is_dropped_says_farewell_and_is_cut_soon_after() {
    let (session, mut theirs) = opened().await;
    drop(session);
    let last = timeout(A_WHILE, heard(&mut theirs)).await.unwrap();
    assert_eq!(last, Some((10, 50)), "Connection.Close");
    // Close-Ok never comes: the stream ends all the same.
    assert_eq!(timeout(A_WHILE, heard(&mut theirs)).await.unwrap(), None);
}

#[tokio::test]
async fn a_login_that_is_cut_off_ends_its_connection() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let uri = parse("amqp://h").unwrap().login.uri();
    let login = tokio::spawn(Session::open(Stream::Unix(ours), uri));
    let mut header = [0; 8];
    theirs.read_exact(&mut header).await.unwrap();
    login.abort();
    assert_eq!(timeout(A_WHILE, theirs.read(&mut header)).await.unwrap().unwrap(), 0);
}

#[tokio::test]
async fn a_blocked_connection_is_a_concern_until_it_is_gone() {
    let (session, mut theirs) = opened().await;
    assert!(!session.is_blocked());
    theirs.write_all(&method(10, 60, b"\x06memory")).await.unwrap();
    let reached = async |blocked: bool| {
        while session.is_blocked() != blocked {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(A_WHILE, reached(true)).await.unwrap();
    drop(theirs);
    timeout(A_WHILE, reached(false)).await.unwrap();
    let error = failed(&session.round(None).await.unwrap_err());
    assert_eq!(error.class, Class::ConnectReset, "{error}");
}

#[tokio::test]
async fn a_broker_that_goes_down_is_a_reason_to_connect_once_more() {
    let (session, mut theirs) = opened().await;
    let reason = b"CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'";
    let text = [&[u8::try_from(reason.len()).unwrap()][..], reason].concat();
    let close = [&320u16.to_be_bytes()[..], &text, &[0, 0, 0, 0]].concat();
    let round = session.round(None);
    let broker = async {
        theirs.write_all(&method(10, 50, &close)).await.unwrap();
        while heard(&mut theirs).await.is_some() {}
    };
    let (answer, ()) = timeout(A_WHILE, async { tokio::join!(round, broker) }).await.unwrap();
    let error = failed(&answer.unwrap_err());
    assert!(is_lost(error.class), "{error}");
}
