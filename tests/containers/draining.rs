//! `stead drain` as an exec preStop, in an image that holds nothing else, and who in a network may not ask for it.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use super::{STOP, published};
use crate::harness::engine::files::APP;
use crate::harness::engine::images;
use crate::harness::engine::{Container, ENDPOINTS};
use crate::harness::{LIMIT, http};

/// How long examples/hello.rs takes for /slow.
const SLOW: Duration = Duration::from_secs(5);

#[test]
fn in_a_scratch_image_the_drain_is_over_when_the_slow_answer_has_gone_out() {
    let hardened = ["--read-only", "--cap-drop=ALL", "--user=65534:65534"].map(str::to_owned);
    let settings = ["STEAD_DRAIN_UNTIL_IDLE=on", "STEAD_IDLE_AFTER=500ms"];
    let settings = settings.map(|setting| format!("--env={setting}"));
    let options = [&published()[..], &hardened, &settings].concat();
    let container = Container::run(images::hello(), &options, &[]);
    container.wait_ready();
    let mut stream = http::connect(container.port(APP)).expect("a connection");
    let from = Instant::now();
    stream.write_all(b"GET /slow HTTP/1.1\r\nHost: app\r\n\r\n").expect("room");
    // By then it has gone through the engine's proxy, as this has.
    container.wait_for_status(APP, "/", 200);
    let drain = container.exec(&["/stead", "drain"]);
    assert_eq!((drain.code, drain.stdout.as_str()), (0, "drain: over\n"), "{drain:?}");
    assert!(from.elapsed() >= SLOW, "it was over after {:?}", from.elapsed());
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the answer");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer:?}");
    container.wait_for_status(ENDPOINTS, "/readyz", 503);
    container.stop(STOP);
    assert_eq!(container.wait_exit(LIMIT), 0);
    assert_eq!(container.event("stop signal sent")["connections"], 0);
    // Without any capability, and under the engine's own filter of system calls, the kernel has told what moves.
    let unseen = "idle connections count: what moves on them cannot be seen";
    assert!(container.events().iter().all(|event| event["message"] != unseen));
}

#[test]
fn whoever_only_reaches_the_port_can_drain_nothing() {
    let container = Container::run(images::hello(), &published(), &[]);
    container.wait_ready();
    let port = container.port(ENDPOINTS);
    let refused = http::request(port, "POST", "/drain", &[("Stead-Drain", "1")]);
    assert_eq!(refused.status, 403, "{refused:?}");
    assert_eq!(refused.json()["error"], "only for a peer on this machine");
    container.wait_for_status(ENDPOINTS, "/readyz", 200);
}
