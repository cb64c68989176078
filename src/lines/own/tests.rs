//! Lines as the loggers of many languages write them.

use super::*;
use crate::object;

/// The level and the time that a line says, for a schema that shares no key with any logger.
fn own(line: &str) -> (Option<Level>, Option<String>) {
    let keys = Keys::new(["none"; 2], &[]);
    let mut own = Own::default();
    object::read(line.as_bytes(), |key, value| own.take(&keys, key, value)).unwrap();
    let time = own.time().map(|time| match time {
        Time::Text(text) => String::from_utf8(text.to_vec()).unwrap(),
        Time::Micros(micros) => String::from_utf8(timestamp::text(micros).to_vec()).unwrap(),
    });
    (own.level(), time)
}

#[test]
fn the_time_and_the_level_of_the_usual_loggers_are_known() {
    for (line, level, time) in [
        // pino 10
        (
            r#"{"level":50,"time":1795378977555,"pid":2791,"hostname":"vm","reqId":7,"msg":"it failed"}"#,
            Level::Error,
            "2026-11-22T20:22:57.555000Z",
        ),
        (
            r#"{"level":40,"time":"2026-11-22T20:22:57.556Z","pid":2791,"hostname":"vm","msg":"iso"}"#,
            Level::Warn,
            "2026-11-22T20:22:57.556Z",
        ),
        // winston 3
        (
            r#"{"free":3,"level":"warn","message":"disk low","timestamp":"2026-11-22T20:22:57.598Z"}"#,
            Level::Warn,
            "2026-11-22T20:22:57.598Z",
        ),
        (r#"{"level":"error","message":"plain winston"}"#, Level::Error, ""),
        // bunyan 1.8
        (
            r#"{"name":"app","hostname":"vm","pid":2791,"level":60,"msg":"gone","time":"2026-11-22T20:22:57.619Z","v":0}"#,
            Level::Fatal,
            "2026-11-22T20:22:57.619Z",
        ),
        // structlog 25
        (
            r#"{"free": 3, "event": "disk low", "level": "warning", "timestamp": "2026-11-22T20:22:57.712302Z"}"#,
            Level::Warn,
            "2026-11-22T20:22:57.712302Z",
        ),
        (
            r#"{"e": 1, "event": "bad", "level": "error", "timestamp": 1795378977.7123876}"#,
            Level::Error,
            "2026-11-22T20:22:57.712387Z",
        ),
        // python-json-logger 4: its asctime has no offset, so it is no point in time.
        (
            r#"{"asctime": "2026-11-22 20:22:57,714", "levelname": "WARNING", "name": "root", "message": "from json logger"}"#,
            Level::Warn,
            "",
        ),
        (
            r#"{"levelname": "ERROR", "message": "ts", "timestamp": "2026-11-22T20:22:57.714336+00:00"}"#,
            Level::Error,
            "2026-11-22T20:22:57.714336+00:00",
        ),
        // zap, production and with ISO 8601
        (
            r#"{"level":"info","ts":1700000000.1234567,"caller":"x/y.go:1","msg":"hi"}"#,
            Level::Info,
            "2023-11-14T22:13:20.123456Z",
        ),
        (
            r#"{"level":"dpanic","ts":"2023-11-14T22:13:20.123Z","msg":"hi"}"#,
            Level::Fatal,
            "2023-11-14T22:13:20.123Z",
        ),
        (
            r#"{"severity":"WARNING","ts":1700000000123456789,"msg":"hi"}"#,
            Level::Warn,
            "2023-11-14T22:13:20.123456Z",
        ),
        // zerolog, logrus, slog
        (
            r#"{"level":"trace","time":"2023-11-14T22:13:20+01:00","message":"hi"}"#,
            Level::Trace,
            "2023-11-14T22:13:20+01:00",
        ),
        (
            r#"{"level":"fatal","time":1700000000,"message":"hi"}"#,
            Level::Fatal,
            "2023-11-14T22:13:20.000000Z",
        ),
        (
            r#"{"level":"warning","msg":"A group","size":10,"time":"2014-03-10T19:57:38-04:00"}"#,
            Level::Warn,
            "2014-03-10T19:57:38-04:00",
        ),
        (
            r#"{"time":"2023-11-14T22:13:20.123456789Z","level":"ERROR","msg":"hi","count":3}"#,
            Level::Error,
            "2023-11-14T22:13:20.123456789Z",
        ),
        // logback with logstash-encoder, log4j's ECS layout
        (
            r#"{"@timestamp":"2023-11-14T22:13:20.123456+01:00","@version":"1","message":"hi","logger_name":"c.e.App","thread_name":"main","level":"WARN","level_value":30000}"#,
            Level::Warn,
            "2023-11-14T22:13:20.123456+01:00",
        ),
        (
            r#"{"@timestamp":"2023-11-14T22:13:20.123Z","log.level":"ERROR","message":"hi","ecs.version":"1.2.0"}"#,
            Level::Error,
            "2023-11-14T22:13:20.123Z",
        ),
        (
            r#"{"@timestamp":"2023-11-14T22:13:20.123Z","log.level":" WARN","message":"hi"}"#,
            Level::Warn,
            "2023-11-14T22:13:20.123Z",
        ),
        // serilog, compact
        (
            r#"{"@t":"2016-06-07T03:44:57.8532799Z","@mt":"Hello, {User}","@l":"Error","User":"nblumhardt"}"#,
            Level::Error,
            "2016-06-07T03:44:57.8532799Z",
        ),
    ] {
        let time = (!time.is_empty()).then(|| time.to_owned());
        assert_eq!(own(line), (Some(level), time), "{line}");
    }
}

#[test]
fn a_compact_line_of_serilog_without_a_level_says_none() {
    assert_eq!(own(r#"{"@t":"2016-06-07T03:44:57Z","@m":"Hello"}"#).0, None);
}

#[test]
fn what_only_looks_like_a_level_or_a_time_is_none() {
    for line in [
        r#"{"status":200}"#,
        r#"{"status":50,"priority":30}"#,
        r#"{"level":"high","time":12.5}"#,
        r#"{"level":7,"time":"12:00"}"#,
        r#"{"level":null,"time":{"seconds":1700000000}}"#,
        r#"{"level":["error"],"date":"yesterday"}"#,
        r#"{"a":{"level":"error","time":1700000000}}"#,
        r#"{"Time":1700000000,"\u006cevel":"error"}"#,
    ] {
        assert_eq!(own(line), (None, None), "{line}");
    }
}

#[test]
fn the_more_certain_of_two_names_counts() {
    let (level, time) = own(
        r#"{"status":"error","date":"2001-01-01T00:00:00Z","level":"info","time":"2002-02-02T00:00:00Z"}"#,
    );
    assert_eq!((level, time.as_deref()), (Some(Level::Info), Some("2002-02-02T00:00:00Z")));
    let (level, time) =
        own(r#"{"level":"unknown","severity":"error","time":"now","ts":1700000000}"#);
    assert_eq!(level, Some(Level::Error));
    assert_eq!(time.as_deref(), Some("2023-11-14T22:13:20.000000Z"));
}
