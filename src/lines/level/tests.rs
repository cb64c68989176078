//! Lines as loggers write them, and lines that only look like it.

use proptest::prelude::*;

use super::Level::{self, Debug, Error, Fatal, Info, Trace, Warn};
use super::{of_head, of_number, of_text, of_word, prefix};

const SAID: &[(Level, &str)] = &[
    // A word at the beginning: log4j, Go's and Rust's small loggers, JBoss, Cassandra.
    (Warn, "WARN  c.e.App - slow"),
    (Error, "ERROR cannot open the file"),
    (Info, "INFO  [main] 2026-11-22 12:00:00,123 CassandraDaemon.java:1 - started"),
    (Info, " INFO | Listening for connections at tcp://0.0.0.0:61616 | ActiveMQ"),
    (Info, " INFO  target > msg"),
    (Debug, "DEBUG\tx"),
    (Error, "ERROR"),
    (Fatal, "CRITICAL - database gone"),
    (Trace, "TRACE enter"),
    // It is upper case alone at the line's beginning, so it is taken as a level even where it begins a sentence.
    (Info, "INFO is good"),
    (Error, "ERROR handling enabled"),
    // Brackets.
    (Error, "[ERROR] failed"),
    (Error, "[error] failed"),
    (Info, "[INFO ] failed"),
    (Info, "[ info] engine started"),
    (Warn, "[warn]failed"),
    (Warn, "[WARNING]  (7) : Server app/a is DOWN"),
    (Fatal, "[ALERT]    (7) : Binding [:80] for frontend http: cannot bind socket"),
    (Info, "[NOTICE]   (1) : New worker (7) forked"),
    (Error, "[worker-1] ERROR x"),
    (Warn, "[api] [WARN] x"),
    (Info, "[INFO] plugin/reload: Running configuration SHA512 = abc"),
    (Info, "[0.005s][info][gc] Using G1"),
    (Warn, "[0.005s][warning][gc] x"),
    (Error, "[ERROR]\t2026-11-22T12:00:00.123Z\tab-cd\tmessage"),
    (Error, "[ERROR 2026-11-22T12:00:00Z app] x"),
    (Info, "[INFO  app] env_logger without a time"),
    // logfmt.
    (Warn, "level=warn msg=\"disk is filling\""),
    (Error, "time=\"2026-11-22T12:00:00Z\" level=error msg=\"cannot\""),
    (Info, "ts=2026-11-22T12:00:00.123Z caller=main.go:7 level=info msg=ready"),
    (Error, "time=2026-11-22T12:00:00.123Z level=ERROR msg=x"),
    (Warn, "t=1 lvl=warn msg=x"),
    (Error, "logger=context traceID=00 severity=error x=y"),
    (Warn, "app=\"a \\\"b\\\" c\" level=\"warning\""),
    (Debug, "2026-11-22T12:00:00Z level=debug msg=x"),
    (Info, "2026-11-22T12:00:00.123Z pid=7 tid=abc INFO: Booting Sidekiq 7"),
    // Dates, threads, names: log4j, logback, Spring Boot, Kafka, ZooKeeper, Tomcat, Quarkus, Elasticsearch.
    (Error, "2026-11-22 12:00:00,123 ERROR cannot"),
    (Info, "2026-11-22 12:00:00.123 [main] INFO  c.e.App - up"),
    (Warn, "12:00:00.123 [http-nio-8080-exec-1] WARN  c.e.App - slow"),
    (Error, "2026-11-22T12:00:00.123Z ERROR 1 --- [app] [           main] c.e.App : failed"),
    (Info, "2026-11-22 12:00:00.123  INFO 1 --- [main] c.e.App : up"),
    (Info, "2026-11-22T12:00:00.123+01:00  INFO 1 --- [main] c.e.App : up"),
    (Info, "[2026-11-22 12:00:00,123] INFO [KafkaServer id=0] started (kafka.server.KafkaServer)"),
    (Warn, "2026-11-22 12:00:00,123 [myid:1] - WARN  [main:QuorumPeerConfig@7] - x"),
    (Info, "22-Nov-2026 12:00:00.123 INFO [main] org.apache.catalina.startup.Catalina.start"),
    (Info, "2026-11-22 12:00:00,123 INFO  [io.quarkus] (main) started"),
    (Warn, "[2026-11-22T12:00:00,123][WARN ][o.e.b.BootstrapChecks] [node] x"),
    (Error, "2026-11-22 12:00:00,123 main ERROR Unable to locate appender"),
    (Error, "2026-11-22 12:00:00.1234|ERROR|App.Program|NLog"),
    (Error, "SEVERE: Servlet.service() threw exception"),
    // nginx, Apache, PHP.
    (Error, "2026/11/22 12:00:00 [error] 7#7: *1 open() \"/x\" failed (2: No such file)"),
    (Fatal, "2026/11/22 12:00:00 [emerg] 1#1: bind() to 0.0.0.0:80 failed"),
    (Info, "2026/11/22 12:00:00 [notice] 1#1: nginx/1.29.0"),
    (Error, "[Sun Nov 22 12:00:00.123456 2026] [core:error] [pid 7:tid 8] AH00037: x"),
    (Info, "[Sun Nov 22 12:00:00.123456 2026] [mpm_event:notice] [pid 7:tid 8] AH00489: x"),
    (Error, "[Sun Nov 22 12:00:00 2026] [error] [client 10.0.0.1] x"),
    (Info, "[22-Nov-2026 12:00:00] NOTICE: fpm is running, pid 1"),
    (Warn, "[22-Nov-2026 12:00:00 UTC] PHP Warning:  Undefined variable $x in /a.php on line 3"),
    (Fatal, "PHP Fatal error:  Uncaught Error: x"),
    (Error, "[2026-11-22 12:00:00] local.ERROR: cannot {\"a\":1}"),
    (Info, "[2026-11-22T12:00:00.123456+00:00] app.INFO: Matched route [] []"),
    // Postgres with several prefixes, MySQL, MariaDB.
    (Info, "2026-11-22 12:00:00.123 UTC [7] LOG:  database system is ready"),
    (
        Error,
        "2026-11-22 12:00:00.123 UTC [7] ERROR:  relation \"x\" does not exist at character 15",
    ),
    (Fatal, "2026-11-22 12:00:00.123 CET [7] FATAL:  the database system is starting up"),
    (Fatal, "2026-11-22 12:00:00.123 UTC [7] PANIC:  could not write"),
    (Warn, "2026-11-22 12:00:00.123 UTC [7] app@shop WARNING:  there is no transaction"),
    (Error, "2026-11-22 12:00:00 UTC:10.0.0.1(5432):app@shop:[7]:ERROR:  x"),
    (Error, "2026-11-22 12:00:00 UTC [7]: [1-1] user=a,db=b,app=c,client=10.0.0.1 ERROR:  x"),
    (Debug, "2026-11-22 12:00:00.123 UTC [7] DEBUG1:  x"),
    (Error, "ERROR:  relation \"x\" does not exist"),
    (Warn, "2026-11-22T12:00:00.123456Z 0 [Warning] [MY-010068] [Server] CA certificate"),
    (Info, "2026-11-22 12:00:00 0 [Note] mariadbd: ready for connections."),
    // Redis and its kin.
    (Warn, "7:M 22 Nov 2026 12:00:00.123 # WARNING Memory overcommit must be enabled!"),
    (Info, "7:M 22 Nov 2026 12:00:00.123 * Ready to accept connections tcp"),
    (Debug, "7:S 22 Nov 2026 12:00:00.123 - Client closed connection"),
    (Debug, "7:C 22 Nov 2026 12:00:00.123 . x"),
    // Python.
    (Info, "INFO:     Uvicorn running on http://0.0.0.0:8000 (Press CTRL+C to quit)"),
    (Error, "ERROR:    Exception in ASGI application"),
    (Warn, "WARNING:root:watch out"),
    (Fatal, "CRITICAL:app.db:gone"),
    (Error, "2026-11-22 12:00:00,123 - app.db - ERROR - cannot"),
    (Error, "2026-11-22 12:00:00,123 - root - ERROR - cannot"),
    (Error, "2026-11-22 12:00:00,123 - app - error - cannot"),
    (Warn, "2026-11-22 12:00:00,123 app.db WARNING cannot"),
    (Info, "[2026-11-22 12:00:00 +0000] [7] [INFO] Listening at: http://0.0.0.0:8000 (7)"),
    (Error, "[2026-11-22 12:00:00,123: ERROR/MainProcess] consumer: Cannot connect"),
    (Warn, "[2026-11-22 12:00:00,123: WARNING/ForkPoolWorker-1] x"),
    (Error, "[2026-11-22 12:00:00,123] ERROR in app: Exception on / [GET]"),
    (Info, "2026-11-22 12:00:00.123 | INFO     | app.main:run:7 - loguru"),
    (Info, "[2026-11-22T12:00:00.123+0000] {taskinstance.py:1157} INFO - Dependencies all met"),
    (Info, "2026-11-22 12:00:00 [info     ] structlog             key=value"),
    (Error, "[E 261122 12:00:00 web:7] Uncaught exception"),
    (Info, "[I 2026-11-22 12:00:00.123 ServerApp] Serving notebooks"),
    (Fatal, "2026-11-22 12:00:00,123 CRIT Supervisor is running as root."),
    // Go: klog, zap, zerolog, logrus, slog, hclog; Telegraf, Istio, Envoy.
    (Error, "E1122 12:00:00.123456       7 file.go:1] cannot"),
    (Info, "I20261122 12:00:00.123456 7 file.cc:1] glog"),
    (Warn, "W1122 12:00:00.123456 1 reflector.go:324] x"),
    (Info, "3:04PM INF listening port=80"),
    (Error, "2026-11-22T12:00:00Z ERR cannot error=eof"),
    (Info, "2026-11-22T12:00:00.123Z\tINFO\tserver/main.go:7\tlistening"),
    (Info, "2026-11-22T12:00:00.123456Z\tinfo\tFound IP"),
    (Error, "ERRO[0007] cannot"),
    (Warn, "WARN[0000] slow"),
    (Error, "2026/11/22 12:00:00 ERROR slog err=eof"),
    (Info, "2026-11-22T12:00:00.123Z [INFO]  core: Started"),
    (Error, "2026-11-22T12:00:00Z E! [outputs.influxdb] cannot"),
    (Info, "[2026-11-22 12:00:00.123][7][info][main] [source/server/server.cc:7] envoy"),
    (Fatal, "panic: runtime error: index out of range [5] with length 3"),
    // Rust.
    (Warn, "2026-11-22T12:00:00.123456Z  WARN app::db: slow"),
    (Info, "[2026-11-22T12:00:00Z INFO  app] env_logger"),
    // .NET, Serilog.
    (Error, "fail: Microsoft.AspNetCore.Server.Kestrel[13]"),
    (Warn, "warn: App.Program[0] slow"),
    (Info, "info: Microsoft.Hosting.Lifetime[14]"),
    (Fatal, "crit: App[0]"),
    (Debug, "dbug: App[0]"),
    (Trace, "trce: App[0]"),
    (Info, "[12:00:00 INF] Serilog"),
    (Error, "[12:00:00 ERR] Serilog"),
    (Warn, "2026-11-22 12:00:00.123 +00:00 [WRN] Serilog"),
    // Node: winston, pino-pretty, Nest, npm.
    (Error, "error: cannot"),
    (Debug, "debug: x {\"a\":1}"),
    (Warn, "2026-11-22T12:00:00.123Z warn: slow"),
    (Error, "2026-11-22T12:00:00.123Z [api] error: cannot"),
    (Info, "[12:00:00.123] INFO (7): listening"),
    (Error, "[Nest] 7  - 11/22/2026, 12:00:00 PM   ERROR [ExceptionsHandler] x"),
    (Info, "[Nest] 7  - 11/22/2026, 12:00:00 PM     LOG [NestFactory] Starting"),
    (Error, "npm ERR! code ELIFECYCLE"),
    (Warn, "npm WARN deprecated x@1.0.0"),
    (Warn, "(node:7) Warning: x"),
    // Ruby, Erlang, Elixir, Fluentd, Mosquitto, Squid, syslog, compilers and tools.
    (Error, "E, [2026-11-22T12:00:00.123456 #7] ERROR -- : cannot"),
    (Info, "I, [2026-11-22T12:00:00.123456 #7]  INFO -- : [ab-cd] Started GET"),
    (Error, "2026-11-22 12:00:00.123456+00:00 [error] <0.1.0> closing AMQP connection"),
    (Info, "12:00:00.123 [info] Running Web.Endpoint"),
    (Info, "2026-11-22 12:00:00 +0000 [info]: starting fluentd"),
    (Error, "1700000000: Error: Address already in use"),
    (Warn, "2026/11/22 12:00:00| WARNING: x"),
    (Error, "<3>cannot"),
    (Debug, "<7>x"),
    (Fatal, "<0>x"),
    (Error, "Nov 22 12:00:00 host app[7]: ERROR x"),
    (Error, "<3>Nov  2 12:00:00 app: x"),
    (Error, "Nov  2 12:00:00 host app: error: x"),
    (Error, "Error: cannot find module"),
    (Warn, "warning: unused variable"),
    (Fatal, "fatal: not a git repository"),
    (Error, "psql: error: connection to server failed"),
    (Error, "gcc: error: no input files"),
    // Colours before, around and after it.
    (Info, "\x1b[32mINFO\x1b[0m:     Started server process [7]"),
    (
        Warn,
        "\x1b[2m2026-11-22T12:00:00.123456Z\x1b[0m \x1b[33m WARN\x1b[0m \x1b[2mapp\x1b[0m: slow",
    ),
    (Info, "\x1b[90m3:04PM\x1b[0m \x1b[32mINF\x1b[0m listening"),
    (Error, "\x1b[31merror\x1b[39m: cannot"),
    (Error, "\x1b[1;31m[ERROR]\x1b[0m cannot"),
    (Info, "\x1b[36mINFO\x1b[0m[0000] logrus"),
];

