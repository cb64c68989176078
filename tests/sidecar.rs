//! `stead sidecar`: the endpoints and the checks for an app that another started, and an end without a child.

mod process;

use std::io::Write;
use std::net::{Ipv4Addr, TcpStream};
use std::process::Command;

use crate::app::{Answer, App, Serve};
use crate::harness::processes::{children_of, is_alive};
use crate::harness::{LIMIT, Place, Running, Scratch, Stead, free_port, stead, until};

fn sidecar<const N: usize>(options: [&str; N]) -> Stead {
    Stead::invoked(["sidecar"]).options(options)
}

fn reaches(stead: &Running, path: &str, status: u16) {
    let reached = until(LIMIT, || stead.status(path) == status);
    assert!(reached, "{path} is not {status}: {:?}", stead.get(path));
}

/// The status of a check as `/readyz` shows it.
fn status_of(stead: &Running, check: &str) -> String {
    stead.get("/readyz").json()["checks"][check]["status"].as_str().unwrap_or("none").to_owned()
}

#[test]
fn a_sidecar_runs_from_the_start_and_is_ready_once_its_app_is() {
    for place in Place::BOTH {
        let port = free_port();
        let mut stead = sidecar([]).env("PORT", port.to_string()).place(place).serve();
        assert_eq!(stead.status("/readyz"), 503);
        assert_eq!(stead.status("/startupz"), 200, "it waits for the app that waits for it");
        assert_eq!(stead.status("/livez"), 200);
        let starting = stead.wait_for_event("starting", LIMIT);
        assert_eq!((&starting["role"], &starting["app"]), (&"sidecar".into(), &"app".into()));
        assert_eq!(starting["pid1"], place == Place::Pid1);

        let app = App::on((Ipv4Addr::LOCALHOST, port));
        reaches(&stead, "/readyz", 200);
        drop(app);
        reaches(&stead, "/readyz", 503);
        assert_eq!(stead.status("/livez"), 200, "its restart would heal no app");
        assert_eq!(stead.status("/startupz"), 200);
        stead.signal(libc::SIGTERM);
        assert_eq!(stead.wait_exit(LIMIT), 0);
        assert!(stead.events().iter().all(|event| event["level"] != "error"));
    }
}

