//! Checks from stead's own flags, variables and file: which of them counts, what is a mistake, and URLs in files that
//! change.

use std::process::Command;

use crate::app::{Serve, idle};
use crate::discovery::{checks, config, ignored, shown};
use crate::harness::servers::redis::Redis;
use crate::harness::{LIMIT, Running, Scratch, Stead, free_port, stead, until};
use crate::mistakes::{Attempt, mistake_at};

#[test]
fn of_a_check_that_several_name_the_highest_is_taken_whole() {
    let scratch = Scratch::new();
    let text = "[check.redis]\nurl = \"redis://of-file\"\ninterval = \"33s\"\n";
    let file = scratch.file("stead.toml", text, 0o644);
    let mut command = config(&[("REDIS_URL", "redis://of-app?stead_timeout=3s")]);
    let says = |command: &mut Command, url: &str, from: &str, interval: &str, timeout: &str| {
        let rows = shown(command);
        assert_eq!(rows.len(), 1, "{rows:?}");
        assert_eq!((&rows[0]["value"], &rows[0]["from"]), (&url.into(), &from.into()));
        let options = &rows[0]["options"];
        assert_eq!(
            (&options["interval"], &options["timeout"]),
            (&interval.into(), &timeout.into())
        );
    };
    says(&mut command, "redis://of-app", "REDIS_URL", "10s", "3s");
    command.env("STEAD_CONFIG", &file);
    let line = format!("{}:1: check.redis", file.display());
    says(&mut command, "redis://of-file", &line, "33s", "2s");
    command.env("STEAD_CHECK_REDIS", "redis://of-variable?stead_timeout=4s");
    says(&mut command, "redis://of-variable", "STEAD_CHECK_REDIS", "10s", "4s");
    command.args(["--check", "redis=redis://of-flag"]);
    says(&mut command, "redis://of-flag", "--check redis", "10s", "2s");
}

#[test]
fn options_alone_are_laid_over_the_check_that_was_found() {
    let scratch = Scratch::new();
    let text =
        "[check.database]\ninterval = 30\nrequired = false\ngroup = [\"ready\", \"startup\"]\n";
    let file = scratch.file("stead.toml", text, 0o644);
    let found = [("DATABASE_URL", "postgres://db/x"), ("REDIS_URL", "redis://h"), ("PORT", "80")];
    let mut command = config(&found);
    command.env("STEAD_CONFIG", &file).env("STEAD_CHECK_REDIS", "?stead_startup=degraded");
    command.args(["--check", "app=?stead_fail_after=5"]);
    let rows = shown(&mut command);
    let option = |index: usize, name: &str| rows[index]["options"][name].as_str().unwrap();
    assert_eq!(option(0, "fail_after"), "5");
    assert_eq!(rows[0]["from"], "PORT, --check app");
    assert_eq!((option(1, "interval"), option(1, "group")), ("30s", "ready,startup"));
    assert_eq!((option(1, "startup"), option(1, "runtime")), ("degraded", "degraded"));
    assert_eq!((option(2, "startup"), option(2, "runtime")), ("degraded", "required"));
    // Nothing was found to lay them over: said, and no mistake, since the environment decides.
    let nothing_found = [("STEAD_CHECK_REDIS", "?stead_required=off")];
    assert_eq!(ignored(&nothing_found), ["STEAD_CHECK_REDIS"]);
}

#[test]
fn a_single_check_can_be_turned_off() {
    let found = [("REDIS_URL", "redis://h"), ("PORT", "80")];
    let off =
        [found.as_slice(), &[("STEAD_CHECK_REDIS", "off"), ("STEAD_CHECK_APP", "off")]].concat();
    assert_eq!(checks(&off), [[""; 3]; 0]);
    let unknown = [("STEAD_CHECK_OTHER", "OFF")];
    assert_eq!(checks(&unknown), [[""; 3]; 0]);
}

#[test]
fn a_check_of_the_app_by_its_name_replaces_the_port_that_was_found() {
    let variables =
        [("PORT", "80"), ("STEAD_CHECK_APP", "http://127.0.0.1:80/health?stead_group=live,ready")];
    let expected = [["app", "http://127.0.0.1:80/health", "STEAD_CHECK_APP"]];
    assert_eq!(checks(&variables), expected);
    let mut stead = Stead::run(["true"]).listening();
    for (name, value) in variables {
        stead = stead.env(name, value);
    }
    let mut stead = stead.start();
    assert_eq!(stead.wait_exit(LIMIT), 0);
    assert_eq!(stead.wait_for_event("starting", LIMIT)["app"], "app");
    let found = stead.wait_for_event("checks found", LIMIT);
    assert_eq!(found["checks"], "app (STEAD_CHECK_APP)");
}

