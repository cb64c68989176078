//! `stead wait`: until all that was named is up, all at once; then the command in this process's place. [`Awaited`] is
//! what `run --wait` needs of it too.

use std::ffi::OsString;
use std::io::{self, PipeWriter};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use super::live::Live;
use super::serve::{Serving, watch_alone};
use super::{Failure, configure, read_file};
use crate::check::registry::{Check, Finding, Need, Registry};
use crate::config::value::{Patience, Wrong};
use crate::config::{Events, Labels, Mistake, Role, checks_of_urls};
use crate::errand;
use crate::exit::Exit;
use crate::logs;
use crate::signal::Signal;
use crate::supervisor::child::Command;
use crate::supervisor::errands::Errands;
use crate::supervisor::hold::{Gate, Held, Meaning, attend, hold};
use crate::sys::signals::{Inherited, SignalFd};
use crate::sys::{descriptors, memory};

/// How often it is looked at what is known: nothing beside the attempts of the checks themselves.
const LOOK: Duration = Duration::from_millis(20);
/// How long the last lines, of the log and on the terminal, are waited for.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// `stead wait`.
pub(super) fn run(
    urls: Vec<OsString>,
    patience: Patience,
    command: &[OsString],
    inherited: &Inherited,
) -> Result<Exit, Failure> {
    memory::keep_heap_small();
    let passed = descriptors::beyond_standard();
    descriptors::close_at_exec(&passed, true);
    descriptors::occupy_closed_standard_streams();
    let queue = SignalFd::open().map_err(Failure::system("open the queue of signals"))?;
    let config = configure(Role::Wrapper, &[])?;
    let named = checks_of_urls("wait", urls, &read_file)?;
    let (mut checks, ignored) =
        if named.is_empty() { (config.checks, config.ignored) } else { (named, Vec::new()) };
    checks.retain(is_needed);
    let Some(awaited) = Awaited::among(&mut checks, patience) else {
        let wrong = "nothing to wait for: no URL was given, and no required check is configured";
        return Err(Mistake::at("wait", wrong).into());
    };
    let command = (!command.is_empty()).then(|| Command::new(command)).transpose()?;
    // Now, and not when everything is up.
    command.as_ref().map_or(Ok(()), Command::find)?;
    let live = Live::on_terminal(&config.events);
    if live.is_none() {
        start_log(config.events, config.labels, &ignored)?;
    }
    let inbox = errand::open().map_err(Failure::system("make a bell"))?;
    let mut errands = Errands::new(Some(inbox), inherited);
    let serving = watch_alone(checks)?;
    let held = Awaited { live, ..awaited }.hold(&serving, &queue, &mut errands, meaning);
    serving.finish();
    errands.finish();
    logs::writer::flush(LAST_WORDS);
    // What came since the wait was over counts too: the command must not start behind it.
    match (held?.or_else(|| attend(&queue, &mut meaning)), command) {
        (Some(exit), _) => Ok(exit),
        (None, Some(command)) => {
            descriptors::close_at_exec(&passed, false);
            Err(command.replace(inherited).into())
        }
        (None, None) => Ok(Exit::OK),
    }
}

/// Starts the log, with what of the environment was `ignored` as its first lines.
fn start_log(events: Events, labels: Labels, ignored: &[(String, Wrong)]) -> Result<(), Failure> {
    logs::init(events, labels);
    logs::writer::start().map_err(Failure::system("start the thread of the log"))?;
    logs::writer::release();
    for (variable, reason) in ignored {
        warn!(variable, reason, "setting ignored");
    }
    Ok(())
}

/// What a signal means that comes during the wait.
fn meaning(signal: Signal) -> Meaning {
    match signal {
        Signal::TERM | Signal::INT => Meaning::end(signal, Exit::killed_by(signal)),
        _ => Meaning::Default,
    }
}

/// Whether an app cannot do without it from its start on.
fn is_needed(check: &Check) -> bool {
    check.startup == Need::Required
}

/// The checks that are waited for.
pub(super) struct Awaited {
    names: Vec<String>,
    limit: Option<Duration>,
    live: Option<Live>,
}

impl Awaited {
    /// Those that are needed, which are to be asked eagerly for as long as it takes; none where nothing is waited for.
    pub(super) fn among(checks: &mut [Check], patience: Patience) -> Option<Self> {
        let limit = match patience {
            Patience::None => return None,
            Patience::For(limit) => Some(limit),
            Patience::Endless => None,
        };
        let mut names = Vec::new();
        for check in checks.iter_mut().filter(|check| is_needed(check)) {
            check.schedule.eager = Duration::MAX;
            names.push(check.name.clone());
        }
        (!names.is_empty()).then_some(Self { names, limit, live: None })
    }

    /// Holds this thread until all are up at once; gives a code where a signal asked for the end.
    pub(super) fn hold(
        self,
        serving: &Serving,
        queue: &SignalFd,
        errands: &mut Errands,
        meaning: impl FnMut(Signal) -> Meaning,
    ) -> Result<Option<Exit>, Failure> {
        let Self { names, limit, live } = self;
        let (pipe, end) = io::pipe().map_err(Failure::system("make a pipe"))?;
        let gate = Gate { pipe, limit, leases: Vec::new() };
        let known = Known { registry: serving.registry().clone(), names };
        info!(
            checks = known.names.join(" "),
            timeout_s = limit.map(|l| l.as_secs_f64()),
            "waiting"
        );
        serving.run(watch(known.clone(), serving.over(), live, end));
        let held = hold(queue, errands, &gate, meaning);
        if held == Held::Open {
            return Ok(None);
        }
        let missing = known.missing();
        serving.finish();
        // Nothing is drawn any more behind what is said now.
        let gate = Gate { limit: Some(LAST_WORDS), ..gate };
        hold(queue, errands, &gate, |_| Meaning::Nothing);
        match held {
            Held::Ended(exit) => Ok(Some(exit)),
            Held::Open | Held::Lost | Held::TimedOut => {
                Err(not_up(limit.unwrap_or_default(), &missing))
            }
        }
    }
}

/// On the second thread: until all are up, or the wait is `over` otherwise. `end` opens the gate when it is dropped.
async fn watch(known: Known, over: Arc<AtomicBool>, mut live: Option<Live>, end: PipeWriter) {
    let start = Instant::now();
    while !over.load(Ordering::Relaxed) {
        if let Some(live) = &mut live {
            live.draw(&known.findings());
        }
        if known.missing().is_empty() {
            info!(elapsed_s = start.elapsed().as_secs_f64(), "wait over");
            break;
        }
        sleep(LOOK).await;
    }
    drop(end);
}

/// What is known of the checks that are waited for.
#[derive(Clone, Debug)]
struct Known {
    registry: Registry,
    names: Vec<String>,
}

impl Known {
    fn findings(&self) -> Vec<Finding> {
        let mut findings = self.registry.findings();
        findings.retain(|finding| self.names.iter().any(|name| **name == *finding.name));
        findings
    }

    /// Those that are not up now.
    fn missing(&self) -> Vec<Finding> {
        let mut findings = self.findings();
        findings.retain(|finding| !finding.state.is_up());
        findings
    }
}

/// What is missing in the end, and why.
fn not_up(limit: Duration, missing: &[Finding]) -> Failure {
    let one = |finding: &Finding| match finding.status.reason {
        Some((class, stage)) => format!("{} ({} at {})", finding.name, class.name(), stage.name()),
        None => format!("{} (no answer yet)", finding.name),
    };
    let what: Vec<String> = missing.iter().map(one).collect();
    Failure::NotUp { limit, what: what.join(", ") }
}
