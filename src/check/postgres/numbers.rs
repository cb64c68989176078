//! What a server is asked now and then alone: how full it is, and how far behind.

use std::time::Duration;

use tokio::time::Instant;

use super::super::{Class, Fact, ProbeError};
use super::failure::{failed, is_answer};
use super::session::{Session, text};

/// The connections of clients, and how many an ordinary user can have. What kind a backend is, only its own role and
/// members of `pg_read_all_stats` see; of the others those are counted that have a user and a database.
const CONNECTIONS: &str = "SELECT count(*) FILTER (WHERE datid IS NOT NULL AND usesysid IS NOT NULL \
    AND coalesce(backend_type, 'client backend') = 'client backend'), \
    current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int \
    - coalesce(current_setting('reserved_connections', true), '0')::int \
    FROM pg_catalog.pg_stat_activity";

/// Seconds behind the primary. Where all that came was replayed that is none, however long ago something came; but only
/// while the standby is connected, for nobody knows otherwise what has not come.
const LAG: &str = "SELECT CASE WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() \
    AND EXISTS (SELECT FROM pg_catalog.pg_stat_wal_receiver) THEN 0 \
    ELSE extract(epoch FROM now() - pg_last_xact_replay_timestamp()) END";

/// The least time between two such questions; up to twice as long, so that replicas do not ask together.
const PAUSE: Duration = Duration::from_secs(30);

/// What was answered last, and when to ask again.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Numbers {
    connections: Option<(u64, u64)>,
    lag: Option<f64>,
    due: Option<Instant>,
}

impl Numbers {
    /// Asks, if it is time. A server that refuses to say has no numbers, and is not down.
    pub(super) async fn refresh(&mut self, session: &mut Session) -> Result<(), ProbeError> {
        if self.due.is_some_and(|due| Instant::now() < due) {
            return Ok(());
        }
        self.connections = match session.ask(CONNECTIONS).await {
            Ok(row) => number(text(&row, 0)).zip(number(text(&row, 1))),
            Err(error) if is_answer(&error) => None,
            Err(error) => return Err(failed(error)),
        };
        self.lag = match session.role.standby {
            false => None,
            true => match session.ask(LAG).await {
                Ok(row) => text(&row, 0).and_then(|text| text.parse().ok()),
                Err(error) if is_answer(&error) => None,
                Err(error) => return Err(failed(error)),
            },
        };
        self.due = Some(Instant::now() + PAUSE.mul_f64(1.0 + fastrand::f64()));
        Ok(())
    }

    /// What is wrong where more than so many percent of the connections are taken; then the next round asks again.
    pub(super) fn concern(&mut self, max_percent: u64) -> Option<ProbeError> {
        let (used, max) = self.connections?;
        if max == 0 || used * 100 <= max * max_percent {
            return None;
        }
        self.due = None;
        let text = format!("{used} of {max} connections are taken, more than {max_percent} %");
        Some(ProbeError::new(Class::TooManyConnections, text))
    }

    pub(super) fn facts(&self) -> impl Iterator<Item = (&'static str, Fact)> {
        let counts = self.connections.map(|(used, max)| {
            [("connections", Fact::Count(used)), ("connections_max", Fact::Count(max))]
        });
        let lag = self.lag.map(|lag| ("replay_lag_s", Fact::Number(lag)));
        counts.into_iter().flatten().chain(lag)
    }
}

fn number(text: Option<&str>) -> Option<u64> {
    text?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_full_above_the_limit_and_not_at_it() {
        let concern = |used, max, percent| {
            let mut numbers = Numbers { connections: Some((used, max)), ..Numbers::default() };
            numbers.concern(percent).map(|concern| concern.class)
        };
        assert_eq!(concern(80, 100, 80), None);
        assert_eq!(concern(81, 100, 80), Some(Class::TooManyConnections));
        assert_eq!(concern(100, 100, 100), None);
        assert_eq!(concern(1, 0, 80), None);
        assert!(Numbers::default().concern(0).is_none());
    }
}
