//! The static binary as PID 1 of real containers: real servers, the engine's flags, its health checks,
//! its stop and its terminals.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::thread;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::harness::engine::images::{self, APP};
use crate::harness::engine::{
    Container, ENDPOINTS, Finished, Owned, publish, run_to_end, run_with_input,
};
use crate::harness::terminal::Terminal;
use crate::harness::{LIMIT, Scratch, binary, http};

/// No options.
const NONE: &[&str] = &[];

/// What `docker stop` is given where the test is not about its time.
const STOP: Duration = Duration::from_secs(30);

/// Longest that a check of the app takes to notice that it is gone, three times a two-second timeout
/// included; twice that on a busy machine.
const NOTICED: Duration = Duration::from_secs(60);

/// With the endpoints and the app reachable.
fn published() -> [String; 2] {
    [publish(ENDPOINTS), publish(APP)]
}

/// The time from one event to another, by their timestamps.
fn between(container: &Container, from: &str, to: &str) -> Duration {
    let at = |message: &str| -> SystemTime {
        let event = container.event(message);
        let timestamp = event["timestamp"].as_str().expect("a timestamp");
        humantime::parse_rfc3339(timestamp).expect("RFC 3339")
    };
    at(to).duration_since(at(from)).expect("events in their order")
}

/// Begins a GET of one of the app's slow paths, once the app answers; the answer comes in a thread.
fn begin_request(container: &Container, path: &str) -> thread::JoinHandle<Option<http::Response>> {
    container.wait_for_status(APP, "/", 200);
    let mut stream = http::connect(container.port(APP)).expect("the app");
    let request = format!("GET {path} HTTP/1.1\r\nHost: app\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("a request");
    thread::spawn(move || {
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok()?;
        http::Response::parse(&answer)
    })
}

/// An answer that must have come whole.
fn assert_whole(answer: Option<http::Response>) {
    let answer = answer.expect("the slow answer");
    assert_eq!(answer.status, 200);
    let length: usize = answer.header("content-length").unwrap().parse().unwrap();
    assert_eq!(answer.body.len(), length, "the answer was cut off");
}

// ---- What runs --------------------------------------------------------------------------------------

#[test]
fn a_static_program_runs_in_a_scratch_image_with_endpoints_that_tell_of_it() {
    let container = Container::run(images::hello(), &published(), &[]);
    container.wait_for_status(ENDPOINTS, "/readyz", 200);
    let live = http::request(container.port(ENDPOINTS), "GET", "/livez", &[]);
    assert_eq!(live.status, 200, "{live:?}");
    let check = container.exec(&["/stead", "check", "ready"]);
    assert_eq!((check.code, check.stdout.as_str()), (0, "ready: ok\n"), "{check:?}");

    let starting = container.event("starting");
    assert_eq!(starting["pid"], 1, "{starting}");
    assert_eq!(starting["pid1"], true, "{starting}");
    assert_eq!(container.event("child started")["command"], "/hello");

    container.stop(STOP);
    assert_eq!(container.wait_exit(LIMIT), 0);
    assert_eq!(container.event("finished")["code"], 0);
}

#[test]
fn every_line_of_steads_is_json_on_stderr_and_stdout_is_the_apps_alone() {
    let container = Container::run(images::hello(), NONE, &[]);
    container.wait_ready();
    container.signal("HUP");
    container.wait_for_output("read the configuration again");
    container.stop(STOP);
    container.wait_exit(LIMIT);

    let logs = container.logs();
    for line in logs.stderr.lines() {
        let event: Value =
            serde_json::from_str(line).unwrap_or_else(|e| panic!("no JSON ({e}): {line}"));
        for field in ["timestamp", "level", "message", "instance"] {
            assert!(event[field].is_string(), "no {field}: {line}");
        }
    }
    for line in logs.stdout.lines() {
        assert!(line.starts_with("hello: "), "not the app's: {line}");
    }
    let messages: Vec<_> = container
        .events()
        .iter()
        .map(|event| event["message"].as_str().unwrap().to_owned())
        .collect();
    for message in [
        "starting",
        "child started",
        "signal forwarded",
        "drain started",
        "stop signal sent",
        "finished",
    ] {
        assert!(messages.iter().any(|m| m == message), "no `{message}` among {messages:?}");
    }
}

#[test]
fn nginx_that_wants_quit_finishes_a_slow_answer_when_it_is_stopped_with_term() {
    let stop_signal = ["--env=STEAD_STOP_SIGNAL=QUIT".to_owned()];
    let options = [&published()[..], &stop_signal].concat();
    let container = Container::run(images::nginx(), &options, &[]);
    container.wait_for_status(ENDPOINTS, "/readyz", 200);
    let slow = begin_request(&container, "/slow");
    // The engine's port forwarding ends with the container and may cut off what was sent last: this
    // request keeps nginx until the other's answer has arrived.
    let slower = begin_request(&container, "/slower");
    container.stop(STOP);

    assert_whole(slow.join().unwrap());
    assert_eq!(slower.join().unwrap().expect("the slower answer").status, 200);
    assert_eq!(container.wait_exit(LIMIT), 0);
    assert_eq!(container.event("drain started")["signal"], "TERM");
    assert_eq!(container.event("stop signal sent")["signal"], "QUIT");
}

#[test]
fn an_image_whose_stopsignal_is_quit_is_drained_by_it() {
    // As nginx's own image has it.
    let base = images::Named::tag(images::nginx());
    let context = Scratch::new();
    let text = format!("FROM {}\nSTOPSIGNAL QUIT\n", base.name());
    let dockerfile = context.file("Dockerfile", text, 0o644);
    let image = images::Named::build(&dockerfile, context.path(), &[]);

    let stop_signal = ["--env=STEAD_STOP_SIGNAL=QUIT".to_owned()];
    let options = [&published()[..], &stop_signal].concat();
    // A built image keeps the entry point and the command of its base.
    let container = Container::run(image.name(), &options, &[]);
    let slow = begin_request(&container, "/slow");
    let slower = begin_request(&container, "/slower");
    container.stop(STOP);

    assert_whole(slow.join().unwrap());
    assert_eq!(slower.join().unwrap().expect("the slower answer").status, 200);
    assert_eq!(container.wait_exit(LIMIT), 0);
    assert_eq!(container.event("drain started")["signal"], "QUIT");
}

#[test]
fn redis_runs_and_ends_cleanly() {
    let container = Container::run(images::redis(), &published(), &[]);
    container.wait_for_status(ENDPOINTS, "/readyz", 200);
    let mut stream = http::connect(container.port(APP)).expect("redis");
    stream.write_all(b"PING\r\n").unwrap();
    let mut answer = [0; 7];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"+PONG\r\n");

    container.stop(STOP);
    assert_eq!(container.wait_exit(LIMIT), 0);
    let stdout = container.logs().stdout;
    assert!(stdout.contains("Received SIGTERM"), "redis did not stop by itself: {stdout}");
}

