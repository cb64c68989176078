//! Drains that are asked for, and what holds the stop signal back: by arithmetic.

use super::*;

const BUSY: Event = Event::Connections(Some(Connections { busy: 1, idle: 3 }));
const IDLE: Event = Event::Connections(Some(Connections { busy: 0, idle: 3 }));
const UNKNOWN: Event = Event::Connections(None);
const TERM: Event = Event::Signal(Signal::TERM);
const STOP: Action = Action::Stop(Signal::TERM);

fn until_idle() -> Terms {
    Terms { until_idle: UNTIL_IDLE, ..terms() }
}

/// Takes in events at seconds, each with what is to come of it.
fn play(lifecycle: &mut Lifecycle, events: &[(u64, Event, Action)]) {
    for (at, event, expected) in events {
        assert_eq!(lifecycle.on(*event, seconds(*at)), *expected, "{event:?} at {at}");
    }
}

#[test]
fn a_drain_that_was_asked_for_ends_nothing() {
    let mut lifecycle = running(Terms { drain_delay: seconds(5), ..terms() });
    assert_eq!(lifecycle.progress(), Progress::NotBegun);
    play(&mut lifecycle, &[(10, Event::DrainAsked, Action::Hold)]);
    assert_eq!((lifecycle.phase(), lifecycle.progress()), (Phase::Quiescing, Progress::Waiting));
    assert_eq!(lifecycle.deadline(), Some(seconds(15)));
    play(&mut lifecycle, &[(15, Event::Woke, Action::Nothing)]);
    assert_eq!(lifecycle.progress(), Progress::Over { drained: true });
    assert_eq!((lifecycle.phase(), lifecycle.deadline()), (Phase::Quiescing, None));
    play(&mut lifecycle, &[(1000, Event::Woke, Action::Nothing)]);
    assert_eq!(lifecycle.phase(), Phase::Quiescing);
}

#[test]
fn with_nothing_to_wait_for_a_drain_that_was_asked_for_is_over_at_once() {
    let mut lifecycle = running(terms());
    play(&mut lifecycle, &[(1, Event::DrainAsked, Action::Hold)]);
    assert_eq!(lifecycle.progress(), Progress::Over { drained: true });
    assert_eq!((lifecycle.phase(), lifecycle.deadline()), (Phase::Quiescing, None));
}

#[test]
fn a_term_after_the_request_serves_the_rest_of_the_delay_and_keeps_the_deadline() {
    let mut lifecycle = running(Terms { drain_delay: seconds(5), ..terms() });
    play(
        &mut lifecycle,
        &[
            (10, Event::DrainAsked, Action::Hold),
            (12, TERM, Action::Hold),
            (14, Event::Woke, Action::Nothing),
            (15, Event::Woke, STOP),
        ],
    );
    assert_eq!((lifecycle.phase(), lifecycle.deadline()), (Phase::Draining, Some(seconds(40))));
}

#[test]
fn a_term_after_the_drain_was_over_stops_at_once_with_the_rest_of_the_grace() {
    let mut lifecycle = running(Terms { drain_delay: seconds(5), ..terms() });
    let events = [
        (10, Event::DrainAsked, Action::Hold),
        (15, Event::Woke, Action::Nothing),
        (20, TERM, STOP),
    ];
    play(&mut lifecycle, &events);
    assert_eq!(lifecycle.deadline(), Some(seconds(40)));
}

#[test]
fn a_term_after_the_deadline_of_what_was_asked_for_has_a_grace_of_its_own() {
    for woke in [true, false] {
        let mut lifecycle = running(Terms { drain_delay: seconds(5), ..until_idle() });
        play(&mut lifecycle, &[(10, Event::DrainAsked, Action::Hold), (11, BUSY, Action::Nothing)]);
        if woke {
            play(&mut lifecycle, &[(25, Event::Woke, Action::Nothing)]);
        }
        play(&mut lifecycle, &[(100, TERM, STOP)]);
        assert_eq!(
            (lifecycle.phase(), lifecycle.deadline()),
            (Phase::Draining, Some(seconds(130)))
        );
    }
}

