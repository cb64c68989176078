//! The verdict on each group of checks: what the platform is told. Pure: the phase and the findings go in.

use crate::check::State;
use crate::check::registry::{Finding, Need};
use crate::cli::Group;
use crate::notify::Notified;
use crate::notify::account::Doing;
use crate::supervisor::Phase;

/// The verdict on a group.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// All is well.
    Ok,
    /// What is not required is not up.
    Degraded,
    /// Not yet.
    Starting,
    /// Not as long as another instance runs.
    Standby,
    /// Not now.
    Unavailable,
    /// Not any more.
    Draining,
}

impl Verdict {
    /// The name in the answer's `status`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Starting => "starting",
            Self::Standby => "standby",
            Self::Unavailable => "unavailable",
            Self::Draining => "draining",
        }
    }

    /// Whether a platform should count it as a success: 200, else 503.
    pub const fn is_success(self) -> bool {
        matches!(self, Self::Ok | Self::Degraded)
    }

    /// The IETF draft's word for it.
    pub const fn ietf(self) -> &'static str {
        match self {
            Self::Ok => "pass",
            Self::Degraded => "warn",
            Self::Starting | Self::Standby | Self::Unavailable | Self::Draining => "fail",
        }
    }
}

/// Whether a check counts in a group.
pub fn counts(finding: &Finding, group: Group) -> bool {
    match group {
        Group::Live => finding.groups.live,
        Group::Ready => finding.groups.ready,
        Group::Startup => finding.groups.startup,
    }
}

/// The verdict of a group. `all` are the findings of every check, `counted` those that count here.
pub fn judge(group: Group, phase: Phase, all: &[Finding], counted: &[Finding]) -> Verdict {
    match group {
        Group::Live => judge_live(phase, all, counted),
        Group::Ready => judge_ready(phase, counted),
        Group::Startup if phase == Phase::Standby => Verdict::Standby,
        Group::Startup if has_started(phase, counted) => Verdict::Ok,
        Group::Startup => Verdict::Starting,
    }
}

/// The verdict with what the app says of itself, and what that says where it makes the verdict worse.
pub fn heed(
    verdict: Verdict,
    (group, phase): (Group, Phase),
    notified: Option<&Notified>,
) -> (Verdict, Option<&'static str>) {
    let Some(notified) = notified else { return (verdict, None) };
    let is_awaited = notified.is_awaited && !notified.was_ready;
    let is_running = phase == Phase::Running;
    match group {
        Group::Ready if is_running && notified.doing == Doing::Stopping => {
            (Verdict::Draining, Some("STOPPING=1 was said"))
        }
        _ if !verdict.is_success() => (verdict, None),
        Group::Live if is_running && notified.is_hung => {
            (Verdict::Unavailable, Some("WATCHDOG=1 was missed"))
        }
        Group::Ready | Group::Startup if is_awaited => {
            (Verdict::Starting, Some("READY=1 was not said"))
        }
        _ => (verdict, None),
    }
}

/// The child was started and each check that the start needs has passed once: true for good from then on.
fn has_started(phase: Phase, findings: &[Finding]) -> bool {
    let is_awaited = |finding: &Finding| {
        finding.groups.startup && finding.need == Need::Required && !finding.status.passed
    };
    !phase.is_before_child() && !findings.iter().any(is_awaited)
}

/// Live until the child has ended. The app's checks count from the start-up latch to the drain, and only where they
/// say down: what is not known is no reason to kill.
fn judge_live(phase: Phase, all: &[Finding], counted: &[Finding]) -> Verdict {
    let counting = phase == Phase::Running && has_started(phase, all);
    let is_down = |finding: &Finding| {
        let has_begun = finding.status.passed || !finding.groups.starts_later;
        has_begun && finding.need == Need::Required && finding.state == State::Down
    };
    let down = counting && counted.iter().any(is_down);
    if down || phase == Phase::Finished { Verdict::Unavailable } else { Verdict::Ok }
}

