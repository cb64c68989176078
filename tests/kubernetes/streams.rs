//! The app whose answers take long: `stead drain` in preStop holds TERM back.

use std::thread;

use super::traffic::Traffic;
use super::{ENDPOINTS, HTTP, REMOVAL, START, applied};
use crate::harness::kubelet::Pod;
use crate::harness::{LIMIT, http, until};

#[test]
fn term_comes_when_the_streams_are_over_and_no_request_is_lost() {
    let applied = applied("overlays/streams");
    let mut pod = Pod::start(&applied.cluster);
    pod.wait_ready(true, START);
    let traffic = Traffic::to(pod.at(HTTP));
    let at = pod.at(HTTP);
    let stream = thread::spawn(move || http::get(at, "/stream", LIMIT));
    let app = pod.container("app");
    app.wait_for_output("stream begun");

    pod.delete();
    assert!(until(LIMIT, || pod.status(ENDPOINTS, "/readyz") == Some(503)));
    assert_eq!(pod.status(ENDPOINTS, "/livez"), Some(200));
    traffic.end_after(REMOVAL);
    let streamed = stream.join().unwrap().expect("a whole stream");
    assert!(streamed.body.contains("the last line"), "{streamed:?}");

    let failed = pod.failed_liveness("app");
    let end = pod.wait_gone().remove("app").unwrap();
    assert!(end.code == 0 && !end.killed && end.after < pod.grace(), "{end:?}");
    assert_eq!((pod.restarts("app"), failed, pod.hook("app")), (0, 0, Some(0)));
    let said = app.logs().stdout;
    let at = |text: &str| said.find(text).unwrap_or_else(|| panic!("no {text} in {said}"));
    assert!(at("stream over") < at("TERM"), "{said}");
}
