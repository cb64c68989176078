//! `join_traces`: one event for the lines of one stack trace, and no long wait for what comes behind it.

use super::settings::with;
use super::{json, messages};
use crate::harness::{LIMIT, Stead};

/// A traceback of Python, and a line behind it.
const TRACEBACK: &str = "Traceback (most recent call last):\n  File \"app.py\", line 3, in <module>\n    main()\nValueError: no\n";

#[test]
fn a_traceback_is_one_event_where_that_is_asked_for() {
    let script = format!("cat <<'X'\nbefore\n{TRACEBACK}behind\nX");
    let joined = with(&["--join-traces"], &script);
    assert_eq!(messages(&joined), ["before", TRACEBACK.trim_end(), "behind"]);
    assert_eq!(joined[1]["level"], "error");
    assert_eq!(with(&[], &script).len(), 6);
}

#[test]
fn a_traceback_that_is_the_last_for_now_is_let_go_after_a_moment() {
    let script = format!("cat <<'X'\n{TRACEBACK}X\nread never");
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let stead = json(Stead::script(&script)).options(["--join-traces"]).stdin(reader);
    let mut stead = stead.start();
    let line = stead.wait_for_line(LIMIT, |line| line.contains("ValueError"));
    assert!(line.contains("Traceback"), "{line}");
    drop(writer);
    stead.wait_exit(LIMIT);
}