const UNSAID: &[&str] = &[
    "",
    "\r",
    " ",
    "\x1b[31m",
    "\x1b[",
    "\x1b",
    "no error here",
    "Error handling enabled",
    "error handling enabled",
    "Warning lights are off",
    "an ERROR was seen",
    "There was an error: none",
    "All is well, no WARN at all",
    "Debug mode: on",
    "Debugger attached.",
    "Information about levels",
    "INFOrmation",
    "ERRORS: 0",
    "errors=0",
    "error: 0, warning: 2",
    "Error: 0",
    "error_count: 5",
    "ErrorHandler: ready",
    "info::app starts",
    "ERROR_CODE=5",
    "ERROR-CODE 5",
    "LOG_LEVEL=debug",
    "LEVEL=debug",
    "set level=debug to see more",
    "the level=error counter",
    "level=high msg=x",
    "loglevel=warn",
    "user=error msg=x",
    "msg=\"level=error\" x=y",
    "msg=\"never closed level=error",
    "3 errors found",
    "404 ERROR page",
    "5 ERROR lines in the file",
    "12:00:00 no ERROR so far",
    "Nov 22 12:00:00 no ERROR so far",
    "Nov 22 12:00:00 host app[7]: no ERROR so far",
    "12:00:00 Got ERROR from the server",
    "12:00:00 error in the config",
    "2026-11-22 12:00:00 GET /error 200",
    "2026-11-22 12:00:00.123 UTC [7] DETAIL:  Key (id)=(7) already exists.",
    "2026-11-22 12:00:00.123 UTC [7] STATEMENT:  select 'ERROR:  x'",
    "2026-11-22 12:00:00.123 UTC [7] HINT:  x",
    "2026/11/22 12:00:00 http: panic serving 127.0.0.1:1: x",
    "2026/11/22 12:00:00 listening on :80",
    "127.0.0.1 - - [22/Nov/2026:12:00:00 +0000] \"GET /ERROR HTTP/1.1\" 500 7 \"-\" \"curl\"",
    "127.0.0.1 - error [22/Nov/2026:12:00:00 +0000] \"GET / HTTP/1.1\" 200 7",
    "::1 - - [22/Nov/2026:12:00:00 +0000] \"GET / HTTP/1.1\" 200 7",
    "[22/Nov/2026 12:00:00] \"GET /error HTTP/1.1\" 404 7",
    "10.0.0.1:7 [22/Nov/2026:12:00:00.123] http~ app/a 0/0/0/1/1 200 7 - - ---- \"GET /\"",
    "[main] no ERROR here",
    "[config] loaded",
    "[http] listening",
    "[errors] none",
    "[ERROR",
    "[E] is a letter",
    "[the ERROR] x",
    "ERROR://x",
    "ERROR.log was rotated",
    "ERROR's cause",
    "Fail: 3",
    "fail: 3 of 7",
    "FAIL src/app.test.js",
    "crit: hit",
    "Fine: x",
    "config: loaded from /etc",
    "http: TLS handshake error from 10.0.0.1:7: EOF",
    "Alert: somebody is at the door",
    "Server: INFO x",
    "Listening on 0.0.0.0:80",
    "Started in 1.5 s",
    "Monday ERROR",
    "May ERROR occur",
    "E1122 is a room",
    "E1122 12-00-00 x",
    "E, I think",
    "<8>x",
    "<p>ERROR</p>",
    "<3 ERROR",
    "7:M is a role",
    "7:Q 22 Nov 2026 12:00:00.123 # x",
    "7:M 22 Nov 2026 noon # x",
    "{\"level\":\"error\"}",
    "{ERROR x",
    "\"ERROR\" he said",
    "* ERROR",
    "# WARN",
    "\tat java.lang.Error.x(Error.java:1)",
    "==> ERROR <==",
    "\u{fc}ber ERROR",
];

