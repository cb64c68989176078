//! An event as a line: a JSON object, or text for a person.

use std::fmt;
use std::time::SystemTime;

use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::config::Labels;

/// The form of a line.
pub enum Format {
    /// One JSON object: timestamp, level, message, the event's fields, then these labels.
    Json(Labels),
    /// `HH:MM:SS level stead: message key=value`, in UTC.
    Text {
        /// Whether the terminal shows colours.
        colours: bool,
    },
}

/// The fields of one event in their order; `message` first, because tracing puts it there.
#[derive(Default)]
struct Fields(Vec<(&'static str, Value)>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.push((field.name(), format!("{value:?}").into()));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.push((field.name(), value.into()));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.push((field.name(), value.into()));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.push((field.name(), value.into()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.push((field.name(), value.into()));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // Milliseconds are all that the durations in the log are good for.
        self.0.push((field.name(), ((value * 1e3).round() / 1e3).into()));
    }
}

impl Fields {
    fn of(event: &Event<'_>) -> Self {
        let mut fields = Self::default();
        event.record(&mut fields);
        fields
    }
}

/// The level in lower case, as most collectors write it.
fn level_name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

impl<S, N> FormatEvent<S, N> for Format
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut to: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let (level, fields) = (*event.metadata().level(), Fields::of(event));
        match self {
            Self::Json(labels) => write_json(&mut to, level, &fields, labels),
            Self::Text { colours } => write_text(&mut to, level, &fields, *colours),
        }
    }
}

fn write_json(to: &mut Writer<'_>, level: Level, fields: &Fields, labels: &Labels) -> fmt::Result {
    let timestamp = humantime::format_rfc3339_micros(SystemTime::now()).to_string();
    let mut separator = '{';
    let mut member = |name: &str, value: &Value| {
        let name = Value::from(name);
        write!(to, "{separator}{name}:{value}")?;
        separator = ',';
        Ok(())
    };
    member("timestamp", &timestamp.into())?;
    member("level", &level_name(level).into())?;
    for (name, value) in &fields.0 {
        member(name, value)?;
    }
    for (name, label) in labels_in_order(labels) {
        member(name, &label.into())?;
    }
    to.write_str("}\n")
}

/// The labels that are set.
fn labels_in_order(labels: &Labels) -> impl Iterator<Item = (&'static str, &str)> {
    let Labels { service, instance, environment, app_version } = labels;
    let all = [
        ("service", service.as_deref()),
        ("instance", Some(instance.as_str())),
        ("environment", environment.as_deref()),
        ("app_version", app_version.as_deref()),
    ];
    all.into_iter().filter_map(|(name, label)| Some((name, label?)))
}

fn write_text(to: &mut Writer<'_>, level: Level, fields: &Fields, colours: bool) -> fmt::Result {
    let timestamp = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let time = timestamp.get(11..19).unwrap_or_default();
    let (colour, dim, plain) = match level {
        _ if !colours => ("", "", ""),
        Level::ERROR => ("\x1b[31m", "\x1b[2m", "\x1b[0m"),
        Level::WARN => ("\x1b[33m", "\x1b[2m", "\x1b[0m"),
        _ => ("\x1b[32m", "\x1b[2m", "\x1b[0m"),
    };
    write!(to, "{dim}{time}{plain} {colour}{}{plain} stead:", level_name(level))?;
    for (name, value) in &fields.0 {
        match value {
            Value::String(text) if *name == "message" => write!(to, " {}", text.escape_debug())?,
            Value::String(text) if is_bare(text) => write!(to, " {dim}{name}={plain}{text}")?,
            value => write!(to, " {dim}{name}={plain}{value}")?,
        }
    }
    to.write_str("\n")
}

/// Whether a text needs no quotes to be read as one value.
fn is_bare(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'=')
}
