//! stead's own log: each line is one of the events of the README's table, with its fields and no others.

use std::sync::LazyLock;

use serde_json::{Map, Value};

use crate::harness::{LIMIT, Place, Running, Stead, sys, until};

/// What a field holds.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Text,
    Whole,
    Seconds,
    Bool,
    /// A signal's name without `SIG`.
    Signal,
    OneOf(&'static [&'static str]),
}

use Kind::{Bool, OneOf, Seconds, Signal, Text, Whole};

const PHASES: [&str; 7] =
    ["starting", "standby", "running", "quiescing", "draining", "killing", "finished"];
const STATUSES: [&str; 4] = ["up", "degraded", "down", "unknown"];

/// What the field of this name holds in an event.
fn kind_of(message: &str, field: &str) -> Kind {
    match field {
        "signal" | "received" => Signal,
        "group" | "pid1" => Bool,
        "phase" => OneOf(&PHASES),
        "from" if message == "phase changed" => OneOf(&PHASES),
        "from" | "status" => OneOf(&STATUSES),
        "connections" | "idle_connections" | "fence" | "key" => Whole,
        "pid" | "from_pid" | "code" | "killed" | "count" | "bytes" | "attempts" => Whole,
        name if name.ends_with("_s") || name.ends_with("_ms") => Seconds,
        _ => Text,
    }
}

/// An event: its message, its levels, the fields that it always has, and those that it may have.
#[derive(Debug)]
struct Event {
    message: &'static str,
    levels: Vec<&'static str>,
    fields: Vec<&'static str>,
    further: Vec<&'static str>,
}

/// The README's table.
static EVENTS: LazyLock<Vec<Event>> = LazyLock::new(|| {
    let readme = include_str!("../README.md");
    let (_, section) =
        readme.split_once("\n## Log events\n").expect("a section of the log's events");
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    rows.map(event_of_row).collect()
});

/// Reads a row `| message | level | fields |`. A field is there always unless its clause has a
/// "where": a clause goes to the next comma, after a semicolon to the end.
fn event_of_row(row: &'static str) -> Event {
    let cells: Vec<_> = row.trim_matches('|').split(" | ").collect();
    let levels = ["off", "error", "warn", "info", "debug"];
    let known = |word: &&str| levels.contains(word);
    let mut event = Event {
        message: quoted(cells[0])[0],
        levels: cells[1].split(|c: char| !c.is_ascii_lowercase()).filter(known).collect(),
        fields: Vec::new(),
        further: Vec::new(),
    };
    let (commas, rest) = cells[2].split_once(';').unwrap_or((cells[2], ""));
    for clause in commas.split(", ").chain([rest]) {
        let fields = if clause.contains("where") { &mut event.further } else { &mut event.fields };
        fields.extend(quoted(clause));
    }
    event
}

/// What stands between backticks.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The labels that may follow an event's own fields; the instance is always there.
const LABELS: [&str; 4] = ["service", "instance", "environment", "app_version"];

impl Kind {
    fn holds(self, value: &Value) -> bool {
        match self {
            Text => value.as_str().is_some_and(|text| !text.is_empty()),
            Whole => value.is_u64(),
            Seconds => value.as_f64().is_some_and(|seconds| seconds >= 0.0),
            Bool => value.is_boolean(),
            Signal => value.as_str().is_some_and(|name| {
                name.parse::<stead::signal::Signal>().is_ok() && !name.starts_with("SIG")
            }),
            OneOf(texts) => value.as_str().is_some_and(|text| texts.contains(&text)),
        }
    }
}

