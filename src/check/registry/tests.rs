//! What is known of a check, and how much it counts, by hand and under paused time.

use tokio::time::timeout;

use super::*;
use crate::check::{Fact, Target, TcpTarget};

/// An entry that is required at first and not later, with the hand that writes its status.
fn entry() -> (Entry, watch::Sender<Status>) {
    let (sender, status) = watch::channel(Status::new());
    let target = Target::Tcp(TcpTarget::on_loopback(1));
    let asked = Asked { recipe: Recipe::fixed(target), turn: Mutex::new(()) };
    let entry = Entry {
        name: "test".into(),
        kind: "tcp",
        startup: Need::Required,
        runtime: Need::Degraded,
        groups: Groups::default(),
        status,
        asked: Arc::new(asked),
    };
    (entry, sender)
}

fn passed(state: State) -> Status {
    Status {
        state,
        passed: true,
        last_pass: Some(Instant::now()),
        fresh_until: Some(Instant::now() + Duration::from_secs(30)),
        detail: Arc::new(vec![("connections", Fact::Count(7))]),
        ..Status::new()
    }
}

#[tokio::test(start_paused = true)]
async fn a_pass_that_is_too_old_is_unknown_and_a_failure_stays_one() {
    let (entry, sender) = entry();
    let finding = || entry.finding(Instant::now());
    for state in [State::Up, State::Degraded] {
        sender.send_replace(passed(state));
        assert_eq!((finding().state, finding().status.detail.len()), (state, 1));
        tokio::time::advance(Duration::from_secs(31)).await;
        assert_eq!((finding().state, finding().status.detail.len()), (State::Unknown, 0));
    }
    sender.send_replace(passed(State::Down));
    tokio::time::advance(Duration::from_secs(3600)).await;
    assert_eq!(finding().state, State::Down);
}

#[tokio::test(start_paused = true)]
async fn the_first_pass_is_what_changes_how_much_a_check_counts() {
    let (entry, sender) = entry();
    assert_eq!(entry.finding(Instant::now()).need, Need::Required);
    sender.send_replace(passed(State::Down));
    assert_eq!(entry.finding(Instant::now()).need, Need::Degraded);
}

#[tokio::test(start_paused = true)]
async fn the_wall_clock_decides_nothing() {
    let (entry, sender) = entry();
    let far = Duration::from_secs(100_000_000);
    for since in [std::time::SystemTime::now() + far, std::time::SystemTime::UNIX_EPOCH] {
        sender.send_replace(Status { since, ..passed(State::Up) });
        assert_eq!(entry.finding(Instant::now()).state, State::Up);
    }
}

#[tokio::test(start_paused = true)]
async fn an_attempt_of_any_check_is_told_of_once_and_a_check_that_is_over_never() {
    let ((one, over), (two, asked)) = (entry(), entry());
    let mut registry = Registry { entries: vec![one, two] };
    drop(over);
    for state in [State::Up, State::Up, State::Down] {
        asked.send_replace(passed(state));
        registry.round().await;
        let further = timeout(Duration::from_secs(1), registry.round()).await;
        assert!(further.is_err(), "{state:?} is told of twice");
    }
}
