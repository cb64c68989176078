//! Under load, and at the limit of its descriptors, stead answers, forwards signals and stays small.

use std::fs;
use std::io::Write;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::app::{Answer, App, Serve, idle};
use crate::hardening::{GET, HALF, SlowClients, connections, descriptors, resident_kib};
use crate::harness::http::{connect, exchange};
use crate::harness::{LIMIT, Running, Stead, processes, until};
use crate::protocol::{answering, is_answered, read_answer};

/// CPU time that a process has used.
fn cpu_time(pid: i32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("a living process");
    // Fields 14 and 15 of proc(5), counted behind the name, which may hold anything; in ticks of 10 ms.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split(' ').collect();
    let ticks = |field: usize| fields[field].parse::<u64>().expect("a number of ticks");
    Duration::from_millis(10 * (ticks(12) + ticks(13)))
}

/// How long a GET of `/readyz` takes, on a new connection each; in order of time. One without an
/// answer takes as long as anything can.
fn latencies(stead: &Running, count: usize) -> Vec<Duration> {
    let request = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let mut times: Vec<_> = (0..count)
        .map(|_| {
            let began = Instant::now();
            let answer = exchange(stead.port(), request);
            let answered = answer.is_some_and(|answer| answer.status == 503);
            let took = if answered { began.elapsed() } else { LIMIT };
            thread::sleep(Duration::from_millis(3));
            took
        })
        .collect();
    times.sort_unstable();
    times
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() * percent).div_ceil(100) - 1]
}

/// A stead with a check that is stuck for as long as the app lives.
fn with_a_stuck_check(app: &App, stead: Stead) -> Running {
    app.answers(Answer::Silence);
    let stead = stead.env("STEAD_APP_URL", app.url("/")).serve();
    is_answered(&stead);
    assert!(until(LIMIT, || !app.requests().is_empty()));
    stead
}

#[test]
fn readyz_answers_within_10_ms_at_p99_while_a_thousand_clients_are_slow_and_a_check_hangs() {
    let (undisturbed_app, app) = (App::new(), App::new());
    let undisturbed = with_a_stuck_check(&undisturbed_app, idle());
    let stead = with_a_stuck_check(&app, idle());
    let _clients = SlowClients::of(&stead, 1000, "mixed");
    let limit = Duration::from_millis(10);
    // What is measured is stead, and others have the machine as well: a round in which a stead left
    // alone misses the limit shows nothing, and three that show something must all miss it.
    let mut missed = Vec::new();
    for round in 1..=12 {
        let alone = latencies(&undisturbed, 300);
        let loaded = latencies(&stead, 300);
        let (p99, alone_p99) = (percentile(&loaded, 99), percentile(&alone, 99));
        println!(
            "round {round}: p50 {:?}, p99 {p99:?}, max {:?}; a stead left alone: p50 {:?}, p99 {alone_p99:?}, max {:?}",
            percentile(&loaded, 50),
            loaded[299],
            percentile(&alone, 50),
            alone[299],
        );
        if p99 < limit {
            return;
        }
        if alone_p99 < limit {
            missed.push((p99, alone_p99));
        }
        assert!(missed.len() < 3, "p99, and that of a stead left alone: {missed:?}");
    }
    panic!("the machine is too busy to measure on: {missed:?}");
}

#[test]
fn a_probe_is_answered_however_many_come_right_behind_it() {
    let stead = answering();
    for round in 1..=5 {
        // All of them are in the queue of the listener when stead looks at it again.
        stead.signal(libc::SIGSTOP);
        assert!(until(LIMIT, || processes::state(stead.pid()) == Some('T')));
        let mut probe = connect(stead.port()).unwrap();
        probe.write_all(GET).unwrap();
        let crowd: Vec<_> = (0..400).map(|_| connect(stead.port()).unwrap()).collect();
        stead.signal(libc::SIGCONT);
        let answer = read_answer(&mut probe);
        assert!(answer.is_ok_and(|answer| answer.status == 200), "round {round}: no answer");
        drop(crowd);
    }
}

#[test]
fn signals_come_first_while_a_thousand_clients_are_slow_and_a_check_hangs() {
    let script = "trap 'echo usr1' USR1; trap 'echo term; exit 7' TERM; echo ready; \
                  while :; do sleep 1000 & wait; done";
    let app = App::new();
    let mut stead = with_a_stuck_check(&app, Stead::script(script));
    stead.wait_ready();
    let _clients = SlowClients::of(&stead, 1000, "mixed");
    let lines = |stead: &Running| stead.stdout().len();
    let mut times = Vec::new();
    for _ in 0..50 {
        let (before, began) = (lines(&stead), Instant::now());
        stead.signal(libc::SIGUSR1);
        assert!(until(LIMIT, || lines(&stead) > before), "USR1 was lost");
        times.push(began.elapsed());
        thread::sleep(Duration::from_millis(10));
    }
    times.sort_unstable();
    println!("from stead to a shell's line: p50 {:?}, max {:?}", times[25], times[49]);
    // The shell's own work and this test's polling are in it.
    assert!(times[25] < Duration::from_millis(30), "{times:?}");
    let began = Instant::now();
    stead.signal(libc::SIGTERM);
    assert!(until(LIMIT, || stead.stdout().contains(&"term".to_owned())));
    assert!(began.elapsed() < Duration::from_millis(500));
    assert_eq!(stead.wait_exit(LIMIT), 7);
}

