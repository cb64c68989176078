//! The only place that wires the parts together, and that knows them all.

mod stand_in;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::watch;
use tracing::{info, warn};

use crate::check::monitor::Schedule;
use crate::check::registry::{Check, Registry};
use crate::check::{HttpTarget, Target, TcpTarget};
use crate::cli::{self, Request};
use crate::client;
use crate::compat;
use crate::config::{App, Config, Environment, Flag, Listen, Mistake};
use crate::exit::Exit;
use crate::http::{self, View};
use crate::install::install;
use crate::logs;
use crate::supervisor::child::{CannotRun, Command};
use crate::supervisor::lifecycle::KILL_PATIENCE;
use crate::supervisor::{Phase, Started, Supervisor, Wrapping};
use crate::sys::names;
use crate::sys::process::{self, Pid};
use crate::sys::signals::{self, Inherited, SignalFd};
use crate::sys::{self, descriptors};

/// How long the last lines of the log are waited for: a reader that is stuck must not hold up the end.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// Why nothing was started.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Mistake(#[from] Mistake),
    #[error("STEAD_LISTEN: cannot listen on {address}: {error}{}", hint(error))]
    Listen { address: String, error: io::Error },
    #[error(transparent)]
    Child(#[from] CannotRun),
    #[error("cannot {what}: {error}")]
    System { what: &'static str, error: io::Error },
}

/// What to do about a port that is taken.
fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => " (name another port, or off)",
        _ => "",
    }
}

impl Failure {
    fn exit(&self) -> Exit {
        match self {
            Self::Mistake(_) => Exit::USAGE,
            Self::Child(error) => error.exit,
            Self::Listen { .. } | Self::System { .. } => Exit::FAILURE,
        }
    }

    /// A system call's failure, as what stead was about to do.
    fn system(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::System { what, error }
    }
}

/// Everything that stead does, from its arguments (the program's name first) to its exit code.
pub fn main(args: &[OsString]) -> Exit {
    let (name, rest) =
        args.split_first().map_or((OsString::new(), args), |(name, rest)| (name.clone(), rest));
    if let Some(style) = compat::style_of(&name) {
        return stand_in::run(style, rest);
    }
    // Checked before all else, because it runs every few seconds in every container.
    let is_check = rest.first().is_some_and(|command| command == "check");
    let inherited = if is_check { None } else { Some(signals::block_all()) };
    let result = match (cli::parse(rest), inherited) {
        (Ok(Request::Check { group, quiet }), _) => return check(group, quiet),
        (Err(mistake), None) => Err((mistake.into(), Exit::FAILURE)),
        (Err(mistake), _) => Err((Failure::from(mistake), Exit::USAGE)),
        (Ok(request), inherited) => obey(request, inherited).map_err(|failure| {
            let exit = failure.exit();
            (failure, exit)
        }),
    };
    result.unwrap_or_else(|(failure, exit)| {
        say(&failure);
        exit
    })
}

/// The one line of a failure; a name in it that holds a line break does not make it two.
fn say(failure: &dyn std::fmt::Display) {
    let line = format!("stead: {failure}").replace(char::is_control, "?");
    descriptors::write_to_stderr(format!("{line}\n").as_bytes());
}

fn obey(request: Request, inherited: Option<io::Result<Inherited>>) -> Result<Exit, Failure> {
    match request {
        Request::Run(flags, command) => {
            let inherited = inherited
                .unwrap_or_else(signals::block_all)
                .map_err(Failure::system("block signals"))?;
            run(&flags, &command, &inherited)
        }
        Request::Config { flags, json } => show_config(&flags, json),
        Request::Install(path) => Ok(match install(&path) {
            Ok(target) => print(&format!("installed {}\n", target.display())),
            Err(error) => {
                say(&error);
                Exit::FAILURE
            }
        }),
        Request::Print(text) => Ok(print(&text)),
        Request::Check { group, quiet } => Ok(check(group, quiet)),
    }
}

/// Prints what a command was asked for; a reader that is gone does not make it fail.
fn print(text: &str) -> Exit {
    let mut out = io::stdout();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    Exit::OK
}

