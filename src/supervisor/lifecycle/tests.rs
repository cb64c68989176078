//! The lifecycle by arithmetic: events and times in, actions and phases out.

mod drains;
mod sidecars;

use super::*;

const QUIT: Signal = Signal::from_number(libc::SIGQUIT).unwrap();
const USR1: Signal = Signal::from_number(libc::SIGUSR1).unwrap();

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn terms() -> Terms {
    Terms {
        grace: seconds(30),
        drain_delay: Duration::ZERO,
        until_idle: None,
        pre_stop: false,
        linger: seconds(5),
        stop_signal: None,
        rewrites: Vec::new(),
        clean_stop_ok: false,
        remap_exit: Vec::new(),
        drains: true,
        child: true,
    }
}

const UNTIL_IDLE: Option<UntilIdle> = Some(UntilIdle { port: 80, idle_after: Duration::ZERO });

/// A lifecycle whose child runs since the first moment.
fn running(terms: Terms) -> Lifecycle {
    let mut lifecycle = Lifecycle::new(terms);
    assert_eq!(lifecycle.phase(), Phase::Starting);
    assert_eq!(lifecycle.on(Event::Started, Duration::ZERO), Action::Nothing);
    assert_eq!((lifecycle.phase(), lifecycle.deadline()), (Phase::Running, None));
    lifecycle
}

fn exited(code: u8) -> Change {
    Change::Exited(Exit::new(code))
}

fn alone(change: Change) -> Event {
    Event::Ended { change, alone: true }
}

fn with_others(change: Change) -> Event {
    Event::Ended { change, alone: false }
}

#[test]
fn term_and_int_drain_and_the_others_are_forwarded_as_they_come() {
    for signal in Signal::all().filter(|signal| signal.is_catchable()) {
        let mut lifecycle = running(terms());
        let action = lifecycle.on(Event::Signal(signal), seconds(1));
        let drains = [Signal::TERM, Signal::INT].contains(&signal);
        let expected = if drains { Action::Stop(signal) } else { Action::Forward(signal) };
        assert_eq!(action, expected, "{signal}");
        assert_eq!(lifecycle.phase(), if drains { Phase::Draining } else { Phase::Running });
        assert_eq!(lifecycle.deadline(), drains.then_some(seconds(31)));
    }
}

#[test]
fn the_delay_holds_the_stop_signal_back_and_is_part_of_the_grace() {
    let mut lifecycle = running(Terms { drain_delay: seconds(5), ..terms() });
    assert_eq!(lifecycle.on(Event::Signal(Signal::TERM), seconds(10)), Action::Hold);
    assert_eq!((lifecycle.phase(), lifecycle.deadline()), (Phase::Quiescing, Some(seconds(15))));
    assert_eq!(lifecycle.on(Event::Woke, seconds(14)), Action::Nothing);
    assert_eq!(lifecycle.on(Event::Woke, seconds(15)), Action::Stop(Signal::TERM));
    assert_eq!((lifecycle.phase(), lifecycle.deadline()), (Phase::Draining, Some(seconds(40))));
}

#[test]
fn the_childs_end_cuts_the_delay_short() {
    let mut lifecycle = running(Terms { drain_delay: seconds(5), ..terms() });
    lifecycle.on(Event::Signal(Signal::TERM), seconds(0));
    assert_eq!(lifecycle.on(alone(exited(3)), seconds(1)), Action::Finish(Exit::new(3)));
}

#[test]
fn a_second_term_goes_to_the_child_and_does_not_move_the_deadline() {
    let mut lifecycle = running(terms());
    lifecycle.on(Event::Signal(Signal::TERM), seconds(0));
    let again = lifecycle.on(Event::Signal(Signal::TERM), seconds(20));
    assert_eq!((again, lifecycle.deadline()), (Action::Forward(Signal::TERM), Some(seconds(30))));
    let mut held = running(Terms { drain_delay: seconds(5), ..terms() });
    held.on(Event::Signal(Signal::TERM), seconds(0));
    let again = held.on(Event::Signal(Signal::TERM), seconds(1));
    assert_eq!((again, held.deadline()), (Action::Stop(Signal::TERM), Some(seconds(30))));
}