#[test]
fn a_level_is_found_where_loggers_write_it() {
    let wrong = SAID.iter().filter(|(level, line)| of_text(line.as_bytes()) != Some(*level));
    assert_eq!(wrong.collect::<Vec<_>>(), Vec::<&(Level, &str)>::new());
}

#[test]
fn a_carriage_return_does_not_hide_a_level() {
    for line in ["ERROR\r", "error:\r", "[ERROR]\r", "12:00:00 ERROR\r", "level=error\r"] {
        assert_eq!(of_text(line.as_bytes()), Some(Error), "{line:?}");
    }
}

#[test]
fn a_level_is_not_guessed_from_a_sentence() {
    let guessed = UNSAID.iter().filter(|line| of_text(line.as_bytes()).is_some());
    assert_eq!(guessed.collect::<Vec<_>>(), Vec::<&&str>::new());
}

#[test]
fn a_level_far_into_a_line_is_not_looked_for() {
    let line = |length: usize| format!("[{}] ERROR x", "a".repeat(length));
    assert_eq!(of_text(line(90).as_bytes()), Some(Error));
    assert_eq!(of_text(line(200).as_bytes()), None);
}

#[test]
fn the_words_of_known_loggers_are_levels_in_any_case() {
    let words = [
        (Trace, "trace TRC Trce finest t"),
        (Debug, "debug DBG debu dbug Verbose fine debug5 d"),
        (Info, "info INF Information informational notice note LOG success i"),
        (Warn, "warn WARNING wrn W"),
        (Error, "error ERR erro eror Severe fail e"),
        (Fatal, "fatal FTL critical crit alert emerg emergency panic dpanic f c"),
    ];
    for (level, words) in words {
        for word in words.split(' ') {
            assert_eq!(of_word(word.as_bytes()), Some(level), "{word}");
        }
    }
    for word in ["", "errors", "high", "5", "informationalistically", "inf o", "\u{ff}"] {
        assert_eq!(of_word(word.as_bytes()), None, "{word}");
    }
}