#[test]
fn a_second_request_joins_the_first_and_one_after_a_signal_its_drain() {
    let mut lifecycle = running(Terms { drain_delay: seconds(5), ..terms() });
    play(
        &mut lifecycle,
        &[(10, Event::DrainAsked, Action::Hold), (12, Event::DrainAsked, Action::Nothing)],
    );
    assert_eq!(lifecycle.deadline(), Some(seconds(15)));
    let mut signalled = running(Terms { drain_delay: seconds(5), ..terms() });
    play(&mut signalled, &[(10, TERM, Action::Hold), (12, Event::DrainAsked, Action::Nothing)]);
    play(&mut signalled, &[(15, Event::Woke, STOP), (16, Event::DrainAsked, Action::Nothing)]);
    assert_eq!(signalled.deadline(), Some(seconds(40)));
}

#[test]
fn a_second_signal_waits_for_nothing_and_a_second_int_kills() {
    let mut lifecycle = running(until_idle());
    let events = [(0, Event::DrainAsked, Action::Hold), (1, TERM, Action::Hold), (2, TERM, STOP)];
    play(&mut lifecycle, &events);
    assert_eq!(lifecycle.deadline(), Some(seconds(30)));
    let int = Event::Signal(Signal::INT);
    let mut lifecycle = running(until_idle());
    play(&mut lifecycle, &[(0, Event::DrainAsked, Action::Hold), (1, int, Action::Hold)]);
    play(&mut lifecycle, &[(2, int, Action::Kill)]);
}

#[test]
fn busy_connections_hold_the_stop_signal_until_they_are_gone() {
    let mut lifecycle = running(until_idle());
    play(&mut lifecycle, &[(10, TERM, Action::Hold), (11, BUSY, Action::Nothing)]);
    assert_eq!((lifecycle.phase(), lifecycle.deadline()), (Phase::Quiescing, Some(seconds(25))));
    play(&mut lifecycle, &[(12, IDLE, STOP)]);
    assert_eq!(lifecycle.deadline(), Some(seconds(40)));
    assert_eq!(lifecycle.progress(), Progress::Over { drained: true });
}

#[test]
fn the_stop_signal_goes_out_when_half_of_the_grace_is_left() {
    for held in [Some(BUSY), Some(UNKNOWN), None] {
        let mut lifecycle = running(until_idle());
        play(&mut lifecycle, &[(10, TERM, Action::Hold)]);
        if let Some(held) = held {
            play(&mut lifecycle, &[(11, held, Action::Nothing)]);
        }
        play(&mut lifecycle, &[(24, Event::Woke, Action::Nothing), (25, Event::Woke, STOP)]);
        assert_eq!(lifecycle.progress(), Progress::Over { drained: false });
        play(&mut lifecycle, &[(40, Event::Woke, Action::Kill)]);
    }
}

#[test]
fn a_delay_that_is_longer_than_half_of_the_grace_is_served_all_the_same() {
    let mut lifecycle = running(Terms { drain_delay: seconds(20), ..until_idle() });
    play(&mut lifecycle, &[(0, TERM, Action::Hold), (15, Event::Woke, Action::Nothing)]);
    play(&mut lifecycle, &[(20, Event::Woke, STOP), (30, Event::Woke, Action::Kill)]);
}

#[test]
fn what_was_idle_during_the_delay_and_is_busy_when_it_is_over_holds() {
    let mut lifecycle = running(Terms { drain_delay: seconds(5), ..until_idle() });
    play(
        &mut lifecycle,
        &[
            (0, TERM, Action::Hold),
            (1, IDLE, Action::Nothing),
            (4, BUSY, Action::Nothing),
            (5, Event::Woke, Action::Nothing),
            (6, UNKNOWN, Action::Nothing),
            (7, IDLE, STOP),
        ],
    );
    let mut lifecycle = running(Terms { drain_delay: seconds(5), ..until_idle() });
    play(&mut lifecycle, &[(0, TERM, Action::Hold), (1, IDLE, Action::Nothing)]);
    play(&mut lifecycle, &[(5, Event::Woke, STOP)]);
}

