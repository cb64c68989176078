//! `docker stop`, and what is left when the command has ended.

use std::time::Duration;

use super::{LEADER_ENDS, LEADER_STAYS, STOP, between, daemon, published};
use crate::harness::engine::files::APP;
use crate::harness::engine::images;
use crate::harness::engine::{Container, ENDPOINTS};
use crate::harness::{LIMIT, http};

#[test]
fn docker_stop_makes_it_not_ready_at_once_while_app_and_liveness_go_on() {
    let delay = ["--env=STEAD_DRAIN_DELAY=4s".to_owned()];
    let container = Container::run(images::hello(), &[&published()[..], &delay].concat(), &[]);
    container.wait_for_status(ENDPOINTS, "/readyz", 200);
    let (endpoints, app) = (container.port(ENDPOINTS), container.port(APP));
    let stop = container.begin_stop(STOP);
    container.wait_for_status(ENDPOINTS, "/readyz", 503);

    let ready = http::request(endpoints, "GET", "/readyz", &[]).json();
    assert_eq!((&ready["status"], &ready["phase"]), (&"draining".into(), &"quiescing".into()));
    assert_eq!(http::request(endpoints, "GET", "/livez", &[]).status, 200);
    assert_eq!(http::request(app, "GET", "/", &[]).status, 200);
    let check = container.exec(&["/stead", "check", "ready"]);
    assert_eq!((check.code, check.stdout.as_str()), (1, "ready: draining\n"));

    stop.join().unwrap();
    assert_eq!(container.wait_exit(LIMIT), 0);
    let delay = between(&container, "drain started", "stop signal sent");
    assert!(delay >= Duration::from_millis(3_900), "the delay was {delay:?}");
}

#[test]
fn an_app_that_ignores_term_is_killed_when_the_grace_ends() {
    let script = "trap '' TERM; echo ready; while :; do sleep 0.1; done";
    let container =
        Container::run(images::busybox(), &["--env=STEAD_GRACE=2s"], &["sh", "-c", script]);
    container.wait_for_output("ready");
    container.stop(STOP);
    assert_eq!(container.wait_exit(LIMIT), 137);
    let drain = between(&container, "drain started", "finished");
    let promised = Duration::from_millis(1_950)..Duration::from_secs(10);
    assert!(promised.contains(&drain), "the drain took {drain:?}");
}

#[test]
fn a_daemon_left_behind_is_told_to_stop_and_the_container_ends_when_it_has() {
    let script = daemon("sleep 1; echo daemon ended; exit", LEADER_ENDS);
    let linger = ["--env=STEAD_LINGER=15s"];
    let container = Container::run(images::busybox(), &linger, &["sh", "-c", &script]);
    assert_eq!(container.wait_exit(LIMIT), 3);
    assert!(container.logs().stdout.contains("daemon ended"), "{:?}", container.logs());
    let waited = between(&container, "child ended", "finished");
    let expected = Duration::from_millis(900)..Duration::from_secs(10);
    assert!(expected.contains(&waited), "it ended {waited:?} after the leader");
}

#[test]
fn a_daemon_that_will_not_stop_is_killed_after_the_linger() {
    let script = daemon("", LEADER_ENDS);
    let linger = ["--env=STEAD_LINGER=1s"];
    let container = Container::run(images::busybox(), &linger, &["sh", "-c", &script]);
    assert_eq!(container.wait_exit(LIMIT), 3);
    let waited = between(&container, "child ended", "finished");
    let expected = Duration::from_millis(950)..Duration::from_secs(10);
    assert!(expected.contains(&waited), "it ended {waited:?} after the leader");
    let killed = container.events();
    let killed = killed.iter().find(|event| event["message"] == "straggler killed");
    let killed = killed.expect("the daemon's end in the log");
    assert_eq!((&killed["level"], &killed["name"]), (&"warn".into(), &"sh".into()));
}

#[test]
fn a_daemon_has_the_rest_of_the_grace_when_the_container_is_stopped() {
    let script = daemon("", LEADER_STAYS);
    let grace = ["--env=STEAD_GRACE=3s", "--env=STEAD_LINGER=0s"];
    let container = Container::run(images::busybox(), &grace, &["sh", "-c", &script]);
    container.wait_for_output("ready");
    container.stop(STOP);
    assert_eq!(container.wait_exit(LIMIT), 9, "the leader's code");
    let drain = between(&container, "drain started", "finished");
    let promised = Duration::from_millis(2_950)..Duration::from_secs(12);
    assert!(promised.contains(&drain), "the drain took {drain:?}");
    assert_eq!(container.event("drain ended")["killed"].as_i64().map(|n| n > 0), Some(true));
}

#[test]
fn what_the_engine_put_in_delays_no_end() {
    // As docker exec and a preStop hook do: their parent is no process of the container.
    let ended_by: [fn(&Container); 2] = [
        |container| container.stop(STOP),
        |container| {
            let child = container.event("child started")["pid"].to_string();
            container.exec(&["kill", "-TERM", &child]);
        },
    ];
    for end in ended_by {
        let container = Container::run(images::busybox(), &["--env=STEAD_LINGER=15s"], &["/hello"]);
        container.wait_ready();
        container.exec_detached(&["sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"]);
        container.exec_detached(&["sleep", "300"]);
        container.wait_for_process("sleep 300");
        end(&container);
        assert_eq!(container.wait_exit(LIMIT), 0);
        let waited = between(&container, "child ended", "finished");
        assert!(waited < Duration::from_secs(8), "it ended {waited:?} after its child");
        let events = container.events();
        assert!(
            events.iter().all(|event| event["message"] != "straggler signalled"),
            "what is not stead's was signalled: {events:?}"
        );
    }
}