fn judge_ready(phase: Phase, counted: &[Finding]) -> Verdict {
    match phase {
        Phase::Starting => return Verdict::Starting,
        Phase::Standby => return Verdict::Standby,
        Phase::Quiescing | Phase::Draining | Phase::Killing => return Verdict::Draining,
        Phase::Finished => return Verdict::Unavailable,
        Phase::Running => {}
    }
    let mut required = counted.iter().filter(|finding| finding.need == Need::Required);
    if required.clone().any(|finding| !finding.status.passed) {
        Verdict::Starting
    } else if required.any(|finding| !finding.state.is_up()) {
        Verdict::Unavailable
    } else if counted.iter().any(|finding| finding.state != State::Up) {
        Verdict::Degraded
    } else {
        Verdict::Ok
    }
}

/// The verdict on one check alone: for liveness and start-up as it counts in them, for readiness whether it is up now.
pub fn judge_one(group: Group, phase: Phase, all: &[Finding], one: &Finding) -> Verdict {
    match group {
        Group::Live | Group::Startup => judge(group, phase, all, std::slice::from_ref(one)),
        Group::Ready => match one.state {
            State::Up => Verdict::Ok,
            State::Degraded => Verdict::Degraded,
            State::Unknown | State::Down => Verdict::Unavailable,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Status;
    use crate::check::registry::Groups;

    const LIVE: Groups = Groups { ready: true, live: true, startup: true, starts_later: false };

    fn finding(name: &str, state: State) -> Finding {
        Finding::example(name, state)
    }

    fn ready(phase: Phase, findings: &[Finding]) -> Verdict {
        judge(Group::Ready, phase, findings, findings)
    }

    #[test]
    fn ready_means_running_with_every_required_check_up() {
        let up = finding("app", State::Up);
        let down = Finding {
            status: Status { passed: true, ..finding("app", State::Down).status },
            ..finding("app", State::Down)
        };
        assert_eq!(ready(Phase::Running, &[]), Verdict::Ok);
        assert_eq!(ready(Phase::Running, std::slice::from_ref(&up)), Verdict::Ok);
        assert_eq!(ready(Phase::Running, &[finding("app", State::Unknown)]), Verdict::Starting);
        assert_eq!(ready(Phase::Running, std::slice::from_ref(&down)), Verdict::Unavailable);
        let optional = Finding { need: Need::Degraded, ..down };
        assert_eq!(ready(Phase::Running, &[up.clone(), optional]), Verdict::Degraded);
        for (phase, verdict) in [
            (Phase::Starting, Verdict::Starting),
            (Phase::Standby, Verdict::Standby),
            (Phase::Quiescing, Verdict::Draining),
            (Phase::Draining, Verdict::Draining),
            (Phase::Killing, Verdict::Draining),
            (Phase::Finished, Verdict::Unavailable),
        ] {
            assert_eq!(ready(phase, std::slice::from_ref(&up)), verdict);
        }
    }

    #[test]
    fn live_asks_the_app_only_between_start_up_and_drain() {
        let passed = Status { passed: true, ..finding("app", State::Down).status };
        let down = [Finding { groups: LIVE, status: passed, ..finding("app", State::Down) }];
        let never_up = [Finding { groups: LIVE, ..finding("app", State::Down) }];
        let live = |phase, findings: &[Finding]| judge(Group::Live, phase, findings, findings);
        assert_eq!(live(Phase::Running, &down), Verdict::Unavailable);
        assert_eq!(live(Phase::Running, &never_up), Verdict::Ok);
        let others = Phase::ALL.into_iter().filter(|phase| *phase != Phase::Running);
        for phase in others.filter(|phase| *phase != Phase::Finished) {
            assert_eq!(live(phase, &down), Verdict::Ok);
        }
        assert_eq!(live(Phase::Finished, &[]), Verdict::Unavailable);
    }

    #[test]
    fn a_standby_is_live_and_neither_ready_nor_started() {
        let up = [finding("database", State::Up)];
        let verdict = |group| judge(group, Phase::Standby, &up, &up);
        assert_eq!(verdict(Group::Live), Verdict::Ok);
        for group in [Group::Ready, Group::Startup] {
            assert_eq!(verdict(group), Verdict::Standby);
        }
        assert_eq!((Verdict::Standby.is_success(), Verdict::Standby.name()), (false, "standby"));
    }

    #[test]
    fn what_starts_later_ends_no_life_before_its_first_pass() {
        let later = Groups { startup: false, starts_later: true, ..LIVE };
        let down = |passed| {
            let status = Status { passed, ..finding("app", State::Down).status };
            [Finding { groups: later, status, ..finding("app", State::Down) }]
        };
        let live = |findings: &[Finding]| judge(Group::Live, Phase::Running, findings, findings);
        assert_eq!(live(&down(false)), Verdict::Ok);
        assert_eq!(live(&down(true)), Verdict::Unavailable);
    }

    #[test]
    fn what_the_app_says_makes_a_verdict_worse_and_never_better() {
        let heeded = |verdict, group, phase, notified: &Notified| {
            heed(verdict, (group, phase), Some(notified)).0
        };
        let silent = Notified::default();
        let awaited = Notified { is_awaited: true, ..Notified::default() };
        let ready = Notified { was_ready: true, doing: Doing::Reloading, ..awaited.clone() };
        let stopping = Notified { doing: Doing::Stopping, ..ready.clone() };
        let hung = Notified { is_hung: true, ..ready.clone() };
        let (run, ok) = (Phase::Running, Verdict::Ok);
        for (group, notified, expected) in [
            (Group::Ready, &silent, ok),
            (Group::Startup, &silent, ok),
            (Group::Ready, &awaited, Verdict::Starting),
            (Group::Startup, &awaited, Verdict::Starting),
            (Group::Live, &awaited, ok),
            (Group::Ready, &ready, ok),
            (Group::Startup, &ready, ok),
            (Group::Ready, &stopping, Verdict::Draining),
            (Group::Startup, &stopping, ok),
            (Group::Live, &stopping, ok),
            (Group::Live, &hung, Verdict::Unavailable),
            (Group::Ready, &hung, ok),
        ] {
            assert_eq!(heeded(ok, group, run, notified), expected, "{group:?} {notified:?}");
        }
        assert_eq!(heeded(ok, Group::Live, Phase::Draining, &hung), ok);
        let down = Verdict::Unavailable;
        assert_eq!(heeded(down, Group::Ready, run, &ready), down);
        assert_eq!(heeded(down, Group::Ready, run, &awaited), down);
        assert_eq!(heeded(down, Group::Ready, run, &stopping), Verdict::Draining);
    }

    #[test]
    fn started_is_for_good() {
        let failing_again = Status { passed: true, ..finding("app", State::Down).status };
        let findings = [Finding { status: failing_again, ..finding("app", State::Down) }];
        assert_eq!(judge(Group::Startup, Phase::Finished, &findings, &findings), Verdict::Ok);
        assert_eq!(judge(Group::Startup, Phase::Starting, &findings, &findings), Verdict::Starting);
    }

    #[test]
    fn a_required_check_that_complains_leaves_the_app_ready_and_degraded() {
        let complaining = finding("redis", State::Degraded);
        assert_eq!(ready(Phase::Running, std::slice::from_ref(&complaining)), Verdict::Degraded);
        let one = |state| judge_one(Group::Ready, Phase::Running, &[], &finding("redis", state));
        assert_eq!(one(State::Degraded), Verdict::Degraded);
        assert_eq!(one(State::Unknown), Verdict::Unavailable);
    }

    #[test]
    fn what_the_start_does_not_need_gates_nothing_and_ends_no_life() {
        let optional =
            |state| [Finding { need: Need::Degraded, groups: LIVE, ..finding("search", state) }];
        let never_up = optional(State::Down);
        let startup = judge(Group::Startup, Phase::Running, &never_up, &never_up);
        assert_eq!(startup, Verdict::Ok);
        assert_eq!(judge(Group::Live, Phase::Running, &never_up, &never_up), Verdict::Ok);
        assert_eq!(ready(Phase::Running, &never_up), Verdict::Degraded);
        let unknown = [finding("database", State::Unknown)];
        assert_eq!(judge(Group::Startup, Phase::Running, &unknown, &unknown), Verdict::Starting);
    }
}
