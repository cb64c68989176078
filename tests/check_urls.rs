//! `stead check URL...` and `--all`: one attempt each, with no stead running; a line each, and 0 or 1.

use std::ffi::OsStr;
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::app::{Answer, App};
use crate::harness::servers::redis::Redis;
use crate::harness::servers::web::Web;
use crate::harness::{LIMIT, Place, Scratch, Stead, binary, free_port, stead};

/// What no line may show.
const SECRETS: [&str; 4] = ["hunter2", "p@ss", "p%40ss", "t0ken"];

/// `stead check ARGS`, with nothing in its environment.
fn check<S: AsRef<OsStr>>(args: &[S]) -> Output {
    stead(["check"]).args(args).output().expect("stead check")
}

/// The code and the lines of stdout; fails where stderr says anything, or a line shows a secret.
fn said(output: &Output) -> (i32, Vec<String>) {
    let text = String::from_utf8(output.stdout.clone()).expect("text");
    assert!(output.stderr.is_empty(), "{output:?}");
    assert!(text.is_empty() || text.ends_with('\n'), "{text:?}");
    for secret in SECRETS {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
    let code = output.status.code().expect("an exit code");
    (code, text.lines().map(str::to_owned).collect())
}

/// The one line of a mistake, which says no secret either.
fn mistake(output: &Output) -> String {
    let text = String::from_utf8(output.stderr.clone()).expect("text");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stdout.is_empty() && text.lines().count() == 1, "{output:?}");
    for secret in SECRETS {
        assert!(!text.contains(secret), "{text}");
    }
    text
}

/// A port that nothing listens on.
fn nothing() -> String {
    format!("tcp://127.0.0.1:{}", free_port())
}

/// The milliseconds that a line says an attempt took.
fn milliseconds(line: &str) -> f64 {
    let (before, _) = line.split_once(" ms").unwrap_or_else(|| panic!("no time: {line}"));
    before.rsplit(' ').next().and_then(|number| number.parse().ok()).expect("a number")
}

#[test]
fn servers_that_work_are_a_line_each_in_the_order_of_their_urls_and_0() {
    let redis = Redis::start(&["requirepass hunter2"]);
    let port = free_port();
    let _nginx = Web::nginx(&format!("server {{ listen 127.0.0.1:{port}; return 200; }}"), port);
    let urls = [
        format!("http://127.0.0.1:{port}/path?token=t0ken"),
        format!("redis://:hunter2@127.0.0.1:{}", redis.port()),
        format!("tcp://127.0.0.1:{port}"),
        format!("unix://{}", redis.socket().display()),
    ];
    let (code, lines) = said(&check(&urls));
    assert_eq!(code, 0, "{lines:?}");
    let names = [
        format!("http://127.0.0.1:{port}"),
        format!("redis://127.0.0.1:{}", redis.port()),
        format!("tcp://127.0.0.1:{port}"),
        format!("unix://{}", redis.socket().display()),
    ];
    assert_eq!(lines.len(), names.len(), "{lines:?}");
    for (line, name) in lines.iter().zip(names) {
        assert!(line.starts_with(&format!("{name} up in ")), "{line}");
        assert!(milliseconds(line) > 0.0, "{line}");
    }
    assert!(lines[1].contains("role primary"), "{lines:?}");
}

#[test]
fn what_is_down_comes_first_then_what_is_degraded_and_only_down_is_1() {
    let redis = Redis::start(&[]);
    redis.cli(&["RPUSH", "jobs", "a", "b"]);
    let up = redis.url("");
    let degraded = redis.url("?stead_list=jobs&stead_max_messages=1");
    let down = nothing();
    let (code, lines) = said(&check(&[&up, &degraded, &down]));
    assert_eq!((code, lines.len()), (1, 3), "{lines:?}");
    assert!(lines[0].starts_with(&format!("{down} down: connect_refused at connect after ")));
    assert!(lines[1].contains(" (URL 2) degraded: too_many_messages at state after "), "{lines:?}");
    assert!(lines[2].contains(" (URL 1) up in "), "{lines:?}");
    let (code, lines) = said(&check(&[&up, &degraded]));
    assert_eq!(code, 0, "{lines:?}");
}

#[test]
fn quiet_prints_nothing_and_answers_by_its_code_alone() {
    let app = App::new();
    for (url, code) in [(app.url("/"), 0), (nothing(), 1)] {
        for args in [["-q", &url], [&url, "--quiet"]] {
            assert_eq!(said(&check(&args)), (code, Vec::new()), "{args:?}");
        }
    }
}

#[test]
fn no_line_shows_a_password_or_a_query() {
    let redis = Redis::start(&["requirepass other"]);
    let app = App::new();
    app.answers(Answer::Status(500));
    let urls = [
        redis.url("").replace("redis://", "redis://:p%40ss@"),
        redis.url("").replace("redis://", "redis://hunter2:p%40ss@"),
        app.url("/t0ken?key=t0ken").replace("http://", "http://app:hunter2@"),
        format!("postgres://app:hunter2@127.0.0.1:{}/db?sslpassword=t0ken", free_port()),
        format!("amqp://app:hunter2@127.0.0.1:{}/vhost", free_port()),
    ];
    let (code, lines) = said(&check(&urls));
    assert_eq!((code, lines.len()), (1, urls.len()), "{lines:?}");
    assert_eq!(
        lines.iter().filter(|line| line.contains(": auth_failed at authenticate")).count(),
        2
    );
    assert!(lines.iter().any(|line| line.contains(": http_status at ")), "{lines:?}");
}

