//! Waiting for dependencies: `stead wait` until all are up, then the command in its place; `run --wait` before the child.

mod command;
mod run;
mod signals;
mod terminal;

use std::net::{Ipv4Addr, TcpListener};
use std::time::{Duration, Instant};

use crate::app::App;
use crate::harness::servers::redis::Redis;
use crate::harness::{LIMIT, Running, Stead, free_port, stead, until};

/// `stead wait ARGS`.
fn wait<I: IntoIterator<Item: AsRef<str>>>(args: I) -> Stead {
    let args = args.into_iter().map(|arg| arg.as_ref().to_owned());
    Stead::invoked(["wait".to_owned()].into_iter().chain(args))
}

/// A dependency that is not up yet.
struct Later(u16);

impl Later {
    fn new() -> Self {
        Self(free_port())
    }

    fn url(&self) -> String {
        format!("tcp://127.0.0.1:{}", self.0)
    }

    /// It is up for as long as this is kept.
    fn up(&self) -> TcpListener {
        let mut listener = TcpListener::bind((Ipv4Addr::LOCALHOST, self.0));
        // A program that another test starts at this moment may hold an earlier listener until its exec.
        let _ = until(LIMIT, || {
            if listener.is_err() {
                listener = TcpListener::bind((Ipv4Addr::LOCALHOST, self.0));
            }
            listener.is_ok()
        });
        listener.unwrap_or_else(|e| panic!("port {}: {e}", self.0))
    }
}

/// Waits until this many checks are known to be in this state.
fn wait_for_changes(stead: &Running, status: &str, count: usize) {
    let changed = |event: &serde_json::Value| event["status"] == status;
    let came = until(LIMIT, || {
        stead.events_of("check changed").iter().filter(|event| changed(event)).count() >= count
    });
    assert!(came, "not {count} checks are {status}");
}

/// The one line of stderr that is no event.
fn plain_line(stead: &Running) -> String {
    let mut lines = stead.stderr();
    lines.retain(|line| !line.starts_with('{'));
    assert_eq!(lines.len(), 1, "not one clear line: {lines:?}");
    lines.concat()
}

#[test]
fn the_command_starts_once_all_are_up() {
    let (first, second) = (Later::new(), Later::new());
    let mut stead = wait([&first.url(), &second.url(), "--", "echo", "started"]).start();
    stead.wait_for_event("waiting", LIMIT);
    let _first = first.up();
    wait_for_changes(&stead, "up", 1);
    assert!(stead.is_running() && stead.stdout().is_empty());
    let _second = second.up();
    assert_eq!(stead.wait_exit(LIMIT), 0);
    assert_eq!(stead.stdout(), ["started"]);
    let over = stead.wait_for_event("wait over", LIMIT);
    assert!(over["elapsed_s"].as_f64().is_some_and(|seconds| seconds > 0.0), "{over}");
}