/// What the quick look takes for a sentence says no level to the whole walk either.
fn is_rightly_a_sentence(line: &[u8]) -> bool {
    !prefix::is_sentence(line) || of_head(line.get(..super::WINDOW).unwrap_or(line)).is_none()
}

#[test]
fn the_quick_look_hides_no_level_of_any_word_of_three_letters_nor_of_a_longer_level() {
    let letters = || b'A'..=b'Z';
    let pairs = letters().flat_map(|a| letters().map(move |b| [a, b]));
    for [a, b] in pairs {
        for more in letters() {
            for line in [vec![a, b], vec![a, b, more], vec![a, b, more, b' ', b'x']] {
                assert!(is_rightly_a_sentence(&[line, b" - x".to_vec()].concat()));
            }
        }
    }
    let words = SAID.iter().flat_map(|(_, line)| line.split(|c: char| !c.is_ascii_alphabetic()));
    for word in words.filter(|word| of_word(word.as_bytes()).is_some()) {
        for line in [format!("{word} x"), format!("{} x", word.to_uppercase())] {
            assert!(is_rightly_a_sentence(line.as_bytes()), "{line}");
        }
    }
}

#[test]
fn a_number_is_a_level_of_pino_and_counts_as_the_one_below_it() {
    let numbers =
        [(10, Trace), (20, Debug), (30, Info), (35, Info), (40, Warn), (50, Error), (60, Fatal)];
    for (number, level) in numbers {
        assert_eq!(of_number(number), Some(level), "{number}");
    }
    for number in [0, 3, 9, 70, 1_700_000_000, u64::MAX] {
        assert_eq!(of_number(number), None, "{number}");
    }
}

