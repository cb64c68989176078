//! The command line: argv to a command. What the options mean is `config`'s.

mod options;

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use crate::config::setting::{SETTINGS, suggestion};
use crate::config::value::{self, Patience};
use crate::config::{Flag, Mistake, Role};

/// What a command line asks for.
#[derive(Debug, Eq, PartialEq)]
pub enum Request {
    /// `stead run`: the options, and the command with its arguments.
    Run(Vec<Flag>, Vec<OsString>),
    /// `stead sidecar`: the options.
    Sidecar(Vec<Flag>),
    /// `stead check`.
    Check {
        /// Which group of checks is asked for.
        group: Group,
        /// Say nothing.
        quiet: bool,
    },
    /// `stead check URL...`.
    CheckUrls {
        /// What is checked.
        urls: Vec<OsString>,
        /// Say nothing.
        quiet: bool,
    },
    /// `stead check --all`.
    CheckAll {
        /// Say nothing.
        quiet: bool,
    },
    /// `stead wait`.
    Wait {
        /// What is waited for; the configuration's dependencies where there is none.
        urls: Vec<OsString>,
        /// How long.
        patience: Patience,
        /// What this process is then, if anything.
        command: Vec<OsString>,
    },
    /// `stead drain`.
    Drain {
        /// Come back when it is over.
        waits: bool,
        /// Say nothing.
        quiet: bool,
    },
    /// `stead config`.
    Config {
        /// Whose options they are.
        role: Role,
        /// The options, as `run` or `sidecar` would take them.
        flags: Vec<Flag>,
        /// As JSON.
        json: bool,
    },
    /// `stead install`.
    Install(PathBuf),
    /// Print a text and end well.
    Print(String),
}

/// The three questions that a platform asks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Group {
    /// Must it be replaced?
    Live,
    /// Can it serve?
    Ready,
    /// Has it started?
    Startup,
}

impl Group {
    /// `live`, `ready` or `startup`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Ready => "ready",
            Self::Startup => "startup",
        }
    }

    /// The path that answers it.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Live => "/livez",
            Self::Ready => "/readyz",
            Self::Startup => "/startupz",
        }
    }
}

/// What to say where a command is missing: the usual reason is a Dockerfile's.
const NO_COMMAND: &str = "no command to run. In a Dockerfile, setting ENTRYPOINT empties the base image's CMD and drops its \
    own entrypoint: repeat both, as in ENTRYPOINT [\"/stead\",\"run\",\"--\",\"/docker-entrypoint.sh\"] and CMD [\"nginx\",\"-g\",\"daemon off;\"]";

const COMMANDS: [&str; 8] =
    ["run", "sidecar", "check", "wait", "drain", "config", "install", "help"];

/// Reads the arguments after the program's name.
pub fn parse(args: &[OsString]) -> Result<Request, Mistake> {
    let Some((command, rest)) = args.split_first() else {
        return Err(Mistake::at("command", "none was given (see stead help)"));
    };
    match command.to_str() {
        Some("run") => parse_run(rest),
        Some("sidecar") => parse_sidecar(rest),
        Some("check") => parse_check(rest),
        Some("wait") => parse_wait(rest),
        Some("drain") => parse_drain(rest),
        Some("config") => parse_config(rest),
        Some("install") => parse_install(rest),
        Some("help" | "--help" | "-h") => Ok(Request::Print(usage())),
        Some("--version" | "-V") => Ok(Request::Print(version())),
        other => {
            let names = COMMANDS.iter().map(|name| (*name).to_owned());
            let hint = suggestion(other.unwrap_or_default(), names);
            Err(Mistake::at("command", format!("no such one{hint} (see stead help)")))
        }
    }
}

fn parse_run(rest: &[OsString]) -> Result<Request, Mistake> {
    match options::take(rest, &mut |_| false)? {
        None => Ok(Request::Print(usage())),
        Some((_, command)) if command.is_empty() => Err(Mistake::at("run", NO_COMMAND)),
        Some((flags, command)) => Ok(Request::Run(flags, command)),
    }
}

fn parse_sidecar(rest: &[OsString]) -> Result<Request, Mistake> {
    match options::take(rest, &mut |_| false)? {
        None => Ok(Request::Print(usage())),
        Some((flags, command)) if command.is_empty() => Ok(Request::Sidecar(flags)),
        Some(_) => Err(Mistake::at("sidecar", "takes no command (stead run -- CMD does)")),
    }
}

fn parse_config(rest: &[OsString]) -> Result<Request, Mistake> {
    let (mut json, mut role) = (false, Role::Wrapper);
    let mut own = |name: &str| {
        match name {
            "json" => json = true,
            "sidecar" => role = Role::Sidecar,
            _ => return false,
        }
        true
    };
    // The command of `run` may stand there, so that a whole command line can be looked at.
    let taken = options::take(rest, &mut own)?;
    Ok(taken.map_or_else(
        || Request::Print(usage()),
        |(flags, _)| Request::Config { role, flags, json },
    ))
}

