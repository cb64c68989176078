//! Counting the app's connections during a drain, on a thread of its own that lives only then: the supervisor is told
//! by request, and never waits for it.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;
#[expect(
    clippy::disallowed_types,
    reason = "there is no runtime on this thread, and no paused time"
)]
use std::time::Instant;

use tracing::{info, warn};

use super::lifecycle::{Connections, Progress, UntilIdle};
use super::requests::{Request, Requester};
use crate::sys::tcp::{self, Connection, Listed};

/// How often it is counted while somebody waits for it, and afterwards, when it is only to be told.
const INTERVALS: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(1));
/// Where counting is slow, because there are many sockets, it takes no more than this part of the time.
const PART: u32 = 10;

/// Starts the thread. Where that fails, nothing is known of the connections.
pub fn watch(until: UntilIdle, supervisor: Requester) {
    let thread = thread::Builder::new().name("stead-drain".to_owned()).stack_size(64 * 1024);
    let started = thread.spawn(move || Counter::new(until).count_for(&supervisor));
    if let Err(error) = started {
        warn!(%error, "connections cannot be counted");
    }
}

/// A connection's end counts as a byte that is to be delivered.
const END: u32 = 1;

/// What is on a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Work {
    UnderWay,
    None,
    /// What came last came within the same tick of the kernel's clock as what was sent last.
    Unclear,
}

struct Counter {
    until: UntilIdle,
    /// The kernel does not tell what has moved, so that every connection counts.
    by_number_alone: bool,
    is_failure_told: bool,
}

impl Counter {
    fn new(until: UntilIdle) -> Self {
        Self { until, by_number_alone: false, is_failure_told: false }
    }

    /// Counts for as long as somebody listens, and tells what has changed.
    fn count_for(mut self, supervisor: &Requester) {
        let mut told = None;
        loop {
            #[expect(clippy::disallowed_types, reason = "see the import")]
            let start = Instant::now();
            let counted = self.count();
            if told != Some(counted) {
                if supervisor.insist(Request::Connections(counted)).is_err() {
                    return;
                }
                told = Some(counted);
            }
            let is_awaited = supervisor.drain().progress == Progress::Waiting;
            let interval = if is_awaited { INTERVALS.0 } else { INTERVALS.1 };
            thread::sleep(interval.max(start.elapsed().saturating_mul(PART)));
        }
    }

    /// The connections that there are now; none where that cannot be known.
    fn count(&mut self) -> Option<Connections> {
        let port = self.until.port;
        // stead's own probes; a listing from before the count can lack one for a moment at most.
        let own = tcp::own_connections_to(port);
        if !self.by_number_alone {
            match self.by_activity(&own) {
                Ok(connections) => return Some(connections),
                Err(error) => {
                    self.by_number_alone = true;
                    info!(%error, "idle connections count: what moves on them cannot be seen");
                }
            }
        }
        match tcp::listed(port) {
            Ok(listed) => {
                let counts = |line: &&Listed| {
                    !own.contains(&line.peer) && (line.is_established || line.undelivered > END)
                };
                let busy = listed.iter().filter(counts).count();
                Some(Connections { busy: u32::try_from(busy).unwrap_or(u32::MAX), idle: 0 })
            }
            Err(error) => {
                if !std::mem::replace(&mut self.is_failure_told, true) {
                    warn!(%error, "connections cannot be counted");
                }
                None
            }
        }
    }

    fn by_activity(&self, own: &[SocketAddr]) -> std::io::Result<Connections> {
        let UntilIdle { port, idle_after } = self.until;
        let mut connections = Connections::default();
        let mut unclear = Vec::new();
        tcp::with_activity(port, |connection| {
            if own.contains(&connection.peer) {
                return;
            }
            match work_on(&connection, idle_after) {
                Work::UnderWay => connections.busy += 1,
                Work::None if connection.is_established => connections.idle += 1,
                Work::None => {}
                Work::Unclear => unclear.push(connection.inode),
            }
        })?;
        if !unclear.is_empty() {
            // What cannot be looked up is not known to be idle.
            let listed = tcp::listed(port).unwrap_or_default();
            unclear.sort_unstable();
            let is_answered =
                |line: &&Listed| line.is_interactive && unclear.binary_search(&line.inode).is_ok();
            let answered = listed.iter().filter(is_answered).count();
            connections.idle += answered as u32;
            connections.busy += unclear.len().saturating_sub(answered) as u32;
        }
        Ok(connections)
    }
}

