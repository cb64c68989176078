//! The names of the fields of a JSON event, as the collectors have published them: for stead's own events and for the
//! child's lines alike. The message is `message` in all of them.

use serde_json::Value;
use stead_lines::members::Label;

use crate::config::{Labels, LogSchema};

/// What a schema calls the fields that every event has.
#[derive(Debug)]
pub struct Schema {
    /// The key of the time.
    pub timestamp: &'static str,
    /// The key of the level.
    pub level: &'static str,
    /// The words for trace, debug, info, warn, error and fatal.
    pub words: [&'static str; 6],
    /// Fields of stead's own events that have a meaning in the schema which they do not bear, and what they are
    /// called instead.
    pub renamed: &'static [(&'static str, &'static str)],
}

/// stead's own.
pub const STEAD: Schema = Schema {
    timestamp: "timestamp",
    level: "level",
    words: ["trace", "debug", "info", "warn", "error", "fatal"],
    renamed: &[],
};

/// "ECS Logging", its spec.json (github.com/elastic/ecs-logging, spec/): `@timestamp`, `log.level` and `message` first,
/// dots in the names instead of objects. `error`, `file` and `group` are objects in ECS (elastic.co/guide/en/ecs/current,
/// "ECS Field Reference"): an index made after it rejects an event that has a text there.
const ECS: Schema = Schema {
    timestamp: "@timestamp",
    renamed: &[("error", "error.message"), ("file", "file.path"), ("group", "stead.group")],
    level: "log.level",
    ..STEAD
};

/// Google Cloud, "Structured logging", special fields in the message (cloud.google.com/logging/docs/structured-logging);
/// the words are those of `LogSeverity` (cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry), which has none
/// for trace.
const GCP: Schema = Schema {
    timestamp: "time",
    level: "severity",
    words: ["DEBUG", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"],
    renamed: &[],
};

/// Datadog, "Attributes and Aliasing", reserved attributes (docs.datadoghq.com/logs/log_configuration/attributes_naming_convention),
/// "Log Date Remapper" for `timestamp` and "Log Status Remapper" for the words of `status`
/// (docs.datadoghq.com/logs/log_configuration/processors). A check's `status` is no level.
const DATADOG: Schema = Schema {
    timestamp: "timestamp",
    level: "status",
    words: ["debug", "debug", "info", "warning", "error", "critical"],
    renamed: &[("status", "check_status")],
};

impl Schema {
    /// The schema that was chosen.
    pub const fn of(choice: LogSchema) -> &'static Self {
        match choice {
            LogSchema::Stead => &STEAD,
            LogSchema::Ecs => &ECS,
            LogSchema::Gcp => &GCP,
            LogSchema::Datadog => &DATADOG,
        }
    }

    /// The name of a field of one of stead's own events.
    pub fn field(&self, name: &'static str) -> &'static str {
        self.renamed.iter().find(|(own, _)| *own == name).map_or(name, |(_, other)| other)
    }
}

/// Keys of one label.
type Keys = &'static [&'static str];

/// The members that label each event, in their order. `stream` is the child's stream; stead's own events have none.
pub fn labels(choice: LogSchema, labels: &Labels, stream: Option<&'static str>) -> Vec<Label> {
    match choice {
        LogSchema::Stead => flat(
            [&["stream"], &["service"], &["instance"], &["environment"], &["app_version"]],
            labels,
            stream,
        ),
        LogSchema::Ecs => of_ecs(labels, stream),
        LogSchema::Gcp => of_gcp(labels, stream),
        // "Unified Service Tagging" (docs.datadoghq.com/getting_started/tagging/unified_service_tagging): `env`,
        // `service` and `version`.
        LogSchema::Datadog => flat(
            [
                &["stream"],
                &["service"],
                &["instance"],
                &["env", "dd.env"],
                &["version", "dd.version"],
            ],
            labels,
            stream,
        ),
    }
}

/// The stream, then the labels that are set, each under its own key.
fn flat(keys: [Keys; 5], labels: &Labels, stream: Option<&str>) -> Vec<Label> {
    let Labels { service, instance, environment, app_version } = labels;
    let values = [
        stream,
        service.as_deref(),
        Some(instance.as_str()),
        environment.as_deref(),
        app_version.as_deref(),
    ];
    let set = |(keys, value): (Keys, Option<&str>)| Some(label(keys, value?.into()));
    keys.into_iter().zip(values).filter_map(set).collect()
}

/// The keys of ECS Logging. A line may have the objects instead, which some of its libraries write.
fn of_ecs(labels: &Labels, stream: Option<&str>) -> Vec<Label> {
    // The version of ECS in which the last of these fields had come.
    let version = label(&["ecs.version", "ecs"], "8.11.0".into());
    let keys: [Keys; 5] = [
        &["stream"],
        &["service.name", "service"],
        &["service.node.name", "service"],
        &["service.environment", "service"],
        &["service.version", "service"],
    ];
    [version].into_iter().chain(flat(keys, labels, stream)).collect()
}

/// Cloud Logging takes labels out of one object of texts; Error Reporting wants the service in another one
/// (cloud.google.com/error-reporting/docs/formatting-error-messages).
fn of_gcp(labels: &Labels, stream: Option<&str>) -> Vec<Label> {
    let Labels { service, instance, environment, app_version } = labels;
    let object = |members: [(&str, Option<&str>); 3]| -> Value {
        members.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
    };
    let logging = object([
        ("stream", stream),
        ("instance", Some(instance)),
        ("environment", environment.as_deref()),
    ]);
    let mut all = vec![label(&["logging.googleapis.com/labels"], logging)];
    if service.is_some() || app_version.is_some() {
        let context = [
            ("service", service.as_deref()),
            ("version", app_version.as_deref()),
            ("resourceType", None),
        ];
        all.push(label(&["serviceContext"], object(context)));
    }
    all
}

fn label(keys: Keys, value: Value) -> Label {
    let own = keys.first().copied().unwrap_or_default();
    Label { keys, member: format!("{}:{value}", Value::from(own)) }
}
