//! Nothing that checks, serves or logs can delay signals, reaping or the drain, or stop stead.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::processes::ACCEPTING;
use crate::harness::sys::{self, Frozen};
use crate::harness::{
    LIMIT, Place, Running, Stead, first_real_time_signal, http, processes, until,
};

/// A stead with endpoints and a check, so that there is something beside the main thread.
fn busy(stead: Stead) -> Stead {
    stead.listening().options(["--app-port", "1"])
}

fn wait_for_other_threads(stead: &Running) {
    let there = until(LIMIT, || processes::threads_of(stead.pid()).len() > 1);
    assert!(there, "stead serves with no thread but the main one");
    assert_eq!(stead.status("/livez"), 200);
}

/// Waits for the end of a stead whose other threads are held.
pub fn wait_exit_of_frozen(stead: &mut Running, frozen: &mut Frozen) -> i32 {
    let ended = until(LIMIT, || {
        frozen.reap();
        !stead.is_running()
    });
    assert!(ended, "stead cannot end while its other threads are held");
    stead.wait_exit(LIMIT)
}

/// A stead whose threads that accept have all been started, and wait; and those threads.
fn with_all_that_accept(under: &str) -> (Running, Vec<i32>) {
    let child = Stead::example("print_signals").args(["--exit-on", "15:0"]);
    let stead = busy(child).under(under.split_whitespace()).start();
    stead.wait_ready();
    wait_for_other_threads(&stead);
    // The first answer, which has been given by now, starts all others.
    let accepting = || processes::threads_that_accept(stead.pid());
    assert!(until(LIMIT, || accepting().len() == ACCEPTING));
    let threads = accepting();
    assert!(until(LIMIT, || all_wait(&threads)));
    (stead, threads)
}

fn all_wait(threads: &[i32]) -> bool {
    threads.iter().all(|thread| processes::state(*thread) == Some('S'))
}

/// How often each of these threads has slept.
fn sleeps(threads: &[i32]) -> Vec<u64> {
    let of = |thread: &i32| processes::status(*thread, "voluntary_ctxt_switches");
    threads.iter().map(|thread| of(thread).unwrap().parse().unwrap()).collect()
}

#[test]
fn each_probe_is_answered_by_the_thread_that_has_slept_longest() {
    let (mut stead, threads) = with_all_that_accept("");
    let before = sleeps(&threads);
    // Each is asked once the one before it waits again.
    for _ in &threads {
        assert!(until(LIMIT, || all_wait(&threads)));
        assert_eq!(stead.status("/livez"), 200);
    }
    assert!(until(LIMIT, || all_wait(&threads)));
    let after = sleeps(&threads);
    for (before, after) in before.iter().zip(&after) {
        assert!(after > before, "{threads:?} have slept {before:?} times, then {after:?}");
    }
    stead.signal(libc::SIGTERM);
    assert_eq!(stead.wait_exit(LIMIT), 0);
}

#[test]
fn a_connection_wakes_a_thread_once_its_request_is_there_and_not_before() {
    let (stead, threads) = with_all_that_accept("");
    // For longer than a second nobody keeps it back; a round that took as long on a busy machine shows nothing.
    let woke = (0..5).find_map(|_| {
        let began = Instant::now();
        let before = sleeps(&threads);
        let mut stream = http::connect(stead.port()).expect("a connection");
        thread::sleep(Duration::from_millis(200));
        let meanwhile = sleeps(&threads);
        let was_in_time = began.elapsed() < Duration::from_millis(900);
        stream.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("asking");
        let mut answer = [0; 15];
        stream.read_exact(&mut answer).expect("the answer");
        assert_eq!(&answer, b"HTTP/1.1 200 OK");
        let woken = || sleeps(&threads) != meanwhile;
        assert!(until(LIMIT, woken), "another thread answered");
        assert!(until(LIMIT, || all_wait(&threads)));
        was_in_time.then_some(before != meanwhile)
    });
    assert_eq!(woke, Some(false), "(None: no round was in time)");
}

