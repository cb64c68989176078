//! Real servers that are stopped in the middle of an answer.

use std::io::{Read, Write};
use std::thread;

use super::{STOP, published};
use crate::harness::engine::files::APP;
use crate::harness::engine::images;
use crate::harness::engine::{Container, ENDPOINTS};
use crate::harness::{LIMIT, Scratch, http};

/// Begins a GET of one of the app's slow paths, once the app answers; the answer comes in a thread.
fn begin_request(container: &Container, path: &str) -> thread::JoinHandle<Option<http::Response>> {
    container.wait_for_status(APP, "/", 200);
    let mut stream = http::connect(container.port(APP)).expect("the app");
    let request = format!("GET {path} HTTP/1.1\r\nHost: app\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("a request");
    thread::spawn(move || {
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok()?;
        http::Response::parse(&answer)
    })
}

/// An answer that must have come whole.
fn assert_whole(answer: Option<http::Response>) {
    let answer = answer.expect("the slow answer");
    assert_eq!(answer.status, 200);
    let length: usize = answer.header("content-length").unwrap().parse().unwrap();
    assert_eq!(answer.body.len(), length, "the answer was cut off");
}

#[test]
fn nginx_that_wants_quit_finishes_a_slow_answer_when_it_is_stopped_with_term() {
    let stop_signal = ["--env=STEAD_STOP_SIGNAL=QUIT".to_owned()];
    let options = [&published()[..], &stop_signal].concat();
    let container = Container::run(images::nginx(), &options, &[]);
    container.wait_for_status(ENDPOINTS, "/readyz", 200);
    let slow = begin_request(&container, "/slow");
    // The engine's port forwarding ends with the container and may cut off what was sent last: this
    // request keeps nginx until the other's answer has arrived.
    let slower = begin_request(&container, "/slower");
    container.stop(STOP);

    assert_whole(slow.join().unwrap());
    assert_eq!(slower.join().unwrap().expect("the slower answer").status, 200);
    assert_eq!(container.wait_exit(LIMIT), 0);
    assert_eq!(container.event("drain started")["signal"], "TERM");
    assert_eq!(container.event("stop signal sent")["signal"], "QUIT");
}

#[test]
fn an_image_whose_stopsignal_is_quit_is_drained_by_it() {
    // As nginx's own image has it.
    let base = images::tag(images::nginx());
    let context = Scratch::new();
    let text = format!("FROM {base}\nSTOPSIGNAL QUIT\n");
    let dockerfile = context.file("Dockerfile", text, 0o644);
    let image = images::build(&dockerfile, context.path(), &[]);

    let stop_signal = ["--env=STEAD_STOP_SIGNAL=QUIT".to_owned()];
    let options = [&published()[..], &stop_signal].concat();
    // A built image keeps the entry point and the command of its base.
    let container = Container::run(&image, &options, &[]);
    let slow = begin_request(&container, "/slow");
    let slower = begin_request(&container, "/slower");
    container.stop(STOP);

    assert_whole(slow.join().unwrap());
    assert_eq!(slower.join().unwrap().expect("the slower answer").status, 200);
    assert_eq!(container.wait_exit(LIMIT), 0);
    assert_eq!(container.event("drain started")["signal"], "QUIT");
}

#[test]
fn redis_runs_and_ends_cleanly() {
    let container = Container::run(images::redis(), &published(), &[]);
    container.wait_for_status(ENDPOINTS, "/readyz", 200);
    let mut stream = http::connect(container.port(APP)).expect("redis");
    stream.write_all(b"PING\r\n").unwrap();
    let mut answer = [0; 7];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"+PONG\r\n");

    container.stop(STOP);
    assert_eq!(container.wait_exit(LIMIT), 0);
    let stdout = container.logs().stdout;
    assert!(stdout.contains("Received SIGTERM"), "redis did not stop by itself: {stdout}");
}

#[test]
fn a_python_app_answers_its_open_request_and_its_exit_code_is_the_containers() {
    let container = Container::run(images::python(), &published(), &[]);
    container.wait_for_status(ENDPOINTS, "/readyz", 200);
    let slow = begin_request(&container, "/slow");
    container.stop(STOP);

    let answer = slow.join().unwrap().expect("the slow answer");
    assert_eq!((answer.status, answer.body.as_str()), (200, "python\n"));
    assert_eq!(container.wait_exit(LIMIT), 7);
    assert_eq!(container.event("drain ended")["killed"], 0);
}
