//! `auto`: JSON for machines, and what the app says as it is for people.

use super::{messages, objects};
use crate::harness::terminal::Terminal;
use crate::harness::{LIMIT, Stead};

fn auto(script: &str) -> Stead {
    Stead::script(script).options(["--logs", "auto", "--log-level", "off"])
}

#[test]
fn auto_is_json_where_nothing_speaks_against_it() {
    for value in [None, Some("production"), Some("developer")] {
        let stead = auto("echo plain; echo err >&2");
        let stead =
            value.map_or(auto("echo plain; echo err >&2"), |value| stead.env("NODE_ENV", value));
        let mut stead = stead.start();
        assert_eq!(stead.wait_exit(LIMIT), 0);
        assert_eq!(messages(&objects(&stead.stdout())), ["plain"], "{value:?}");
        assert_eq!(messages(&objects(&stead.stderr())), ["err"], "{value:?}");
    }
}

#[test]
fn auto_is_raw_in_development() {
    for (name, value) in [
        ("ENVIRONMENT", "development"),
        ("ENVIRONMENT", "Dev"),
        ("NODE_ENV", "DEVELOPMENT"),
        ("NODE_ENV", "dev"),
    ] {
        let mut stead = auto("echo plain").env(name, value).start();
        assert_eq!(stead.wait_exit(LIMIT), 0);
        assert_eq!(stead.stdout(), ["plain"], "{name}={value}");
    }
}

#[test]
fn auto_is_raw_on_a_terminal_and_only_there() {
    let terminal = Terminal::open();
    let script = "test -t 1 && echo on a terminal; test -t 2 || echo not on one >&2";
    let stead = auto(script).stdin(terminal.stream()).stdout(terminal.stream());
    let mut stead = stead.start();
    assert_eq!(stead.wait_exit(LIMIT), 0);
    terminal.wait_for("on a terminal\r\n", LIMIT);
    assert!(!terminal.seen().contains('{'), "{}", terminal.seen());
    assert_eq!(messages(&objects(&stead.stderr())), ["not on one"]);
}

#[test]
fn json_is_json_on_a_terminal_too() {
    let terminal = Terminal::open();
    let stead = Stead::script("test -t 1 || echo a pipe").options(["--logs", "json"]);
    let mut stead = stead.on_terminal(&terminal).start();
    assert_eq!(stead.wait_exit(LIMIT), 0);
    terminal.wait_for("\"message\":\"a pipe\"", LIMIT);
}