#[test]
fn what_was_waited_for_is_not_waited_for_again() {
    let mut lifecycle = running(until_idle());
    play(
        &mut lifecycle,
        &[
            (0, Event::DrainAsked, Action::Hold),
            (1, IDLE, Action::Nothing),
            (2, BUSY, Action::Nothing),
            (3, TERM, STOP),
        ],
    );
    assert_eq!(lifecycle.progress(), Progress::Over { drained: true });
}

#[test]
fn hooks_hold_the_stop_signal_until_they_are_over() {
    let hooked = || running(Terms { pre_stop: true, drain_delay: seconds(2), ..terms() });
    let mut lifecycle = hooked();
    play(&mut lifecycle, &[(0, TERM, Action::Hold), (2, Event::Woke, Action::Nothing)]);
    assert_eq!((lifecycle.phase(), lifecycle.deadline()), (Phase::Quiescing, Some(seconds(30))));
    play(&mut lifecycle, &[(9, Event::HooksOver, STOP)]);
    let mut quick = hooked();
    play(&mut quick, &[(0, TERM, Action::Hold), (1, Event::HooksOver, Action::Nothing)]);
    play(&mut quick, &[(2, Event::Woke, STOP)]);
    // The deadline always wins.
    let mut hung = hooked();
    play(
        &mut hung,
        &[(0, TERM, Action::Hold), (30, Event::Woke, STOP), (30, Event::Woke, Action::Kill)],
    );
}

#[test]
fn what_is_told_outside_a_drain_changes_nothing() {
    let mut lifecycle = running(Terms { pre_stop: true, ..until_idle() });
    for event in [BUSY, IDLE, UNKNOWN, Event::HooksOver, Event::Extend(seconds(9))] {
        play(&mut lifecycle, &[(1, event, Action::Nothing)]);
    }
    assert_eq!((lifecycle.phase(), lifecycle.deadline()), (Phase::Running, None));
    play(&mut lifecycle, &[(2, TERM, Action::Hold)]);
    assert_eq!(lifecycle.deadline(), Some(seconds(32)));
}

#[test]
fn an_extension_moves_the_deadline_away_and_never_nearer() {
    let mut lifecycle = running(terms());
    play(&mut lifecycle, &[(0, TERM, STOP)]);
    play(&mut lifecycle, &[(10, Event::Extend(seconds(5)), Action::Nothing)]);
    assert_eq!(lifecycle.deadline(), Some(seconds(30)));
    play(&mut lifecycle, &[(20, Event::Extend(seconds(50)), Action::Nothing)]);
    assert_eq!(lifecycle.deadline(), Some(seconds(70)));
    play(&mut lifecycle, &[(69, Event::Woke, Action::Nothing), (70, Event::Woke, Action::Kill)]);
    let mut held = running(until_idle());
    play(&mut held, &[(0, TERM, Action::Hold), (10, Event::Extend(seconds(30)), Action::Nothing)]);
    // Half of the grace before the new deadline.
    assert_eq!(held.deadline(), Some(seconds(25)));
    play(&mut held, &[(11, IDLE, STOP)]);
    assert_eq!(held.deadline(), Some(seconds(40)));
}

#[test]
fn nothing_is_extended_once_the_child_has_ended() {
    let mut lifecycle = running(terms());
    play(&mut lifecycle, &[(0, TERM, STOP)]);
    lifecycle.on(with_others(exited(0)), seconds(1));
    play(&mut lifecycle, &[(2, Event::Extend(seconds(90)), Action::Nothing)]);
    assert_eq!(lifecycle.deadline(), Some(seconds(30)));
}

