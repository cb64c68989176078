//! `stead run`: from the configuration to the child's end.

use std::ffi::OsString;
use std::net::TcpListener;
use std::time::Duration;

use tokio::sync::watch;
use tracing::{info, warn};

use super::hooks::Around;
use super::keeper::Threshold;
use super::notify;
use super::serve::{Plan, serve};
use super::wait::Awaited;
use super::{Failure, configure};
use crate::check::secret;
use crate::config::{Config, Environment, FENCE, Flag, Labels, Listen, LogSchema, Output, Role};
use crate::errand::{self, Moment};
use crate::exit::Exit;
use crate::http;
use crate::logs;
use crate::logs::child::event::Style;
use crate::logs::child::pump::Pumps;
use crate::logs::child::redact::{Redactions, secrets_among};
use crate::supervisor::child::Command;
use crate::supervisor::errands::Errands;
use crate::supervisor::hold::meaning_by;
use crate::supervisor::lifecycle::KILL_PATIENCE;
use crate::supervisor::requests::Requests;
use crate::supervisor::wrapping::Notice;
use crate::supervisor::{Phase, Started, Supervisor, Terms, Wrapping};
use crate::sys::process::{self, Pid};
use crate::sys::signals::{Inherited, SignalFd};
use crate::sys::{descriptors, memory};

/// How long the last lines of the log are waited for where its reader is stuck, which must not hold up the end.
pub(super) const LAST_WORDS: Duration = Duration::from_millis(100);

/// `stead run`, in its fixed order: signals (blocked by now), configuration, subreaper, port, child.
pub(super) fn run(
    flags: &[Flag],
    command: &[OsString],
    inherited: &Inherited,
) -> Result<Exit, Failure> {
    memory::keep_heap_small();
    let passed = descriptors::beyond_standard();
    // They are the child's, and nothing to the commands of checks, which may run before it.
    descriptors::close_at_exec(&passed, true);
    descriptors::occupy_closed_standard_streams();
    let queue = SignalFd::open().map_err(Failure::system("open the queue of signals"))?;
    let mut config = configure(Role::Wrapper, flags)?;
    logs::init(config.events, config.labels.clone());
    let own = Pid::own();
    if let Some(error) = (!own.is_init()).then(process::become_subreaper).and_then(Result::err) {
        warn!(%error, "orphans are not adopted");
    }
    let mut command = Command::new(command)?;
    let redactions = redactions(&config.output, &std::mem::take(&mut config.environment));
    let around = Around { hooks: config.hooks.clone(), redactions };
    around.find()?;
    let awaited = Awaited::among(&mut config.checks, config.wait);
    let locks = std::mem::take(&mut config.locks);
    if awaited.is_some() || locks.singleton.is_some() {
        // Now, and not when everything is up, or another instance is gone.
        command.find()?;
    }
    let listener = bind(config.listen)?;
    let notify = config.notify.map(|terms| notify::open(terms, &mut command)).transpose()?;
    log_start(&config, listener.as_ref());
    let (phase, watched) = watch::channel(Phase::Starting);
    logs::writer::start().map_err(Failure::system("start the thread of the log"))?;
    let inbox = errand::open().map_err(Failure::system("make a bell"))?;
    let mut errands = Errands::new(Some(inbox), inherited);
    let requests = Requests::open().map_err(Failure::system("make a bell"))?;
    let supervisor = requests.requester();
    let (labels, details) = (config.labels, config.details);
    let (app, checks) = (config.app_checks, config.checks);
    let style = style(&config.output, &labels, config.events.schema, &around.redactions);
    let lasts = notify.is_some() || locks.singleton.is_some();
    let is_needed = listener.is_some() || awaited.is_some() || locks.pre_start.is_some() || lasts;
    let plan = Plan { app, checks, phase: watched, notify, labels, details, supervisor, lasts };
    let serving = is_needed.then(|| serve(listener, plan)).transpose()?;
    if let (Some(awaited), Some(serving)) = (awaited, &serving) {
        logs::writer::release();
        let held = awaited.hold(serving, &queue, &mut errands, meaning_by(config.terms.clone()));
        if let Some(over) = held.transpose() {
            logs::writer::flush(LAST_WORDS);
            return over;
        }
    }
    let requester = requests.requester();
    let (queue, terms) = (&queue, &config.terms);
    let serving_thread = serving.as_ref();
    let threshold =
        Threshold { serving: serving_thread, queue, errands: &mut errands, terms, requester };
    let keeper = match threshold.cross(locks, &around, &phase) {
        Ok(Ok(keeper)) => keeper,
        over => {
            logs::writer::flush(LAST_WORDS);
            return over.map(|over| over.err().unwrap_or(Exit::FAILURE));
        }
    };
    let lease = keeper.as_ref().map(|keeper| keeper.lease.clone());
    keeper.iter().for_each(|keeper| command.set(FENCE, &keeper.fence.to_string()));
    let (pumps, outputs) = Pumps::start(&config.output, &style)
        .map_err(Failure::system("start the threads of the command's output"))?;
    let (group, names_main) = (config.signal_group, config.notify.is_some());
    let wrapping = Wrapping { group, names_main, ..Wrapping::default() };
    let (signals, requests) = (queue, Some(requests));
    let supervisor = Supervisor {
        signals,
        inherited,
        passed,
        outputs,
        wrapping,
        phase,
        errands,
        requests,
        lease,
    };
    let exit = supervise(supervisor, &command, config.terms.clone(), (&pumps, &around))?;
    drop(keeper);
    if let Some(serving) = serving {
        serving.finish();
    }
    logs::writer::flush(LAST_WORDS);
    Ok(exit)
}

