//! The loop under paused time, with probes that hang, fail, complain and panic.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::check::Fact;

const SECOND: Duration = Duration::from_secs(1);

fn refused() -> Result<Pass, ProbeError> {
    Err(ProbeError::new(Class::ConnectRefused, "refused"))
}

/// Runs a monitor whose n-th attempt gives `answer(n)`.
fn start<F>(answer: impl Fn(u32) -> F + Send + 'static) -> (watch::Receiver<Status>, Arc<AtomicU32>)
where
    F: Future<Output = Result<Pass, ProbeError>> + Send + 'static,
{
    let (sender, receiver) = watch::channel(Status::new());
    let count = Arc::new(AtomicU32::new(0));
    let counted = count.clone();
    let probe = move |_| answer(counted.fetch_add(1, Ordering::Relaxed));
    tokio::spawn(monitor("test".to_owned(), Schedule::default(), probe, sender));
    (receiver, count)
}

#[tokio::test(start_paused = true)]
async fn the_first_pass_makes_it_up_and_one_failure_does_not_make_it_down() {
    let (status, count) =
        start(|n| async move { if n == 1 { refused() } else { Ok(Pass::default()) } });
    sleep(SECOND / 10).await;
    assert_eq!(status.borrow().state, State::Up);
    // The next attempt comes 0.8 s after the failed one at the earliest.
    while count.load(Ordering::Relaxed) < 2 {
        sleep(SECOND / 10).await;
    }
    assert_eq!((status.borrow().state, status.borrow().failures), (State::Up, 1));
    sleep(SECOND).await;
    assert_eq!((status.borrow().state, status.borrow().failures), (State::Up, 0));
}

#[tokio::test(start_paused = true)]
async fn what_hangs_is_down_within_eighteen_seconds_and_up_again_by_itself() {
    let (status, count) = start(|n| async move {
        if (1..=3).contains(&n) {
            std::future::pending::<()>().await;
        }
        Ok(Pass::default())
    });
    sleep(SECOND / 10).await;
    let up = Instant::now();
    while status.borrow().state == State::Up {
        sleep(SECOND / 10).await;
    }
    // 10 s to the next attempt, three attempts of 2 s, two rechecks of 1 s.
    assert!(up.elapsed() <= Duration::from_millis(18_100), "{:?}", up.elapsed());
    assert_eq!(status.borrow().reason, Some((Class::Timeout, Stage::Connect)));
    assert_eq!(count.load(Ordering::Relaxed), 4);
    sleep(2 * SECOND).await;
    assert_eq!(status.borrow().state, State::Up);
}

#[tokio::test(start_paused = true)]
async fn before_the_first_pass_it_is_asked_every_second_and_later_with_back_off() {
    let (status, count) = start(|_| async { refused() });
    sleep(29 * SECOND).await;
    let eager = count.load(Ordering::Relaxed);
    assert!((24..=37).contains(&eager), "{eager}");
    assert_eq!(status.borrow().state, State::Down);
    assert!(!status.borrow().passed);
    sleep(300 * SECOND).await;
    let later = count.load(Ordering::Relaxed) - eager;
    assert!((10..=80).contains(&later), "{later}");
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_panics_is_unknown_and_is_asked_again() {
    let (status, count) = start(|n| async move {
        assert!(n != 0, "a bug in a driver");
        Ok(Pass::default())
    });
    sleep(SECOND / 10).await;
    assert_eq!(status.borrow().state, State::Unknown);
    assert_eq!(status.borrow().reason.map(|(class, _)| class), Some(Class::ProbePanicked));
    sleep(2 * SECOND).await;
    assert_eq!((status.borrow().state, count.load(Ordering::Relaxed)), (State::Up, 2));
}

fn concerned(class: Class) -> Result<Pass, ProbeError> {
    Ok(Pass { detail: Vec::new(), concern: Some(ProbeError::new(class, "too much")) })
}

#[tokio::test(start_paused = true)]
async fn what_complains_is_degraded_and_up_again_when_it_does_not() {
    let (status, _) = start(|n| async move {
        match n {
            0 => Ok(Pass { detail: vec![("messages", Fact::Count(3))], concern: None }),
            1 => concerned(Class::TooManyMessages),
            _ => Ok(Pass::default()),
        }
    });
    sleep(SECOND / 10).await;
    assert_eq!(*status.borrow().detail, [("messages", Fact::Count(3))]);
    sleep(10 * SECOND).await;
    let degraded = status.borrow().clone();
    assert_eq!((degraded.state, degraded.failures), (State::Degraded, 0));
    assert_eq!(degraded.reason, Some((Class::TooManyMessages, Stage::Connect)));
    sleep(10 * SECOND).await;
    assert_eq!((status.borrow().state, status.borrow().reason), (State::Up, None));
    let counted = status.borrow().tally.clone();
    assert_eq!(counted.transitions, [0, 2, 1, 0]);
    assert!(counted.failures.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_wrong_password_and_a_full_server_are_not_asked_again_soon() {
    for class in [Class::AuthFailed, Class::AccessDenied, Class::TooManyConnections] {
        let (_, failed) = start(move |_| async move { Err(ProbeError::new(class, "no")) });
        let (status, complained) = start(move |_| async move { concerned(class) });
        sleep(14 * SECOND).await;
        for count in [&failed, &complained] {
            assert_eq!(count.load(Ordering::Relaxed), 1, "{class:?}");
        }
        sleep(286 * SECOND).await;
        for count in [failed, complained] {
            let count = count.load(Ordering::Relaxed);
            assert!((10..=21).contains(&count), "{class:?}: {count} in five minutes");
        }
        // The pass counts for as long as the next attempt is put off.
        let fresh = status.borrow().fresh_until.is_some_and(|until| until > Instant::now());
        assert!(fresh, "{class:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_for_long_is_still_down_within_eighteen_seconds() {
    let (status, count) = start(|n| async move {
        if n == 0 {
            return Ok(Pass::default());
        }
        sleep(2 * SECOND - SECOND / 10).await;
        Err(ProbeError::new(Class::AuthFailed, "no"))
    });
    sleep(18 * SECOND).await;
    assert_eq!((status.borrow().state, count.load(Ordering::Relaxed)), (State::Down, 4));
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_may_not_connect_changes_nothing() {
    let (mut status, count) = start(|n| async move {
        if n == 0 { Ok(Pass::default()) } else { Err(ProbeError::new(Class::Draining, "no")) }
    });
    status.changed().await.unwrap();
    let before = status.borrow_and_update().clone();
    sleep(100 * SECOND).await;
    assert!(count.load(Ordering::Relaxed) > 5);
    assert!(!status.has_changed().unwrap());
    assert_eq!((before.state, before.tally.failures.len()), (State::Up, 0));
}

#[tokio::test(start_paused = true)]
async fn failures_are_counted_by_class_and_stage_and_attempts_by_duration() {
    let (sender, status) = watch::channel(Status::new());
    let mut n = 0;
    let probe = move |progress: Progress| {
        n += 1;
        async move {
            progress.enter(if n % 2 == 0 { Stage::Tls } else { Stage::Query });
            sleep(Duration::from_millis(30)).await;
            refused()
        }
    };
    tokio::spawn(monitor("test".to_owned(), Schedule::default(), probe, sender));
    while status.borrow().failures < 4 {
        sleep(SECOND / 10).await;
    }
    let tally = status.borrow().tally.clone();
    let (query, tls) = ((Class::ConnectRefused, Stage::Query), (Class::ConnectRefused, Stage::Tls));
    assert_eq!(tally.failures, [(query, 2), (tls, 2)]);
    assert_eq!((tally.buckets[5], tally.buckets.iter().sum::<u64>()), (4, 4));
    assert_eq!(tally.transitions, [0, 0, 0, 1]);
    assert_eq!(tally.changes.back().unwrap().reason, Some(query));
}
