//! Containers in which PID 1 is another: the engine's init, or another container's stead.

use super::{LEADER_ENDS, NONE, STOP, daemon};
use crate::harness::LIMIT;
use crate::harness::engine::{Container, images};

#[test]
fn under_the_engines_own_init_it_works_the_same_without_a_word() {
    let container = Container::run(images::hello(), &["--init"], &[]);
    container.wait_ready();
    container.stop(STOP);
    assert_eq!(container.wait_exit(LIMIT), 0);
    assert_eq!(container.event("starting")["pid1"], false);
    for event in container.events() {
        assert_ne!(event["level"], "warn", "{event}");
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
