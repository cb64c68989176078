//! `stead sidecar`: from the configuration to the end of the drain, with no child between them.

use tokio::sync::watch;

use super::run::{LAST_WORDS, bind, log_start};
use super::serve::{Plan, serve};
use super::{Failure, configure};
use crate::config::{Flag, Role};
use crate::errand;
use crate::exit::Exit;
use crate::logs;
use crate::signal::Signal;
use crate::supervisor::errands::Errands;
use crate::supervisor::requests::Requests;
use crate::supervisor::wrapping::Fate;
use crate::supervisor::{Outputs, Phase, Started, Supervisor, Wrapping};
use crate::sys::signals::{self, Inherited, SignalFd};
use crate::sys::{descriptors, memory};

/// `stead sidecar`, in its fixed order: signals (blocked by now), configuration, port.
pub(super) fn run(flags: &[Flag], inherited: &Inherited) -> Result<Exit, Failure> {
    memory::keep_heap_small();
    // There is no child to hand them to.
    descriptors::close(&descriptors::beyond_standard());
    descriptors::occupy_closed_standard_streams();
    let queue = SignalFd::open().map_err(Failure::system("open the queue of signals"))?;
    let config = configure(Role::Sidecar, flags)?;
    logs::init(config.events, config.labels.clone());
    let listener = bind(config.listen)?;
    log_start(&config, listener.as_ref());
    logs::writer::start().map_err(Failure::system("start the thread of the log"))?;
    logs::writer::release();
    let inbox = errand::open().map_err(Failure::system("make a bell"))?;
    let requests = Requests::open().map_err(Failure::system("make a bell"))?;
    let asked = requests.requester();
    let (phase, watched) = watch::channel(Phase::Starting);
    let supervisor = Supervisor {
        signals: &queue,
        inherited,
        passed: Vec::new(),
        outputs: Outputs::default(),
        wrapping: Wrapping { fate, ..Wrapping::default() },
        phase,
        errands: Errands::new(Some(inbox), inherited),
        requests: Some(requests),
        lease: None,
    };
    let (app, checks) = (config.app_checks, config.checks);
    let (labels, details) = (config.labels, config.details);
    let plan = Plan {
        app,
        checks,
        phase: watched,
        notify: None,
        labels,
        details,
        supervisor: asked,
        lasts: false,
    };
    // Without endpoints nobody would learn of the checks.
    let serving = listener.map(|listener| serve(Some(listener), plan)).transpose()?;
    let exit = match supervisor.start(None, config.terms)? {
        Started::Running(running) => running.run(),
        Started::Over(exit) => exit,
    };
    if let Some(serving) = serving {
        serving.finish();
    }
    logs::writer::flush(LAST_WORDS);
    Ok(exit)
}

/// TERM and INT ask for the drain. There is no child that another signal could be meant for: it does to stead what it
/// does to any process.
fn fate(signal: Signal) -> Fate {
    match signal {
        Signal::TERM | Signal::INT => Fate::Forwarded,
        signal if signals::is_ignored(signal) => Fate::Ignored,
        _ => Fate::Default,
    }
}
