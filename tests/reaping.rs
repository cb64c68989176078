//! Zombies: every orphan is reaped at once, however many end together, and nobody notices.

use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{LIMIT, Place, Running, Stead, http, processes, sys, until};

/// A stead whose child has made ten thousand orphans.
fn with_orphans(place: Place) -> Running {
    let stead = Stead::example("orphans").args(["10000"]).place(place).listening().start();
    stead.wait_for_line(Duration::from_secs(60), |line| line == "ready 10000");
    stead
}

/// How many children stead has, zombies too. It costs less than to look at each of them, and leaves
/// nothing of them in the kernel's memory of /proc that would have to go with them.
fn count_children(stead: &Running) -> usize {
    let count = |thread: i32| {
        let path = format!("/proc/{}/task/{thread}/children", stead.pid());
        std::fs::read_to_string(path).map_or(0, |pids| pids.split_whitespace().count())
    };
    processes::threads_of(stead.pid()).into_iter().map(count).sum()
}

/// Waits until stead has no child left but the one that it started.
fn wait_until_reaped(stead: &Running) {
    let reaped = until(Duration::from_secs(60), || {
        thread::sleep(Duration::from_millis(20));
        count_children(stead) == 1
    });
    assert!(reaped, "{} children are left", count_children(stead));
    assert_eq!(processes::children_of(stead.pid()), [stead.child_pid()]);
}

/// Asks for /livez, one connection after the other, while `act` runs. Gives the longest time that an
/// answer took.
fn slowest_answer_during(stead: &Running, act: impl FnOnce()) -> Duration {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut slowest = Duration::ZERO;
            while !over.load(Ordering::Relaxed) {
                let from = Instant::now();
                let answer = http::request(stead.port(), "GET", "/livez", &[]);
                slowest = slowest.max(from.elapsed());
                assert_eq!(answer.status, 200);
            }
            slowest
        });
        act();
        over.store(true, Ordering::Relaxed);
        asking.join().expect("the client")
    })
}

#[test]
fn ten_thousand_orphans_that_end_together_leave_no_zombie() {
    for place in Place::BOTH {
        let mut stead = with_orphans(place);
        slowest_answer_during(&stead, || {
            stead.signal(libc::SIGUSR1);
            stead.wait_for_line(LIMIT, |line| line == "gone");
            wait_until_reaped(&stead);
        });
        stead.signal(libc::SIGTERM);
        assert_eq!(stead.wait_exit(LIMIT), 0, "{place:?}");
    }
}

#[test]
fn a_stop_in_the_middle_of_ten_thousand_that_end_leaves_nothing() {
    for place in Place::BOTH {
        let mut stead = with_orphans(place);
        stead.signal(libc::SIGUSR1);
        assert!(until(Duration::from_secs(60), || count_children(&stead) < 10_000), "{place:?}");
        stead.signal(libc::SIGTERM);
        assert_eq!(stead.wait_exit(LIMIT), 0, "{place:?}");
        assert_eq!(stead.processes(), Vec::<i32>::new(), "{place:?}");
    }
}

#[test]
fn reaping_ten_thousand_orphans_delays_no_probe_past_50_ms() {
    // Ten thousand processes that end at once keep any machine busy, so that even a server that has
    // nothing to do with them answers late. Here they have all ended before stead, which is stopped
    // meanwhile, finds them: what delays an answer then is the reaping. The machine can only add to
    // it, so one round of a few must do.
    let mut rounds = Vec::new();
    while rounds.last().is_none_or(|slowest| *slowest >= Duration::from_millis(50)) {
        assert!(rounds.len() < 5, "the slowest answers took {rounds:?}");
        let mut stead = with_orphans(Place::Subreaper);
        let child = stead.child_pid();
        stead.signal(libc::SIGSTOP);
        sys::kill(child, libc::SIGUSR1).expect("signalling the child");
        stead.wait_for_line(Duration::from_secs(60), |line| line == "gone");
        assert_eq!(count_children(&stead), 10_001);
        stead.signal(libc::SIGCONT);
        rounds.push(slowest_answer_during(&stead, || wait_until_reaped(&stead)));
        stead.signal(libc::SIGTERM);
        assert_eq!(stead.wait_exit(LIMIT), 0);
    }
}

