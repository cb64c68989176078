//! stead's own log: each line is one of the events that are promised, with its fields and no others.

use serde_json::{Map, Value};

use crate::harness::{LIMIT, Place, Running, Stead, until};

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

/// An event: its message, its levels, the fields that it always has, and those that it may have.
struct Event {
    message: &'static str,
    levels: &'static [&'static str],
    fields: &'static [(&'static str, Kind)],
    further: &'static [(&'static str, Kind)],
}

const PHASES: Kind =
    OneOf(&["starting", "running", "quiescing", "draining", "killing", "finished"]);
const STATUSES: Kind = OneOf(&["up", "down", "unknown"]);

/// The events of the README's table.
const EVENTS: [Event; 15] = [
    Event {
        message: "starting",
        levels: &["info"],
        fields: &[
            ("version", Text),
            ("pid", Whole),
            ("pid1", Bool),
            ("listen", Text),
            ("app", Text),
            ("grace_s", Seconds),
            ("drain_delay_s", Seconds),
            ("stop_timeout_s", Seconds),
        ],
        further: &[],
    },
    Event {
        message: "child started",
        levels: &["info"],
        fields: &[("pid", Whole), ("command", Text)],
        further: &[],
    },
    Event {
        message: "signal forwarded",
        levels: &["info", "debug"],
        fields: &[("signal", Signal), ("pid", Whole), ("group", Bool), ("from_pid", Whole)],
        further: &[("received", Signal)],
    },
    Event {
        message: "signal dropped",
        levels: &["debug"],
        fields: &[("signal", Signal)],
        further: &[],
    },
    Event {
        message: "phase changed",
        levels: &["info"],
        fields: &[("phase", PHASES), ("from", PHASES)],
        further: &[],
    },
    Event {
        message: "drain started",
        levels: &["info"],
        fields: &[("signal", Signal), ("grace_s", Seconds), ("drain_delay_s", Seconds)],
        further: &[],
    },
    Event {
        message: "stop signal sent",
        levels: &["info"],
        fields: &[("signal", Signal), ("pid", Whole)],
        further: &[],
    },
    Event {
        message: "drain ended",
        levels: &["info"],
        fields: &[("elapsed_s", Seconds), ("killed", Whole)],
        further: &[],
    },
    Event {
        message: "straggler signalled",
        levels: &["info"],
        fields: &[("signal", Signal), ("pid", Whole), ("name", Text)],
        further: &[],
    },
    Event {
        message: "straggler killed",
        levels: &["warn"],
        fields: &[("pid", Whole), ("name", Text)],
        further: &[],
    },
    Event {
        message: "child ended",
        levels: &["info"],
        fields: &[("pid", Whole), ("code", Whole)],
        further: &[("signal", Signal)],
    },
    Event { message: "finished", levels: &["info"], fields: &[("code", Whole)], further: &[] },
    Event {
        message: "check changed",
        levels: &["info", "warn"],
        fields: &[
            ("check", Text),
            ("status", STATUSES),
            ("from", STATUSES),
            ("in_state_s", Seconds),
            ("attempts", Whole),
        ],
        further: &[("class", Text), ("stage", Text)],
    },
    Event {
        message: "setting ignored",
        levels: &["warn"],
        fields: &[("variable", Text), ("reason", Text)],
        further: &[],
    },
    Event {
        message: "events dropped",
        levels: &["warn"],
        fields: &[("count", Whole)],
        further: &[],
    },
];

/// The labels that may follow an event's own fields, in this order; the instance is always there.
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
fn wrong_with(line: &str) -> Option<String> {
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
    for (name, kind) in known.fields {
        if !event.contains_key(*name) {
            return Some(format!("has no {name}"));
        }
        if !kind.holds(&event[*name]) {
            return Some(format!("has a {name} that is no {kind:?}"));
        }
    }
    if !event.contains_key("instance") {
        return Some("has no instance".to_owned());
    }
    let common = ["timestamp", "level", "message"];
    event.iter().find_map(|(name, value)| {
        let own = known.fields.iter().chain(known.further).find(|(field, _)| field == name);
        match own {
            Some((_, kind)) => {
                (!kind.holds(value)).then(|| format!("has a {name} that is no {kind:?}"))
            }
            None if common.contains(&name.as_str()) => None,
            None if LABELS.contains(&name.as_str()) => {
                (!Text.holds(value)).then(|| format!("has an empty {name}"))
            }
            None => Some(format!("has a field that is not promised: {name}")),
        }
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

/// Runs through all that stead can have to say.
fn eventful(place: Place) -> Running {
    let script = "setsid print_signals --name obedient --exit-on 15:0 >/dev/null & \
                  setsid print_signals --name stubborn >/dev/null & sleep 0.3; \
                  exec print_signals --exit-on 15:3";
    let mut stead = Stead::script(script)
        .options(["--drain-delay", "200ms", "--grace", "1500ms", "--log-level", "debug"])
        .options(["--rewrite", "USR1:USR2", "--rewrite", "URG:0", "--app-port", "1"])
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
        // All but the one that takes a stuck reader, which has its own test.
        for known in EVENTS.iter().filter(|known| known.message != "events dropped") {
            assert!(told.contains(&known.message), "no `{}`, {place:?}", known.message);
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
fn the_fields_come_in_the_promised_order() {
    let stead = eventful(Place::Subreaper);
    for line in stead.stderr() {
        // The keys as they are written: the parsed form may have them in another order.
        let mut at = 0;
        let event: Map<String, Value> = serde_json::from_str(&line).expect("an event");
        let known = EVENTS.iter().find(|known| event["message"] == known.message).expect("known");
        let own = known.fields.iter().chain(known.further).map(|(name, _)| *name);
        let own: Vec<_> = own.filter(|name| event.contains_key(*name)).collect();
        let place_of = |name: &str| line.find(&format!("\"{name}\":")).expect("the field");
        for name in ["timestamp", "level", "message"] {
            let here = place_of(name);
            assert!(at <= here, "{name} is out of order: {line}");
            at = here;
        }
        assert!(own.iter().all(|name| place_of(name) > at), "{line}");
        at = own.iter().map(|name| place_of(name)).max().unwrap_or(at);
        for name in LABELS {
            let here = place_of(name);
            assert!(at < here, "{name} is out of order: {line}");
            at = here;
        }
    }
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
