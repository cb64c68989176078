//! Containers that end before their command has begun.

use super::{NONE, STOP};
use crate::harness::LIMIT;
use crate::harness::engine::{Container, Finished, images, run_to_end};

/// One line of stead's and nothing else.
fn assert_one_line(finished: &Finished, beginning: &str) {
    assert!(
        finished.stderr.lines().count() == 1 && finished.stderr.starts_with(beginning),
        "one line `{beginning}…` was expected: {finished:?}"
    );
}

#[test]
fn an_image_without_a_command_says_that_entrypoint_emptied_it() {
    let finished = run_to_end(images::busybox(), NONE, &[]);
    assert_eq!(finished.code, 64, "{finished:?}");
    assert_one_line(&finished, "stead: ");
    for word in ["ENTRYPOINT", "CMD"] {
        assert!(finished.stderr.contains(word), "no {word}: {finished:?}");
    }
}

#[test]
fn what_cannot_be_executed_is_told_as_a_shell_tells_it() {
    let commands = [
        ("/no/such/program", 127),
        ("no-such-program", 127),
        ("/text", 126),
        ("/garbage", 126),
        ("/foreign", 126),
        ("/", 126),
    ];
    // With a shell in the image, and without one.
    for image in [images::hello(), images::busybox()] {
        for (command, code) in commands {
            let finished = run_to_end(image, NONE, &[command]);
            assert_eq!(finished.code, code, "{command}: {finished:?}");
            let last = finished.stderr.lines().last().unwrap_or_default();
            let expected = format!("stead: cannot run {command}: ");
            assert!(last.starts_with(&expected), "{command}: {finished:?}");
            assert!(!finished.stderr.contains("child started"), "{command}: {finished:?}");
        }
    }
}

#[test]
fn a_taken_port_is_told_before_the_app_starts() {
    let first = Container::run(images::hello(), NONE, &[]);
    first.wait_ready();
    let shared = format!("--network=container:{}", first.name());
    let second = run_to_end(images::hello(), &[&shared, "--env=PORT=8081"], &[]);
    assert_eq!(second.code, 1, "{second:?}");
    assert_eq!(second.stdout, "", "the app was started");
    let last = second.stderr.lines().last().unwrap_or_default();
    assert!(last.starts_with("stead: STEAD_LISTEN: cannot listen on "), "{second:?}");

    let off = [shared.as_str(), "--env=PORT=8081", "--env=STEAD_LISTEN=off"];
    let third = Container::run(images::hello(), &off, &[]);
    third.wait_for_output("listening on port 8081");
    third.stop(STOP);
    assert_eq!(third.wait_exit(LIMIT), 0);
}