#[test]
fn a_surrender_stops_now_and_kills_after_its_own_grace() {
    let surrender = Event::Surrender { grace: seconds(5) };
    let delayed = || Terms { drain_delay: seconds(20), pre_stop: true, ..until_idle() };
    let mut lifecycle = running(delayed());
    play(&mut lifecycle, &[(10, surrender, STOP)]);
    assert_eq!((lifecycle.phase(), lifecycle.deadline()), (Phase::Draining, Some(seconds(15))));
    play(&mut lifecycle, &[(11, Event::Extend(seconds(60)), Action::Nothing)]);
    play(&mut lifecycle, &[(12, TERM, Action::Forward(Signal::TERM))]);
    play(&mut lifecycle, &[(15, Event::Woke, Action::Kill)]);

    for begin in [TERM, Event::DrainAsked] {
        let mut held = running(Terms { stop_signal: Some(QUIT), ..delayed() });
        play(&mut held, &[(0, begin, Action::Hold), (10, surrender, Action::Stop(QUIT))]);
        assert_eq!(held.deadline(), Some(seconds(15)), "{begin:?}");
    }

    let mut stopped = running(terms());
    play(&mut stopped, &[(0, TERM, STOP), (1, surrender, Action::Nothing)]);
    assert_eq!(stopped.deadline(), Some(seconds(6)));
    let mut late = running(terms());
    play(&mut late, &[(0, TERM, STOP), (28, surrender, Action::Nothing)]);
    assert_eq!(late.deadline(), Some(seconds(30)));
    let mut asked = running(terms());
    play(&mut asked, &[(0, Event::DrainAsked, Action::Hold), (90, surrender, STOP)]);
    assert_eq!(asked.deadline(), Some(seconds(95)));
}

#[test]
fn a_surrender_shortens_what_stragglers_have() {
    let mut lifecycle = running(terms());
    lifecycle.on(with_others(exited(0)), seconds(10));
    let surrender = Event::Surrender { grace: seconds(1) };
    play(&mut lifecycle, &[(11, surrender, Action::Nothing)]);
    assert_eq!((lifecycle.deadline(), lifecycle.drain_began()), (Some(seconds(12)), None));
}

#[test]
fn a_child_that_ends_by_itself_after_a_request_has_its_linger() {
    let mut lifecycle = running(terms());
    play(&mut lifecycle, &[(0, Event::DrainAsked, Action::Hold)]);
    let ended = lifecycle.on(with_others(exited(0)), seconds(100));
    assert_eq!(ended, Action::SignalStragglers(Signal::TERM));
    assert_eq!(lifecycle.deadline(), Some(seconds(105)));
    assert_eq!(lifecycle.on(Event::AllGone, seconds(101)), Action::Finish(Exit::OK));
}

#[test]
fn other_signals_are_forwarded_while_the_stop_signal_is_held_back() {
    let mut lifecycle = running(until_idle());
    play(&mut lifecycle, &[(0, TERM, Action::Hold)]);
    play(&mut lifecycle, &[(1, Event::Signal(Signal::HUP), Action::Forward(Signal::HUP))]);
    assert_eq!(lifecycle.phase(), Phase::Quiescing);
}

#[test]
fn a_hook_that_fails_while_the_child_runs_begins_the_drain_and_its_code_is_the_end() {
    let failed = Event::HookFailed(Exit::new(7));
    let mut lifecycle = running(Terms { drain_delay: seconds(5), ..terms() });
    play(&mut lifecycle, &[(0, failed, Action::Hold), (5, Event::Woke, STOP)]);
    let end = alone(Change::Killed(Signal::TERM));
    assert_eq!(lifecycle.on(end, seconds(6)), Action::Finish(Exit::new(7)));
    // What is told to stop by a drain fails because of it.
    for (before, code) in [(TERM, 143), (Event::DrainAsked, 0)] {
        let mut lifecycle = running(Terms { drain_delay: seconds(5), ..terms() });
        play(&mut lifecycle, &[(0, before, Action::Hold), (1, failed, Action::Nothing)]);
        assert_eq!(lifecycle.on(alone(exited(code)), seconds(2)), Action::Finish(Exit::new(code)));
    }
}