/// Whether there is work under way: something has moved of late, or what moved last was not the app's answer. Of what
/// was closed, only what is still on its way out is.
fn work_on(connection: &Connection, idle_after: Duration) -> Work {
    if !connection.is_established {
        return if connection.undelivered > END { Work::UnderWay } else { Work::None };
    }
    let Some(activity) = connection.activity else { return Work::UnderWay };
    let has_moved = activity.sent.min(activity.received) < idle_after;
    if has_moved || connection.unread > 0 || connection.undelivered > 0 {
        return Work::UnderWay;
    }
    if activity.bytes_received == 0 {
        return Work::None;
    }
    if activity.data_segments_sent == 0 || activity.received < activity.sent {
        return Work::UnderWay;
    }
    // A request would have carried the acknowledgement of the answer before it, so what was acknowledged later was
    // the last that moved.
    if activity.received > activity.sent || activity.acknowledged < activity.sent {
        return Work::None;
    }
    Work::Unclear
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::tcp::Activity;

    const IDLE_AFTER: Duration = Duration::from_secs(5);

    /// A connection that has been used, with how long ago things moved, in milliseconds.
    fn used(received: u64, sent: u64, acknowledged: u64) -> Connection {
        let [received, sent, acknowledged] =
            [received, sent, acknowledged].map(Duration::from_millis);
        let activity =
            Activity { sent, received, acknowledged, bytes_received: 100, data_segments_sent: 1 };
        Connection {
            peer: "192.0.2.1:40000".parse().unwrap(),
            is_established: true,
            inode: 1,
            unread: 0,
            undelivered: 0,
            activity: Some(activity),
        }
    }

    fn with(connection: Connection, change: impl FnOnce(&mut Activity)) -> Connection {
        let mut activity = connection.activity.unwrap();
        change(&mut activity);
        Connection { activity: Some(activity), ..connection }
    }

    #[test]
    fn what_moves_is_under_way_and_what_was_answered_a_while_ago_is_not() {
        for (connection, expected) in [
            (used(4999, 4998, 4990), Work::UnderWay),
            (used(9000, 4999, 4990), Work::UnderWay),
            (used(9000, 5000, 4990), Work::None),
            (used(9000, 8000, 100), Work::None),
            // A request without an answer, however long ago.
            (used(5000, 9000, 5000), Work::UnderWay),
            (used(3_600_000, 3_600_001, 3_600_000), Work::UnderWay),
        ] {
            assert_eq!(work_on(&connection, IDLE_AFTER), expected, "{connection:?}");
        }
    }

    #[test]
    fn within_one_tick_the_acknowledgement_tells_what_came_last() {
        assert_eq!(work_on(&used(6000, 6000, 5960), IDLE_AFTER), Work::None);
        assert_eq!(work_on(&used(6000, 6000, 6000), IDLE_AFTER), Work::Unclear);
        let first = with(used(6000, 6000, 6000), |activity| activity.data_segments_sent = 0);
        assert_eq!(work_on(&first, IDLE_AFTER), Work::UnderWay);
    }

    #[test]
    fn what_never_asked_is_idle_after_a_while_and_what_is_not_read_never() {
        let silent = |ago| with(used(ago, ago, ago), |activity| activity.bytes_received = 0);
        assert_eq!(work_on(&silent(4000), IDLE_AFTER), Work::UnderWay);
        assert_eq!(work_on(&silent(6000), IDLE_AFTER), Work::None);
        let idle = used(9000, 8000, 7000);
        let unread = Connection { unread: 1, ..idle };
        let undelivered = Connection { undelivered: 1, ..idle };
        let unknown = Connection { activity: None, ..idle };
        for connection in [unread, undelivered, unknown] {
            assert_eq!(work_on(&connection, IDLE_AFTER), Work::UnderWay, "{connection:?}");
        }
    }

    #[test]
    fn of_what_was_closed_only_an_answer_on_its_way_is_work() {
        let closed = Connection { is_established: false, ..used(1, 1, 1) };
        for (undelivered, expected) in [(0, Work::None), (1, Work::None), (2, Work::UnderWay)] {
            let connection = Connection { undelivered, ..closed };
            assert_eq!(work_on(&connection, IDLE_AFTER), expected, "{connection:?}");
        }
    }
}