/// What is wrong with a line, if anything is.
pub fn wrong_with(line: &str) -> Option<String> {
    let event: Map<String, Value> = match serde_json::from_str(line) {
        Ok(event) => event,
        Err(error) => return Some(format!("is no JSON object: {error}")),
    };
    let text = |name: &str| event.get(name).and_then(Value::as_str).unwrap_or_default();
    let Some(known) = EVENTS.iter().find(|known| known.message == text("message")) else {
        return Some("is none of the events".to_owned());
    };
    if !known.levels.contains(&text("level")) {
        return Some(format!("has another level than {:?}", known.levels));
    }
    if humantime::parse_rfc3339(text("timestamp")).is_err() {
        return Some("has no RFC 3339 time".to_owned());
    }
    if let Some(name) = known.fields.iter().find(|name| !event.contains_key(**name)) {
        return Some(format!("has no {name}"));
    }
    if !event.contains_key("instance") {
        return Some("has no instance".to_owned());
    }
    event.iter().find_map(|(name, value)| {
        let name = name.as_str();
        let own = known.fields.iter().chain(&known.further).any(|field| *field == name);
        if !own && !LABELS.contains(&name) && !["timestamp", "level", "message"].contains(&name) {
            return Some(format!("has a field that is not promised: {name}"));
        }
        let kind = kind_of(known.message, name);
        (!kind.holds(value)).then(|| format!("has a {name} that is no {kind:?}"))
    })
}

/// Checks every line, and gives the events.
fn checked(stead: &Running) -> Vec<Value> {
    for line in stead.stderr() {
        if let Some(wrong) = wrong_with(&line) {
            panic!("this line {wrong}\n{line}");
        }
    }
    stead.events()
}

/// The messages of a run, each once.
fn messages(events: &[Value]) -> Vec<&str> {
    let mut messages: Vec<_> = events.iter().filter_map(|e| e["message"].as_str()).collect();
    messages.sort_unstable();
    messages.dedup();
    messages
}

/// What stead has to say of an eventful run: all but what takes a failing system or a stuck reader.
const TOLD: [&str; 14] = [
    "starting",
    "child started",
    "signal forwarded",
    "signal dropped",
    "phase changed",
    "drain started",
    "stop signal sent",
    "drain ended",
    "straggler signalled",
    "straggler killed",
    "child ended",
    "finished",
    "check changed",
    "setting ignored",
];

/// Runs through nearly all that stead can have to say.
fn eventful(place: Place) -> Running {
    let script = "setsid print_signals --name obedient --exit-on 15:0 >/dev/null & \
                  setsid print_signals --name stubborn >/dev/null & sleep 0.3; \
                  exec print_signals --exit-on 15:3";
    let mut stead = Stead::script(script)
        .options(["--drain-delay", "200ms", "--grace", "1500ms", "--log-level", "debug"])
        .options([
            "--rewrite",
            "USR1:USR2",
            "--rewrite",
            "URG:0",
            "--app-url",
            "http://127.0.0.1:1/",
        ])
        .env("SERVICE_NAME", "api")
        .env("INSTANCE_ID", "api-1")
        .env("NODE_ENV", "production")
        .env("APP_VERSION", "1.2.3")
        .env("PORT", "not a port")
        .listening()
        .place(place)
        .start();
    stead.wait_ready();
    for signal in [libc::SIGHUP, libc::SIGUSR1, libc::SIGURG, libc::SIGWINCH, libc::SIGRTMIN() + 1]
    {
        stead.signal(signal);
    }
    stead.wait_for_event("check changed", LIMIT);
    stead.signal(libc::SIGTERM);
    assert_eq!(stead.wait_exit(LIMIT), 3);
    stead
}

#[test]
fn every_line_is_an_event_of_the_table_with_exactly_its_fields() {
    for place in Place::BOTH {
        let stead = eventful(place);
        let events = checked(&stead);
        let told = messages(&events);
        for message in TOLD {
            assert!(told.contains(&message), "no `{message}`, {place:?}");
        }
        for event in &events {
            for (label, value) in LABELS.iter().zip(["api", "api-1", "production", "1.2.3"]) {
                assert_eq!(event[*label], value, "{event}");
            }
        }
    }
}

