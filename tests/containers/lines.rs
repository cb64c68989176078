//! Real programs whose output becomes JSON: each of their lines is an object to jq and to a collector, says its level, and
//! is what the program wrote.

mod collector;
mod programs;
mod said;

use std::sync::OnceLock;

use serde_json::Value;

use super::{STOP, published};
use crate::harness::engine::files::APP;
use crate::harness::engine::{Container, ENDPOINTS, images};
use crate::harness::{LIMIT, http, until};
use said::Said;

const JSON: &str = "--env=STEAD_LOGS=json";

/// As root, its workers as nobody.
fn nginx() -> &'static Said {
    static SAID: OnceLock<Said> = OnceLock::new();
    SAID.get_or_init(|| nginx_run_as(&programs::NGINX))
}

/// As nobody, who opens root's pipes.
fn nginx_of_nobody() -> &'static Said {
    static SAID: OnceLock<Said> = OnceLock::new();
    let as_nobody = ["/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    SAID.get_or_init(|| nginx_run_as(&[&as_nobody, &programs::NGINX[..]].concat()))
}

fn nginx_run_as(command: &[&str]) -> Said {
    static IMAGE: OnceLock<String> = OnceLock::new();
    let image = IMAGE.get_or_init(programs::nginx);
    let stop_signal = "--env=STEAD_STOP_SIGNAL=QUIT".to_owned();
    let options = [&published()[..], &[JSON.to_owned(), stop_signal]].concat();
    let container = Container::run(image, &options, command);
    container.wait_for_status(ENDPOINTS, "/readyz", 200);
    let get = |path| http::request(container.port(APP), "GET", path, &[]).status;
    assert_eq!((get("/missing"), get("/as-json")), (404, 204));
    container.signal("USR1");
    // The signal and the master, then the worker, before it answers anything else.
    let reopened = || container.logs().stderr.matches("reopening logs").count() >= 3;
    assert!(until(LIMIT, reopened), "the worker has not opened its logs again");
    assert_eq!(get("/later"), 404);
    container.stop(STOP);
    assert_eq!(container.wait_exit(LIMIT), 0);
    Said::by(&container)
}

fn postgres() -> &'static Said {
    static SAID: OnceLock<Said> = OnceLock::new();
    let said = || {
        let container = Container::run(&programs::postgres(), &[JSON, "--user=65534"], &[]);
        container.wait_for_output("ready to accept connections");
        for (user, answer) in [("postgres", 1), ("stranger", 2)] {
            let query = "select 'ERROR:  x' from missing";
            let psql = [programs::PSQL, "-h", "/tmp", "-U", user, "-d", "postgres", "-c", query];
            let psql = container.exec(&psql);
            assert_eq!(psql.code, answer, "{psql:?}");
        }
        container.stop(STOP);
        assert_eq!(container.wait_exit(LIMIT), 0);
        Said::by(&container)
    };
    SAID.get_or_init(said)
}

fn redis() -> &'static Said {
    static SAID: OnceLock<Said> = OnceLock::new();
    let said = || {
        let options = [&published()[..], &[JSON.to_owned()]].concat();
        let server = ["/usr/bin/redis-server", "--port", "8080", "--loglevel", "debug"];
        let command = [&server[..], &["--save", "", "--protected-mode", "no"]].concat();
        let container = Container::run(images::redis(), &options, &command);
        container.wait_for_status(ENDPOINTS, "/readyz", 200);
        container.stop(STOP);
        assert_eq!(container.wait_exit(LIMIT), 0);
        Said::by(&container)
    };
    SAID.get_or_init(said)
}

fn python() -> &'static Said {
    static SAID: OnceLock<Said> = OnceLock::new();
    SAID.get_or_init(|| Said::to_the_end(&programs::python(), 1))
}

fn node() -> &'static Said {
    static SAID: OnceLock<Said> = OnceLock::new();
    SAID.get_or_init(|| Said::to_the_end(&programs::node(), 1))
}

fn java() -> &'static Said {
    static SAID: OnceLock<Said> = OnceLock::new();
    SAID.get_or_init(|| Said::to_the_end(&programs::java(), 1))
}

#[test]
fn nginx_opens_the_streams_by_its_logs_names_and_again_as_another_user() {
    assert_nginx_said_all(nginx());
    let said = nginx_of_nobody();
    assert_nginx_said_all(said);
    assert_eq!(said.level("the \"user\" directive makes sense only if"), "warn");
}

fn assert_nginx_said_all(said: &Said) {
    let [missing, as_json, later] = &said.stdout[..] else { panic!("{}", said.text) };
    assert_eq!(levels(&said.stdout), ["info"; 3]);
    for (line, request) in [(missing, "\"GET /missing HTTP/1.1\" 404"), (later, "\"GET /later ")] {
        assert!(line["message"].as_str().expect("a message").contains(request), "{line}");
    }
    assert_eq!((&as_json["status"], &as_json["timestamp"]), (&204.into(), &as_json["time"]));
    for path in ["\"/srv/missing\"", "\"/srv/later\""] {
        assert_eq!(said.level(path), "error");
    }
    for line in &said.stderr {
        let level = line["level"].as_str().expect("a level").replace("info", "notice");
        let message = line["message"].as_str().expect("a message");
        assert!(message.contains(&format!(" [{level}] ")), "{line}");
    }
}