#[test]
fn a_change_is_one_line_of_json_and_an_attempt_is_none() {
    let later = Later::new();
    let mut stead = wait([&later.url(), "--timeout=30s"]).start();
    // Three failures are what it takes, a second apart.
    wait_for_changes(&stead, "down", 1);
    let _up = later.up();
    assert_eq!(stead.wait_exit(LIMIT), 0);
    let events: Vec<String> = stead
        .events()
        .iter()
        .map(|event| event["message"].as_str().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(events, ["waiting", "check changed", "check changed", "wait over"]);
    assert_eq!(stead.stderr().len(), events.len(), "{:?}", stead.stderr());
    let waiting = stead.wait_for_event("waiting", LIMIT);
    assert_eq!(waiting["checks"], later.url());
    assert_eq!(waiting["timeout_s"], 30.0);
}

#[test]
fn servers_are_waited_for_until_they_answer_and_left_with_a_farewell() {
    let mut redis = Redis::start(&[]);
    let url = redis.url("");
    redis.stop();
    let app = App::new();
    let mut stead = wait([&url, &app.url("/"), "--", "echo", "started"]).start();
    wait_for_changes(&stead, "up", 1);
    redis.start_again();
    assert_eq!(stead.wait_exit(LIMIT), 0);
    assert_eq!(stead.stdout(), ["started"]);
    assert_eq!(redis.info("connected_clients"), "1", "only the test's own is left");
    assert_eq!(redis.info("cmdstat_quit").split(',').next(), Some("calls=1"));
}

#[test]
fn without_a_command_it_ends_with_0() {
    let app = App::new();
    let mut stead = wait([app.url("/")]).start();
    assert_eq!(stead.wait_exit(LIMIT), 0);
    assert!(stead.stdout().is_empty());
}

#[test]
fn the_time_is_over_with_1_and_a_line_that_names_what_is_missing() {
    let (there, missing, also) = (App::new(), Later::new(), Later::new());
    let urls = [there.url("/"), missing.url(), also.url()];
    let mut stead = wait(urls).options(["--timeout", "1200ms", "--", "echo", "started"]).start();
    assert_eq!(stead.wait_exit(LIMIT), 1);
    let one = |later: &Later| format!("{} (connect_refused at connect)", later.url());
    let expected = format!("stead: not up after 1s 200ms: {}, {}", one(&missing), one(&also));
    assert_eq!(plain_line(&stead), expected);
    assert!(stead.stdout().is_empty());
}

#[test]
fn a_timeout_of_0_is_none() {
    let later = Later::new();
    let mut stead = wait([&later.url(), "--timeout", "0", "--", "echo", "started"]).start();
    wait_for_changes(&stead, "down", 1);
    assert!(stead.wait_for_event("waiting", LIMIT).get("timeout_s").is_none());
    let _up = later.up();
    assert_eq!(stead.wait_exit(LIMIT), 0);
}

#[test]
fn all_must_be_up_at_the_same_time() {
    let (flapping, last) = (Later::new(), Later::new());
    let up = flapping.up();
    let options = "?stead_interval=100ms&stead_fail_after=1";
    let mut stead = wait(["--", "echo", "started"])
        .env("STEAD_CHECK_FLAPPING", flapping.url() + options)
        .env("STEAD_CHECK_LAST", last.url())
        .start();
    wait_for_changes(&stead, "up", 1);
    drop(up);
    wait_for_changes(&stead, "down", 1);
    let _last = last.up();
    wait_for_changes(&stead, "up", 2);
    assert!(stead.is_running() && stead.stdout().is_empty());
    let _up = flapping.up();
    assert_eq!(stead.wait_exit(2 * LIMIT), 0);
}

#[test]
fn without_urls_the_required_dependencies_are_waited_for_and_nothing_else() {
    let (needed, optional, app) = (Later::new(), Later::new(), Later::new());
    let mut stead = wait(["--", "echo", "started"])
        .env("STEAD_CHECK_NEEDED", needed.url())
        .env("STEAD_CHECK_OPTIONAL", optional.url() + "?stead_required=false")
        .env("PORT", app.0.to_string())
        .env("DATABASE_URL", "mysql://db/name")
        .start();
    assert_eq!(stead.wait_for_event("setting ignored", LIMIT)["variable"], "DATABASE_URL");
    assert_eq!(stead.wait_for_event("waiting", LIMIT)["checks"], "needed");
    let _up = needed.up();
    assert_eq!(stead.wait_exit(LIMIT), 0);
    assert_eq!(stead.stdout(), ["started"]);
}

#[test]
fn a_mistake_is_64_and_one_line_without_the_value() {
    let mistakes: [(&[&str], &str); 8] = [
        (&[], "stead: wait: nothing to wait for"),
        (&["--", "true"], "stead: wait: nothing to wait for"),
        (&["hunter2"], "stead: wait: not a URL"),
        (&["tcp://hunter2"], "stead: wait: URL 1: "),
        (&["tcp://a:1", "hunter2://b"], "stead: wait: URL 2: a scheme that stead does not know"),
        (&["tcp://a:1", "--timeout", "hunter2"], "stead: --timeout: not a duration"),
        (&["tcp://a:1", "--"], "stead: wait: no command behind --"),
        (&["tcp://a:1", "--hunter2"], "stead: wait: not a URL"),
    ];
    for (args, start) in mistakes {
        let output = stead(["wait"]).args(args).output().expect("stead wait");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(64), "{args:?}: {text}");
        assert!(text.starts_with(start) && text.lines().count() == 1, "{args:?}: {text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
    let mut wrong = stead(["wait", "tcp://127.0.0.1:1"]);
    let output = wrong.env("STEAD_GRACE", "hunter2").output().expect("stead wait");
    assert_eq!(output.status.code(), Some(64), "{output:?}");
}

#[test]
fn nothing_is_lost_between_up_and_the_command() {
    // What is up from the beginning costs one attempt and no interval.
    let app = App::new();
    let began = Instant::now();
    let mut stead = wait([app.url("/"), "--".to_owned(), "true".to_owned()]).start();
    assert_eq!(stead.wait_exit(LIMIT), 0);
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    assert_eq!(app.requests().len(), 1);
}