#[test]
fn the_log_begins_and_ends_as_promised() {
    for place in Place::BOTH {
        let stead = eventful(place);
        let events = checked(&stead);
        let starting = events.iter().find(|e| e["message"] == "starting").expect("the start");
        assert_eq!(starting["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(starting["pid"], stead.pid_inside());
        assert_eq!(starting["pid1"], place == Place::Pid1);
        assert_eq!(starting["grace_s"].as_f64(), Some(1.5));
        assert_eq!(starting["stop_timeout_s"].as_f64(), Some(6.5));
        assert_eq!(starting["listen"], format!("127.0.0.1:{}", stead.port()));
        assert_eq!(starting["app"], "app-url");
        assert_eq!(events.last().expect("a last one")["message"], "finished");
        assert_eq!(events.last().expect("a last one")["code"], 3);
    }
}

#[test]
fn an_events_own_fields_stand_between_the_common_ones_and_the_labels() {
    let stead = eventful(Place::Subreaper);
    for line in stead.stderr() {
        // The order as it is written: the parsed form may have another.
        let event: Map<String, Value> = serde_json::from_str(&line).expect("an event");
        let place_of = |name: &str| line.find(&format!("\"{name}\":")).expect("the field");
        let common = ["timestamp", "level", "message"].map(place_of);
        assert!(common.is_sorted(), "{line}");
        let labels = LABELS.map(place_of);
        let known = EVENTS.iter().find(|known| event["message"] == known.message).expect("known");
        let own = known.fields.iter().chain(&known.further);
        for at in own.filter(|name| event.contains_key(**name)).map(|name| place_of(name)) {
            assert!(common.iter().all(|before| *before < at), "{line}");
            assert!(labels.iter().all(|after| at < *after), "{line}");
        }
    }
}

#[test]
fn a_term_before_the_child_is_told_as_promised() {
    let stead = Stead::script("exit 0").before_exec(|| {
        sys::block_only(&[libc::SIGTERM])?;
        sys::raise(libc::SIGTERM)
    });
    let mut stead = stead.start();
    assert_eq!(stead.wait_exit(LIMIT), 143);
    let events = checked(&stead);
    assert_eq!(messages(&events), ["ended before the child was started", "starting"]);
}

#[test]
fn labels_that_nobody_gave_are_left_out_and_the_instance_is_the_host() {
    let mut stead = Stead::script("exit 0").start();
    assert_eq!(stead.wait_exit(LIMIT), 0);
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("the host's name");
    for event in checked(&stead) {
        assert_eq!(event["instance"], host.trim());
        for label in ["service", "environment", "app_version"] {
            assert!(event.get(label).is_none(), "{event}");
        }
    }
}

#[test]
fn with_no_check_of_the_app_the_start_event_says_so() {
    let mut stead = Stead::script("exit 0").listening().start();
    assert_eq!(stead.wait_exit(LIMIT), 0);
    let starting = stead.wait_for_event("starting", LIMIT);
    assert_eq!(starting["app"], "none: readiness knows nothing of the app");
}

#[test]
fn with_no_endpoints_the_start_event_says_so() {
    let mut stead = Stead::script("exit 0").start();
    assert_eq!(stead.wait_exit(LIMIT), 0);
    assert_eq!(stead.wait_for_event("starting", LIMIT)["listen"], "off");
}

#[test]
fn nothing_of_stead_s_is_ever_on_stdout() {
    for place in Place::BOTH {
        let stead = eventful(place);
        let strange: Vec<_> = stead
            .stdout()
            .into_iter()
            .filter(|line| !line.starts_with("ready ") && !line.starts_with("got "))
            .collect();
        assert_eq!(strange, [""; 0]);
    }
}

#[test]
fn the_child_s_own_streams_are_untouched() {
    let script = "printf 'no newline'; printf 'to stderr\\n' >&2; printf '\\nlast'; readlink /proc/self/fd/1";
    let mut stead = Stead::script(script).options(["--log-level", "off"]).start();
    assert_eq!(stead.wait_exit(LIMIT), 0);
    let lines = stead.stdout();
    assert_eq!(lines[0], "no newline");
    assert!(lines[1].starts_with("lastpipe:["), "{lines:?}");
    assert_eq!(stead.stderr(), ["to stderr"]);
}

#[test]
fn the_level_holds_back_what_is_below_it() {
    let levels = ["off", "error", "warn", "info", "debug"];
    let mut counts = Vec::new();
    for level in levels {
        let options = ["--log-level", level, "--grace", "300ms", "--rewrite", "URG:0"];
        let mut stead = Stead::example("print_signals").options(options).start();
        stead.wait_ready();
        stead.signal(libc::SIGURG);
        stead.signal(libc::SIGWINCH);
        stead.wait_for_line(LIMIT, |line| line.starts_with("got 28 "));
        stead.signal(libc::SIGTERM);
        assert_eq!(stead.wait_exit(LIMIT), 137);
        let events = checked(&stead);
        let rank = |name: &Value| levels.iter().position(|known| name == known);
        let limit = levels.iter().position(|known| *known == level);
        assert!(events.iter().all(|event| rank(&event["level"]) <= limit), "level {level}");
        counts.push(events.len());
    }
    assert_eq!(counts[0], 0, "{counts:?}");
    assert!(counts[3] > counts[2] && counts[4] > counts[3], "{counts:?}");
}

#[test]
fn the_app_s_own_log_level_is_taken_where_it_is_understood() {
    for (name, expected) in [("debug", true), ("verbose", false), ("WARN", false)] {
        let stead = Stead::example("print_signals").env("LOG_LEVEL", name).start();
        stead.wait_ready();
        stead.signal(libc::SIGWINCH);
        stead.wait_for_line(LIMIT, |line| line.starts_with("got 28 "));
        stead.signal(libc::SIGTERM);
        stead.wait_for_line(LIMIT, |line| line.starts_with("got 15 "));
        let quiet = name == "WARN";
        let begun = until(LIMIT, || quiet || !stead.events_of("stop signal sent").is_empty());
        assert!(begun, "LOG_LEVEL={name} hides the drain");
        let debug = stead.events().iter().any(|event| event["level"] == "debug");
        assert_eq!(debug, expected, "LOG_LEVEL={name}");
    }
}

#[test]
fn the_text_format_can_be_asked_for() {
    let options = ["--log-format", "text"];
    let mut stead = Stead::script("exit 4").options(options).start();
    assert_eq!(stead.wait_exit(LIMIT), 4);
    let lines = stead.stderr();
    let last = lines.last().expect("a line");
    assert!(last.contains("finished") && last.contains("code=4"), "{last}");
    // No terminal, no colours.
    assert!(lines.iter().all(|line| !line.contains('\x1b')), "{lines:?}");
}

#[test]
fn the_names_of_a_collector_can_be_asked_for() {
    for (schema, time, level, info) in [
        ("ecs", "@timestamp", "log.level", "info"),
        ("gcp", "time", "severity", "INFO"),
        ("datadog", "timestamp", "status", "info"),
    ] {
        let options = ["--log-schema", schema];
        let mut stead = Stead::script("exit 4").options(options).env("SERVICE_NAME", "api").start();
        assert_eq!(stead.wait_exit(LIMIT), 4);
        let lines = stead.stderr();
        let events: Vec<Value> =
            lines.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let last = events.last().expect("a line");
        assert_eq!((&last["message"], &last["code"]), (&"finished".into(), &4.into()));
        assert_eq!(last[level], info, "{schema}");
        for (event, line) in events.iter().zip(&lines) {
            let time = event[time].as_str().expect("a time");
            assert!(humantime::parse_rfc3339(time).is_ok(), "{time}");
            // No key stands there twice: what is read is what was written.
            let keys = event.as_object().expect("an object").keys();
            assert!(keys.into_iter().all(|key| line.matches(&format!("\"{key}\":")).count() == 1));
        }
    }
}
