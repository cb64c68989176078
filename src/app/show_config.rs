//! `stead config`: the configuration as understood, and where each value came from; secrets masked.

use serde_json::Value;

use super::{Failure, configure, print};
use crate::config::{Config, Flag, Role, Row, Shown};
use crate::exit::Exit;

/// Prints it, and starts nothing.
pub(super) fn run(role: Role, flags: &[Flag], json: bool) -> Result<Exit, Failure> {
    let config = configure(role, flags)?;
    let text = if json { as_json(&config) } else { as_text(&config) };
    Ok(print(&text))
}

/// A list of settings and checks, all with `key`, `value` and `from`; checks have `options` too.
fn as_json(config: &Config) -> String {
    let settings = config.rows.iter().map(serde_json::to_value);
    let checks = config.shown.iter().map(serde_json::to_value);
    let list: Vec<Value> = settings.chain(checks).filter_map(Result::ok).collect();
    serde_json::to_string_pretty(&list).unwrap_or_default() + "\n"
}

fn as_text(config: &Config) -> String {
    let width = |text: &str| text.chars().count();
    let keys = config.rows.iter().map(|row| row.key).chain(config.shown.iter().map(|c| &*c.key));
    let first = keys.map(width).max().unwrap_or_default();
    let values = config.rows.iter().map(|row| &row.value);
    let second = values.chain(config.shown.iter().map(|check| &check.value));
    let second = second.map(|value| width(value)).max().unwrap_or_default();
    let line =
        |key: &str, value: &str, from: &str| format!("{key:first$}  {value:second$}  {from}\n");
    let setting = |row: &Row| line(row.key, &row.value, &row.from);
    let check = |check: &Shown| {
        let options: Vec<String> =
            check.options.iter().map(|(name, text)| format!("{name}={text}")).collect();
        line(&check.key, &check.value, &check.from) + &format!("  {}\n", options.join(" "))
    };
    let mut text: String = config.rows.iter().map(setting).collect();
    text.extend(config.shown.iter().map(check));
    for (variable, wrong) in &config.ignored {
        text.push_str(&format!("{variable} is ignored: {wrong}\n"));
    }
    text
}
