//! `drain_until_idle`: which connections hold the stop signal back, for how long, and what is said of them.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::connections::{App, Connection};
use crate::harness::{LIMIT, Place, Running, Stead, http, sys, until};

/// A child that a TERM ends well, and whose drain waits for the app's connections.
fn draining(app: &App, options: &[&str]) -> Stead {
    let child = Stead::example("print_signals").args(["--exit-on", "15:0"]);
    let port = app.port_text();
    let usual = ["--drain-until-idle", &port, "--idle-after", "300ms", "--grace", "90s"];
    child.options(usual).options(options.iter().copied()).listening()
}

/// Starts it and asks it to stop.
fn stopping(stead: Stead) -> Running {
    let stead = stead.start();
    stead.wait_ready();
    stead.signal(libc::SIGTERM);
    stead.wait_for("quiescing", LIMIT, |event| event["phase"] == "quiescing");
    stead
}

/// What the drain says of itself.
fn told(stead: &Running) -> Value {
    http::request(stead.port(), "GET", "/drain", &[("Stead-Drain", "1")]).json()
}

/// Waits until so many connections are known to be busy.
#[track_caller]
fn wait_for_busy(stead: &Running, count: u64) {
    let mut last = Value::Null;
    let came = until(LIMIT, || {
        last = told(stead);
        last["connections"] == count
    });
    assert!(came, "never {count} busy connections: {last}");
}

/// Fails unless the stop signal is held back for this long from now on.
#[track_caller]
fn stays_held(stead: &Running, time: Duration) {
    let mut last = Value::Null;
    let ended = until(time, || {
        last = told(stead);
        last["drain"] != "waiting"
    });
    assert!(!ended, "{last}");
    assert!(!stead.stdout().iter().any(|line| line.starts_with("got 15")));
}

/// Waits for the end, and gives what was said with the stop signal.
#[track_caller]
fn stopped(mut stead: Running) -> Value {
    assert_eq!(stead.wait_exit(LIMIT), 0);
    stead.wait_for_event("stop signal sent", LIMIT)
}

/// Longer than the idle time of these tests, and than it takes to count again.
const A_WHILE: Duration = Duration::from_millis(1200);

