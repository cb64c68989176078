//! stead in tini's or dumb-init's place: the same supervisor with that program's manners, no endpoints, no events.

use std::ffi::{OsStr, OsString};
use std::io;
use std::time::Duration;

use tokio::sync::watch;

use crate::compat::{self, Request, Style, Wrapper};
use crate::exit::Exit;
use crate::signal::Signal;
use crate::supervisor::child::{CannotRun, Command};
use crate::supervisor::errands::Errands;
use crate::supervisor::wrapping::Notice;
use crate::supervisor::{Outputs, Phase, Started, Supervisor, Terms, Wrapping};
use crate::sys::descriptors;
use crate::sys::process::{self, Pid};
use crate::sys::signals::{Inherited, SignalFd};
use crate::sys::spawn::Leads;

/// Does what `style`'s program would do with these arguments.
pub(super) fn run(style: Style, args: &[OsString], inherited: io::Result<Inherited>) -> Exit {
    match compat::parse(style, args, &|name| std::env::var_os(name)) {
        Request::Print { text, to_stderr, exit } => {
            say(&text, to_stderr);
            exit
        }
        Request::Run(wrapper) => {
            let started =
                inherited.map_err(failed).and_then(|inherited| wrap(&wrapper, &inherited));
            started.unwrap_or_else(|error| {
                let errno = io::Error::from_raw_os_error(error.errno.unwrap_or_default());
                let program = wrapper.command.first().map_or(OsStr::new(""), OsString::as_os_str);
                tell(&wrapper, &Notice::CannotRun(program, &errno));
                style.cannot_run(&errno)
            })
        }
    }
}

fn failed(error: io::Error) -> CannotRun {
    CannotRun::before_start(&error)
}

fn wrap(wrapper: &Wrapper, inherited: &Inherited) -> Result<Exit, CannotRun> {
    let passed = descriptors::beyond_standard();
    descriptors::occupy_closed_standard_streams();
    let queue = SignalFd::open().map_err(failed)?;
    let own = Pid::own();
    if wrapper.subreaper {
        process::become_subreaper().map_err(failed)?;
    } else if wrapper.style == Style::Tini && !own.is_init() {
        tell(wrapper, &Notice::CannotReap);
    }
    if let Some(signal) = wrapper.parent_death {
        process::signal_me_when_my_parent_ends(signal).map_err(failed)?;
    }
    let is_dumb_init = wrapper.style == Style::DumbInit;
    let leads = match (is_dumb_init, wrapper.new_session) {
        (_, true) => Leads::Session,
        (true, false) => Leads::Nothing,
        (false, false) => Leads::Group,
    };
    let wrapping = Wrapping {
        names_main: false,
        group: wrapper.group,
        leads,
        is_shell_aware: false,
        stops_itself: is_dumb_init,
        leaves_directory: is_dumb_init,
        fate: wrapper.fate(),
        parting: is_dumb_init.then_some(Signal::TERM),
        observer: &|notice| tell(wrapper, notice),
        hooks: &|_| None,
    };
    let inherited = if is_dumb_init { inherited.cleared() } else { *inherited };
    let (phase, _) = watch::channel(Phase::Starting);
    let (signals, inherited) = (&queue, &inherited);
    let (errands, requests, lease) = (Errands::new(None, inherited), None, None);
    let outputs = Outputs::default();
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
    Ok(match supervisor.start(Some(&Command::new(&wrapper.command)?), terms(wrapper))? {
        Started::Running(running) => running.run(),
        Started::Over(exit) => exit,
    })
}

/// Neither program drains: signals are passed on, and the child's end is the end.
fn terms(wrapper: &Wrapper) -> Terms {
    Terms {
        grace: Duration::ZERO,
        drain_delay: Duration::ZERO,
        until_idle: None,
        pre_stop: false,
        linger: Duration::ZERO,
        stop_signal: None,
        rewrites: wrapper.rewrites.clone(),
        clean_stop_ok: false,
        remap_exit: wrapper.expected.iter().map(|code| (*code, 0)).collect(),
        drains: false,
        child: true,
    }
}

fn tell(wrapper: &Wrapper, notice: &Notice<'_>) {
    let pid = u32::try_from(Pid::own().number()).unwrap_or_default();
    if let Some(line) = wrapper.line(pid, notice) {
        say(&line.text, line.to_stderr);
    }
}

fn say(text: &str, to_stderr: bool) {
    if to_stderr {
        descriptors::write_to_stderr(text.as_bytes());
    } else {
        super::print(text);
    }
}