#[test]
fn a_python_app_answers_its_open_request_and_its_exit_code_is_the_containers() {
    let container = Container::run(images::python(), &published(), &[]);
    container.wait_for_status(ENDPOINTS, "/readyz", 200);
    let slow = begin_request(&container, "/slow");
    container.stop(STOP);

    let answer = slow.join().unwrap().expect("the slow answer");
    assert_eq!((answer.status, answer.body.as_str()), (200, "python\n"));
    assert_eq!(container.wait_exit(LIMIT), 7);
    assert_eq!(container.event("drain ended")["killed"], 0);
}

#[test]
fn it_runs_under_every_restriction_of_the_engine() {
    let restrictions = ["--read-only", "--user=65534", "--cap-drop=ALL", "--network=none"];
    let alone = restrictions.map(|restriction| vec![restriction]);
    let all =
        [&restrictions[..], &["--security-opt=no-new-privileges", "--pids-limit=20"]].concat();
    for options in alone.into_iter().chain([all]) {
        for image in [images::hello(), images::redis()] {
            let container = Container::run(image, &options, &[]);
            container.wait_ready();
            container.stop(STOP);
            assert_eq!(container.wait_exit(LIMIT), 0, "{options:?}");
            let events = container.events();
            for event in events {
                let level = event["level"].as_str().unwrap();
                assert!(!["warn", "error"].contains(&level), "under {options:?}: {event}");
            }
        }
    }
}