#[test]
fn a_request_without_an_answer_holds_the_stop_signal_however_long_it_takes() {
    for (listening, address) in [("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("::", "127.0.0.1")] {
        let app = App::on(listening);
        let mut connection = app.connect_at(address);
        connection.ask();
        let stead = stopping(draining(&app, &[]));
        assert_eq!((stead.status("/readyz"), stead.status("/livez")), (503, 200));
        wait_for_busy(&stead, 1);
        stays_held(&stead, A_WHILE);
        connection.answer();
        drop(connection);
        let said = stopped(stead);
        assert_eq!((&said["connections"], &said["idle_connections"]), (&0.into(), &0.into()));
    }
}

#[test]
fn connections_that_were_answered_and_are_kept_open_hold_nothing_for_ever() {
    // One answer, some, and none asked for: the last to move is told apart in different ways.
    for requests in [0, 1, 2, 20] {
        let app = App::new();
        let mut connection = app.connect();
        for _ in 0..requests {
            connection.ask();
            connection.answer();
        }
        let said = stopped(stopping(draining(&app, &[])));
        let counted = (&said["connections"], &said["idle_connections"]);
        assert_eq!(counted, (&0.into(), &1.into()), "{requests} requests");
        drop(connection);
    }
}

#[test]
fn a_request_that_came_right_behind_an_answer_is_work_under_way() {
    // Within one tick of the kernel's clock, so that the times of both are the same.
    for requests in [1, 2, 20] {
        let app = App::new();
        let mut connection = app.connect();
        for _ in 0..requests {
            connection.ask();
            connection.answer();
        }
        connection.ask();
        let stead = stopping(draining(&app, &[]));
        wait_for_busy(&stead, 1);
        stays_held(&stead, A_WHILE);
        connection.answer();
        let said = stopped(stead);
        assert_eq!(said["idle_connections"], 1, "{requests} requests: {said}");
    }
}

#[test]
fn a_stream_holds_as_long_as_its_pauses_are_shorter_than_the_idle_time() {
    let app = App::new();
    let mut connection = app.connect();
    connection.ask();
    let stead = stopping(draining(&app, &["--idle-after", "2s"]));
    let end = Instant::now() + Duration::from_secs(4);
    while Instant::now() < end {
        connection.answer();
        stays_held(&stead, Duration::from_millis(500));
    }
    let said = stopped(stead);
    assert_eq!(said["idle_connections"], 1, "{said}");
}

#[test]
fn what_nobody_has_accepted_or_read_counts() {
    let app = App::new();
    let mut waiting = app.knock();
    waiting.write_all(b"request").unwrap();
    let stead = stopping(draining(&app, &[]));
    wait_for_busy(&stead, 1);
    stays_held(&stead, A_WHILE);
    drop(waiting);
    stopped(stead);
}

#[test]
fn an_answer_that_the_client_does_not_read_holds() {
    let app = App::new();
    let mut connection = app.connect();
    connection.ask();
    connection.served.set_nonblocking(true).unwrap();
    // More than all buffers take.
    let piece = vec![0; 1 << 20];
    while connection.served.write(&piece).is_ok() {}
    let stead = stopping(draining(&app, &[]));
    wait_for_busy(&stead, 1);
    stays_held(&stead, A_WHILE);
    // Also when the app has done with it, and the kernel alone still sends.
    let Connection { mut client, served } = connection;
    drop(served);
    stays_held(&stead, A_WHILE);
    client.read_to_end(&mut Vec::new()).expect("all of it");
    stopped(stead);
}

#[test]
fn steads_own_probe_does_not_count() {
    let app = App::new();
    let check = format!("it=http://127.0.0.1:{}/?stead_timeout=80s", app.port());
    let stead = draining(&app, &["--check", &check]).start();
    // It is asked and never answers.
    let probed = app.accept();
    stead.wait_ready();
    let before = probed.peek(&mut [0; 1]).expect("the probe's request");
    stead.signal(libc::SIGTERM);
    let said = stopped(stead);
    assert_eq!(
        (before, &said["connections"], &said["idle_connections"]),
        (1, &0.into(), &0.into())
    );
}

#[test]
fn the_stop_signal_goes_out_while_half_of_the_grace_is_left_and_the_deadline_wins() {
    for place in Place::BOTH {
        let app = App::new();
        let mut connection = app.connect();
        connection.ask();
        let options = ["--drain-until-idle", &app.port_text(), "--grace", "4s"];
        let mut stead = Stead::example("print_signals").options(options).place(place).start();
        stead.wait_ready();
        let from = Instant::now();
        stead.signal(libc::SIGTERM);
        stead.wait_for_line(LIMIT, |line| line.starts_with("got 15 "));
        let held = from.elapsed().as_secs_f64();
        assert!((2.0..3.5).contains(&held), "held for {held} s");
        assert_eq!(stead.wait_exit(LIMIT), 137);
        assert_eq!(stead.wait_for_event("stop signal sent", LIMIT)["connections"], 1);
        let ended = stead.wait_for_event("drain ended", LIMIT);
        assert_eq!(ended["connections"], 1, "{ended}");
        let elapsed = ended["elapsed_s"].as_f64().unwrap();
        assert!((4.0..5.5).contains(&elapsed), "{ended}");
    }
}

#[test]
fn a_second_term_waits_for_no_connection() {
    let app = App::new();
    let mut connection = app.connect();
    connection.ask();
    let stead = stopping(draining(&app, &[]));
    wait_for_busy(&stead, 1);
    stead.signal(libc::SIGTERM);
    assert_eq!(stopped(stead)["connections"], 1);
}

#[test]
fn the_delay_is_served_even_where_nothing_is_connected() {
    let app = App::new();
    let stead = stopping(draining(&app, &["--drain-delay", "1500ms"]));
    stays_held(&stead, Duration::from_secs(1));
    stopped(stead);
}

#[test]
fn on_means_the_apps_own_port() {
    let app = App::new();
    let mut connection = app.connect();
    connection.ask();
    let stead = draining(&app, &["--drain-until-idle", "on", "--app-port", &app.port_text()]);
    let stead = stopping(stead);
    wait_for_busy(&stead, 1);
    drop(connection);
    stopped(stead);
}

#[test]
fn where_the_kernel_does_not_tell_what_moves_every_connection_counts() {
    let app = App::new();
    let mut connection = app.connect();
    connection.ask();
    connection.answer();
    let stead = stopping(draining(&app, &[]).before_exec(sys::refuse_netlink));
    stead.wait_for_event("idle connections count: what moves on them cannot be seen", LIMIT);
    wait_for_busy(&stead, 1);
    stays_held(&stead, A_WHILE);
    drop(connection);
    let said = stopped(stead);
    assert_eq!((&said["connections"], &said["idle_connections"]), (&0.into(), &0.into()));
}

#[test]
fn what_cannot_be_counted_is_not_nothing() {
    let app = App::new();
    let hidden =
        ["unshare", "--mount", "sh", "-c", "mount -t tmpfs none /proc && exec \"$@\"", "sh"];
    let stead = draining(&app, &["--grace", "4s"]).under(hidden).before_exec(sys::refuse_netlink);
    let stead = stead.start();
    stead.wait_ready();
    let from = Instant::now();
    stead.signal(libc::SIGTERM);
    stead.wait_for("quiescing", LIMIT, |event| event["phase"] == "quiescing");
    assert_eq!(told(&stead)["connections"], Value::Null);
    stays_held(&stead, Duration::from_secs(1));
    stead.wait_for_line(LIMIT, |line| line.starts_with("got 15 "));
    assert!(from.elapsed() >= Duration::from_secs(2), "the stop signal came early");
    let warned = stead.events_of("connections cannot be counted");
    assert_eq!(warned.len(), 1, "{warned:?}");
    assert_eq!(stopped(stead).get("connections"), None);
}

#[test]
fn thousands_of_connections_are_counted_among_thousands_of_others() {
    const COUNT: usize = 5000;
    sys::open_as_many_as_may_be().expect("descriptors");
    let (app, other) = (App::new(), App::new());
    let others: Vec<_> = (0..COUNT / 4).map(|_| other.connect()).collect();
    let mut crowd: Vec<_> = (0..COUNT).map(|_| app.connect()).collect();
    crowd.iter_mut().for_each(|connection| connection.client.write_all(b"request").unwrap());
    let stead = stopping(draining(&app, &[]));
    wait_for_busy(&stead, COUNT as u64);
    crowd.truncate(1);
    wait_for_busy(&stead, 1);
    let metrics = stead.get("/metrics").body;
    assert!(metrics.contains("\nstead_drain_connections{state=\"busy\"} 1\n"), "{metrics}");
    drop(crowd);
    assert_eq!(stopped(stead)["connections"], 0);
    drop(others);
}

#[test]
fn the_thread_that_counts_is_there_during_a_drain_alone() {
    let app = App::new();
    let mut connection = app.connect();
    connection.ask();
    let stead = draining(&app, &[]).start();
    stead.wait_ready();
    let names = || {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", stead.pid())).unwrap();
        let name = |task: std::io::Result<std::fs::DirEntry>| {
            std::fs::read_to_string(task.ok()?.path().join("comm")).ok()
        };
        tasks.filter_map(name).filter(|name| name == "stead-drain\n").count()
    };
    assert_eq!(names(), 0);
    stead.signal(libc::SIGTERM);
    wait_for_busy(&stead, 1);
    assert_eq!(names(), 1);
    drop(connection);
    stopped(stead);
}

#[test]
fn signals_and_the_end_of_the_child_are_not_held_up() {
    let app = App::new();
    let mut connection = app.connect();
    connection.ask();
    let child = Stead::example("print_signals").args(["--exit-on", "10:7"]);
    let options = ["--drain-until-idle", &app.port_text(), "--grace", "90s"];
    let mut stead = child.options(options).listening().start();
    stead.wait_ready();
    stead.signal(libc::SIGTERM);
    wait_for_busy(&stead, 1);
    stead.signal(libc::SIGHUP);
    stead.wait_for_line(LIMIT, |line| line.starts_with("got 1 "));
    stead.signal(libc::SIGUSR1);
    assert_eq!(stead.wait_exit(LIMIT), 7);
    // What it made of its connections in its last moment, nobody has seen.
    assert_eq!(stead.wait_for_event("drain ended", LIMIT).get("connections"), None);
}

#[test]
fn a_sidecar_stays_until_its_apps_connections_are_gone_or_the_grace_is_over() {
    let sidecar = |app: &App, grace: &str| {
        let port = app.port_text();
        let options = ["--app-port", &port, "--idle-after", "300ms", "--grace", grace];
        let stead = Stead::invoked(["sidecar"]).options(options).listening().start();
        stead.wait_for("running", LIMIT, |event| event["phase"] == "running");
        stead.signal(libc::SIGTERM);
        stead
    };
    let app = App::new();
    let mut connection = app.connect();
    connection.ask();
    let mut stead = sidecar(&app, "90s");
    wait_for_busy(&stead, 1);
    stays_held(&stead, A_WHILE);
    connection.answer();
    assert_eq!(stead.wait_exit(LIMIT), 0);

    connection.ask();
    let mut stead = sidecar(&app, "2s");
    assert_eq!(stead.wait_exit(LIMIT), 0);
    let ended = stead.wait_for_event("drain ended", LIMIT);
    let elapsed = ended["elapsed_s"].as_f64().unwrap();
    assert!(ended["connections"] == 1 && (2.0..4.0).contains(&elapsed), "{ended}");
}
