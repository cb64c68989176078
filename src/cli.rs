//! The command line: argv to a command. What the options mean is `config`'s.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use lexopt::{Arg, Parser};

use crate::config::setting::{SETTINGS, Setting, suggestion};
use crate::config::{Flag, Mistake, text};

/// What a command line asks for.
#[derive(Debug, Eq, PartialEq)]
pub enum Request {
    /// `stead run`: the options, and the command with its arguments.
    Run(Vec<Flag>, Vec<OsString>),
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
    /// `stead config`.
    Config {
        /// The options, as `run` would take them.
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

const COMMANDS: [&str; 5] = ["run", "check", "config", "install", "help"];

/// Reads the arguments after the program's name.
pub fn parse(args: &[OsString]) -> Result<Request, Mistake> {
    let Some((command, rest)) = args.split_first() else {
        return Err(Mistake::at("command", "none was given (see stead help)"));
    };
    match command.to_str() {
        Some("run") => parse_run(rest),
        Some("check") => parse_check(rest),
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
    let mut parser = Parser::from_args(rest);
    let mut flags = Vec::new();
    while let Some(arg) = parser.next().map_err(unreadable)? {
        match arg {
            Arg::Long("help") | Arg::Short('h') => return Ok(Request::Print(usage())),
            Arg::Value(command) => {
                let further = parser.raw_args().map_err(unreadable)?;
                return Ok(Request::Run(flags, [command].into_iter().chain(further).collect()));
            }
            Arg::Long(name) => {
                let setting = known_flag(name)?;
                flags.push(flag(&mut parser, setting)?);
            }
            Arg::Short(letter) => return Err(unknown_letter(letter)),
        }
    }
    Err(Mistake::at("run", NO_COMMAND))
}

fn parse_config(rest: &[OsString]) -> Result<Request, Mistake> {
    let mut parser = Parser::from_args(rest);
    let (mut flags, mut json) = (Vec::new(), false);
    while let Some(arg) = parser.next().map_err(unreadable)? {
        match arg {
            Arg::Long("help") | Arg::Short('h') => return Ok(Request::Print(usage())),
            Arg::Long("json") => json = true,
            Arg::Long(name) => {
                let setting = known_flag(name)?;
                flags.push(flag(&mut parser, setting)?);
            }
            Arg::Short(letter) => return Err(unknown_letter(letter)),
            // The command of `run`, so that a whole command line can be looked at.
            Arg::Value(_) => break,
        }
    }
    Ok(Request::Config { flags, json })
}

fn parse_check(rest: &[OsString]) -> Result<Request, Mistake> {
    let (mut group, mut quiet, mut urls) = (None, false, Vec::new());
    for arg in rest {
        let named = match arg.to_str() {
            Some("-q" | "--quiet") => {
                quiet = true;
                continue;
            }
            Some("-h" | "--help") => return Ok(Request::Print(usage())),
            Some("live") => Group::Live,
            Some("ready") => Group::Ready,
            Some("startup") => Group::Startup,
            _ if is_like_a_url(arg) => {
                urls.push(arg.clone());
                continue;
            }
            _ => return Err(Mistake::at("check", "not live, ready or startup, nor a URL, nor -q")),
        };
        if group.replace(named).is_some() {
            return Err(Mistake::at("check", "more than one of live, ready and startup"));
        }
    }
    match (group, urls.is_empty()) {
        (group, true) => Ok(Request::Check { group: group.unwrap_or(Group::Live), quiet }),
        (None, false) => Ok(Request::CheckUrls { urls, quiet }),
        (Some(_), false) => {
            Err(Mistake::at("check", "a URL is checked directly, not by the running stead"))
        }
    }
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

fn known_flag(name: &str) -> Result<&'static Setting, Mistake> {
    let flag = format!("--{name}");
    let mut settings = SETTINGS.iter().filter(|setting| setting.flag);
    if let Some(setting) = settings.clone().find(|setting| setting.flag_name() == flag) {
        return Ok(setting);
    }
    let variable_only = SETTINGS.iter().find(|setting| setting.flag_name() == flag);
    let hint = match variable_only {
        Some(setting) => format!(
            "; it is a variable, {}, so that `stead check` in the same container sees it",
            setting.variable()
        ),
        None => suggestion(&flag, settings.by_ref().map(|setting| setting.flag_name())),
    };
    Err(Mistake::at(flag, format!("no such option{hint}")))
}

/// The flag's value; a switch may stand alone or as `--switch=on`.
fn flag(parser: &mut Parser, setting: &'static Setting) -> Result<Flag, Mistake> {
    let name = setting.flag_name();
    let value = if setting.is_switch() {
        parser.optional_value().unwrap_or_else(|| "on".into())
    } else {
        parser
            .value()
            .map_err(|_| Mistake::at(name.clone(), format!("wants a value, {}", setting.form)))?
    };
    Ok((setting.key, text(&name, value)?))
}

fn unknown_letter(letter: char) -> Mistake {
    Mistake::at(format!("-{letter}"), "no such option (options are written out: see stead help)")
}

/// An option that is not text, or a switch with a value where none is taken.
fn unreadable(_: lexopt::Error) -> Mistake {
    Mistake::at("option", "cannot be read")
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
        "  stead check [live|ready|startup] [-q]    ask the running stead; exit 0 or 1 (HEALTHCHECK)\n",
        "  stead check [-q] URL...                  check these once, directly; exit 0 or 1\n",
        "  stead config [--json] [OPTIONS]          the configuration as understood, and where each value came from\n",
        "  stead install PATH                       copy stead to PATH, for instance into a shared volume\n\n",
        "Each option is also a variable (--drain-delay: STEAD_DRAIN_DELAY) and a key of the file (drain_delay).\n\n",
    )
    .to_owned();
    for setting in SETTINGS {
        let name = if setting.flag { setting.flag_name() } else { setting.variable() };
        let left = format!("{name} {}", setting.form);
        text.push_str(&format!("  {left:38} {} [{}]\n", setting.about, setting.default));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(args: &[&str]) -> Result<Request, String> {
        let args: Vec<OsString> = args.iter().map(OsString::from).collect();
        parse(&args).map_err(|mistake| mistake.to_string())
    }

    fn run(flags: &[Flag], command: &[&str]) -> Result<Request, String> {
        Ok(Request::Run(flags.to_vec(), command.iter().map(OsString::from).collect()))
    }

    #[test]
    fn options_end_at_the_command_which_keeps_its_own() {
        assert_eq!(
            parsed(&["run", "--", "app", "-x", "--grace"]),
            run(&[], &["app", "-x", "--grace"])
        );
        assert_eq!(parsed(&["run", "app", "--", "-h"]), run(&[], &["app", "--", "-h"]));
        assert_eq!(parsed(&["run", "--", "--odd"]), run(&[], &["--odd"]));
        let flags = [("grace", "5s".to_owned()), ("signal_group", "on".to_owned())];
        assert_eq!(parsed(&["run", "--grace=5s", "--signal-group", "app"]), run(&flags, &["app"]));
    }

    #[test]
    fn a_switch_can_be_switched_off() {
        assert_eq!(
            parsed(&["run", "--app-live=off", "app"]),
            run(&[("app_live", "off".to_owned())], &["app"])
        );
    }

    #[test]
    fn mistakes_say_what_would_be_right() {
        for (args, part) in [
            (vec!["run", "--"], "ENTRYPOINT empties the base image's CMD"),
            (vec!["run", "--grcae", "5s", "app"], "--grcae: no such option; did you mean --grace?"),
            (vec!["run", "--listen", "80", "app"], "STEAD_LISTEN"),
            (vec!["run", "--grace"], "--grace: wants a value, DURATION"),
            (vec!["run", "-g", "app"], "-g: no such option"),
            (vec!["chekc"], "did you mean check?"),
            (vec!["check", "alive"], "not live, ready or startup"),
            (vec!["check", "live", "ready"], "more than one"),
            (vec!["install"], "wants one path"),
            (vec!["install", "--mode"], "wants one path"),
            (vec![], "none was given"),
        ] {
            let said = parsed(&args).unwrap_err();
            assert!(said.contains(part), "{args:?}: {said}");
        }
    }

    #[test]
    fn check_means_live_unless_it_is_told_otherwise() {
        assert_eq!(parsed(&["check"]), Ok(Request::Check { group: Group::Live, quiet: false }));
        assert_eq!(
            parsed(&["check", "ready", "-q"]),
            Ok(Request::Check { group: Group::Ready, quiet: true })
        );
    }

    #[test]
    fn the_help_names_every_setting() {
        let help = usage();
        for setting in SETTINGS {
            assert!(help.contains(&setting.flag_name()) || help.contains(&setting.variable()));
        }
    }
}
