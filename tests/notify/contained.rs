//! In real containers: read-only, as another user, without any capability.

use std::sync::OnceLock;

use crate::harness::engine::images;
use crate::harness::engine::{Container, ENDPOINTS, publish};
use crate::harness::{LIMIT, example, http};

/// A shell, and the program that says what it is told.
fn image() -> &'static str {
    static IMAGE: OnceLock<String> = OnceLock::new();
    let files = || images::busybox_files().static_program(example("notify"), "/bin/notify");
    IMAGE.get_or_init(|| files().import())
}

const RESTRICTED: [&str; 4] =
    ["--read-only", "--user=65534", "--cap-drop=ALL", "--security-opt=no-new-privileges"];

fn run(options: &[&str], script: &str) -> Container {
    let published = publish(ENDPOINTS);
    let set = ["--env=STEAD_NOTIFY_READY=on", "--env=STEAD_APP_PORT=off", published.as_str()];
    let options = [options, &set].concat();
    Container::run(image(), &options, &["sh", "-c", script])
}

fn notified(container: &Container) -> serde_json::Value {
    http::request(container.port(ENDPOINTS), "GET", "/readyz", &[]).json()["notify"].clone()
}

#[test]
fn an_app_under_every_restriction_says_that_it_is_ready() {
    for options in [&RESTRICTED[..], &[]] {
        let container = run(options, "notify 'READY=1\\nSTATUS=small'; exec sleep 300");
        container.wait_for_status(ENDPOINTS, "/readyz", 200);
        assert_eq!(notified(&container)["status"], "small");
        let said = container.events();
        assert!(said.iter().all(|event| event["level"] == "info"), "{said:?}");
    }
}

#[test]
fn what_the_engine_puts_in_is_not_listened_to() {
    let container = run(&[], "notify STATUS=up; exec sleep 300");
    container.wait_for_output("app status");
    let child = container.event("child started")["pid"].to_string();
    let script = format!("tr '\\0' '\\n' < /proc/{child}/environ");
    let environ = container.exec(&["sh", "-c", &script]).stdout;
    let socket = environ.lines().find(|line| line.starts_with("NOTIFY_SOCKET=")).expect("it");
    // So many do not wait in the socket: it is there to be seen for what it is.
    let script = format!("export {socket}; notify 200xREADY=1");
    assert_eq!(container.exec(&["sh", "-c", &script]).code, 0);
    container.wait_for_output("notification refused");
    assert_eq!(notified(&container)["state"], "starting");
    assert_eq!(
        container.exec(&["/stead", "check", "ready"]).stdout,
        "ready: starting: READY=1 was not said\n"
    );
}

#[test]
fn as_pid_1_a_forking_daemon_is_the_main_process_by_its_own_word() {
    let daemon = "sh -c 'notify MAINPID=$$ READY=1; touch /tmp/up; trap \"exit 6\" TERM; while :; do sleep 0.1; done'";
    let container =
        run(&[], &format!("{daemon} & until [ -e /tmp/up ]; do sleep 0.1; done; exit 0"));
    container.wait_for_status(ENDPOINTS, "/readyz", 200);
    container.wait_for_output("former main process ended");
    container.signal("TERM");
    assert_eq!(container.wait_exit(LIMIT), 6);
}