#[test]
fn a_mistake_in_a_check_is_at_its_place_and_shows_no_value() {
    for (variable, value) in [
        ("STEAD_CHECK_DB", "s3cr3t"),
        ("STEAD_CHECK_DB", "s3cr3t://u:s3cr3t@h"),
        ("STEAD_CHECK_DB", "mysql://u:s3cr3t@h"),
        ("STEAD_CHECK_DB", "tcp://u:s3cr3t@h h:1"),
        ("STEAD_CHECK_DB", "tcp://h:1?stead_intreval=s3cr3t"),
        ("STEAD_CHECK_DB", "tcp://h:1?stead_interval=s3cr3t"),
        ("STEAD_CHECK_DB", "tcp://h:1?stead_interval=0"),
        ("STEAD_CHECK_DB", "tcp://h:1?stead_timeout=0s"),
        ("STEAD_CHECK_DB", "tcp://h:1?stead_slow=1s&stead_slow=s3cr3t"),
        ("STEAD_CHECK_DB", "tcp://h:1?stead_fail_after=0"),
        ("STEAD_CHECK_DB", "tcp://h:1?stead_pass_after=s3cr3t"),
        ("STEAD_CHECK_DB", "tcp://h:1?stead_max_age=s3cr3t"),
        ("STEAD_CHECK_DB", "tcp://h:1?stead_group=s3cr3t"),
        ("STEAD_CHECK_DB", "tcp://h:1?stead_group="),
        ("STEAD_CHECK_DB", "tcp://h:1?stead_group=live"),
        ("STEAD_CHECK_DB", "tcp://h:1?stead_required=s3cr3t"),
        ("STEAD_CHECK_DB", "tcp://h:1?stead_startup=s3cr3t"),
        ("STEAD_CHECK_DB", "?stead_interval=1s"),
        ("STEAD_CHECK_DB", "?interval=s3cr3t"),
        ("STEAD_CHECK_DB_FILE", "/nonexistent/s3cr3t"),
        ("STEAD_CHECK_", "tcp://h:1"),
        ("STEAD_CHECK_A.B", "tcp://h:1"),
        ("STEAD_CHECK", "tcp://s3cr3t:1"),
        ("STEAD_CHECK_-A", "tcp://h:1"),
    ] {
        let output = stead(["config"]).env(variable, value).output().unwrap();
        mistake_at(variable, &output);
        let (output, started) = Attempt::new(&[]).env(variable, value).run();
        mistake_at(variable, &output);
        assert!(!started, "{variable}={value}");
    }
    for (flag, place) in [
        ("--check=s3cr3t", "--check"),
        ("--check=a/b=tcp://s3cr3t:1", "--check"),
        ("--check=db=s3cr3t", "--check db"),
        ("--check=db=tcp://h:1?stead_interval=s3cr3t", "--check db"),
    ] {
        mistake_at(place, &stead(["config", flag]).output().unwrap());
    }
    let twice = ["config", "--check=a=tcp://h:1", "--check=A=tcp://h:2"];
    mistake_at("--check a", &stead(twice).output().unwrap());
    let mut settled = stead(["config"]);
    settled.env("STEAD_APP_PORT", "80").env("STEAD_CHECK_APP", "tcp://h:1");
    mistake_at("STEAD_CHECK_APP", &settled.output().unwrap());
}

#[test]
fn a_mistake_in_the_file_is_at_its_line() {
    for (text, place) in [
        ("[check.db]\nurl = \"tcp://u:s3cr3t@h h:1\"\n", "1: check.db"),
        ("[check.db]\nurl = \"tcp://h:1\"\n\ninterval = \"s3cr3t\"\n", "4: check.db.interval"),
        ("[check.db]\nurl = \"tcp://h:1\"\nintreval = \"s3cr3t\"\n", "3: check.db.intreval"),
        ("[check.db]\ninterval = 1\n", "1: check.db"),
        ("[check.db]\nurl = \"tcp://h:1\"\nurl_file = \"/s3cr3t\"\n", "1: check.db"),
        ("[check.db]\nurl_file = \"/nonexistent/s3cr3t\"\n", "1: check.db"),
        ("[check.\"a b\"]\nurl = \"tcp://h:1\"\n", "1: check.a b"),
        ("[check.a_b]\nurl = \"tcp://h:1\"\n[check.a-b]\nurl = \"tcp://h:1\"\n", "3: check.a-b"),
        ("check = \"s3cr3t\"\n", "1: check"),
        ("[check]\ndb = \"s3cr3t\"\n", "2: check.db"),
    ] {
        let scratch = Scratch::new();
        let file = scratch.file("stead.toml", text, 0o644);
        let output = stead(["config"]).env("STEAD_CONFIG", &file).output().unwrap();
        mistake_at(&format!("{}:{place}", file.display()), &output);
    }
}

