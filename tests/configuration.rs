//! The configuration: what is taken from where, in which forms, and what `stead config` shows of it.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::app::{Serve, idle};
use crate::harness::{LIMIT, Scratch, Stead, binary, search_path, stead};
use crate::mistakes::{Attempt, MARKER, SETTINGS, flag_of, mistake_at, variable_of};

/// The rows of `stead config --json`.
fn rows(command: &mut Command) -> Vec<Value> {
    let output = command.output().expect("stead config");
    assert!(output.status.success(), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
    let rows: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    rows.as_array().expect("a list").clone()
}

/// The value and the origin of a setting as `stead config --json` shows them.
fn shown(command: &mut Command, key: &str) -> (String, String) {
    let rows = rows(command);
    let row = rows.iter().find(|row| row["key"] == key);
    let row = row.unwrap_or_else(|| panic!("no {key} among {rows:?}"));
    let text = |name: &str| row[name].as_str().expect("text").to_owned();
    (text("value"), text("from"))
}

#[test]
fn what_kubernetes_injects_for_services_is_passed_over() {
    let injected = [
        ("STEAD_SERVICE_HOST", "10.0.0.1"),
        ("STEAD_SERVICE_PORT", "80"),
        ("STEAD_SERVICE_PORT_HTTP", "80"),
        ("STEAD_SERVICE_PORT_9321_TCP", "80"),
        ("STEAD_PORT", "tcp://10.0.0.1:80"),
        ("STEAD_PORT_80_TCP", "tcp://10.0.0.1:80"),
        ("STEAD_PORT_80_TCP_PROTO", "tcp"),
        ("STEAD_PORT_80_TCP_PORT", "80"),
        ("STEAD_PORT_80_TCP_ADDR", "10.0.0.1"),
        // A Service named stead-app: one of these is the name of a setting.
        ("STEAD_APP_SERVICE_HOST", "10.0.0.1"),
        ("STEAD_APP_SERVICE_PORT", "80"),
        ("STEAD_APP_PORT", "tcp://10.0.0.1:80"),
        ("STEAD_APP_PORT_80_TCP", "tcp://10.0.0.1:80"),
        ("STEAD_APP_PORT_80_TCP_PORT", "80"),
        ("STEAD_APP_PORT_53_UDP_ADDR", "10.0.0.1"),
        ("STEAD_MY_API_V2_SERVICE_PORT_METRICS", "9090"),
        ("STEAD_MY_API_V2_PORT", "udp://10.0.0.1:53"),
    ];
    let mut all = Attempt::new(&[]);
    for (name, value) in injected {
        Attempt::new(&[]).env(name, value).starts();
        all = all.env(name, value);
    }
    all.starts();
    let mut config = stead(["config", "--json"]);
    config.envs(injected);
    assert_eq!(shown(&mut config, "app_port").1, "default");
}

#[test]
fn tomls_ways_to_write_a_value_are_understood() {
    let scratch = Scratch::new();
    for (text, key, value) in [
        ("app_port = 8080", "app_port", "8080"),
        ("app_port = 8_080", "app_port", "8080"),
        ("app_port = 0x1F90", "app_port", "8080"),
        ("app_port = +8080", "app_port", "8080"),
        ("app_port = \"8080\"", "app_port", "8080"),
        ("app_port = \"off\"", "app_port", "off"),
        ("grace = 45", "grace", "45s"),
        ("grace = '''45s'''", "grace", "45s"),
        ("grace = \"4\\u0035s\" # a comment", "grace", "45s"),
        ("signal_group = true", "signal_group", "on"),
        ("signal_group = \"yes\"", "signal_group", "on"),
        ("rewrite = [\n  \"HUP:TERM\",\n  \"USR1:0\",\n]", "rewrite", "HUP:TERM USR1:0"),
        ("rewrite = \"HUP:TERM\"", "rewrite", "HUP:TERM"),
        ("remap_exit = [\"143:0\"]", "remap_exit", "143:0"),
    ] {
        let file = scratch.file("stead.toml", format!("{text}\r\n"), 0o644);
        let mut command = stead(["config", "--json"]);
        command.env("STEAD_CONFIG", &file);
        assert_eq!(shown(&mut command, key).0, value, "{text}");
    }
}

#[test]
fn config_shows_each_setting_with_its_default() {
    let rows = rows(&mut stead(["config", "--json"]));
    let expected = [
        ("grace", "30s"),
        ("drain_delay", "0s"),
        ("drain_until_idle", "off"),
        ("idle_after", "5s"),
        ("linger", "5s"),
        ("signal_group", "off"),
        ("clean_stop_ok", "off"),
        ("app_live", "off"),
        ("listen", "[::]:9321"),
        ("discover", "on"),
        ("details", "always"),
        ("logs", "raw"),
        ("strip_ansi", "off"),
        ("join_traces", "off"),
        ("redact", "none"),
        ("redact_secrets", "off"),
        ("log_drop", "off"),
        ("log_format", "auto"),
        ("log_schema", "stead"),
        ("log_level", "info"),
    ];
    for (key, value) in expected {
        let row = rows.iter().find(|row| row["key"] == key).unwrap_or_else(|| panic!("no {key}"));
        assert_eq!(row["value"], value, "{key}");
    }
    for (key, _, _) in SETTINGS {
        let of_key: Vec<_> = rows.iter().filter(|row| row["key"] == key).collect();
        assert_eq!(of_key.len(), 1, "{key}: {rows:?}");
        assert_eq!(of_key[0]["from"], "default", "{key}");
    }
}

#[test]
fn a_flag_is_stronger_than_a_variable_than_the_file_than_the_apps_environment() {
    let scratch = Scratch::new();
    let file = scratch.file("stead.toml", "grace = \"41s\"\napp_port = 4001\n", 0o644);
    let (grace, port) = ("grace", "app_port");
    let line = |number: usize, key: &str| format!("{}:{number}: {key}", file.display());
    let mut command = stead(["config", "--json"]);
    let says = |command: &mut Command, key: &str, value: &str, from: &str| {
        assert_eq!(shown(command, key), (value.to_owned(), from.to_owned()));
    };
    says(&mut command, grace, "30s", "default");
    command.env("PORT", "4000");
    says(&mut command, port, "4000", "PORT");
    command.env("STEAD_CONFIG", &file);
    says(&mut command, grace, "41s", &line(1, grace));
    says(&mut command, port, "4001", &line(2, port));
    command.env("STEAD_GRACE", "42s").env("STEAD_APP_PORT", "4002");
    says(&mut command, grace, "42s", "STEAD_GRACE");
    says(&mut command, port, "4002", "STEAD_APP_PORT");
    command.args(["--grace", "43s", "--app-port=4003"]);
    says(&mut command, grace, "43s", "--grace");
    says(&mut command, port, "4003", "--app-port");
    command.args(["--grace", "44s"]);
    says(&mut command, grace, "44s", "--grace");

    let mut flag_names_the_file = stead(["config", "--json", "--config"]);
    flag_names_the_file.arg(&file).env("STEAD_CONFIG", "/nonexistent");
    says(&mut flag_names_the_file, grace, "41s", &line(1, grace));
}

#[test]
fn what_config_shows_is_what_run_does() {
    let scratch = Scratch::new();
    let file = scratch.file("stead.toml", "grace = 41\ndrain_delay = \"1500ms\"\n", 0o644);
    let mut stead =
        Stead::run(["true"]).env("STEAD_CONFIG", file).env("STEAD_GRACE", "1m 30s").start();
    assert_eq!(stead.wait_exit(LIMIT), 0);
    let event = stead.wait_for_event("starting", LIMIT);
    assert_eq!(event["grace_s"].as_f64(), Some(90.0));
    assert_eq!(event["drain_delay_s"].as_f64(), Some(1.5));
    assert_eq!(event["stop_timeout_s"].as_f64(), Some(95.0));
}

#[test]
fn config_masks_what_may_be_secret_and_starts_nothing() {
    let scratch = Scratch::new();
    let trace = scratch.path().join("child-was-here");
    for json in [true, false] {
        let mut command = stead(["config"]);
        if json {
            command.arg("--json");
        }
        command.env("STEAD_APP_URL", "http://127.0.0.1:1/health?token=s3cr3t");
        command.env("DATABASE_URL", "postgres://user:s3cr3t@db/app");
        command.args(["--grace", "5s", "--", "touch"]).arg(&trace);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(!text.contains(MARKER), "{text}");
        assert!(text.contains("http://127.0.0.1:1/health"), "{text}");
        assert!(text.contains("5s") && text.contains("--grace"), "{text}");
        assert!(text.contains("STEAD_APP_URL"), "{text}");
    }
    assert!(!trace.exists());
}

#[test]
fn config_in_text_has_a_line_for_each_setting() {
    let output = stead(["config"]).env("STEAD_GRACE", "42s").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    for (key, _, _) in SETTINGS {
        let lines = text.lines().filter(|line| line.split(' ').next() == Some(key));
        assert_eq!(lines.count(), 1, "{key}: {text}");
    }
    let line = text.lines().find(|line| line.starts_with("grace ")).unwrap_or_default();
    assert!(line.contains("42s") && line.contains("STEAD_GRACE"), "{text}");
}

#[test]
fn lists_are_given_by_repeated_flags_and_by_one_variable() {
    let expected = "HUP:TERM USR1:0 USR2:INT";
    let value = |command: &mut Command| shown(command, "rewrite").0;
    let flags = ["--rewrite", "HUP:TERM", "--rewrite=SIGUSR1:0", "--rewrite", "12:int"];
    assert_eq!(value(stead(["config", "--json"]).args(flags)), expected);
    for text in
        ["HUP:TERM,USR1:0,USR2:INT", "HUP:TERM USR1:0 USR2:INT", " HUP:TERM, USR1:0 ,USR2:INT,"]
    {
        assert_eq!(value(stead(["config", "--json"]).env("STEAD_REWRITE", text)), expected);
    }
    let exits = "143:0 137:1";
    let mut command = stead(["config", "--json", "--remap-exit", "143:0", "--remap-exit=137:1"]);
    assert_eq!(shown(&mut command, "remap_exit").0, exits);
}

#[test]
fn switches_take_every_usual_word() {
    for (word, on) in [
        ("on", true),
        ("true", true),
        ("1", true),
        ("yes", true),
        ("off", false),
        ("false", false),
        ("0", false),
        ("no", false),
    ] {
        let expected = if on { "on" } else { "off" };
        let mut by_variable = stead(["config", "--json"]);
        by_variable.env("STEAD_SIGNAL_GROUP", word);
        assert_eq!(shown(&mut by_variable, "signal_group").0, expected, "{word}");
        let flag = format!("--signal-group={word}");
        let mut by_flag = stead(["config", "--json", &flag]);
        assert_eq!(shown(&mut by_flag, "signal_group").0, expected, "{word}");
    }
    let mut bare = stead(["config", "--json", "--signal-group", "--clean-stop-ok"]);
    assert_eq!(shown(&mut bare, "signal_group").0, "on");
    assert_eq!(shown(&mut bare, "clean_stop_ok").0, "on");
}

#[test]
fn durations_are_taken_in_every_documented_form() {
    for (text, shown_as) in [
        ("45", "45s"),
        ("45s", "45s"),
        ("1500ms", "1s 500ms"),
        ("2m", "2m"),
        ("1m 30s", "1m 30s"),
        ("90s", "1m 30s"),
    ] {
        let mut command = stead(["config", "--json", "--grace", text]);
        assert_eq!(shown(&mut command, "grace").0, shown_as, "{text}");
    }
    for text in ["s3cr3t", "-1s", "1.5", "99999999999999999999s", "10 parsecs", "s"] {
        let output = stead(["config", &format!("--grace={text}")]).output().unwrap();
        mistake_at("--grace", &output);
    }
}

#[test]
fn help_and_version_go_to_stdout_and_end_well() {
    for args in [&["help"][..], &["--help"], &["-h"], &["run", "--help"]] {
        let output = stead(args).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        for (key, has_flag, _) in SETTINGS {
            let name = if has_flag { flag_of(key) } else { variable_of(key) };
            assert!(text.contains(&name), "{args:?}: no {name}");
        }
    }
    for flag in ["--version", "-V"] {
        let output = stead([flag]).output().unwrap();
        assert!(output.status.success());
        assert_eq!(String::from_utf8_lossy(&output.stdout), "stead 0.1.0\n");
    }
}

#[test]
fn a_port_that_is_taken_is_said_before_the_child_starts() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    for (listen, address) in [
        (format!("127.0.0.1:{port}"), format!("127.0.0.1:{port}")),
        (port.to_string(), format!("[::]:{port}")),
    ] {
        let (output, started) = Attempt::new(&[]).env("STEAD_LISTEN", listen).run();
        assert!(!started, "{output:?}");
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        let expected = format!("stead: STEAD_LISTEN: cannot listen on {address}: ");
        assert!(stderr.starts_with(&expected), "{stderr}");
    }
    let elsewhere = Attempt::new(&[]).env("STEAD_LISTEN", "192.0.2.1:9321");
    let (output, started) = elsewhere.run();
    assert_eq!((output.status.code(), started), (Some(1), false));
}

