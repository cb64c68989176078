//! TERM in the first moments of PID 1, where the kernel discards what has no handler yet.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use crate::harness::{LIMIT, Stead, binary, example, processes, search_path, sys};

const TRIES: u32 = 50;

/// How many of the tries lost their TERM, by wrapper and delay in microseconds.
type Lost = BTreeMap<(&'static str, u32), u32>;

/// `TRIES` of stead and of static tini for each delay, in one loop.
fn measure(delays: &[u32]) -> Lost {
    let list: Vec<_> = delays.iter().map(u32::to_string).collect();
    let mut early_term = Command::new(example("early_term"));
    early_term
        .args([TRIES.to_string(), list.join(",")])
        .arg(binary())
        .args(["run", "--", "sleep", "1000", "---"])
        .args(["/usr/bin/tini-static", "--", "sleep", "1000"])
        .env_clear()
        .env("PATH", search_path())
        .env("STEAD_LISTEN", "off")
        .stdin(Stdio::null());
    // A TERM that this program was started with as ignored would be for everything below it.
    sys::before_exec(&mut early_term, sys::forget_signals);
    let output = early_term.output().expect("early_term runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "early_term failed: {errors}");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut lost = Lost::new();
    for line in text.lines() {
        let words: Vec<_> = line.split(' ').collect();
        let wrapper = if words[0] == "A" { "stead" } else { "tini" };
        let delay = words[1].parse().expect("a delay");
        assert!(["lost", "143"].contains(&words[2]), "{wrapper} did not end by TERM: {line}");
        *lost.entry((wrapper, delay)).or_default() += u32::from(words[2] == "lost");
    }
    assert_eq!(text.lines().count(), TRIES as usize * 2 * delays.len(), "{errors}");
    lost
}

#[test]
fn no_term_is_lost_from_a_millisecond_after_exec_on() {
    // A machine that is itself late, one that shares its processors with other machines say, can
    // hold any program back for so long; tini, beside it, then loses some too. So a delay at which
    // some were lost is tried again, and in all no more may be lost than by tini but by chance.
    let mut delays = vec![1000, 2000, 5000, 10_000];
    let mut all = Lost::new();
    for _ in 0..6 {
        let lost = measure(&delays);
        delays.retain(|delay| lost[&("stead", *delay)] > 0);
        lost.into_iter().for_each(|(key, lost)| *all.entry(key).or_default() += lost);
        if delays.is_empty() {
            break;
        }
    }
    assert!(delays.is_empty(), "lost at {delays:?} us in every round: {all:?}");
    no_more_than_tini(&all);
}

#[test]
fn before_that_no_more_terms_are_lost_than_by_static_tini() {
    no_more_than_tini(&measure(&[0, 200, 300, 400, 500]));
}

/// Fails where stead lost more than tini did: at any delay, or over them all.
fn no_more_than_tini(lost: &Lost) {
    let of = |wrapper| lost.iter().filter(move |((w, _), _)| *w == wrapper).map(|(_, lost)| *lost);
    let sums = (of("stead").sum(), of("tini").sum());
    for (stead, tini) in of("stead").zip(of("tini")).chain([sums]) {
        // Both counts vary by chance. The variance of their difference is at most their sum, so three
        // times its root is what chance alone passes once in a thousand times.
        let chance = 3.0 * f64::from(stead + tini).sqrt();
        assert!(f64::from(stead) <= f64::from(tini) + chance, "lost: {lost:?}");
    }
}

#[test]
fn a_term_that_waits_at_the_start_ends_stead_before_it_starts_anything() {
    for (signal, code) in [(libc::SIGTERM, 143), (libc::SIGINT, 130)] {
        let stead = Stead::example("print_signals").before_exec(move || {
            sys::block_only(&[signal])?;
            sys::raise(signal)
        });
        let mut stead = stead.start();
        assert_eq!(stead.wait_exit(LIMIT), code);
        assert_eq!(stead.stdout(), Vec::<String>::new());
        assert!(stead.events_of("child started").is_empty());
    }
}

#[test]
fn a_term_at_any_moment_of_the_spawn_ends_both_stead_and_child() {
    // A subreaper's TERM is never discarded: whatever the moment, the end is that of TERM.
    for delay in 0..100 {
        let mut stead = Stead::run(["sleep", "1000"]).start();
        let from = std::time::Instant::now();
        while from.elapsed() < std::time::Duration::from_micros(delay * 30) {
            std::hint::spin_loop();
        }
        stead.signal(libc::SIGTERM);
        assert_eq!(stead.wait_exit(LIMIT), 143, "TERM {} us after the start", delay * 30);
        assert_eq!(stead.processes(), Vec::<i32>::new());
        assert!(!processes::is_alive(stead.pid()));
    }
}
