//! What becomes of the command's output: as it is, or each line as a JSON object.

use regex_lite::Regex;

use super::sources::Sources;
use super::value::Wrong;
use super::{Labels, Mistake};

/// How the command's output goes through.
#[derive(Clone, Debug)]
pub struct Output {
    /// As it is, or as JSON.
    pub logs: Logs,
    /// Colours and other sequences for terminals are taken out of messages.
    pub strip_ansi: bool,
    /// The lines of one stack trace become one event.
    pub join_traces: bool,
    /// What of messages becomes `[redacted]`.
    pub redact: Vec<Regex>,
    /// The values of the environment's secrets are redacted too.
    pub redact_secrets: bool,
    /// A reader that stalls loses lines, and does not hold the command back.
    pub drop: bool,
}

/// The form of the command's output.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Logs {
    /// The command writes to stead's own streams.
    #[default]
    Raw,
    /// Each line is one JSON object.
    Json,
    /// JSON but on a terminal and in development.
    Auto,
}

impl Logs {
    /// Whether a stream goes out as JSON.
    pub fn is_json(self, is_terminal: bool, labels: &Labels) -> bool {
        let develops = || {
            let environment = labels.environment.as_deref().unwrap_or_default();
            ["development", "dev"].iter().any(|name| environment.eq_ignore_ascii_case(name))
        };
        match self {
            Self::Raw => false,
            Self::Json => true,
            Self::Auto => !is_terminal && !develops(),
        }
    }
}

impl Sources {
    pub(super) fn output(&mut self) -> Result<Output, Mistake> {
        let logs = self.one("logs", logs)?.unwrap_or_default();
        self.show("logs", format!("{logs:?}").to_lowercase());
        let strip_ansi = self.switch("strip_ansi", false)?;
        let join_traces = self.switch("join_traces", false)?;
        let redact = self.all("redact", regex)?;
        // What is looked for can be the secret itself.
        let shown = match redact.len() {
            0 => "none".to_owned(),
            1 => "1 expression".to_owned(),
            count => format!("{count} expressions"),
        };
        self.show("redact", shown);
        let redact_secrets = self.switch("redact_secrets", false)?;
        let drop = self.switch("log_drop", false)?;
        Ok(Output { logs, strip_ansi, join_traces, redact, redact_secrets, drop })
    }
}

/// `raw`, `json` or `auto`.
fn logs(text: &str) -> Result<Logs, Wrong> {
    match text.trim() {
        "raw" => Ok(Logs::Raw),
        "json" => Ok(Logs::Json),
        "auto" => Ok(Logs::Auto),
        _ => Err("none of raw, json and auto".to_owned()),
    }
}

/// A regular expression, which must not fit nothing at all.
fn regex(text: &str) -> Result<Regex, Wrong> {
    let regex = Regex::new(text).map_err(|error| format!("not a regular expression: {error}"))?;
    if regex.is_match("") {
        return Err("a regular expression that fits everywhere, for it fits nothing too".to_owned());
    }
    Ok(regex)
}