#[test]
fn a_port_of_the_app_that_is_not_understood_is_one_warning_and_no_check() {
    for value in ["s3cr3t", "0", "65536", "-1", "80/tcp", "tcp://s3cr3t:80", "\\\\.\\pipe\\s3cr3t"]
    {
        let stead = idle().env("PORT", value).serve();
        let event = stead.wait_for_event("starting", LIMIT);
        assert_eq!(event["app"], "none: readiness knows nothing of the app", "{value}");
        stead.wait_for_event("child started", LIMIT);
        let ignored = stead.events_of("setting ignored");
        assert_eq!(ignored.len(), 1, "{value}: {ignored:?}");
        assert_eq!(ignored[0]["level"], "warn");
        assert_eq!(ignored[0]["variable"], "PORT");
        assert!(ignored[0]["reason"].as_str().is_some_and(|r| !r.is_empty()));
        assert_eq!(stead.status("/readyz"), 200, "{value}");
        assert!(!stead.stderr().concat().contains(MARKER), "{value}");
    }
}

#[test]
fn the_default_file_is_read_where_it_exists() {
    // In a mount namespace of its own, which ends with the shell: nothing of this machine's changes.
    let scratch = Scratch::new();
    scratch.file("stead.toml", "grace = \"41s\"\n", 0o644);
    let config = |mount: &str| {
        let script = format!("{mount} && exec \"$0\" config --json");
        let output = Command::new("unshare")
            .args(["--mount", "/bin/sh", "-c", &script])
            .args([binary().as_path(), scratch.path()])
            .env_clear()
            .env("PATH", search_path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let rows: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
        rows.into_iter().find(|row| row["key"] == "grace").unwrap()
    };
    let row = config("mount --bind \"$1\" /etc");
    assert_eq!(row["value"], "41s");
    assert_eq!(row["from"], "/etc/stead.toml:1: grace");
    assert!(!Path::new("/etc/stead.toml").exists(), "this machine has one of its own");
    assert_eq!(config("true")["value"], "30s");
}

#[test]
fn log_level_of_the_app_counts_where_stead_understands_it() {
    for (value, level, from) in [
        ("debug", "debug", "LOG_LEVEL"),
        ("WARN", "warn", "LOG_LEVEL"),
        ("verbose", "info", "default"),
        ("", "info", "default"),
    ] {
        let mut command = stead(["config", "--json"]);
        command.env("LOG_LEVEL", value);
        let expected = (level.to_owned(), from.to_owned());
        assert_eq!(shown(&mut command, "log_level"), expected, "{value}");
    }
    let mut louder = stead(["config", "--json"]);
    louder.env("LOG_LEVEL", "debug").env("STEAD_LOG_LEVEL", "error");
    assert_eq!(shown(&mut louder, "log_level").0, "error");
}

#[test]
fn off_means_no_listener() {
    let stead = Stead::run(["sleep", "1000"]).start();
    let event = stead.wait_for_event("starting", LIMIT);
    assert_eq!(event["listen"], "off");
    stead.wait_for_event("child started", LIMIT);
    let fds = std::fs::read_dir(format!("/proc/{}/fd", stead.pid())).unwrap();
    let sockets = fds
        .flatten()
        .filter_map(|fd| std::fs::read_link(fd.path()).ok())
        .filter(|target| target.to_string_lossy().starts_with("socket:"));
    assert_eq!(sockets.count(), 0);
}