#[test]
fn signals_of_docker_kill_reach_the_app() {
    let container = Container::run(images::hello(), NONE, &[]);
    container.wait_ready();
    container.signal("HUP");
    container.wait_for_output("hello: read the configuration again");
    let forwarded = container.event("signal forwarded");
    assert_eq!((&forwarded["signal"], &forwarded["from_pid"]), (&"HUP".into(), &0.into()));
    assert_eq!(container.inspect("{{.State.Status}}"), "running");
}

// ---- Health checks ----------------------------------------------------------------------------------

#[test]
fn the_health_check_ready_follows_the_apps_port() {
    let container = Container::run(images::hello(), &published(), &[]);
    container.wait_for_health("healthy", LIMIT);
    assert_eq!(container.health_output(), "ready: ok");

    container.wait_for_status(APP, "/gone", 200);
    container.wait_for_health("unhealthy", NOTICED);
    assert_eq!(
        container.health_output(),
        "ready: unavailable: app down: connect_refused at connect"
    );
    // Nobody restarts what only is not ready.
    assert!(container.exec(&["/stead", "check"]).code == 0);
    assert_eq!(container.inspect("{{.State.Status}}"), "running");
}

#[test]
fn the_health_check_live_follows_an_app_that_hangs_where_it_is_asked_to() {
    let url = format!("--env=STEAD_APP_URL=http://127.0.0.1:{APP}/");
    let asked = [&published()[..], &[url, "--env=STEAD_APP_LIVE=on".into()]].concat();
    let container = Container::run(images::hello_live(), &asked, &[]);
    container.wait_for_health("healthy", LIMIT);
    assert_eq!(container.health_output(), "live: ok");

    // The app still accepts connections and answers none, this one neither.
    let mut stream = http::connect(container.port(APP)).unwrap();
    stream.write_all(b"GET /hang HTTP/1.1\r\n\r\n").unwrap();
    container.wait_for_health("unhealthy", NOTICED);
    let output = container.health_output();
    assert!(output.starts_with("live: unavailable: app-url down: timeout at "), "{output}");
}

#[test]
fn a_stead_that_stands_still_is_unhealthy_and_recovers() {
    let container = Container::run(images::hello_live(), &published(), &[]);
    container.wait_for_health("healthy", LIMIT);
    // Only from outside its pid namespace can PID 1 be stopped.
    container.signal("STOP");
    container.wait_for_health("unhealthy", NOTICED);
    container.signal("CONT");
    container.wait_for_health("healthy", NOTICED);
}

// ---- Stopping ---------------------------------------------------------------------------------------

#[test]
fn docker_stop_makes_it_not_ready_at_once_while_app_and_liveness_go_on() {
    let delay = ["--env=STEAD_DRAIN_DELAY=4s".to_owned()];
    let container = Container::run(images::hello(), &[&published()[..], &delay].concat(), &[]);
    container.wait_for_status(ENDPOINTS, "/readyz", 200);
    let (endpoints, app) = (container.port(ENDPOINTS), container.port(APP));
    let stop = container.begin_stop(STOP);
    container.wait_for_status(ENDPOINTS, "/readyz", 503);

    let ready = http::request(endpoints, "GET", "/readyz", &[]).json();
    assert_eq!((&ready["status"], &ready["phase"]), (&"draining".into(), &"quiescing".into()));
    assert_eq!(http::request(endpoints, "GET", "/livez", &[]).status, 200);
    assert_eq!(http::request(app, "GET", "/", &[]).status, 200);
    let check = container.exec(&["/stead", "check", "ready"]);
    assert_eq!((check.code, check.stdout.as_str()), (1, "ready: draining\n"));

    stop.join().unwrap();
    assert_eq!(container.wait_exit(LIMIT), 0);
    let delay = between(&container, "drain started", "stop signal sent");
    assert!(delay >= Duration::from_millis(3_900), "the delay was {delay:?}");
}

