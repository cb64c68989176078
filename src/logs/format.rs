//! An event as a line: a JSON object, or text for a person.

use std::fmt;
use std::time::SystemTime;

use serde_json::Value;
use stead_lines::members::Label;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::schema::{self, STEAD, Schema};
use crate::config::{Labels, LogSchema};

/// The form of a line.
pub enum Format {
    /// One JSON object: timestamp, level, message, the event's fields, then these labels.
    Json(&'static Schema, Vec<Label>),
    /// `HH:MM:SS level stead: message key=value`, in UTC.
    Text {
        /// Whether the terminal shows colours.
        colours: bool,
    },
}

impl Format {
    /// JSON with the names of this schema.
    pub fn json(schema: LogSchema, labels: &Labels) -> Self {
        Self::Json(Schema::of(schema), schema::labels(schema, labels, None))
    }
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
            Self::Json(schema, labels) => write_json(&mut to, level, &fields, (schema, labels)),
            Self::Text { colours } => write_text(&mut to, level, &fields, *colours),
        }
    }
}

fn write_json(
    to: &mut Writer<'_>,
    level: Level,
    fields: &Fields,
    (schema, labels): (&Schema, &[Label]),
) -> fmt::Result {
    let timestamp = humantime::format_rfc3339_micros(SystemTime::now());
    write!(to, "{{\"{}\":\"{timestamp}\"", schema.timestamp)?;
    write!(to, ",\"{}\":\"{}\"", schema.level, word(schema, level))?;
    for (name, value) in &fields.0 {
        write!(to, ",{}:{value}", Value::from(schema.field(name)))?;
    }
    for label in labels {
        write!(to, ",{}", label.member)?;
    }
    to.write_str("}\n")
}

/// The schema's word for a level.
fn word(schema: &Schema, level: Level) -> &'static str {
    let [trace, debug, info, warn, error, _] = schema.words;
    match level {
        Level::TRACE => trace,
        Level::DEBUG => debug,
        Level::INFO => info,
        Level::WARN => warn,
        Level::ERROR => error,
    }
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
    write!(to, "{dim}{time}{plain} {colour}{}{plain} stead:", word(&STEAD, level))?;
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

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The line of an event whose fields have a meaning of their own in some schema, without the time's digits.
    fn line(schema: LogSchema) -> String {
        let labels = Labels {
            service: Some("api".to_owned()),
            instance: "api-1".to_owned(),
            environment: Some("production".to_owned()),
            app_version: Some("1.2".to_owned()),
        };
        let written = Written::default();
        let writer = written.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .event_format(Format::json(schema, &labels))
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(
                status = "down",
                error = "a \"b\"",
                file = 1,
                elapsed_s = 1.23456,
                "check changed"
            );
        });
        let line = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        let (before, after) = line.split_once(":\"20").unwrap();
        let (_, after) = after.split_once("Z\"").unwrap();
        format!("{before}:TIME{after}")
    }

    #[test]
    fn an_event_has_the_names_of_its_schema() {
        let expected = [
            (
                LogSchema::Stead,
                r#"{"timestamp":TIME,"level":"warn","message":"check changed","status":"down","error":"a \"b\"","file":1,"elapsed_s":1.235,"service":"api","instance":"api-1","environment":"production","app_version":"1.2"}"#,
            ),
            (
                LogSchema::Ecs,
                r#"{"@timestamp":TIME,"log.level":"warn","message":"check changed","status":"down","error.message":"a \"b\"","file.path":1,"elapsed_s":1.235,"ecs.version":"8.11.0","service.name":"api","service.node.name":"api-1","service.environment":"production","service.version":"1.2"}"#,
            ),
            (
                LogSchema::Gcp,
                r#"{"time":TIME,"severity":"WARNING","message":"check changed","status":"down","error":"a \"b\"","file":1,"elapsed_s":1.235,"logging.googleapis.com/labels":{"environment":"production","instance":"api-1"},"serviceContext":{"service":"api","version":"1.2"}}"#,
            ),
            (
                LogSchema::Datadog,
                r#"{"timestamp":TIME,"status":"warning","message":"check changed","check_status":"down","error":"a \"b\"","file":1,"elapsed_s":1.235,"service":"api","instance":"api-1","env":"production","version":"1.2"}"#,
            ),
        ];
        for (schema, expected) in expected {
            assert_eq!(line(schema), format!("{expected}\n"));
        }
    }
}