#[test]
fn five_thousand_connections_leave_no_descriptor_and_little_memory() {
    let stead = answering();
    assert!(until(LIMIT, || connections(&stead) == 0));
    let (open, before) = (descriptors(stead.pid()), resident_kib(stead.pid()));
    for number in 0..5000 {
        let Ok(mut stream) = connect(stead.port()) else {
            panic!("connection {number} was refused");
        };
        match number % 5 {
            0 => {
                stream.write_all(GET).unwrap();
                assert_eq!(read_answer(&mut stream).unwrap().status, 200);
            }
            1 => stream.write_all(HALF).unwrap(),
            2 => stream.write_all(b"\x16\x03\x01").unwrap(),
            // Goes away with a reset in the middle of the answers.
            3 => {
                stream.write_all(&GET.repeat(50)).unwrap();
                let socket = socket2::SockRef::from(&stream);
                socket.set_linger(Some(Duration::ZERO)).unwrap();
            }
            _ => {}
        }
    }
    let settled = until(LIMIT, || descriptors(stead.pid()) <= open);
    let left = descriptors(stead.pid());
    assert!(settled, "{left} descriptors, and {open} before");
    let after = resident_kib(stead.pid());
    println!("resident: {before} KiB before, {after} KiB after 5,000 connections");
    assert!(after < before + 2048, "{before} KiB before, {after} KiB after");
    is_answered(&stead);
}

/// Limits the descriptors that a process may open from now on.
fn limit_descriptors(pid: i32, limit: usize) {
    let mut prlimit = Command::new("prlimit");
    prlimit.arg(format!("--pid={pid}")).arg(format!("--nofile={limit}:"));
    assert!(prlimit.status().expect("prlimit").success());
}

#[test]
fn without_free_descriptors_it_waits_without_spinning_and_recovers() {
    let stead = idle().serve();
    is_answered(&stead);
    let pid = stead.pid();
    // Stead's own have the lowest numbers, so that none is left for a connection.
    limit_descriptors(pid, 5);
    let clients = SlowClients::of(&stead, 200, "half");
    let before = cpu_time(pid);
    let accepted = until(Duration::from_secs(2), || connections(&stead) > 0);
    let used = cpu_time(pid).saturating_sub(before);
    assert!(!accepted, "the limit was not reached");
    assert!(used < Duration::from_millis(500), "{used:?}");
    limit_descriptors(pid, 1024);
    drop(clients);
    is_answered(&stead);
}

/// A stead that may open few descriptors and has many slow clients, in front of this script.
fn with_few_descriptors(script: &str) -> (Running, SlowClients) {
    let stead = Stead::script(script).under(["prlimit", "--nofile=64"]).serve();
    stead.wait_ready();
    let clients = SlowClients::of(&stead, 500, "half");
    assert!(until(LIMIT, || connections(&stead) >= 32));
    (stead, clients)
}

#[test]
fn with_few_descriptors_there_are_few_connections_and_an_answer_all_the_same() {
    let (stead, _clients) = with_few_descriptors("echo ready; exec sleep 1000");
    let mut most = 0;
    let _ = until(Duration::from_secs(1), || {
        most = most.max(connections(&stead));
        false
    });
    assert_eq!(most, 32);
    is_answered(&stead);
}

#[test]
fn with_few_descriptors_signals_still_arrive() {
    let script = "trap 'kill $!; exit 7' TERM; echo ready; while :; do sleep 1000 & wait; done";
    let (mut stead, _clients) = with_few_descriptors(script);
    stead.signal(libc::SIGTERM);
    assert_eq!(stead.wait_exit(LIMIT), 7);
}

#[test]
fn with_few_descriptors_what_the_child_leaves_behind_is_still_stopped() {
    let script = "trap 'exit 7' TERM; sleep 1000 & echo ready; while :; do sleep 1000 & wait; done";
    let (mut stead, _clients) = with_few_descriptors(script);
    stead.signal(libc::SIGTERM);
    assert_eq!(stead.wait_exit(LIMIT), 7);
    assert_eq!(stead.processes(), Vec::<i32>::new());
}
