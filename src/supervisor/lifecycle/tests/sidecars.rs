//! The same lifecycle without a child: its drain's end is its end.

use super::*;

const BUSY: Event = Event::Connections(Some(Connections { busy: 1, idle: 0 }));
const IDLE: Event = Event::Connections(Some(Connections { busy: 0, idle: 0 }));
const FINISH: Action = Action::Finish(Exit::OK);

fn sidecar() -> Terms {
    Terms { child: false, until_idle: UNTIL_IDLE, ..terms() }
}

#[test]
fn a_sidecar_ends_well_when_the_connections_are_gone() {
    let mut lifecycle = running(sidecar());
    assert_eq!(lifecycle.on(Event::Signal(Signal::TERM), seconds(0)), Action::Hold);
    assert_eq!((lifecycle.phase(), lifecycle.deadline()), (Phase::Quiescing, Some(seconds(30))));
    assert_eq!(lifecycle.on(BUSY, seconds(20)), Action::Nothing);
    assert_eq!(lifecycle.on(IDLE, seconds(21)), FINISH);
    assert_eq!(lifecycle.phase(), Phase::Finished);
}

#[test]
fn a_sidecar_waits_until_the_deadline_at_the_latest() {
    for connections in [BUSY, Event::Connections(None)] {
        let mut lifecycle = running(sidecar());
        lifecycle.on(Event::Signal(Signal::TERM), seconds(0));
        lifecycle.on(connections, seconds(1));
        assert_eq!(lifecycle.on(Event::Woke, seconds(29)), Action::Nothing);
        assert_eq!(lifecycle.on(Event::Woke, seconds(30)), FINISH);
    }
}

#[test]
fn without_anything_to_wait_for_a_sidecar_ends_with_its_signal() {
    let mut lifecycle = running(Terms { until_idle: None, ..sidecar() });
    assert_eq!(lifecycle.on(Event::Signal(Signal::TERM), seconds(3)), FINISH);
    let mut delayed = running(Terms { until_idle: None, drain_delay: seconds(5), ..sidecar() });
    assert_eq!(delayed.on(Event::Signal(Signal::TERM), seconds(3)), Action::Hold);
    assert_eq!(delayed.on(Event::Woke, seconds(8)), FINISH);
}

#[test]
fn a_sidecars_drain_that_was_asked_for_ends_nothing_before_a_signal_comes() {
    let mut lifecycle = running(sidecar());
    assert_eq!(lifecycle.on(Event::DrainAsked, seconds(0)), Action::Hold);
    assert_eq!(lifecycle.on(BUSY, seconds(1)), Action::Nothing);
    assert_eq!(lifecycle.on(Event::Woke, seconds(30)), Action::Nothing);
    assert_eq!(lifecycle.progress(), Progress::Over { drained: false });
    assert_eq!((lifecycle.phase(), lifecycle.deadline()), (Phase::Quiescing, None));
    assert_eq!(lifecycle.on(Event::Signal(Signal::TERM), seconds(31)), FINISH);
}

#[test]
fn a_second_signal_ends_a_sidecar_now() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut lifecycle = running(sidecar());
        assert_eq!(lifecycle.on(Event::Signal(signal), seconds(0)), Action::Hold);
        assert_eq!(lifecycle.on(Event::Signal(signal), seconds(1)), FINISH);
    }
}

#[test]
fn there_is_nobody_to_forward_to() {
    let mut lifecycle = running(sidecar());
    for signal in [Signal::HUP, USR1, QUIT] {
        assert_eq!(lifecycle.on(Event::Signal(signal), seconds(0)), Action::Drop);
    }
    assert_eq!(lifecycle.on(Event::AllGone, seconds(0)), Action::Nothing);
}

#[test]
fn a_signal_before_the_start_is_the_end_of_a_sidecar_too() {
    let mut lifecycle = Lifecycle::new(sidecar());
    assert_eq!(lifecycle.on(Event::Signal(Signal::TERM), seconds(0)), FINISH);
}