#[test]
fn start_up_holds_the_required_dependencies_and_not_the_app() {
    let (database, port) = (free_port(), free_port());
    let required = format!("db=tcp://127.0.0.1:{database}");
    let stead =
        sidecar(["--check", &required, "--check", "search=tcp://127.0.0.1:1?stead_required=off"]);
    let stead = stead.env("PORT", port.to_string()).serve();
    let startup = stead.get("/startupz");
    assert_eq!(startup.status, 503, "{startup:?}");
    let checks = startup.json()["checks"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(checks, ["db"]);
    let _database = App::on((Ipv4Addr::LOCALHOST, database));
    reaches(&stead, "/startupz", 200);
    assert_eq!(stead.status("/readyz"), 503, "the app is not there yet");
}

#[test]
fn an_app_on_another_host_is_asked_by_its_url() {
    let app = App::on((Ipv4Addr::new(127, 0, 0, 2), free_port()));
    let stead = sidecar(["--app-url", &app.url("/health")]).serve();
    reaches(&stead, "/readyz", 200);
    assert!(app.requests()[0].starts_with("GET /health"), "{:?}", app.requests());
}

#[test]
fn with_app_live_an_app_counts_for_liveness_from_its_first_pass_on() {
    let port = free_port();
    let options = ["--app-live", "--check", "app=?stead_interval=100ms&stead_fail_after=1"];
    let stead = sidecar(options).env("PORT", port.to_string()).serve();
    let asked = until(LIMIT, || status_of(&stead, "app") == "down");
    assert!(asked, "{:?}", stead.get("/readyz"));
    assert_eq!(stead.status("/livez"), 200, "the app has not even been started");
    let app = App::on((Ipv4Addr::LOCALHOST, port));
    reaches(&stead, "/readyz", 200);
    drop(app);
    reaches(&stead, "/livez", 503);
}

#[test]
fn at_a_term_it_is_not_ready_at_once_and_ends_behind_the_delay() {
    for place in Place::BOTH {
        let app = App::new();
        let stead = sidecar(["--drain-delay", "2s"]).env("PORT", app.port().to_string());
        let mut stead = stead.place(place).serve();
        reaches(&stead, "/readyz", 200);
        stead.signal(libc::SIGTERM);
        stead.wait_for_event("drain started", LIMIT);
        let ready = stead.get("/readyz");
        assert_eq!((ready.status, &ready.json()["status"]), (503, &"draining".into()));
        assert_eq!(stead.status("/livez"), 200);
        assert_eq!(stead.wait_exit(LIMIT), 0);
        let ended = stead.wait_for_event("drain ended", LIMIT);
        assert!(ended["elapsed_s"].as_f64().unwrap() >= 2.0, "{ended}");
        assert_eq!(stead.wait_for_event("finished", LIMIT)["code"], 0);
    }
}

#[test]
fn a_second_interrupt_ends_it_now() {
    let mut stead = sidecar(["--drain-delay", "25s"]).serve();
    stead.signal(libc::SIGINT);
    stead.wait_for_event("drain started", LIMIT);
    assert!(stead.is_running());
    stead.signal(libc::SIGINT);
    assert_eq!(stead.wait_exit(LIMIT), 0);
}

#[test]
fn other_signals_do_what_they_do_to_any_process() {
    for (signal, place, ends) in [
        (libc::SIGHUP, Place::Subreaper, true),
        (libc::SIGUSR1, Place::Subreaper, true),
        (libc::SIGWINCH, Place::Subreaper, false),
        // From PID 1 the kernel keeps what it has no handler for.
        (libc::SIGHUP, Place::Pid1, false),
    ] {
        let mut stead = sidecar([]).place(place).serve();
        stead.signal(signal);
        if ends {
            assert_eq!(stead.wait_exit(LIMIT), 128 + signal, "{place:?}");
            continue;
        }
        stead.signal(libc::SIGTERM);
        assert_eq!(stead.wait_exit(LIMIT), 0, "{signal} ended it");
    }
}

#[test]
fn the_end_of_a_sidecar_touches_no_process_that_is_not_its_own() {
    let mut stead = sidecar(["--grace", "1s"]).serve();
    // As another container's in a shared namespace.
    let mut other = Command::new("sleep").arg("1000").spawn().expect("sleep");
    stead.signal(libc::SIGTERM);
    assert_eq!(stead.wait_exit(LIMIT), 0);
    assert!(is_alive(other.id() as i32), "it was killed");
    other.kill().expect("kill");
    other.wait().expect("wait");
}

#[test]
fn as_pid_1_it_reaps_what_others_leave_to_it() {
    let stead = sidecar([]).place(Place::Pid1).serve();
    let target = stead.pid().to_string();
    let orphans = "for i in 1 2 3 4 5; do (sleep 2 &) ; done";
    let left = Command::new("nsenter")
        .args(["--target", &target, "--pid", "--mount", "--", "/bin/sh", "-c", orphans])
        .status()
        .expect("nsenter");
    assert!(left.success());
    let children = || children_of(stead.pid());
    assert!(until(LIMIT, || children().len() == 5), "not left to it: {:?}", children());
    assert!(until(LIMIT, || children().is_empty()), "not reaped: {:?}", children());
}

#[test]
fn a_flag_that_means_something_with_a_command_alone_is_a_mistake() {
    for (flag, value) in [("--stop-signal", "QUIT"), ("--logs", "json"), ("--wait", "60s")] {
        let output = stead(["sidecar", flag, value]).output().unwrap();
        assert_eq!(output.status.code(), Some(64));
        let said = String::from_utf8(output.stderr).unwrap();
        let expected =
            format!("stead: {flag}: an option of `stead run`: a sidecar has no command\n");
        assert_eq!(said, expected);
    }
}

#[test]
fn what_an_environment_shared_with_the_app_says_to_run_is_passed_over_with_one_event() {
    let scratch = Scratch::new();
    let file = scratch.file("stead.toml", "linger = \"1s\"\ngrace = \"7s\"\n", 0o644);
    let stead = sidecar([]).env("STEAD_CONFIG", &file);
    let stead = stead.env("STEAD_LOGS", "json").env("STEAD_REWRITE", "TERM:QUIT").serve();
    let starting = stead.wait_for_event("starting", LIMIT);
    assert_eq!(starting["grace_s"].as_f64(), Some(7.0));
    let ignored = stead.events_of("setting ignored");
    assert_eq!(ignored.len(), 1, "{ignored:?}");
    let variable = ignored[0]["variable"].as_str().unwrap();
    assert!(variable.ends_with("stead.toml:1: linger, STEAD_LOGS, STEAD_REWRITE"), "{variable}");
}

#[test]
fn stead_check_asks_a_sidecar_as_it_asks_any_stead() {
    let app = App::new();
    let stead_running = sidecar([]).env("PORT", app.port().to_string()).serve();
    reaches(&stead_running, "/readyz", 200);
    let listen = format!("127.0.0.1:{}", stead_running.port());
    let check = stead(["check", "ready"]).env("STEAD_LISTEN", listen).output().unwrap();
    assert_eq!(check.status.code(), Some(0));
    assert_eq!(check.stdout, b"ready: ok\n");
}

/// A sidecar beside an app, and a client whose request the app does not answer.
fn with_a_request(options: &[&str]) -> (App, Running, TcpStream) {
    let app = App::new();
    app.answers(Answer::Silence);
    let stead = sidecar([]).options(options).env("PORT", app.port().to_string()).serve();
    reaches(&stead, "/readyz", 200);
    let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, app.port())).expect("the app");
    client.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("the app");
    assert!(until(LIMIT, || app.requests().len() == 1));
    (app, stead, client)
}

