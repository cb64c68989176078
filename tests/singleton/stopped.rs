//! A holder that is stopped or killed itself.

use std::time::Duration;

use super::journal::Journal;
use super::{replica, stands_by};
use crate::harness::servers::postgres::Postgres;
use crate::harness::sys::Frozen;
use crate::harness::{LIMIT, Place, processes, until};
use crate::isolation::wait_exit_of_frozen;

#[test]
fn a_holder_that_is_stopped_keeps_its_lock_and_ends_what_it_runs_as_soon_as_it_goes_on() {
    let server = Postgres::start("");
    let journal = Journal::new();
    let mut first = replica(&server.url("postgres"), &journal, "first").start();
    journal.wait_for("first");
    let second = replica(&server.url("postgres"), &journal, "second").start();
    stands_by(&second);
    first.signal(libc::SIGSTOP);
    // Longer than lease, grace and wait together: its command still runs, and so nobody else may.
    let is_taken = || journal.last().as_deref() == Some("second");
    assert!(!until(Duration::from_secs(9), is_taken), "{:?}", second.stderr());
    first.signal(libc::SIGCONT);
    assert_ne!(first.wait_exit(LIMIT), 0);
    journal.wait_for("second");
    assert_eq!(journal.holders(), ["first", "second"]);
}

#[test]
fn a_holder_that_is_killed_takes_its_command_with_it() {
    let server = Postgres::start("");
    for place in Place::BOTH {
        let journal = Journal::new();
        let mut first = replica(&server.url("postgres"), &journal, "first").place(place).start();
        journal.wait_for("first");
        let child = match place {
            Place::Pid1 => first.pid_outside(first.child_pid_inside()),
            Place::Subreaper => first.child_pid(),
        };
        let second = replica(&server.url("postgres"), &journal, "second").start();
        stands_by(&second);
        first.signal(libc::SIGKILL);
        first.wait_exit(LIMIT);
        assert!(until(LIMIT, || !processes::is_alive(child)), "{place:?}");
        journal.wait_for("second");
        assert_eq!(journal.holders(), ["first", "second"]);
        assert_eq!(second.wait_for_event("lock taken", LIMIT)["wait_s"], 3.6);
    }
}

#[test]
fn a_command_is_ended_in_time_though_whoever_should_prove_the_lock_is_stuck() {
    let server = Postgres::start("");
    let journal = Journal::new();
    let mut holder = replica(&server.url("postgres"), &journal, "one").start();
    journal.wait_for("one");
    let child = holder.child_pid();
    let mut frozen = Frozen::all_but_main(holder.pid());
    assert!(frozen.count() > 0);
    assert_eq!(wait_exit_of_frozen(&mut holder, &mut frozen), 1);
    assert!(!processes::is_alive(child));
}
