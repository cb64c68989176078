use proptest::prelude::*;

use super::*;

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn with_watchdog() -> Account {
    Account::new(true, Some(s(10)))
}

#[test]
fn ready_is_for_good_and_reloading_leaves_it_so() {
    let mut app = Account::new(true, None);
    assert!(!app.notified().was_ready);
    assert_eq!(app.on(Assignment::Ready, s(1)), Some(Effect::Does(Doing::Ready)));
    assert_eq!(app.on(Assignment::Ready, s(2)), None, "it is no news");
    assert_eq!(app.on(Assignment::Reloading, s(3)), Some(Effect::Does(Doing::Reloading)));
    assert!(app.notified().was_ready);
    assert_eq!(app.on(Assignment::Ready, s(4)), Some(Effect::Does(Doing::Ready)));
}

#[test]
fn stopping_is_taken_back_by_nothing() {
    let mut app = Account::new(true, None);
    assert_eq!(app.on(Assignment::Stopping, s(1)), Some(Effect::Does(Doing::Stopping)));
    for assignment in [Assignment::Ready, Assignment::Reloading, Assignment::Stopping] {
        assert_eq!(app.on(assignment, s(2)), None);
        assert_eq!(app.notified().doing, Doing::Stopping);
    }
    assert!(!app.notified().was_ready, "it never was");
}

#[test]
fn the_watchdog_counts_from_ready_or_from_its_first_sign() {
    for begin in [Assignment::Ready, Assignment::Alive] {
        let mut app = with_watchdog();
        assert_eq!(app.deadline(), None);
        app.on(begin, s(100));
        assert_eq!(app.deadline(), Some(s(110)));
        assert_eq!(app.woke(s(109), true), None);
        assert_eq!(app.woke(s(110), true), Some(Effect::Hung));
        assert!(app.notified().is_hung);
        assert_eq!((app.deadline(), app.woke(s(500), true)), (None, None), "once");
        assert_eq!(app.on(Assignment::Alive, s(600)), Some(Effect::Alive));
        assert!(!app.notified().is_hung);
        assert_eq!(app.deadline(), Some(s(610)));
    }
}

#[test]
fn a_second_ready_winds_no_watchdog() {
    let mut app = with_watchdog();
    app.on(Assignment::Ready, s(0));
    app.on(Assignment::Reloading, s(5));
    app.on(Assignment::Ready, s(6));
    assert_eq!(app.deadline(), Some(s(10)));
}

#[test]
fn in_the_drain_no_watchdog_is_missed() {
    let mut app = with_watchdog();
    app.on(Assignment::Ready, s(0));
    assert_eq!(app.woke(s(10), false), None);
    assert_eq!((app.deadline(), app.notified().is_hung), (None, false));
}

#[test]
fn a_watchdog_that_is_looked_at_too_late_counts_anew() {
    let mut app = with_watchdog();
    app.on(Assignment::Ready, s(0));
    assert_eq!(app.woke(s(60), true), None);
    assert_eq!(app.deadline(), Some(s(70)));
    assert_eq!(app.woke(s(70), true), Some(Effect::Hung));
}

#[test]
fn the_app_pulls_its_watchdog_itself_and_sets_its_period() {
    let mut app = Account::new(false, None);
    app.on(Assignment::Ready, s(0));
    assert_eq!(app.deadline(), None, "there is no watchdog");
    assert_eq!(app.on(Assignment::Trigger, s(1)), Some(Effect::Hung));
    assert_eq!(app.on(Assignment::Trigger, s(2)), None);
    app.on(Assignment::Period(s(3)), s(3));
    assert_eq!(app.on(Assignment::Alive, s(4)), Some(Effect::Alive));
    assert_eq!(app.deadline(), Some(s(7)));
    app.on(Assignment::Period(s(20)), s(5));
    assert_eq!((app.deadline(), app.period()), (Some(s(25)), Some(s(20))));
    app.on(Assignment::Period(Duration::ZERO), s(6));
    assert_eq!((app.deadline(), app.period()), (None, None));
}

#[test]
fn a_status_is_short_readable_and_an_event_a_second_at_most() {
    let mut app = Account::new(false, None);
    let long = format!("a\tb\u{1b}{}", "ä".repeat(300));
    assert_eq!(app.on(Assignment::Status(&long), s(1)), Some(Effect::Status));
    assert_eq!(app.notified().status, format!("a b {}", "ä".repeat(196)));
    assert_eq!(app.deadline(), None);
    let half = Duration::from_millis(1500);
    assert_eq!(app.on(Assignment::Status("two"), half), None);
    assert_eq!(app.on(Assignment::Status("three"), half), None);
    assert_eq!((app.notified().status.as_str(), app.deadline()), ("three", Some(s(2))));
    assert_eq!(app.woke(s(2), true), Some(Effect::Status));
    assert_eq!((app.woke(s(9), true), app.deadline()), (None, None));
    assert_eq!(app.on(Assignment::Status("three"), s(9)), None, "it is no news");
}

#[test]
fn a_status_hides_no_watchdog_that_is_due_with_it() {
    let mut app = with_watchdog();
    app.on(Assignment::Ready, s(0));
    app.on(Assignment::Status("one"), s(9));
    app.on(Assignment::Status("two"), s(9));
    assert_eq!(app.woke(s(10), true), Some(Effect::Status));
    assert_eq!(app.woke(s(10), true), Some(Effect::Hung));
}

proptest! {
    /// However the app behaves: a deadline that was served is not due again, so nothing spins.
    #[test]
    fn whoever_wakes_at_each_deadline_comes_to_rest(
        steps in proptest::collection::vec((0u8..9, 0u64..40), 1..60)
    ) {
        let mut app = with_watchdog();
        let mut now = Duration::ZERO;
        for (what, seconds) in steps {
            now += s(seconds);
            let text = seconds.to_string();
            app.on(match what {
                0 => Assignment::Ready,
                1 => Assignment::Reloading,
                2 => Assignment::Stopping,
                3 => Assignment::Status(&text),
                4 => Assignment::Alive,
                5 => Assignment::Trigger,
                6 => Assignment::Period(s(seconds)),
                7 => Assignment::Extend(s(seconds)),
                _ => Assignment::MainPid(Pid::new(1)),
            }, now);
            for counts in [true, false, true] {
                app.woke(now, counts);
            }
            prop_assert!(app.deadline().is_none_or(|at| at > now), "{app:?} at {now:?}");
        }
    }
}