#[test]
fn only_the_apps_own_checks_can_be_in_live_unless_they_are_forced() {
    let group = |variable: &str, value: &str| {
        let rows = shown(&mut config(&[(variable, value)]));
        rows[0]["options"]["group"].as_str().unwrap().to_owned()
    };
    assert_eq!(
        group("STEAD_CHECK_APP_BEAT", "file:///tmp/beat?stead_group=ready,live"),
        "ready,live"
    );
    assert_eq!(group("STEAD_CHECK_DB", "tcp://h:1?stead_group=live&stead_force=on"), "live");
    assert_eq!(group("STEAD_CHECK_DB", "tcp://h:1"), "ready");
    assert_eq!(group("PORT", "80"), "ready,startup");
    let mut live = config(&[("PORT", "80"), ("STEAD_APP_LIVE", "on")]);
    assert_eq!(shown(&mut live)[0]["options"]["group"], "ready,live,startup");
}

fn status_of(stead: &Running, check: &str) -> String {
    let answer = stead.get("/readyz").json();
    answer["checks"][check]["status"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_mounted_url_is_read_again_when_it_changes() {
    let (scratch, closed) = (Scratch::new(), free_port());
    let open = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let options = "stead_interval=200ms&stead_fail_after=1";
    let url = |port: u16| format!("tcp://127.0.0.1:{port}?{options}\n");
    let path = scratch.file("url", url(open.local_addr().unwrap().port()), 0o600);
    let stead = idle().env("STEAD_CHECK_PEER_FILE", &path).serve();
    assert!(until(LIMIT, || status_of(&stead, "peer") == "up"), "{:?}", stead.stderr());
    // As Kubernetes mounts it: the new file takes the place of the old one.
    std::fs::rename(scratch.file("new", url(closed), 0o600), &path).unwrap();
    assert!(until(LIMIT, || status_of(&stead, "peer") == "down"), "{:?}", stead.stderr());
    let event = stead.wait_for_event("secret file read again", LIMIT);
    assert_eq!(event["file"], path.to_str().unwrap());
    // What is no URL changes nothing, and is said once.
    std::fs::write(&path, "s3cr3t").unwrap();
    stead.wait_for_event("secret file not understood, the old secret is kept", LIMIT);
    std::fs::rename(scratch.file("third", url(open.local_addr().unwrap().port()), 0o600), &path)
        .unwrap();
    assert!(until(LIMIT, || status_of(&stead, "peer") == "up"), "{:?}", stead.stderr());
    assert_eq!(stead.events_of("secret file not understood, the old secret is kept").len(), 1);
    assert!(!stead.stderr().concat().contains("s3cr3t"));
}

#[test]
fn a_rotated_password_is_taken_from_its_file_without_a_restart() {
    let server = Redis::start(&["requirepass first-pw"]);
    let scratch = Scratch::new();
    let password = scratch.file("password", "first-pw\n", 0o600);
    let stead = idle()
        .env("REDIS_HOST", "127.0.0.1")
        .env("REDIS_PORT", server.port().to_string())
        .env("REDIS_PASSWORD_FILE", &password)
        .env("STEAD_CHECK_REDIS", "?stead_interval=200ms&stead_fail_after=1&stead_reuse=off")
        .serve();
    assert!(until(LIMIT, || status_of(&stead, "redis") == "up"), "{:?}", stead.stderr());
    // As secrets are rotated: both are good for a while.
    server.order(&["-a", "first-pw", "ACL", "SETUSER", "default", ">second-pw"]);
    std::fs::rename(scratch.file("next", "second-pw\n", 0o600), &password).unwrap();
    stead.wait_for_event("secret file read again", LIMIT);
    server.order(&["-a", "second-pw", "ACL", "SETUSER", "default", "<first-pw"]);
    // No connection is held, so that each attempt logs in; those of the test itself do not count.
    let mut own = 0;
    let mut logins = || {
        own += 1;
        let text = server.cli(&["-a", "second-pw", "INFO", "stats"]);
        let line = text.lines().find_map(|line| line.strip_prefix("total_connections_received:"));
        line.and_then(|number| number.trim().parse::<u64>().ok()).unwrap() - own
    };
    let before = logins();
    assert!(until(LIMIT, || logins() >= before + 3), "no more logins");
    assert_eq!(status_of(&stead, "redis"), "up", "{:?}", stead.stderr());
    for password in ["first-pw", "second-pw"] {
        assert!(!stead.stderr().concat().contains(password));
    }
}