/// `stead run`, in its fixed order: signals (blocked by now), configuration, subreaper, port, child.
fn run(flags: &[Flag], command: &[OsString], inherited: &Inherited) -> Result<Exit, Failure> {
    sys::keep_one_heap();
    let passed = descriptors::beyond_standard();
    descriptors::occupy_closed_standard_streams();
    let queue = SignalFd::open().map_err(Failure::system("open the queue of signals"))?;
    let config = Config::load(flags, &environment(), &read_file)?;
    logs::init(config.events, config.labels.clone());
    let own = Pid::own();
    if let Some(error) = (!own.is_init()).then(process::become_subreaper).and_then(Result::err) {
        warn!(%error, "orphans are not adopted");
    }
    let command = Command::new(command)?;
    let listener = http::bind(config.listen).map_err(|error| {
        let address = match config.listen {
            Listen::At(address) => address.to_string(),
            listen => format!("[::]:{}", listen.port().unwrap_or_default()),
        };
        Failure::Listen { address, error }
    })?;
    log_start(&config, own, listener.as_ref());
    let (phase, watched) = watch::channel(Phase::Starting);
    logs::writer::start().map_err(Failure::system("start the thread of the log"))?;
    if let Some(listener) = listener {
        let (checks, labels, details) = (checks(&config.app), config.labels, config.details);
        serve(async move {
            let view = View { phase: watched, registry: Registry::start(checks), labels, details };
            http::serve(listener, view).await
        })?;
    }
    let wrapping = Wrapping { group: config.signal_group, ..Wrapping::default() };
    let supervisor = Supervisor { signals: &queue, inherited, passed, wrapping, phase };
    let started = supervisor.start(&command, config.terms)?;
    logs::writer::release();
    let exit = match started {
        Started::Running(running) => running.run(),
        Started::Over(exit) => exit,
    };
    logs::writer::flush(LAST_WORDS);
    Ok(exit)
}

/// Starts the second thread: the endpoints and the checks, none of which the supervisor ever waits for.
fn serve(endpoints: impl Future<Output = io::Result<()>> + Send + 'static) -> Result<(), Failure> {
    let build = || -> io::Result<Runtime> {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(16)
            .thread_keep_alive(Duration::from_secs(1))
            .build()
    };
    let runtime = build().map_err(Failure::system("start the endpoints"))?;
    names::use_files_and_dns_only();
    let work = move || {
        if let Err(error) = runtime.block_on(endpoints) {
            warn!(%error, "endpoints ended");
        }
    };
    let thread = std::thread::Builder::new().name("stead-http".to_owned()).stack_size(512 * 1024);
    thread.spawn(work).map(drop).map_err(Failure::system("start the thread of the endpoints"))
}

/// The app's own checks.
fn checks(app: &App) -> Vec<Check> {
    let check = |name: &str, target| Check {
        name: name.to_owned(),
        target,
        schedule: Schedule::default(),
        required: true,
        live: app.live,
        startup: true,
    };
    let port = app.port.map(|port| check("app", Target::Tcp(TcpTarget::on_loopback(port))));
    let url = app.url.as_ref().map(|url| check("app-url", Target::Http(HttpTarget::new(url))));
    port.into_iter().chain(url).collect()
}

fn log_start(config: &Config, own: Pid, listener: Option<&std::net::TcpListener>) {
    for (variable, reason) in &config.ignored {
        warn!(variable, reason, "setting ignored");
    }
    let listen =
        listener.and_then(|l| l.local_addr().ok()).map_or("off".to_owned(), |at| at.to_string());
    let app = match (config.app.port, &config.app.url) {
        _ if listen == "off" => "none: the endpoints are off",
        (Some(_), Some(_)) => "app app-url",
        (Some(_), None) => "app",
        (None, Some(_)) => "app-url",
        (None, None) => "none: readiness knows nothing of the app",
    };
    let grace = config.terms.grace;
    info!(
        version = env!("CARGO_PKG_VERSION"),
        pid = own.number(),
        pid1 = own.is_init(),
        listen,
        app,
        grace_s = grace.as_secs_f64(),
        drain_delay_s = config.terms.drain_delay.as_secs_f64(),
        stop_timeout_s = (grace + KILL_PATIENCE).as_secs_f64(),
        "starting"
    );
}

/// The process's environment as data.
fn environment() -> Environment {
    let host_name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    Environment::new(std::env::vars_os(), host_name.trim().to_owned())
}

fn read_file(path: &Path) -> io::Result<String> {
    std::fs::read_to_string(path)
}

fn show_config(flags: &[Flag], json: bool) -> Result<Exit, Failure> {
    let config = Config::load(flags, &environment(), &read_file)?;
    if json {
        let rows = serde_json::to_string_pretty(&config.rows).unwrap_or_default();
        return Ok(print(&(rows + "\n")));
    }
    let widest = config.rows.iter().map(|row| row.value.chars().count()).max().unwrap_or_default();
    let line =
        |row: &crate::config::Row| format!("{:14} {:widest$}  {}\n", row.key, row.value, row.from);
    let mut text: String = config.rows.iter().map(line).collect();
    for (variable, wrong) in &config.ignored {
        text.push_str(&format!("{variable} is ignored: {wrong}\n"));
    }
    Ok(print(&text))
}

/// `stead check`: 0 or 1 and nothing else, whatever is wrong.
fn check(group: cli::Group, quiet: bool) -> Exit {
    signals::ignore_broken_pipes();
    let outcome = match Config::load_listen(&environment(), &read_file) {
        Ok(listen) => client::ask(group, listen),
        Err(mistake) => client::Outcome::failed(group, mistake),
    };
    if !quiet {
        print(&format!("{}\n", outcome.line));
    }
    if outcome.ok { Exit::OK } else { Exit::FAILURE }
}
