//! What the app reads, and the terminals of the engine.

use super::NONE;
use crate::harness::LIMIT;
use crate::harness::engine::{Container, images, run_to_end, run_with_input};
use crate::harness::terminal::Terminal;

#[test]
fn the_app_reads_what_docker_run_interactive_hands_in() {
    let finished = run_with_input(images::busybox(), b"first\nsecond\n", &["cat"]);
    assert_eq!((finished.code, finished.stdout.as_str()), (0, "first\nsecond\n"));
}

#[test]
fn without_a_stdin_the_app_reads_the_end_of_it() {
    let finished = run_to_end(images::busybox(), NONE, &["cat"]);
    assert_eq!((finished.code, finished.stdout.as_str()), (0, ""));
}

#[test]
fn a_closed_stdin_stops_nothing() {
    let line = ["-c", "exec /stead run -- sh -c 'echo alive; exit 4' <&-"];
    let finished = run_to_end(images::busybox(), &["--entrypoint=/bin/sh"], &line);
    assert_eq!((finished.code, finished.stdout.as_str()), (4, "alive\n"));
}

#[test]
fn a_terminal_without_a_person_is_a_terminal_to_the_app() {
    let script = "test -t 0 && test -t 1 && test -t 2 && exit 5";
    let finished = run_to_end(images::busybox(), &["--tty"], &["sh", "-c", script]);
    assert_eq!(finished.code, 5, "{finished:?}");
}

#[test]
fn on_a_terminal_the_app_gets_what_is_typed_and_ctrl_c_itself() {
    let script = "trap 'echo interrupted; exit 6' INT; read line; echo \"got $line\"; \
                  while :; do sleep 0.1; done";
    let terminal = Terminal::open();
    let (container, mut client) =
        Container::run_on(&terminal, images::busybox(), NONE, &["sh", "-c", script]);
    terminal.wait_for("child started", LIMIT);
    terminal.type_text("words\r");
    terminal.wait_for("got words", LIMIT);
    terminal.type_text("\x03");
    terminal.wait_for("interrupted", LIMIT);
    assert_eq!(container.wait_exit(LIMIT), 6);
    let code = client.wait().expect("docker").code();
    assert_eq!(code, Some(6));
    let seen = terminal.seen();
    assert!(!seen.contains("\"message\""), "JSON on a terminal: {seen}");
}