fn parse_check(rest: &[OsString]) -> Result<Request, Mistake> {
    let (mut group, mut quiet, mut all, mut urls) = (None, false, false, Vec::new());
    for arg in rest {
        let named = match arg.to_str() {
            Some("-h" | "--help") => return Ok(Request::Print(usage())),
            Some("live") => Some(Group::Live),
            Some("ready") => Some(Group::Ready),
            Some("startup") => Some(Group::Startup),
            _ => None,
        };
        match arg.to_str() {
            _ if named.is_some() && group.is_some() => {
                return Err(Mistake::at("check", "more than one of live, ready and startup"));
            }
            _ if named.is_some() => group = named,
            Some("-q" | "--quiet") => quiet = true,
            Some("--all") => all = true,
            _ if is_like_a_url(arg) => urls.push(arg.clone()),
            _ => {
                let wrong = "not live, ready or startup, nor a URL, --all or -q";
                return Err(Mistake::at("check", wrong));
            }
        }
    }
    match (group, all, urls.is_empty()) {
        (group, false, true) => Ok(Request::Check { group: group.unwrap_or(Group::Live), quiet }),
        (None, true, true) => Ok(Request::CheckAll { quiet }),
        (None, false, false) => Ok(Request::CheckUrls { urls, quiet }),
        (None, true, false) => Err(Mistake::at("check", "either URLs or --all")),
        (Some(_), ..) => {
            let wrong = "live, ready and startup ask the running stead; a URL and --all do not";
            Err(Mistake::at("check", wrong))
        }
    }
}

fn parse_wait(rest: &[OsString]) -> Result<Request, Mistake> {
    let (mut urls, mut patience, mut command) = (Vec::new(), Patience::USUAL, Vec::new());
    let mut args = rest.iter();
    while let Some(arg) = args.next() {
        let timeout = arg.to_str().and_then(|arg| arg.strip_prefix("--timeout="));
        match arg.to_str() {
            Some("-h" | "--help") => return Ok(Request::Print(usage())),
            Some("--timeout") => patience = timeout_of(args.next().and_then(|arg| arg.to_str()))?,
            _ if timeout.is_some() => patience = timeout_of(timeout)?,
            Some("--") => {
                command = args.by_ref().cloned().collect();
                if command.is_empty() {
                    return Err(Mistake::at("wait", "no command behind --"));
                }
            }
            _ if is_like_a_url(arg) => urls.push(arg.clone()),
            _ => {
                let wrong = "not a URL, nor --timeout (a command stands behind --)";
                return Err(Mistake::at("wait", wrong));
            }
        }
    }
    Ok(Request::Wait { urls, patience, command })
}

fn parse_drain(rest: &[OsString]) -> Result<Request, Mistake> {
    let (mut waits, mut quiet) = (true, false);
    for arg in rest {
        match arg.to_str() {
            Some("-h" | "--help") => return Ok(Request::Print(usage())),
            Some("--no-wait") => waits = false,
            Some("-q" | "--quiet") => quiet = true,
            _ => return Err(Mistake::at("drain", "neither --no-wait nor -q")),
        }
    }
    Ok(Request::Drain { waits, quiet })
}

fn timeout_of(text: Option<&str>) -> Result<Patience, Mistake> {
    value::timeout(text.unwrap_or_default()).map_err(|wrong| Mistake::at("--timeout", wrong))
}

/// Whether it is meant as a URL; what is wrong with it is said by who reads it.
fn is_like_a_url(arg: &OsStr) -> bool {
    let bytes = arg.as_encoded_bytes();
    !bytes.starts_with(b"-") && bytes.contains(&b':')
}

fn parse_install(rest: &[OsString]) -> Result<Request, Mistake> {
    match rest {
        [help] if help == "--help" || help == "-h" => Ok(Request::Print(usage())),
        // A file of such a name can be asked for as ./--name.
        [path] if !path.is_empty() && !path.as_encoded_bytes().starts_with(b"-") => {
            Ok(Request::Install(path.into()))
        }
        _ => {
            Err(Mistake::at("install", "wants one path: a file, or a directory to put stead into"))
        }
    }
}

/// `stead 0.1.0`.
pub fn version() -> String {
    concat!("stead ", env!("CARGO_PKG_VERSION"), "\n").to_owned()
}

/// The help text, its options from the table of settings.
fn usage() -> String {
    let mut text = concat!(
        "stead ", env!("CARGO_PKG_VERSION"), ": PID 1 for any container\n\n",
        "  stead run [OPTIONS] -- CMD [ARG...]      start CMD, forward signals, drain, reap, serve /livez /readyz /startupz\n",
        "  stead sidecar [OPTIONS]                  the same for an app in another container: no CMD, nothing is started\n",
        "  stead check [live|ready|startup] [-q]    ask the running stead; exit 0 or 1 (HEALTHCHECK)\n",
        "  stead check [-q] URL...|--all            check these, or all that is configured, once and directly; exit 0 or 1\n",
        "  stead wait [URL...] [--timeout 60s] [-- CMD [ARG...]]\n",
        "                                           wait until these, or the required dependencies, are up; then become CMD\n",
        "  stead drain [--no-wait] [-q]             make the running stead not ready and wait until it is drained (preStop)\n",
        "  stead config [--json] [--sidecar] [OPTIONS]\n",
        "                                           the configuration as understood, and where each value came from\n",
        "  stead install PATH                       copy stead to PATH, for instance into a shared volume\n\n",
        "Each option is also a variable (--drain-delay: STEAD_DRAIN_DELAY) and a key of the file (drain_delay).\n",
        "Those marked * are of `stead run` alone.\n\n",
    )
    .to_owned();
    for setting in SETTINGS {
        let name = if setting.flag { setting.flag_name() } else { setting.variable() };
        let mark = if Role::Sidecar.takes(setting.key) { ' ' } else { '*' };
        let left = format!("{name} {}", setting.form);
        text.push_str(&format!(" {mark}{left:38} {} [{}]\n", setting.about, setting.default));
    }
    text
}

#[cfg(test)]
mod tests;