#[test]
fn a_second_int_kills_now_and_an_int_after_a_term_does_not() {
    let mut lifecycle = running(terms());
    assert_eq!(lifecycle.on(Event::Signal(Signal::TERM), seconds(0)), Action::Stop(Signal::TERM));
    let first = lifecycle.on(Event::Signal(Signal::INT), seconds(1));
    assert_eq!(first, Action::Forward(Signal::INT));
    assert_eq!(lifecycle.on(Event::Signal(Signal::INT), seconds(2)), Action::Kill);
    assert_eq!(lifecycle.phase(), Phase::Killing);
}

#[test]
fn the_stop_signal_replaces_what_came_and_drains_when_it_comes_itself() {
    for came in [Signal::TERM, Signal::INT, QUIT] {
        let mut lifecycle = running(Terms { stop_signal: Some(QUIT), ..terms() });
        let action = lifecycle.on(Event::Signal(came), seconds(0));
        assert_eq!((action, lifecycle.phase()), (Action::Stop(QUIT), Phase::Draining), "{came}");
    }
}

#[test]
fn a_rewrite_changes_what_the_child_gets_and_never_hides_a_term() {
    let rewrites =
        vec![(Signal::TERM, Some(QUIT)), (USR1, Some(Signal::TERM)), (Signal::HUP, None)];
    let after = |signal| {
        let mut lifecycle = running(Terms { rewrites: rewrites.clone(), ..terms() });
        (lifecycle.on(Event::Signal(signal), seconds(0)), lifecycle.phase())
    };
    assert_eq!(after(Signal::TERM), (Action::Stop(QUIT), Phase::Draining));
    assert_eq!(after(USR1), (Action::Stop(Signal::TERM), Phase::Draining));
    assert_eq!(after(Signal::HUP), (Action::Drop, Phase::Running));
}

#[test]
fn the_deadline_kills_and_sweeps_until_nothing_is_left() {
    let mut lifecycle = running(terms());
    lifecycle.on(Event::Signal(Signal::TERM), seconds(0));
    assert_eq!(lifecycle.on(Event::Woke, seconds(29)), Action::Nothing);
    assert_eq!(lifecycle.on(Event::Woke, seconds(30)), Action::Kill);
    assert_eq!(lifecycle.phase(), Phase::Killing);
    let next = lifecycle.deadline().unwrap();
    assert_eq!(lifecycle.on(Event::Woke, next), Action::Kill);
    let killed = with_others(Change::Killed(Signal::KILL));
    assert_eq!(lifecycle.on(killed, seconds(31)), Action::Nothing);
    assert_eq!(lifecycle.phase(), Phase::Finished);
    assert_eq!(lifecycle.on(Event::AllGone, seconds(31)), Action::Finish(Exit::new(137)));
}

#[test]
fn what_cannot_be_killed_is_left_to_the_platform_after_a_while() {
    let mut lifecycle = running(terms());
    lifecycle.on(Event::Signal(Signal::TERM), seconds(0));
    lifecycle.on(Event::Woke, seconds(30));
    assert_eq!(lifecycle.on(Event::Woke, seconds(35)), Action::Finish(Exit::new(137)));
}

#[test]
fn stragglers_get_the_stop_signal_and_linger_when_the_child_ended_by_itself() {
    let mut lifecycle = running(terms());
    let ended = lifecycle.on(with_others(exited(9)), seconds(100));
    assert_eq!(ended, Action::SignalStragglers(Signal::TERM));
    assert_eq!((lifecycle.phase(), lifecycle.deadline()), (Phase::Finished, Some(seconds(105))));
    assert_eq!(lifecycle.on(Event::Woke, seconds(105)), Action::Kill);
    assert_eq!(lifecycle.on(Event::AllGone, seconds(105)), Action::Finish(Exit::new(9)));
}