/// From the child's start to its end, and to that of its output.
fn supervise(
    supervisor: Supervisor,
    command: &Command,
    terms: Terms,
    (pumps, around): (&Pumps, &Around),
) -> Result<Exit, Failure> {
    let observer = |notice: &Notice<'_>| {
        if matches!(notice, Notice::Over) {
            pumps.finish();
        }
    };
    let requester = supervisor.requests.as_ref().map(Requests::requester);
    let hooks = |moment| around.beside_child(moment, requester.as_ref()?);
    let wrapping = Wrapping { observer: &observer, hooks: &hooks, ..supervisor.wrapping };
    let started = Supervisor { wrapping, ..supervisor }.start(Some(command), terms)?;
    logs::writer::release();
    Ok(match started {
        Started::Running(running) => running.run(),
        Started::Over(exit) => exit,
    })
}

/// What must not leave in the command's lines and in those of hooks.
fn redactions(output: &Output, env: &Environment) -> Redactions {
    let secrets = match output.redact_secrets {
        true => secrets_among(env.texts()).into_iter().chain(secret::known()).collect(),
        false => Vec::new(),
    };
    Redactions::new(output.redact.clone(), secrets)
}

/// How the command's lines are written.
fn style(output: &Output, labels: &Labels, schema: LogSchema, redactions: &Redactions) -> Style {
    let (labels, redactions) = (labels.clone(), redactions.clone());
    Style { schema, labels, strip_ansi: output.strip_ansi, redactions }
}

pub(super) fn bind(listen: Listen) -> Result<Option<TcpListener>, Failure> {
    http::bind(listen).map_err(|error| {
        let address = match listen {
            Listen::At(address) => address.to_string(),
            listen => format!("[::]:{}", listen.port().unwrap_or_default()),
        };
        Failure::Listen { address, error }
    })
}

/// The first event: what stead is, and what it was told.
pub(super) fn log_start(config: &Config, listener: Option<&TcpListener>) {
    let own = Pid::own();
    for (variable, reason) in &config.ignored {
        warn!(variable, reason, "setting ignored");
    }
    let listen =
        listener.and_then(|l| l.local_addr().ok()).map_or("off".to_owned(), |at| at.to_string());
    let notify = config.notify.filter(|terms| terms.is_awaited).map(|_| "notify");
    let checks = config.app_checks.iter().map(|check| check.name.as_str());
    let names: Vec<&str> = checks.chain(notify).collect();
    let app = match names.join(" ") {
        _ if listen == "off" => "none: the endpoints are off".to_owned(),
        names if names.is_empty() => "none: readiness knows nothing of the app".to_owned(),
        names => names,
    };
    let grace = config.terms.grace;
    let post_stop = config.hooks.time_of(Moment::PostStop);
    info!(
        version = env!("CARGO_PKG_VERSION"),
        role = config.role.name(),
        pid = own.number(),
        pid1 = own.is_init(),
        listen,
        app,
        grace_s = grace.as_secs_f64(),
        drain_delay_s = config.terms.drain_delay.as_secs_f64(),
        stop_timeout_s = (grace + KILL_PATIENCE + post_stop).as_secs_f64(),
        "starting"
    );
    if listen != "off" {
        log_checks(config);
    }
}

/// The checks that there are, once.
fn log_checks(config: &Config) {
    let found = config
        .shown
        .iter()
        .map(|check| format!("{} ({})", check.key.trim_start_matches("check."), check.from));
    let checks = found.collect::<Vec<_>>().join(", ");
    if !checks.is_empty() {
        info!(checks, "checks found");
    }
}