#[test]
fn an_app_that_ignores_term_is_killed_when_the_grace_ends() {
    let script = "trap '' TERM; echo ready; while :; do sleep 0.1; done";
    let container =
        Container::run(images::busybox(), &["--env=STEAD_GRACE=2s"], &["sh", "-c", script]);
    container.wait_for_output("ready");
    container.stop(STOP);
    assert_eq!(container.wait_exit(LIMIT), 137);
    let drain = between(&container, "drain started", "finished");
    let promised = Duration::from_millis(1_950)..Duration::from_secs(5);
    assert!(promised.contains(&drain), "the drain took {drain:?}");
}

/// A daemon in a session of its own that does `at_term`, and a leader that ends with 3 once it is there,
/// or at a TERM with 9.
fn daemon(at_term: &str, leader: &str) -> String {
    format!(
        "setsid sh -c 'trap \"{at_term}\" TERM; echo ready > /tmp/ready; while :; do sleep 0.1; done' & \
         trap 'exit 9' TERM; while [ ! -s /tmp/ready ]; do sleep 0.05; done; {leader}"
    )
}

const LEADER_ENDS: &str = "exit 3";
const LEADER_STAYS: &str = "echo ready; while :; do sleep 0.1; done";

#[test]
fn a_daemon_left_behind_is_told_to_stop_and_the_container_ends_when_it_has() {
    let script = daemon("sleep 1; echo daemon ended; exit", LEADER_ENDS);
    let linger = ["--env=STEAD_LINGER=15s"];
    let container = Container::run(images::busybox(), &linger, &["sh", "-c", &script]);
    assert_eq!(container.wait_exit(LIMIT), 3);
    assert!(container.logs().stdout.contains("daemon ended"), "{:?}", container.logs());
    let waited = between(&container, "child ended", "finished");
    let expected = Duration::from_millis(900)..Duration::from_secs(10);
    assert!(expected.contains(&waited), "it ended {waited:?} after the leader");
}

#[test]
fn a_daemon_that_will_not_stop_is_killed_after_the_linger() {
    let script = daemon("", LEADER_ENDS);
    let linger = ["--env=STEAD_LINGER=1s"];
    let container = Container::run(images::busybox(), &linger, &["sh", "-c", &script]);
    assert_eq!(container.wait_exit(LIMIT), 3);
    let waited = between(&container, "child ended", "finished");
    let expected = Duration::from_millis(950)..Duration::from_secs(5);
    assert!(expected.contains(&waited), "it ended {waited:?} after the leader");
    let killed = container.events();
    let killed = killed.iter().find(|event| event["message"] == "straggler killed");
    let killed = killed.expect("the daemon's end in the log");
    assert_eq!((&killed["level"], &killed["name"]), (&"warn".into(), &"sh".into()));
}

#[test]
fn a_daemon_has_the_rest_of_the_grace_when_the_container_is_stopped() {
    let script = daemon("", LEADER_STAYS);
    let grace = ["--env=STEAD_GRACE=3s", "--env=STEAD_LINGER=0s"];
    let container = Container::run(images::busybox(), &grace, &["sh", "-c", &script]);
    container.wait_for_output("ready");
    container.stop(STOP);
    assert_eq!(container.wait_exit(LIMIT), 9, "the leader's code");
    let drain = between(&container, "drain started", "finished");
    let promised = Duration::from_millis(2_950)..Duration::from_secs(7);
    assert!(promised.contains(&drain), "the drain took {drain:?}");
    assert_eq!(container.event("drain ended")["killed"].as_i64().map(|n| n > 0), Some(true));
}