#[test]
fn stragglers_have_the_rest_of_the_grace_in_a_drain_and_get_the_drains_signal() {
    let mut lifecycle = running(Terms { stop_signal: Some(QUIT), ..terms() });
    lifecycle.on(Event::Signal(Signal::TERM), seconds(0));
    let ended = lifecycle.on(with_others(exited(0)), seconds(1));
    assert_eq!((ended, lifecycle.deadline()), (Action::SignalStragglers(QUIT), Some(seconds(30))));
    let further = lifecycle.on(Event::Signal(Signal::HUP), seconds(2));
    assert_eq!(further, Action::SignalStragglers(Signal::HUP));
    assert_eq!(lifecycle.on(Event::AllGone, seconds(3)), Action::Finish(Exit::OK));
}

#[test]
fn a_signal_to_stop_before_the_start_ends_it() {
    let mut lifecycle = Lifecycle::new(terms());
    assert_eq!(lifecycle.on(Event::Signal(Signal::HUP), seconds(0)), Action::Nothing);
    let term = lifecycle.on(Event::Signal(Signal::TERM), seconds(0));
    assert_eq!(term, Action::Finish(Exit::new(143)));
}

#[test]
fn the_exit_code_is_the_childs_for_every_code_and_signal() {
    for code in 0..=255 {
        let mut lifecycle = running(terms());
        let finish = Action::Finish(Exit::new(code));
        assert_eq!(lifecycle.on(alone(exited(code)), seconds(1)), finish);
    }
    for signal in Signal::all() {
        let mut lifecycle = running(terms());
        let finish = Action::Finish(Exit::new(128 + signal.number() as u8));
        assert_eq!(lifecycle.on(alone(Change::Killed(signal)), seconds(1)), finish);
    }
}

#[test]
fn a_clean_stop_is_ok_only_when_stead_sent_that_signal() {
    let outcome = |sent: &[Signal], change| {
        let mut lifecycle = running(Terms { clean_stop_ok: true, ..terms() });
        for signal in sent {
            lifecycle.on(Event::Signal(*signal), seconds(1));
        }
        lifecycle.on(alone(change), seconds(2))
    };
    let finish = |code| Action::Finish(Exit::new(code));
    assert_eq!(outcome(&[Signal::TERM], Change::Killed(Signal::TERM)), finish(0));
    assert_eq!(outcome(&[Signal::TERM], exited(143)), finish(0));
    assert_eq!(outcome(&[Signal::HUP], Change::Killed(Signal::TERM)), finish(143));
    assert_eq!(outcome(&[], Change::Killed(Signal::TERM)), finish(143));
    assert_eq!(outcome(&[Signal::INT, Signal::INT], Change::Killed(Signal::KILL)), finish(137));
}

#[test]
fn exit_codes_are_remapped_last() {
    let remap_exit = vec![(143, 0), (0, 7)];
    let mut lifecycle = running(Terms { remap_exit, ..terms() });
    assert_eq!(lifecycle.on(alone(exited(143)), seconds(1)), Action::Finish(Exit::OK));
}

#[test]
fn in_another_inits_place_nothing_drains_and_the_childs_end_is_the_end() {
    let mut lifecycle = running(Terms { drains: false, grace: Duration::ZERO, ..terms() });
    for _ in 0..3 {
        let action = lifecycle.on(Event::Signal(Signal::INT), seconds(1));
        assert_eq!((action, lifecycle.deadline()), (Action::Forward(Signal::INT), None));
    }
    assert_eq!(lifecycle.on(with_others(exited(4)), seconds(2)), Action::Finish(Exit::new(4)));
}

#[test]
fn a_drain_begins_with_its_signal_from_which_the_deadline_counts() {
    let mut lifecycle = running(Terms { drain_delay: seconds(5), ..terms() });
    assert_eq!(lifecycle.drain_began(), None);
    lifecycle.on(Event::Signal(Signal::TERM), seconds(10));
    lifecycle.on(Event::Woke, seconds(15));
    assert_eq!(lifecycle.drain_began(), Some(seconds(10)));
    assert_eq!(lifecycle.deadline(), Some(seconds(40)));
}