#[test]
fn ten_thousand_orphans_that_end_together_delay_no_probe_past_50_ms() {
    // While they still run, they want the processors as much as stead does, whose threads that accept come before all of
    // them here, since root may have that. What else wants the processors can only add to it, so one series of storms of two
    // must do; a series has several, because one alone may go well by chance.
    let mut series: Vec<Vec<Duration>> = Vec::new();
    let is_good = |storms: &Vec<Duration>| storms.iter().all(|it| *it < Duration::from_millis(50));
    while !series.last().is_some_and(is_good) {
        assert!(series.len() < 2, "the slowest answers of each storm took {series:?}");
        series.push((0..3).map(|_| slowest_probe_of_a_storm()).collect());
    }
}

/// The longest that a probe took while ten thousand orphans ended together. They come ten times as often as a platform's
/// most frequent, each with a connection of its own.
fn slowest_probe_of_a_storm() -> Duration {
    let mut stead = with_orphans(Place::Subreaper);
    // As it is once it has been asked for a while.
    assert_eq!(stead.status("/livez"), 200);
    let accepting = || processes::threads_that_accept(stead.pid()).len();
    assert!(until(LIMIT, || accepting() == processes::ACCEPTING));
    let (port, over) = (stead.port(), AtomicBool::new(false));
    let slowest = thread::scope(|scope| {
        let asking = scope.spawn(|| {
            // It must not wait for its own turn among the ten thousand.
            sys::come_first().expect("real-time priority, which root has");
            let mut slowest = Duration::ZERO;
            while !over.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(100));
                slowest = slowest.max(answer_time(port));
            }
            slowest
        });
        sys::kill(stead.child_pid(), libc::SIGUSR1).expect("signalling the child");
        stead.wait_for_line(Duration::from_secs(60), |line| line == "gone");
        wait_until_reaped(&stead);
        over.store(true, Ordering::Relaxed);
        asking.join().expect("the client")
    });
    stead.signal(libc::SIGTERM);
    assert_eq!(stead.wait_exit(LIMIT), 0);
    slowest
}

/// How long the answer to a probe takes, from its connection on; it comes in one piece.
fn answer_time(port: u16) -> Duration {
    let from = Instant::now();
    let mut stream = http::connect(port).expect("a connection");
    let request = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request).expect("asking");
    let mut answer = [0; 4096];
    let length = stream.read(&mut answer).expect("the answer");
    let time = from.elapsed();
    let answer = http::Response::parse(&answer[..length]).expect("a whole answer");
    assert_eq!((answer.status, answer.body.ends_with('}')), (200, true));
    time
}

#[test]
fn zombies_never_pile_up() {
    for place in Place::BOTH {
        // A leader that makes orphans all the time: a shell that backgrounds in a subshell.
        let script = "n=0; while [ $n -lt 500 ]; do (true &); n=$((n + 1)); done; \
                      echo ready; exec sleep 1000";
        let stead = Stead::script(script).place(place).start();
        stead.wait_ready();
        // The last of them may not even have ended when the leader is ready.
        let child = stead.child_pid();
        let none = until(LIMIT, || processes::children_of(stead.pid()) == [child]);
        assert!(none, "{} zombies are left", processes::zombies_of(stead.pid()));
    }
}

#[test]
fn a_leader_that_ends_among_thousands_of_orphans_is_not_missed() {
    // One SIGCHLD stands for many ends: the leader's must be found among them.
    for place in Place::BOTH {
        let script = "n=0; while [ $n -lt 200 ]; do (sleep 0.2 &); n=$((n + 1)); done; \
                      sleep 0.2; exit 11";
        let mut stead = Stead::script(script).place(place).start();
        assert_eq!(stead.wait_exit(LIMIT), 11, "{place:?}");
        assert_eq!(stead.processes(), Vec::<i32>::new());
    }
}

#[test]
fn the_leaders_own_children_are_the_leaders_to_reap() {
    let script = "(exit 21) & wait $!; echo $?; (exit 22); echo $?";
    let mut stead = Stead::script(script).start();
    assert_eq!(stead.wait_exit(LIMIT), 0);
    assert_eq!(stead.stdout(), ["21", "22"]);
}

#[test]
fn an_orphan_that_ends_does_not_end_stead() {
    for place in Place::BOTH {
        let script = "(sh -c 'exit 9' &); sleep 0.1; exec print_signals";
        let mut stead = Stead::script(script).place(place).start();
        stead.wait_ready();
        assert!(until(LIMIT, || processes::children_of(stead.pid()).len() == 1));
        assert!(stead.is_running());
        assert!(stead.events_of("child ended").is_empty());
    }
}