#[test]
fn what_the_engine_put_in_delays_no_end() {
    // As docker exec and a preStop hook do: their parent is no process of the container.
    let ended_by: [fn(&Container); 2] = [
        |container| container.stop(STOP),
        |container| {
            let child = container.event("child started")["pid"].to_string();
            container.exec(&["kill", "-TERM", &child]);
        },
    ];
    for end in ended_by {
        let container = Container::run(images::busybox(), NONE, &["/hello"]);
        container.wait_ready();
        container.exec_detached(&["sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"]);
        container.exec_detached(&["sleep", "300"]);
        container.wait_for_process("sleep 300");
        end(&container);
        assert_eq!(container.wait_exit(LIMIT), 0);
        let waited = between(&container, "child ended", "finished");
        assert!(waited < Duration::from_secs(2), "it ended {waited:?} after its child");
        let events = container.events();
        assert!(
            events.iter().all(|event| event["message"] != "straggler signalled"),
            "what is not stead's was signalled: {events:?}"
        );
    }
}

// ---- Streams ----------------------------------------------------------------------------------------

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

// ---- What cannot start ------------------------------------------------------------------------------

/// One line of stead's and nothing else.
fn assert_one_line(finished: &Finished, beginning: &str) {
    assert!(
        finished.stderr.lines().count() == 1 && finished.stderr.starts_with(beginning),
        "one line `{beginning}…` was expected: {finished:?}"
    );
}

#[test]
fn an_image_without_a_command_says_that_entrypoint_emptied_it() {
    let finished = run_to_end(images::busybox(), NONE, &[]);
    assert_eq!(finished.code, 64, "{finished:?}");
    assert_one_line(&finished, "stead: ");
    for word in ["ENTRYPOINT", "CMD"] {
        assert!(finished.stderr.contains(word), "no {word}: {finished:?}");
    }
}

#[test]
fn what_cannot_be_executed_is_told_as_a_shell_tells_it() {
    let commands = [
        ("/no/such/program", 127),
        ("no-such-program", 127),
        ("/text", 126),
        ("/garbage", 126),
        ("/foreign", 126),
        ("/", 126),
    ];
    // With a shell in the image, and without one.
    for image in [images::hello(), images::busybox()] {
        for (command, code) in commands {
            let finished = run_to_end(image, NONE, &[command]);
            assert_eq!(finished.code, code, "{command}: {finished:?}");
            let last = finished.stderr.lines().last().unwrap_or_default();
            let expected = format!("stead: cannot run {command}: ");
            assert!(last.starts_with(&expected), "{command}: {finished:?}");
            assert!(!finished.stderr.contains("child started"), "{command}: {finished:?}");
        }
    }
}

#[test]
fn a_taken_port_is_told_before_the_app_starts() {
    let first = Container::run(images::hello(), NONE, &[]);
    first.wait_ready();
    let shared = format!("--network=container:{}", first.name());
    let second = run_to_end(images::hello(), &[&shared, "--env=PORT=8081"], &[]);
    assert_eq!(second.code, 1, "{second:?}");
    assert_eq!(second.stdout, "", "the app was started");
    let last = second.stderr.lines().last().unwrap_or_default();
    assert!(last.starts_with("stead: STEAD_LISTEN: cannot listen on "), "{second:?}");

    let off = [shared.as_str(), "--env=PORT=8081", "--env=STEAD_LISTEN=off"];
    let third = Container::run(images::hello(), &off, &[]);
    third.wait_for_output("listening on port 8081");
    third.stop(STOP);
    assert_eq!(third.wait_exit(LIMIT), 0);
}

// ---- Not PID 1 --------------------------------------------------------------------------------------

#[test]
fn under_the_engines_own_init_it_works_the_same_without_a_word() {
    let container = Container::run(images::hello(), &["--init"], &[]);
    container.wait_ready();
    container.stop(STOP);
    assert_eq!(container.wait_exit(LIMIT), 0);
    assert_eq!(container.event("starting")["pid1"], false);
    for event in container.events() {
        assert_ne!(event["level"], "warn", "{event}");
    }
}

