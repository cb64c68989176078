//! What a load notices while the replicas behind a load balancer are replaced, or while their database is away.

use std::time::Duration;

use crate::harness::engine::ENDPOINTS;
use crate::harness::fleet::{Fleet, Front, Load, Manners, REPLICAS, STEAD, TINI, Tally};
use crate::harness::{http, until};

/// Half of the requests take two seconds.
const PATHS: &[&str] = &["/", "/slow"];
const RATE: u32 = 20;
const STREAMS: u32 = 4;

#[test]
fn replicas_replaced_one_by_one_three_times_lose_no_request_behind_haproxy_or_nginx() {
    let mut fleet = Fleet::start(STEAD, Manners::Graceful);
    let ports = [("haproxy", fleet.proxies.haproxy()), ("nginx", fleet.proxies.nginx())];
    let loads = ports.map(|(name, port)| (name, Load::begin(port, RATE, STREAMS, PATHS)));
    for _ in 0..3 {
        fleet.roll();
    }
    for (name, load) in loads {
        let tally = load.end();
        assert_eq!(tally.lost(), 0, "behind {name}: {}, of {}", tally.losses(), tally.begun());
        assert_eq!((tally.streams("cut"), tally.streams("dropped")), (0, 0), "{name}: {tally:?}");
        // Each stream was at a replica that was replaced at least once.
        assert!(tally.streams("moved") >= u64::from(STREAMS), "{name}: {tally:?}");
        assert!(tally.ended("/slow", "200") > 100, "{name}: {tally:?}");
    }
}

/// The app is told once haproxy has let go of it and the last answer is through.
const STEAD_UNTIL_IDLE: Front = Front {
    line: &[
        "/stead",
        "run",
        "--drain-delay=2s",
        "--drain-until-idle=on",
        "--idle-after=1s",
        "--",
        "/replica",
    ],
    ..STEAD
};

#[test]
fn an_app_that_knows_nothing_of_term_loses_what_is_open_behind_tini_and_nothing_behind_stead() {
    for (front, loses) in [(TINI, true), (STEAD_UNTIL_IDLE, false)] {
        let mut fleet = Fleet::start(front, Manners::Abrupt);
        let load = Load::begin(fleet.proxies.haproxy(), RATE, 0, PATHS);
        // A third of the slow requests of two seconds is open at each replica at any moment.
        fleet.replace(0);
        let tally = load.end();
        assert_eq!(
            tally.lost() > 0,
            loses,
            "{}: {} of {}",
            front.name,
            tally.losses(),
            tally.begun()
        );
    }
}

/// Checked often, so that a short outage is enough.
const OFTEN: &str = "stead_interval=1s&stead_timeout=500ms";

/// Longest that haproxy, stead and Postgres need to be of one mind again; the checks back off by what is left of 30 s.
const RECOVERY: Duration = Duration::from_secs(90);

/// A load while the database is gone, until haproxy sends requests to so many replicas and the app's own
/// reports say so, and until all is as before. Until it is gone, nothing is lost.
fn outage(options: &str, left: usize, status: &str) -> Tally {
    let check = format!("--env=STEAD_CHECK_DATABASE=?{OFTEN}{options}");
    let fleet = Fleet::with_database(STEAD, &[&check]);
    let load = Load::begin(fleet.proxies.haproxy(), RATE, STREAMS, &["/", "/slow", "/orders"]);
    // What is begun in the second before may still be under way.
    let gone = load.second() - 1;
    fleet.database().signal("KILL");
    for replica in fleet.replicas() {
        replica.wait_for_answer(ENDPOINTS, "/readyz", RECOVERY, |answer| {
            answer.json()["status"] == status
        });
    }
    fleet.proxies.wait_until_up_are(left, RECOVERY);

    let front = fleet.proxies.haproxy();
    let ask = |path: &str| http::request(front, "GET", path, &[]).status;
    let expected = if left == 0 { 503 } else { 200 };
    assert_eq!((ask("/"), ask("/orders")), (expected, 503));

    fleet.database().start_again();
    fleet.proxies.wait_until_up_are(usize::from(REPLICAS), RECOVERY);
    let sells = || ask("/orders") == 200;
    assert!(until(RECOVERY, sells), "the app does not find its database again");
    assert_eq!(ask("/"), 200);
    let tally = load.end();
    let answered_before: u64 = tally.seconds("/orders", "200").iter().take(gone).sum();
    let before: u64 = tally.seconds_of("/orders").iter().take(gone).sum();
    assert!(before > 0 && answered_before == before, "{tally:?}");
    tally
}

#[test]
fn a_required_database_that_is_away_takes_all_replicas_out_and_gives_them_back() {
    let tally = outage("", 0, "unavailable");
    assert!(tally.ended("/", "503 of the proxy") > 0, "{tally:?}");
    // Once, and not to and fro.
    let without = tally.seconds("/", "503 of the proxy");
    let mut stretch = without.split(|count| *count == 0).filter(|part| !part.is_empty());
    assert!(stretch.next().is_some() && stretch.next().is_none(), "{without:?}");
    // What was under way at a replica that left the proxy was finished all the same.
    assert_eq!(tally.ended("/slow", "cut"), 0, "{tally:?}");
    assert_eq!((tally.streams("cut"), tally.streams("moved")), (0, 0), "{tally:?}");
}

#[test]
fn a_database_that_may_be_away_at_run_time_leaves_the_app_what_it_can_do_without() {
    let tally = outage("&stead_runtime=degraded", usize::from(REPLICAS), "degraded");
    for path in ["/", "/slow"] {
        assert_eq!(tally.ended(path, "200"), tally.of(path), "{tally:?}");
    }
    assert!(tally.ended("/orders", "503") > 0, "{tally:?}");
    assert_eq!(tally.ended("/orders", "503 of the proxy"), 0, "{tally:?}");
    assert_eq!(tally.streams("cut") + tally.streams("moved"), 0, "{tally:?}");
}

/// The seconds that stand behind these words, or the number.
fn number_behind(words: &str, text: &str) -> u32 {
    let behind = text.split(words).nth(1).unwrap_or_else(|| panic!("no {words:?}"));
    let digits: String = behind.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_else(|_| panic!("no number behind {words:?}"))
}

#[test]
fn the_delay_that_the_example_asks_for_is_longer_than_its_haproxy_needs() {
    let file = include_str!("../examples/haproxy/haproxy.cfg");
    let delay = number_behind("STEAD_DRAIN_DELAY=", include_str!("../examples/haproxy/README.md"));
    let (inter, fall) = (number_behind(" inter ", file), number_behind(" fall ", file));
    let check = number_behind("timeout check ", file);
    assert!(delay > inter * fall + check, "{delay} s, {inter} s {fall} times");
}