/// How each of these threads is scheduled: `SCHED_OTHER`, `SCHED_RR`; sched(7).
fn policies(threads: &[i32]) -> Vec<i32> {
    let of = |thread: &i32| {
        let stat = std::fs::read_to_string(format!("/proc/{thread}/stat")).unwrap();
        let (_, after_name) = stat.rsplit_once(')').unwrap();
        after_name.split_whitespace().nth(38).unwrap().parse().unwrap()
    };
    threads.iter().map(of).collect()
}

#[test]
fn threads_that_accept_come_before_all_others_where_they_may_and_as_long_as_few_ask() {
    let (mut stead, threads) = with_all_that_accept("");
    // As root they may.
    assert!(until(LIMIT, || policies(&threads) == [libc::SCHED_RR; ACCEPTING]));
    let load = Load::on(stead.port());
    assert!(until(LIMIT, || policies(&threads) == [libc::SCHED_OTHER; ACCEPTING]));
    drop(load);
    let first_again = until(LIMIT, || {
        thread::sleep(Duration::from_millis(50));
        stead.status("/livez") == 200 && policies(&threads) == [libc::SCHED_RR; ACCEPTING]
    });
    assert!(first_again, "{:?}", policies(&threads));
    // Nothing else of stead's does, nor does the child.
    let others = processes::threads_of(stead.pid()).into_iter().filter(|it| !threads.contains(it));
    let others: Vec<i32> = others.chain([stead.child_pid()]).collect();
    assert_eq!(policies(&others), vec![libc::SCHED_OTHER; others.len()]);
    stead.signal(libc::SIGTERM);
    assert_eq!(stead.wait_exit(LIMIT), 0);
}

#[test]
fn threads_that_accept_come_like_all_others_where_they_may_not_come_first() {
    let (stead, threads) = with_all_that_accept("setpriv --bounding-set -sys_nice --");
    for _ in 0..2 * ACCEPTING {
        assert_eq!(stead.status("/livez"), 200);
        assert_eq!(policies(&threads), [libc::SCHED_OTHER; ACCEPTING]);
    }
}

#[test]
fn signals_go_through_while_every_other_thread_is_held() {
    for place in Place::BOTH {
        let child = Stead::example("print_signals").args(["--exit-on", "15:6"]).place(place);
        let mut stead = busy(child).start();
        stead.wait_ready();
        wait_for_other_threads(&stead);
        let mut frozen = Frozen::all_but_main(stead.pid());
        assert!(frozen.count() > 0);
        for signal in [libc::SIGHUP, libc::SIGUSR1, libc::SIGRTMIN() + 1] {
            stead.signal(signal);
            stead.wait_for_line(LIMIT, |line| line.starts_with(&format!("got {signal} ")));
        }
        stead.signal(libc::SIGTERM);
        assert_eq!(wait_exit_of_frozen(&mut stead, &mut frozen), 6, "{place:?}");
    }
}

#[test]
fn orphans_are_reaped_while_every_other_thread_is_held() {
    let mut stead = busy(Stead::example("orphans").args(["300"])).start();
    stead.wait_for_line(LIMIT, |line| line == "ready 300");
    wait_for_other_threads(&stead);
    let child = stead.child_pid();
    let mut frozen = Frozen::all_but_main(stead.pid());
    stead.signal(libc::SIGUSR1);
    let reaped = until(LIMIT, || processes::children_of(stead.pid()) == [child]);
    assert!(reaped, "{} zombies are left", processes::zombies_of(stead.pid()));
    stead.signal(libc::SIGTERM);
    assert_eq!(wait_exit_of_frozen(&mut stead, &mut frozen), 0);
}

#[test]
fn the_deadline_holds_while_every_other_thread_is_held() {
    for place in Place::BOTH {
        let script = "setsid print_signals --name far & exec print_signals --name near";
        let stead = Stead::script(script).options(["--grace", "1s"]).place(place);
        let mut stead = busy(stead).start();
        for name in ["far", "near"] {
            stead.wait_for_line(LIMIT, |line| line.starts_with(&format!("{name} ready")));
        }
        wait_for_other_threads(&stead);
        let mut frozen = Frozen::all_but_main(stead.pid());
        stead.signal(libc::SIGTERM);
        assert_eq!(wait_exit_of_frozen(&mut stead, &mut frozen), 137, "{place:?}");
        assert_eq!(stead.processes(), Vec::<i32>::new());
    }
}

