//! The options of the commands that take stead's settings, up to the command that is to be started.

use std::ffi::{OsStr, OsString};

use lexopt::{Arg, Parser};

use crate::config::setting::{SETTINGS, Setting, suggestion};
use crate::config::{Flag, Mistake, text, value};

/// The settings that were given, and the command behind them, empty where there is none.
type Taken = (Vec<Flag>, Vec<OsString>);

/// Takes the options apart; none where the help was asked for. `own` says of a name whether it is an option of this one
/// command's.
pub(super) fn take(
    args: &[OsString],
    own: &mut dyn FnMut(&str) -> bool,
) -> Result<Option<Taken>, Mistake> {
    let mut parser = Parser::from_args(args);
    let mut flags = Vec::new();
    while let Some(arg) = parser.next().map_err(unreadable)? {
        match arg {
            Arg::Long("help") | Arg::Short('h') => return Ok(None),
            Arg::Value(command) => {
                let further = parser.raw_args().map_err(unreadable)?;
                return Ok(Some((flags, [command].into_iter().chain(further).collect())));
            }
            Arg::Long(name) if own(name) => {}
            Arg::Long(name) => {
                let setting = known_flag(name)?;
                flags.push(flag(&mut parser, setting)?);
            }
            Arg::Short(letter) => return Err(unknown_letter(letter)),
        }
    }
    Ok(Some((flags, Vec::new())))
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
    let value = if setting.may_stand_alone {
        let value = parser.optional_value().or_else(|| patience(parser, setting));
        value.unwrap_or_else(|| "on".into())
    } else {
        parser
            .value()
            .map_err(|_| Mistake::at(name.clone(), format!("wants a value, {}", setting.form)))?
    };
    Ok((setting.key, text(&name, value)?))
}

/// The time in `--wait 60s`: where `--wait` stands alone, what follows is the command, whose name is hardly a time.
fn patience(parser: &mut Parser, setting: &Setting) -> Option<OsString> {
    let is_time = |arg: &OsStr| arg.to_str().is_some_and(|arg| value::wait(arg).is_ok());
    parser.try_raw_args().filter(|_| setting.key == "wait")?.next_if(is_time)
}

fn unknown_letter(letter: char) -> Mistake {
    Mistake::at(format!("-{letter}"), "no such option (options are written out: see stead help)")
}

/// An option that is not text, or a switch with a value where none is taken.
fn unreadable(_: lexopt::Error) -> Mistake {
    Mistake::at("option", "cannot be read")
}
