//! Containers in which PID 1 is another: the engine's init, or another container's stead.

use super::{LEADER_ENDS, NONE, STOP, daemon, has_connection};
use crate::harness::engine::{Container, ENDPOINTS, images, publish};
use crate::harness::{LIMIT, until};

/// An app that leaves orphans behind at its start.
const WITH_ORPHANS: &str = "for i in 1 2 3; do (sleep 2 &); done; exec /hello";

#[test]
fn under_the_engines_own_init_it_works_the_same_without_a_word() {
    works_without_a_word(&["--init"]);
}

#[test]
fn in_a_pid_namespace_that_others_share_it_works_the_same_without_a_word() {
    let pause = ["-c", "while :; do sleep 1; done"];
    let pause = Container::run(images::busybox(), &["--entrypoint=/bin/sh"], &pause);
    works_without_a_word(&[&format!("--pid=container:{}", pause.name())]);
    assert_eq!(pause.inspect("{{.State.Status}}"), "running");
    assert!(pause.processes().contains("while :"), "{}", pause.processes());
}

/// Orphans are reaped, a TERM drains a request that is under way, the code is the app's, and nothing is warned of.
fn works_without_a_word(options: &[&str]) {
    let published = publish(ENDPOINTS);
    let options = [&[published.as_str()], options].concat();
    let container = Container::run(images::busybox(), &options, &["sh", "-c", WITH_ORPHANS]);
    container.wait_for_status(ENDPOINTS, "/readyz", 200);
    let starting = container.event("starting");
    assert_eq!(starting["pid1"], false);
    let children = || {
        let ps = container.exec(&["ps", "-o", "ppid,comm"]).stdout;
        let parent = starting["pid"].to_string();
        ps.lines().filter(|line| line.split_whitespace().next() == Some(&parent)).count()
    };
    // The app, and the orphans for as long as they live.
    assert!(until(LIMIT, || children() == 1), "{}", container.processes());

    // In a container of its own: the engine's port forwarding may cut off what was sent last.
    let network = format!("--network=container:{}", container.name());
    let slow = ["-q", "-O", "-", "http://127.0.0.1:8080/slow"];
    let client = Container::run(images::busybox(), &[&network, "--entrypoint=/bin/wget"], &slow);
    assert!(until(LIMIT, || has_connection(&container)), "no request is under way");
    container.stop(STOP);
    assert_eq!(client.wait_exit(LIMIT), 0, "{:?}", client.logs());
    assert_eq!(container.wait_exit(LIMIT), 0);
    container.event("drain ended");
    for event in container.events() {
        assert_eq!(event["level"], "info", "{event}");
    }
}

#[test]
fn in_a_shared_pid_namespace_it_ends_its_own_processes_and_no_others() {
    let first = Container::run(images::hello(), NONE, &[]);
    first.wait_ready();
    let shared = format!("--pid=container:{}", first.name());
    let script = daemon("", LEADER_ENDS);
    let second = Container::run(
        images::busybox(),
        &[&shared, "--env=STEAD_LINGER=1s"],
        &["sh", "-c", &script],
    );
    assert_eq!(second.wait_exit(LIMIT), 3);
    assert_eq!(second.event("starting")["pid1"], false);
    let events = second.events();
    let warned: Vec<_> = events.iter().filter(|event| event["level"] == "warn").collect();
    assert!(!warned.is_empty(), "the daemon was not killed: {events:?}");
    for event in warned {
        assert_eq!(event["message"], "straggler killed", "{event}");
    }
    assert_eq!(first.exec(&["/stead", "check", "ready"]).code, 0);
}
