//! Real servers that are stopped in the middle of an answer.

use std::io::{Read, Write};

use super::{STOP, published};
use crate::harness::engine::files::APP;
use crate::harness::engine::{Container, ENDPOINTS, images};
use crate::harness::{LIMIT, Scratch, http};

/// A client that has begun to read the app's slow answer, in a container of its own: the engine's port
/// forwarding ends with the container that it leads to, and may cut off what was sent last.
fn begin_slow_request(container: &Container) -> Container {
    let network = format!("--network=container:{}", container.name());
    let script = format!(
        "wget -q -O - http://127.0.0.1:{APP}/slow | \
         {{ dd bs=1 count=1 of=/dev/null 2>/dev/null; echo begun; tail -n 1; }}"
    );
    let options = [network.as_str(), "--entrypoint=/bin/sh"];
    let client = Container::run(images::busybox(), &options, &["-c", &script]);
    client.wait_for_output("begun");
    client
}

/// The client has read to the last line.
fn assert_answered(client: &Container) {
    client.wait_exit(LIMIT);
    let logs = client.logs();
    assert_eq!(logs.stdout, format!("begun\n{}\n", images::LAST_LINE), "{}", logs.stderr);
}

#[test]
fn nginx_that_wants_quit_finishes_a_slow_answer_when_it_is_stopped_with_term() {
    let stop_signal = ["--env=STEAD_STOP_SIGNAL=QUIT".to_owned()];
    let options = [&published()[..], &stop_signal].concat();
    let container = Container::run(images::nginx(), &options, &[]);
    container.wait_for_status(ENDPOINTS, "/readyz", 200);
    let client = begin_slow_request(&container);
    container.stop(STOP);

    assert_answered(&client);
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
    container.wait_for_status(ENDPOINTS, "/readyz", 200);
    let client = begin_slow_request(&container);
    container.stop(STOP);

    assert_answered(&client);
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
    let client = begin_slow_request(&container);
    container.stop(STOP);

    assert_answered(&client);
    assert_eq!(container.wait_exit(LIMIT), 7);
    assert_eq!(container.event("drain ended")["killed"], 0);
}
