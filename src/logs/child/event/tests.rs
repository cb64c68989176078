//! Lines as events, and the lines had back from them.

use std::io::Write;

use proptest::prelude::*;
use serde_json::Value;
use stead_lines::object;

use super::*;
use crate::logs::child::{Part, Read};
use crate::sys::allocations;

/// 2026-11-22T12:00:00.123456Z.
const WALL: u64 = 1_795_348_800_123_456;

const SCHEMAS: [LogSchema; 4] =
    [LogSchema::Stead, LogSchema::Ecs, LogSchema::Gcp, LogSchema::Datadog];

fn labels() -> Labels {
    Labels {
        service: Some("api".to_owned()),
        instance: "api-1".to_owned(),
        environment: Some("production".to_owned()),
        app_version: None,
    }
}

fn style(schema: LogSchema) -> Style {
    Style { schema, labels: labels(), ..Style::default() }
}

fn whole(bytes: &[u8]) -> Line<'_> {
    Line { bytes, read: Read { wall: WALL, monotonic: 0 }, part: None }
}

fn rendered(style: &Style, line: &Line<'_>) -> String {
    let mut to = Vec::new();
    let mut buffer = Vec::with_capacity(16);
    let mut output = Output::new(&mut buffer, &mut to);
    Renderer::new(style, Stream::Stdout).render(line, &mut output).unwrap();
    output.flush().unwrap();
    String::from_utf8(to).unwrap()
}

fn event(style: &Style, line: &[u8]) -> Value {
    serde_json::from_str(&rendered(style, &whole(line))).unwrap()
}

#[test]
fn a_text_line_is_an_event_in_each_schema() {
    for (schema, expected) in [
        (
            LogSchema::Stead,
            r#"{"timestamp":"2026-11-22T12:00:00.123456Z","level":"info","message":"a \"b\"","stream":"stdout","service":"api","instance":"api-1","environment":"production"}"#,
        ),
        (
            LogSchema::Ecs,
            r#"{"@timestamp":"2026-11-22T12:00:00.123456Z","log.level":"info","message":"a \"b\"","ecs.version":"8.11.0","stream":"stdout","service.name":"api","service.node.name":"api-1","service.environment":"production"}"#,
        ),
        (
            LogSchema::Gcp,
            r#"{"time":"2026-11-22T12:00:00.123456Z","severity":"INFO","message":"a \"b\"","logging.googleapis.com/labels":{"environment":"production","instance":"api-1","stream":"stdout"},"serviceContext":{"service":"api"}}"#,
        ),
        (
            LogSchema::Datadog,
            r#"{"timestamp":"2026-11-22T12:00:00.123456Z","status":"info","message":"a \"b\"","stream":"stdout","service":"api","instance":"api-1","env":"production"}"#,
        ),
    ] {
        assert_eq!(rendered(&style(schema), &whole(b"a \"b\"")), format!("{expected}\n"));
    }
}