#[test]
fn postgres_says_its_levels() {
    let said = postgres();
    assert!(levels(&said.stdout).iter().all(|level| *level == "info"), "{}", said.text);
    assert_eq!(said.level("relation \"missing\" does not exist"), "error");
    assert_eq!(said.level("STATEMENT:  select 'ERROR:  x'"), "info");
    assert_eq!(said.level("role \"stranger\" does not exist"), "fatal");
    assert_eq!(said.level("LOG:  database system is ready"), "info");
    let is_log = |line: &&Value| line.to_string().contains("] LOG:  ");
    for line in said.stderr.iter().filter(is_log) {
        assert_eq!(line["level"], "info", "{line}");
    }
}

#[test]
fn redis_says_its_levels_by_signs() {
    let said = redis();
    assert!(said.stderr.is_empty(), "{}", said.text);
    for line in &said.stdout {
        // Process and role, day, month, year, time, sign.
        let sign = line["message"].as_str().expect("a message").split(' ').nth(5);
        let level = match sign.expect("a sign") {
            "." | "-" => "debug",
            "#" => "warn",
            // `*`, or words of the signal's handler, which has no time and no sign.
            _ => "info",
        };
        assert_eq!(line["level"], level, "{line}");
    }
    assert_eq!(said.level("* Ready to accept connections"), "info");
    assert_eq!(said.level("Received SIGTERM"), "info");
    assert_eq!(said.level("bye bye"), "warn");
    for level in ["debug", "info", "warn"] {
        assert!(said.stdout.iter().any(|line| line["level"] == level), "none is {level}");
    }
}

#[test]
fn python_logs_and_dies_by_a_traceback_that_is_one_event() {
    let said = python();
    let last = said.stderr.last().expect("a last line");
    assert_joined(last, &["Traceback (most recent", "The above exception was", "RuntimeError: "]);
    assert_eq!(said.level("ERROR:app.orders:order 7 is left out\nTraceback"), "error");
    let levels = levels(&said.stderr);
    assert_eq!(levels, ["debug", "info", "warn", "info", "error", "info", "error"]);
    assert_eq!(said.level("Error handling is on"), "info");
    let object = &said.stdout[1];
    assert_eq!((&object["level"], &object["msg"]), (&"warning".into(), &"said as JSON".into()));
}

#[test]
fn node_dies_by_an_error_that_is_one_event() {
    let said = node();
    let last = said.stderr.last().expect("a last line");
    assert_joined(last, &["/app.js:", "Error: cannot", "[cause]: Error: nobody", "Node.js v"]);
    assert_eq!(levels(&said.stderr), ["warn", "info", "error"]);
    assert_eq!(said.level("listening at the café"), "info");
    let object = &said.stdout[1];
    assert_eq!((&object["level"], &object["msg"]), (&50.into(), &"said as JSON".into()));
    assert_eq!(object["timestamp"], "2026-11-22T12:00:00.123000Z");
}

#[test]
fn java_shows_an_exception_and_dies_by_another_each_of_them_one_event() {
    let said = java();
    let [shown, last] = &said.stderr[..] else { panic!("not two events: {}", said.text) };
    assert_joined(shown, &["java.lang.IllegalStateException: no", "\tat App.", "Caused by: "]);
    assert_joined(last, &["Exception in thread \"main\"", "Caused by: ", "Index 7 out", "\t... 1"]);
    assert_eq!(levels(&said.stderr), ["error", "error"]);
    assert_eq!(levels(&said.stdout), ["info", "warn"]);
}

/// An event of several lines that has these texts in this order, the first of them at its beginning.
fn assert_joined(event: &Value, texts: &[&str]) {
    let mut rest = event["message"].as_str().expect("a message");
    assert!(rest.starts_with(texts[0]) && rest.contains('\n'), "{rest}");
    for text in texts {
        rest = rest.split_once(text).unwrap_or_else(|| panic!("no {text:?} in {event}")).1;
    }
}

fn levels(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|line| line["level"].as_str().expect("a level")).collect()
}

#[test]
fn rsyslog_reads_every_line_of_every_program_with_all_of_its_fields() {
    let programs = [nginx(), nginx_of_nobody(), postgres(), redis(), python(), node(), java()];
    let text: String = programs.iter().map(|said| said.text.as_str()).collect();
    let read = collector::read(&text);
    assert_eq!(read.len(), text.lines().count());
    for ((parsed, fields), line) in read.iter().zip(text.lines()) {
        let wanted: Value = serde_json::from_str(line).expect("JSON");
        assert_eq!((parsed.as_str(), fields), ("OK", &wanted));
    }
}