/// Clients that ask without a pause until told to end; dropping ends them.
struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    clients: Vec<thread::JoinHandle<()>>,
}

impl Load {
    fn on(port: u16) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let answered = Arc::<AtomicUsize>::default();
        let client = |_| {
            let (stop, answered) = (stop.clone(), answered.clone());
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let answer = http::try_request(port, "GET", "/readyz?verbose", &[]);
                    answered.fetch_add(usize::from(answer.is_some()), Ordering::Relaxed);
                }
            })
        };
        let clients = (0..8).map(client).collect();
        Self { stop, answered, clients }
    }

    fn answered(&self) -> usize {
        self.answered.load(Ordering::Relaxed)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients.drain(..) {
            let _ = client.join();
        }
    }
}

#[test]
fn signals_go_through_and_the_drain_ends_under_load_on_the_endpoints() {
    let mut stead = busy(Stead::example("print_signals").args(["--exit-on", "15:0"])).start();
    stead.wait_ready();
    let load = Load::on(stead.port());
    // Slow ones as well: connections that say nothing.
    let silent: Vec<_> = (0..200).filter_map(|_| http::connect(stead.port()).ok()).collect();
    assert!(until(LIMIT, || load.answered() > 100), "no load: {} answers", load.answered());
    let signal = first_real_time_signal();
    (0..100).for_each(|_| stead.signal(signal));
    let start = format!("got {signal} ");
    let all = until(LIMIT, || {
        stead.stdout().iter().filter(|line| line.starts_with(&start)).count() == 100
    });
    assert!(all, "signals were lost under load");
    stead.signal(libc::SIGTERM);
    assert_eq!(stead.wait_exit(LIMIT), 0);
    drop((load, silent));
}

/// A pipe of one page, as its reader and its writer.
fn small_pipe() -> (File, OwnedFd) {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    sys::shrink_pipe(&writer).expect("a small pipe");
    (File::from(OwnedFd::from(reader)), writer.into())
}

/// What a stead must do whatever has become of its log: answer, forward, drain, end with the code.
fn works_without_its_log(mut stead: Running, what: &str) {
    stead.wait_ready();
    assert_eq!(stead.status("/livez"), 200, "{what}");
    for round in 1..=300 {
        let signal = first_real_time_signal() + round % 10;
        stead.signal(signal);
    }
    let all = until(LIMIT, || stead.count_stdout() == 301);
    assert!(all, "{what}: {} of 300 signals came through", stead.count_stdout() - 1);
    assert_eq!(stead.status("/readyz"), 200, "{what}");
    stead.signal(libc::SIGTERM);
    assert_eq!(stead.wait_exit(LIMIT), 6, "{what}");
}

#[test]
fn a_log_that_nobody_reads_stops_nothing() {
    for place in Place::BOTH {
        let (reader, writer) = small_pipe();
        // Full before stead starts: its very first line can go nowhere.
        let mut filler = File::from(writer.try_clone().expect("the pipe once more"));
        filler.write_all(&[b'\n'; 4096]).expect("filling a pipe");
        let stead = Stead::example("print_signals").args(["--exit-on", "15:6"]).place(place);
        let stead = stead.options(["--log-level", "debug"]).listening().stderr(writer).start();
        works_without_its_log(stead, "nobody reads");
        drop(reader);
    }
}

#[test]
fn a_log_whose_reader_is_gone_stops_nothing() {
    for place in Place::BOTH {
        let (reader, writer) = small_pipe();
        drop(reader);
        let stead = Stead::example("print_signals").args(["--exit-on", "15:6"]).place(place);
        let stead = stead.options(["--log-level", "debug"]).listening().stderr(writer).start();
        works_without_its_log(stead, "the reader is gone");
    }
}