#[test]
fn what_hangs_ends_at_its_time_and_none_waits_for_another() {
    let silent: Vec<TcpListener> =
        (0..8).map(|_| TcpListener::bind("127.0.0.1:0").expect("a port")).collect();
    let url = |listener: &TcpListener, end: &str| {
        format!("http://127.0.0.1:{}/{end}", listener.local_addr().expect("an address").port())
    };
    let urls: Vec<String> = silent.iter().map(|listener| url(listener, "")).collect();
    let began = Instant::now();
    let (code, lines) = said(&check(&urls));
    // One after the other they would take 16 s.
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!(code, 1);
    for line in &lines {
        assert!(line.contains(" down: timeout at query after "), "{line}");
        assert!(milliseconds(line) >= 2000.0, "{line}");
    }
    let (_, lines) = said(&check(&[url(&silent[0], "?stead_timeout=50ms")]));
    assert!((50.0..2000.0).contains(&milliseconds(&lines[0])), "{lines:?}");
}

#[test]
fn a_mistake_is_one_line_without_the_value_and_1() {
    let good = nothing();
    let mistakes: [(&[&str], &str); 9] = [
        (&[&good, "hunter2://app:p@ss@host"], "check: URL 2: a scheme that stead does not know"),
        (&["tcp://host:hunter2"], "check: URL 1: "),
        (&["tcp://host"], "check: URL 1: "),
        (&["tcp://host:1?stead_t0ken=hunter2"], "stead_t0ken"),
        (&["tcp://host:1?stead_timeout=hunter2"], "check: URL 1: stead_timeout: not a duration"),
        (&["ready", &good], "check: "),
        (&["--all", &good], "check: "),
        (&["--all", "live"], "check: "),
        (&["--all"], "check --all: no check is configured"),
    ];
    for (args, part) in mistakes {
        let output = check(args);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(text.contains(part), "{args:?}: {text}");
        if !part.contains("t0ken") {
            mistake(&output);
        }
    }
}

#[test]
fn a_name_that_is_no_text_is_a_mistake() {
    use std::os::unix::ffi::OsStrExt;
    mistake(&check(&[OsStr::from_bytes(b"tcp://\xff:1")]));
}

#[test]
fn the_code_is_right_where_nobody_reads_the_lines() {
    let app = App::new();
    for (url, code) in [(app.url("/"), 0), (nothing(), 1)] {
        for redirection in [">&-", ">&- 2>&- <&-", ">/dev/full 2>/dev/full"] {
            let mut command = Command::new("/bin/sh");
            command.args(["-c", &format!("exec \"$0\" check \"$1\" {redirection}")]);
            let status = command.arg(binary()).arg(&url).env_clear().status().expect("sh");
            assert_eq!(status.code(), Some(code), "{redirection}");
        }
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut command = stead(["check", &url]);
        let status = command.stdout(writer).stderr(Stdio::null()).status().expect("stead");
        assert_eq!(status.code(), Some(code), "a pipe without a reader");
    }
}

#[test]
fn term_and_int_end_it_at_once_with_1() {
    for place in Place::BOTH {
        for signal in [libc::SIGTERM, libc::SIGINT] {
            let app = App::new();
            app.answers(Answer::Silence);
            let url = app.url("/?stead_timeout=1h");
            let mut stead = Stead::invoked(["check", &url]).place(place).start();
            assert!(crate::harness::until(LIMIT, || !app.requests().is_empty()), "it never asks");
            stead.signal(signal);
            assert_eq!(stead.wait_exit(LIMIT), 1, "{signal}");
        }
    }
}

#[test]
fn all_checks_what_run_would_check() {
    let redis = Redis::start(&[]);
    let app = App::new();
    let all = |app_port: u16| {
        let mut command = stead(["check", "--all"]);
        command.env("STEAD_CHECK_CACHE", redis.url("")).env("PORT", app_port.to_string());
        said(&command.output().expect("stead check"))
    };
    let (code, lines) = all(app.port());
    assert_eq!((code, lines.len()), (0, 2), "{lines:?}");
    assert!(lines[0].starts_with("app up in "), "{lines:?}");
    assert!(lines[1].starts_with("cache up in "), "{lines:?}");
    let (code, lines) = all(free_port());
    assert_eq!(code, 1, "{lines:?}");
    assert!(lines[0].starts_with("app down: connect_refused at connect after "), "{lines:?}");
    assert!(lines[1].starts_with("cache up in "), "{lines:?}");
}

#[test]
fn what_is_found_and_not_understood_is_told_behind_the_rest() {
    let app = App::new();
    let mut command = stead(["check", "--all"]);
    command.env("PORT", app.port().to_string()).env("DATABASE_URL", "mysql://app:hunter2@db/t0ken");
    let (code, lines) = said(&command.output().expect("stead check"));
    assert_eq!((code, lines.len()), (0, 2), "{lines:?}");
    assert!(lines[0].starts_with("app up in "), "{lines:?}");
    assert!(lines[1].starts_with("DATABASE_URL ignored: "), "{lines:?}");
}

#[test]
fn a_mistake_in_the_configuration_is_1_for_all() {
    let scratch = Scratch::new();
    let file = scratch.file("stead.toml", "grace = \"hunter2\"\n", 0o644);
    let output = stead(["check", "--all"]).env("STEAD_CONFIG", file).output().expect("stead");
    assert!(mistake(&output).contains("stead.toml:1"));
    let url = "tcp://hunter2:p@ss";
    let output = stead(["check", "--all"]).env("STEAD_CHECK_X", url).output().expect("stead");
    assert!(mistake(&output).starts_with("stead: STEAD_CHECK_X: "));
}