/// Text that comes near the forms, and bytes that are nothing.
fn anything() -> impl Strategy<Value = Vec<u8>> {
    let piece = proptest::sample::select(vec![
        "ERROR",
        "error",
        "info",
        "[",
        "]",
        ":",
        " ",
        "  ",
        "\t",
        "|",
        " - ",
        "-",
        "2026-11-22",
        "12:00:00.1",
        "level=",
        "\"",
        "\\",
        "=",
        "UTC",
        "Nov",
        "22",
        "7:M",
        "E1122",
        "<3>",
        "\x1b[31m",
        "\x1b",
        "app.",
        "(",
        ")",
    ]);
    let pieces =
        proptest::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat().into_bytes());
    prop_oneof![pieces, proptest::collection::vec(any::<u8>(), 0..200)]
}

proptest! {
    #[test]
    fn any_bytes_have_a_level_or_none(line in anything()) {
        of_text(&line);
        of_word(&line);
        prop_assert!(is_rightly_a_sentence(&line));
    }

    #[test]
    fn what_is_behind_the_window_never_matters(line in anything(), more in anything()) {
        let long = [line.clone(), vec![b'x'; super::WINDOW], more].concat();
        let cut = long.get(..super::WINDOW).unwrap_or(&long);
        prop_assert_eq!(of_text(&long), of_text(cut));
    }

    #[test]
    fn colours_around_words_change_nothing(index in 0..SAID.len()) {
        let (level, line) = SAID[index];
        if line.len() < 80 {
            let coloured = format!("\x1b[1;38;5;208m{line}\x1b[0m");
            prop_assert_eq!(of_text(coloured.as_bytes()), Some(level));
        }
    }
}