#[test]
fn in_a_shared_pid_namespace_it_ends_its_own_processes_and_no_others() {
    let first = Container::run(images::hello(), NONE, &[]);
    first.wait_ready();
    let shared = format!("--pid=container:{}", first.name());
    let script = daemon("", LEADER_ENDS);
    let second = Container::run(
        images::busybox(),
        &[&shared, "--env=STEAD_LINGER=1s"],
        &["sh", "-c", &script],
    );
    assert_eq!(second.wait_exit(LIMIT), 3);
    assert_eq!(second.event("starting")["pid1"], false);
    let events = second.events();
    let warned: Vec<_> = events.iter().filter(|event| event["level"] == "warn").collect();
    assert!(!warned.is_empty(), "the daemon was not killed: {events:?}");
    for event in warned {
        assert_eq!(event["message"], "straggler killed", "{event}");
    }
    assert_eq!(first.exec(&["/stead", "check", "ready"]).code, 0);
}

// ---- Bringing it into images ------------------------------------------------------------------------

#[test]
fn it_installs_itself_into_a_volume_and_runs_from_there() {
    let volume = Owned::volume();
    let mounted = format!("--volume={}:/shared", volume.name());
    for target in ["/shared", "/shared/bin-stead"] {
        let options = [mounted.as_str(), "--entrypoint=/stead"];
        let installed = run_to_end(images::hello(), &options, &["install", target]);
        assert_eq!(installed.code, 0, "{installed:?}");
    }
    for path in ["/shared/stead", "/shared/bin-stead"] {
        let entry = format!("--entrypoint={path}");
        let options = [mounted.as_str(), &entry, "--user=65534", "--read-only"];
        let line = ["run", "--", "sh", "-c", "ls -A /shared; exit 8"];
        let finished = run_to_end(images::busybox(), &options, &line);
        assert_eq!(finished.code, 8, "{finished:?}");
        assert_eq!(finished.stdout, "bin-stead\nstead\n", "what was written aside is gone");
    }
}

#[test]
fn it_shows_its_configuration_in_a_scratch_image() {
    let options = ["--entrypoint=/stead", "--env=STEAD_GRACE=45s"];
    let shown = run_to_end(images::hello(), &options, &["config"]);
    assert_eq!(shown.code, 0, "{shown:?}");
    for text in ["grace", "45s", "STEAD_GRACE", "app_port"] {
        assert!(shown.stdout.contains(text), "no {text}: {shown:?}");
    }
    let shown = run_to_end(images::hello(), &options, &["config", "--json"]);
    let json: Result<Value, _> = serde_json::from_str(&shown.stdout);
    assert!(shown.code == 0 && json.is_ok(), "{shown:?}");
}

#[test]
fn the_projects_dockerfiles_make_images_that_work() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("docker");
    let context = Scratch::new();
    fs::copy(binary(), context.path().join("stead")).unwrap();
    let version = ["VERSION=1.2.3".to_owned()];
    let stead = images::Named::build(&directory.join("Dockerfile"), context.path(), &version);
    let said = run_to_end(stead.name(), NONE, &["--version"]);
    assert_eq!((said.code, said.stdout.starts_with("stead ")), (0, true), "{said:?}");

    let base = images::Named::tag(images::python());
    let arguments = [format!("BASE={}", base.name()), format!("STEAD={}", stead.name())];
    let added = directory.join("add-to-image.Dockerfile");
    let added = images::Named::build(&added, context.path(), &arguments);
    let python = fs::canonicalize("/usr/bin/python3").unwrap();
    let app = [python.to_str().unwrap(), "/app.py"];
    let container = Container::run(added.name(), &["--health-interval=1s"], &app);
    container.wait_for_health("healthy", LIMIT);
    container.stop(STOP);
    assert_eq!(container.wait_exit(LIMIT), 7);
}