#[test]
fn labels_that_are_not_set_are_absent_and_the_version_has_its_name() {
    let labels = Labels {
        instance: "h".to_owned(),
        app_version: Some("1\n2".to_owned()),
        ..Labels::default()
    };
    for (schema, expected) in [
        (LogSchema::Stead, r#""stream":"stdout","instance":"h","app_version":"1\n2"}"#),
        (LogSchema::Ecs, r#""stream":"stdout","service.node.name":"h","service.version":"1\n2"}"#),
        (LogSchema::Gcp, r#""serviceContext":{"version":"1\n2"}}"#),
        (LogSchema::Datadog, r#""stream":"stdout","instance":"h","version":"1\n2"}"#),
    ] {
        let style = Style { schema, labels: labels.clone(), ..Style::default() };
        let line = rendered(&style, &whole(b"x"));
        assert!(line.trim_end().ends_with(expected), "{line}");
    }
}

#[test]
fn each_schema_has_its_own_words_for_the_levels() {
    for (schema, key, words) in [
        (LogSchema::Stead, "level", ["trace", "debug", "info", "warn", "error", "fatal"]),
        (LogSchema::Ecs, "log.level", ["trace", "debug", "info", "warn", "error", "fatal"]),
        (LogSchema::Gcp, "severity", ["DEBUG", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]),
        (LogSchema::Datadog, "status", ["debug", "debug", "info", "warning", "error", "critical"]),
    ] {
        for (number, word) in [10, 20, 30, 40, 50, 60].into_iter().zip(words) {
            let line = format!("{{\"lvl\":{number}}}");
            assert_eq!(event(&style(schema), line.as_bytes())[key], word, "{line}");
        }
    }
}

#[test]
fn an_object_keeps_its_inside_and_gains_what_it_lacks() {
    for (line, expected) in [
        (
            r#" {"b" : 1.50, "a":"\u00e9", "b":2 } "#,
            r#"{"b" : 1.50, "a":"\u00e9", "b":2 ,"timestamp":"2026-11-22T12:00:00.123456Z","level":"info","stream":"stdout","service":"api","instance":"api-1","environment":"production"}"#,
        ),
        (
            "{}\r",
            r#"{"timestamp":"2026-11-22T12:00:00.123456Z","level":"info","stream":"stdout","service":"api","instance":"api-1","environment":"production"}"#,
        ),
        (
            r#"{"level":30,"time":1531171074631,"msg":"hi","service":"x"}"#,
            r#"{"level":30,"time":1531171074631,"msg":"hi","service":"x","timestamp":"2018-07-09T21:17:54.631000Z","stream":"stdout","instance":"api-1","environment":"production"}"#,
        ),
        (
            r#"{"@t":"2016-06-07T03:44:57.85+02:00","@mt":"Hi"}"#,
            r#"{"@t":"2016-06-07T03:44:57.85+02:00","@mt":"Hi","timestamp":"2016-06-07T03:44:57.85+02:00","level":"info","stream":"stdout","service":"api","instance":"api-1","environment":"production"}"#,
        ),
        (
            r#"{"timestamp":0,"level":null,"stream":1,"service":{},"instance":[],"environment":""}"#,
            r#"{"timestamp":0,"level":null,"stream":1,"service":{},"instance":[],"environment":""}"#,
        ),
    ] {
        let line = rendered(&style(LogSchema::Stead), &whole(line.as_bytes()));
        assert_eq!(line, format!("{expected}\n"));
    }
}

#[test]
fn an_object_in_another_schema_gains_that_schemas_members() {
    let line = br#"{"level":50,"time":1531171074631,"service":{"name":"x"},"ecs":{"version":"1"}}"#;
    let ecs = event(&style(LogSchema::Ecs), line);
    assert_eq!(ecs["@timestamp"], "2018-07-09T21:17:54.631000Z");
    assert_eq!(ecs["log.level"], "error");
    // The object of the line's own says these.
    assert!(["ecs.version", "service.name"].iter().all(|key| ecs.get(key).is_none()), "{ecs}");
    let gcp = event(&style(LogSchema::Gcp), line);
    // The number is not what the schema means, but it is the line's own.
    assert_eq!((&gcp["time"], &gcp["severity"]), (&1_531_171_074_631_u64.into(), &"ERROR".into()));
    assert_eq!(gcp["serviceContext"]["service"], "api");
    assert_eq!(event(&style(LogSchema::Datadog), line)["status"], "error");
}

#[test]
fn what_is_no_whole_object_is_text() {
    for line in [
        "{\"a\":1",
        "{\"a\":1} x",
        "[{}]",
        "\"{}\"",
        "12",
        "null",
        "{",
        "{'a':1}",
        "x {}",
        "{\"a\":\"\\ud83d\"}",
    ] {
        let event = event(&style(LogSchema::Stead), line.as_bytes());
        assert_eq!(event["message"], line, "{line}");
        assert!(event.get("a").is_none());
    }
    let bytes = b"{\"a\":\"\xff\"}";
    assert_eq!(event(&style(LogSchema::Stead), bytes)["message"], r#"{"a":"\xff"}"#);
}

#[test]
fn bytes_that_are_no_utf_8_are_escaped_and_marked() {
    for (line, message, escaped) in [
        (&b""[..], "", false),
        (b"\r", "\r", false),
        (b"a\\xff\t\x7f\x00", "a\\xff\t\x7f\0", false),
        ("\u{e4}\u{1f600}".as_bytes(), "\u{e4}\u{1f600}", false),
        (b"a\\\xff\xc3(", "a\\\\\\xff\\xc3(", true),
        (b"\xf0\x9f\x98", "\\xf0\\x9f\\x98", true),
        (b"\xed\xa0\x80", "\\xed\\xa0\\x80", true),
    ] {
        let event = event(&style(LogSchema::Stead), line);
        assert_eq!(event["message"], message, "{line:?}");
        assert_eq!(event.get("escaped"), escaped.then_some(&Value::Bool(true)), "{line:?}");
    }
    let line = rendered(&style(LogSchema::Stead), &whole(b"\x00\x1b\x7f\xff"));
    assert!(
        line.contains(r#""message":"\u0000\u001b\u007f\\xff","escaped":true,"stream""#),
        "{line}"
    );
}

#[test]
fn a_piece_of_a_line_says_how_it_is_joined() {
    let piece = |bytes, ordinal, last, newline| {
        let part = Some(Part { id: 7, ordinal, last, newline });
        rendered(&style(LogSchema::Stead), &Line { part, ..whole(bytes) })
    };
    assert!(piece(b"ab", 1, false, false).contains(
        r#""message":"ab","partial":true,"partial_id":7,"partial_ordinal":1,"partial_last":false,"stream""#
    ));
    assert!(piece(b"\xff", 2, true, true).contains(
        r#""escaped":true,"partial":true,"partial_id":7,"partial_ordinal":2,"partial_last":true,"stream""#
    ));
    assert!(
        piece(b"ab", 2, true, false).contains(r#""partial_last":true,"newline":false,"stream""#)
    );
    // A whole object that no newline ended is one; the piece of a longer line is text, whatever it looks like.
    assert!(piece(b"{}", 1, true, false).starts_with("{\"timestamp\""));
    assert!(piece(b"{}", 1, true, false).ends_with(
        r#","partial":true,"partial_id":7,"partial_ordinal":1,"partial_last":true,"newline":false}
"#
    ));
    assert!(piece(b"{}", 2, true, true).contains(r#""message":"{}""#));
    assert!(piece(b"{}", 1, false, false).contains(r#""message":"{}""#));
}

#[test]
fn control_sequences_are_kept_or_taken_out_of_text_alone() {
    let line = b"\x1b[31mERROR\x1b[0m no";
    let kept = event(&style(LogSchema::Stead), line);
    assert_eq!(kept["message"], "\x1b[31mERROR\x1b[0m no");
    let strip = Style { strip_ansi: true, ..style(LogSchema::Stead) };
    let stripped = event(&strip, line);
    assert_eq!((&stripped["message"], &stripped["level"]), (&"ERROR no".into(), &"error".into()));
    assert_eq!(event(&strip, br#"{"a":"\u001b[31m"}"#)["a"], "\x1b[31m");
}

#[test]
fn a_trace_is_an_error_unless_its_first_line_says_something_else() {
    for (line, level) in [
        (&b"java.lang.Error: x\n\tat a.B.c(B.java:7)"[..], "error"),
        (
            b"2026-11-22 12:00:00,123 WARN  c.e.App - x\njava.lang.Error: x\n\tat a.B.c(B.java:7)",
            "warn",
        ),
        (b"Traceback (most recent call last):\nWARNING: x", "error"),
        (b"java.lang.Error: x", "info"),
    ] {
        let event = event(&style(LogSchema::Stead), line);
        assert_eq!(event["level"], level, "{event}");
        assert_eq!(event["message"], str::from_utf8(line).unwrap());
    }
}

#[test]
fn the_time_is_that_of_each_read() {
    let mut renderer = Renderer::new(&style(LogSchema::Stead), Stream::Stderr);
    let (mut to, mut sink) = (Vec::with_capacity(1024), io::sink());
    for wall in [WALL, WALL, WALL + 1, 0] {
        let read = Read { wall, monotonic: 0 };
        let mut output = Output::new(&mut to, &mut sink);
        renderer.render(&Line { read, ..whole(b"x") }, &mut output).unwrap();
    }
    let text = String::from_utf8(to).unwrap();
    let times: Vec<_> = text.lines().map(|line| &line[14..41]).collect();
    assert_eq!(
        times,
        [
            "2026-11-22T12:00:00.123456Z",
            "2026-11-22T12:00:00.123456Z",
            "2026-11-22T12:00:00.123457Z",
            "1970-01-01T00:00:00.000000Z"
        ]
    );
    assert!(text.lines().all(|line| line.contains(r#""stream":"stderr""#)));
}

/// The bytes that a message stands for, as a reader of the README would have them back.
fn had_back(event: &Value) -> Vec<u8> {
    let message = event["message"].as_str().unwrap().as_bytes();
    if event.get("escaped").is_none() {
        return message.to_vec();
    }
    let mut bytes = Vec::new();
    let mut rest = message;
    while let [first, behind @ ..] = rest {
        (rest, _) = match (first, behind) {
            (b'\\', [b'\\', behind @ ..]) => (behind, bytes.push(b'\\')),
            (b'\\', [b'x', high, low, behind @ ..]) => {
                let digits = [*high, *low];
                let digits = str::from_utf8(&digits).unwrap();
                (behind, bytes.push(u8::from_str_radix(digits, 16).unwrap()))
            }
            (b'\\', _) => panic!("a lone backslash in {event}"),
            _ => (behind, bytes.push(*first)),
        };
    }
    bytes
}

/// Bytes in which what has to be escaped is not rare.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        "[ -~]{0,20}".prop_map(String::into_bytes),
        "\\PC{0,8}".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..8),
        prop::sample::select(vec![&b"\\"[..], b"\\x", b"\"", b"\xff", b"\0", b"\x1b[1m", b"\r"])
            .prop_map(<[u8]>::to_vec),
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_bytes_can_be_had_back_from_the_message(bytes in bytes()) {
        prop_assume!(object::read(String::from_utf8_lossy(&bytes).as_bytes(), |_, _| ()).is_none());
        for schema in SCHEMAS {
            let event = event(&style(schema), &bytes);
            prop_assert_eq!(had_back(&event), bytes.clone());
            let is_text = str::from_utf8(&bytes).is_ok();
            prop_assert_eq!(event.get("escaped").is_none(), is_text);
        }
    }

    #[test]
    fn an_event_is_one_line_however_the_bytes_are(bytes in bytes(), strip_ansi: bool) {
        let style = Style { strip_ansi, ..style(LogSchema::Stead) };
        let line = rendered(&style, &whole(&bytes));
        prop_assert_eq!(line.find(['\n', '\r', '\0', '\x1b', '\x7f']), Some(line.len() - 1));
        prop_assert!(serde_json::from_str::<Value>(&line).unwrap().is_object());
    }
}

#[test]
fn no_line_costs_an_allocation_once_the_buffers_are_there() {
    let pattern = regex_lite::Regex::new("card [0-9]+").unwrap();
    let secrets = vec!["hunter2-hunter2".to_owned()];
    let lines: [&[u8]; 9] = [
        b"a plain line of the usual length, which says nothing of note",
        b"2026-11-22 12:00:00,123 ERROR c.e.App: failed",
        b"\x1b[31mERROR\x1b[0m \"quoted\" \\ \t \x00 \x7f",
        b"not \xff UTF-8 \\ \xc3",
        br#"{"level":50,"time":1531171074631,"msg":"hi","a":{"b":[1,2,{"c":"\u00e9"}]}}"#,
        br#"{"@t":"2016-06-07T03:44:57Z"}"#,
        b"{}",
        b"{\"cut\":",
        b"",
    ];
    for schema in SCHEMAS {
        for redactions in
            [Redactions::default(), Redactions::new(vec![pattern.clone()], secrets.clone())]
        {
            let style = Style { strip_ansi: true, redactions, ..style(schema) };
            let mut renderer = Renderer::new(&style, Stream::Stdout);
            let mut to = Vec::with_capacity(64 * 1024);
            let mut all = |wall: u64| {
                to.clear();
                let mut sink = io::sink();
                let mut output = Output::new(&mut to, &mut sink);
                for (number, bytes) in (1..).zip(lines) {
                    let part = Part { id: wall, ordinal: 1, last: true, newline: false };
                    let part = (wall == 3).then_some(part);
                    let read = Read { wall: wall + number, monotonic: 0 };
                    renderer.render(&Line { bytes, read, part }, &mut output).unwrap();
                }
            };
            all(1);
            assert_eq!(allocations::during(|| (2..5).for_each(&mut all)), 0, "{schema:?}");
        }
    }
}