#[test]
fn it_stays_until_the_connections_of_its_app_are_gone() {
    let (_app, mut stead, client) = with_a_request(&[]);
    stead.signal(libc::SIGTERM);
    stead.wait_for_event("drain started", LIMIT);
    let counted =
        || stead.get("/metrics").body.contains("stead_drain_connections{state=\"busy\"} 1");
    assert!(until(LIMIT, counted), "{:?}", stead.get("/metrics"));
    assert!(stead.is_running());
    drop(client);
    assert_eq!(stead.wait_exit(LIMIT), 0);
    assert_eq!(stead.wait_for_event("drain ended", LIMIT)["connections"], 0);
}

#[test]
fn connections_that_stay_hold_it_until_the_grace_is_over_and_its_code_is_still_0() {
    let (_app, mut stead, _client) = with_a_request(&["--grace", "2s"]);
    stead.signal(libc::SIGTERM);
    assert_eq!(stead.wait_exit(LIMIT), 0);
    let ended = stead.wait_for_event("drain ended", LIMIT);
    assert_eq!(ended["connections"], 1, "{ended}");
    assert!(ended["elapsed_s"].as_f64().is_some_and(|elapsed| elapsed >= 2.0), "{ended}");
}

#[test]
fn a_drain_that_is_asked_for_ends_no_sidecar_and_serves_the_delay_once() {
    let app = App::new();
    let port = app.port().to_string();
    let mut stead_running = sidecar(["--drain-delay", "1s"]).env("PORT", port).serve();
    reaches(&stead_running, "/readyz", 200);
    let listen = format!("127.0.0.1:{}", stead_running.port());
    let drain = stead(["drain"]).env("STEAD_LISTEN", listen).output().unwrap();
    assert_eq!((drain.status.code(), &*drain.stdout), (Some(0), &b"drain: over\n"[..]));
    assert_eq!(stead_running.status("/readyz"), 503);
    assert!(stead_running.is_running());
    stead_running.signal(libc::SIGTERM);
    assert_eq!(stead_running.wait_exit(LIMIT), 0);
    let messages = ["drain started", "drain ended"];
    assert!(messages.iter().all(|message| stead_running.events_of(message).len() == 1));
}

#[test]
fn an_app_in_another_network_namespace_is_not_waited_for() {
    let until_idle = |url: &str| {
        let config = stead(["config", "--sidecar", "--app-url", url]).output().unwrap();
        let text = String::from_utf8(config.stdout).unwrap();
        let row = text.lines().find(|line| line.starts_with("drain_until_idle"));
        row.and_then(|row| row.split_whitespace().nth(1)).map(str::to_owned)
    };
    assert_eq!(until_idle("http://api:8080/health").as_deref(), Some("off"));
    assert_eq!(until_idle("http://localhost:8080/health").as_deref(), Some("8080"));
}