#[test]
fn a_log_that_was_stuck_goes_on_with_whole_lines_and_says_how_many_are_missing() {
    let (mut reader, writer) = small_pipe();
    let full = writer.try_clone().expect("the pipe once more");
    let child = Stead::example("print_signals").args(["--exit-on", "15:6"]);
    let mut stead = child.stderr(writer).start();
    stead.wait_ready();
    let sent = 20_000;
    // A thousand at a time: the kernel keeps only so many that wait, of all processes of a user together
    // (`RLIMIT_SIGPENDING`), and forgets how many more there were.
    for round in 1..=sent {
        stead.signal(first_real_time_signal() + round % 10);
        if round % 1000 == 0 {
            let all = until(LIMIT, || stead.count_stdout() == 1 + round as usize);
            assert!(all, "{} of {round} signals came through", stead.count_stdout() - 1);
        }
    }
    assert!(sys::bytes_in(&full).expect("the pipe's fill") > 2048, "the log was not stuck");
    drop(full);
    let told = Arc::<Mutex<Vec<u8>>>::default();
    let into = told.clone();
    let reading = thread::spawn(move || {
        let mut chunk = [0; 4096];
        while let n @ 1.. = reader.read(&mut chunk).expect("the log to its end") {
            into.lock().unwrap().extend_from_slice(&chunk[..n]);
        }
    });
    let text = || String::from_utf8_lossy(&told.lock().unwrap()).into_owned();
    // It stands behind all that had to wait; the end would not wait for so much.
    assert!(until(LIMIT, || text().contains("events dropped")), "nothing is said to be missing");
    stead.signal(libc::SIGUSR2);
    stead.wait_for_line(LIMIT, |line| line.starts_with("got 12 "));
    stead.signal(libc::SIGTERM);
    assert_eq!(stead.wait_exit(LIMIT), 6);
    reading.join().expect("the reader of the log");
    let events: Vec<serde_json::Value> = text()
        .lines()
        .map(|line| {
            serde_json::from_str(line).unwrap_or_else(|e| panic!("not whole ({e}): {line}"))
        })
        .collect();
    let missing: u64 = events
        .iter()
        .filter(|event| event["message"] == "events dropped")
        .map(|event| event["count"].as_u64().expect("a count"))
        .sum();
    assert!(missing > 0, "20,000 events are in a pipe of 4,096 bytes");
    let forwarded = events.iter().filter(|e| e["message"] == "signal forwarded").count();
    assert!(forwarded as u64 + missing >= sent as u64, "{forwarded} told, {missing} dropped");
    assert!(events.iter().any(|event| event["message"] == "finished"));
}

#[test]
fn a_stuck_log_does_not_slow_the_exit_down() {
    let (reader, writer) = small_pipe();
    let mut filler = File::from(writer.try_clone().expect("the pipe once more"));
    filler.write_all(&[b'\n'; 4096]).expect("filling a pipe");
    let from = std::time::Instant::now();
    let mut stead = Stead::script("exit 3").stderr(writer).start();
    assert_eq!(stead.wait_exit(LIMIT), 3);
    assert!(from.elapsed() < Duration::from_secs(3), "took {:?}", from.elapsed());
    drop(reader);
}

#[test]
fn a_log_whose_thread_is_late_while_its_reader_is_not_loses_no_last_words() {
    // Later than a stuck reader is waited for, and well before the end comes all the same; a round in which this
    // program itself was late shows nothing.
    let (late, patience) = (Duration::from_millis(300), Duration::from_millis(800));
    for _ in 0..10 {
        let mut stead = Stead::example("print_signals").args(["--exit-on", "15:6"]).start();
        stead.wait_ready();
        stead.wait_for("running", LIMIT, |event| event["phase"] == "running");
        let mut frozen = Frozen::all_but_main(stead.pid());
        let from = std::time::Instant::now();
        stead.signal(libc::SIGTERM);
        let ended = until(LIMIT, || processes::children_of(stead.pid()).is_empty());
        assert!(ended, "the child has not ended");
        let _ = until(late, || from.elapsed() > late);
        let held = from.elapsed();
        frozen.reap();
        drop(frozen);
        assert_eq!(stead.wait_exit(LIMIT), 6);
        if held < patience {
            assert_eq!(stead.wait_for_event("finished", LIMIT)["code"], 6);
            return;
        }
    }
    panic!("this machine is too busy for this test");
}
