//! `stead check`: one line that a person understands, and 0 or 1, whatever is or is not there to ask.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::app::{Answer, App, Serve, idle, stubborn};
use crate::harness::{LIMIT, Running, Scratch, binary, free_port, stead, until};
use crate::network::in_own_network;

/// stead's own deadline for a check, with room for a busy machine.
const DEADLINE: Duration = Duration::from_millis(3500);

/// `stead check ARGS` with this `STEAD_LISTEN`.
fn check(listen: &str, args: &[&str]) -> Output {
    output(stead(["check"]).args(args).env("STEAD_LISTEN", listen))
}

fn output(command: &mut Command) -> Output {
    command.output().expect("stead check")
}

fn listen_of(stead: &Running) -> String {
    format!("127.0.0.1:{}", stead.port())
}

/// The code and the one line; fails when there is more or less on stdout and stderr together.
fn said(output: &Output) -> (i32, String) {
    let both = [&output.stdout[..], &output.stderr[..]].concat();
    let text = String::from_utf8(both).expect("text");
    let line = text.strip_suffix('\n').unwrap_or_else(|| panic!("no line: {text:?}"));
    assert!(!line.contains('\n'), "more than one line: {text:?}");
    assert!(text.len() <= 1024, "{} bytes: {text}", text.len());
    (output.status.code().expect("an exit code"), line.to_owned())
}

/// Asks until the answer is this one.
fn says(stead: &Running, args: &[&str], code: i32, line: &str) {
    let listen = listen_of(stead);
    let mut last = (0, String::new());
    let came = until(LIMIT, || {
        let output = check(&listen, args);
        assert!(output.stderr.is_empty(), "{output:?}");
        last = said(&output);
        last == (code, line.to_owned())
    });
    assert!(came, "check {args:?}: {last:?}");
}

#[test]
fn a_ready_app_is_ok_in_all_three_questions() {
    let app = App::new();
    let stead = app.watched().serve();
    says(&stead, &["ready"], 0, "ready: ok");
    says(&stead, &["live"], 0, "live: ok");
    says(&stead, &[], 0, "live: ok");
    says(&stead, &["startup"], 0, "startup: ok");
}

#[test]
fn an_app_that_has_not_come_up_is_starting_and_alive() {
    let stead = idle().env("PORT", free_port().to_string()).serve();
    let app = "app unknown: connect_refused at connect";
    says(&stead, &["ready"], 1, &format!("ready: starting: {app}"));
    says(&stead, &["live"], 0, "live: ok");
    let (code, line) = said(&check(&listen_of(&stead), &["startup"]));
    assert_eq!(code, 1);
    assert!(line.starts_with("startup: starting: app "), "{line}");
    assert!(line.ends_with(": connect_refused at connect"), "{line}");
}

#[test]
fn an_app_that_is_gone_is_named_with_its_class_and_stage() {
    let app = App::new();
    let stead = app.watched().env("STEAD_APP_LIVE", "on").serve();
    says(&stead, &["ready"], 0, "ready: ok");
    drop(app);
    let down = "unavailable: app down: connect_refused at connect";
    says(&stead, &["ready"], 1, &format!("ready: {down}"));
    says(&stead, &["live"], 1, &format!("live: {down}"));
    says(&stead, &["startup"], 0, "startup: ok");
}

#[test]
fn the_drain_is_not_ready_and_alive() {
    let stead = stubborn().serve();
    stead.wait_ready();
    says(&stead, &["ready"], 0, "ready: ok");
    stead.signal(libc::SIGTERM);
    says(&stead, &["ready"], 1, "ready: draining");
    says(&stead, &["live"], 0, "live: ok");
    says(&stead, &["startup"], 0, "startup: ok");
}

#[test]
fn what_fails_is_named_before_what_passes() {
    let app = App::new();
    let failing = App::new();
    failing.answers(Answer::Status(500));
    let stead = app.watched().env("STEAD_APP_URL", failing.url("/")).serve();
    let listen = listen_of(&stead);
    let mut last = (0, String::new());
    let named = until(LIMIT, || {
        last = said(&check(&listen, &["ready"]));
        last.1.starts_with("ready: starting: app-url unknown: http_status at ")
    });
    assert!(named, "{last:?}");
    assert_eq!(last.0, 1);
}

#[test]
fn quiet_prints_nothing_and_answers_by_its_code_alone() {
    let app = App::new();
    let stead = app.watched().serve();
    says(&stead, &["ready"], 0, "ready: ok");
    let (listening, nothing) = (listen_of(&stead), format!("127.0.0.1:{}", free_port()));
    for (listen, args, code) in [
        (&listening, &["-q"][..], 0),
        (&listening, &["ready", "-q"], 0),
        (&listening, &["-q", "ready"], 0),
        (&nothing, &["-q"], 1),
        (&nothing, &["startup", "-q"], 1),
    ] {
        let output = check(listen, args);
        assert_eq!(output.status.code(), Some(code), "{args:?}");
        assert!(output.stdout.is_empty() && output.stderr.is_empty(), "{output:?}");
    }
}

#[test]
fn every_form_of_stead_listen_is_asked_where_it_answers() {
    in_own_network(|| {
        let forms = [
            "9000",
            ":9000",
            "127.0.0.1:9000",
            "[::1]:9000",
            "0.0.0.0:9000",
            "[::]:9000",
            "192.0.2.7:9000",
        ];
        for form in forms {
            let listen = format!("STEAD_LISTEN={form}");
            let stead = idle().under(["env", &listen]).start();
            let answered = until(LIMIT, || check(form, &["ready", "-q"]).status.success());
            assert!(answered, "{form}: {:?}, {:?}", check(form, &[]), stead.stderr());
            assert_eq!(said(&check(form, &["ready"])), (0, "ready: ok".to_owned()));
        }
        let _by_default = idle().under(["env", "-u", "STEAD_LISTEN"]).start();
        let ask = || output(&mut stead(["check"]));
        assert!(until(LIMIT, || ask().status.success()), "{:?}", ask());
    });
}

#[test]
fn nothing_there_is_1_and_the_line_says_where_it_asked() {
    let port = free_port();
    let expected = |name: &str, at: &str| {
        format!("{name}: no stead answers at {at}:{port}: connection refused")
    };
    for (args, name) in
        [(&[][..], "live"), (&["live"], "live"), (&["ready"], "ready"), (&["startup"], "startup")]
    {
        let (code, line) = said(&check(&format!("127.0.0.1:{port}"), args));
        assert_eq!(code, 1);
        assert!(line.starts_with(&expected(name, "127.0.0.1")), "{line}");
    }
    for form in [port.to_string(), format!("0.0.0.0:{port}"), format!("[::]:{port}")] {
        let (code, line) = said(&check(&form, &[]));
        assert_eq!(code, 1, "{form}");
        assert!(line.starts_with("live: no stead answers at "), "{form}: {line}");
    }
    let (code, line) = said(&check(&format!("[::1]:{port}"), &[]));
    assert_eq!(code, 1);
    assert!(line.starts_with(&expected("live", "[::1]")), "{line}");
}

#[test]
fn a_stead_that_does_not_listen_is_1_and_the_line_says_so() {
    let (code, line) = said(&check("off", &[]));
    assert_eq!(code, 1);
    assert!(line.contains("STEAD_LISTEN") && line.contains("off"), "{line}");
}

/// Listens, and sends each that connects these bytes once, then every 100 ms these.
fn impostor(at_once: &'static [u8], and_then: &'static [u8]) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, free_port())).expect("a port");
    let port = listener.local_addr().expect("its address").port();
    // Lives as long as this program; so do the few that connect.
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut request = [0; 4096];
                let _ = stream.read(&mut request);
                let mut open = stream.write_all(at_once).is_ok();
                while open && !and_then.is_empty() {
                    thread::sleep(Duration::from_millis(100));
                    open = stream.write_all(and_then).is_ok();
                }
                // Says no more, and keeps the connection until the client ends it.
                let _ = stream.read_to_end(&mut Vec::new());
            });
        }
    });
    port
}

#[test]
fn a_listener_that_says_nothing_or_never_ends_is_1_at_the_deadline() {
    let endless: [(&'static [u8], &'static [u8]); 4] = [
        (b"", b""),
        (b"", b"H"),
        (b"HTTP/1.1 200 OK\r\n", b"X-Header: value\r\n"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b"{"),
    ];
    for (at_once, and_then) in endless {
        let port = impostor(at_once, and_then);
        let began = Instant::now();
        let (code, line) = said(&check(&format!("127.0.0.1:{port}"), &["ready"]));
        assert_eq!(code, 1, "{line}");
        assert!(line.starts_with("ready: "), "{line}");
        assert!(began.elapsed() < DEADLINE, "{:?}: {line}", began.elapsed());
    }
}

#[test]
fn an_answer_that_is_no_steads_is_1() {
    let answers: [&'static [u8]; 8] = [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"\x15\x03\x01\x00\x02\x02\x28",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n[]",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\nConnection: close\r\n\r\n\xff\xfe\n\n",
        b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
    ];
    for bytes in answers {
        let app = App::new();
        app.answers(Answer::Bytes(bytes));
        let (code, line) = said(&check(&format!("127.0.0.1:{}", app.port()), &[]));
        let text = String::from_utf8_lossy(bytes).into_owned();
        assert_eq!(code, 1, "{text:?}: {line}");
        assert!(line.starts_with("live: "), "{text:?}: {line}");
        assert!(!line.contains("hello"), "{line}");
    }
    let app = App::new();
    app.answers(Answer::Endless(b"HTTP/1.1 200 OK\r\n\r\nxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"));
    let (code, _) = said(&check(&format!("127.0.0.1:{}", app.port()), &[]));
    assert_eq!(code, 1);
    let app = App::new();
    app.answers(Answer::Reset);
    let (code, _) = said(&check(&format!("127.0.0.1:{}", app.port()), &[]));
    assert_eq!(code, 1);
}

#[test]
fn a_mistake_in_its_use_or_its_configuration_is_1() {
    let app = App::new();
    let running = app.watched().serve();
    says(&running, &["ready"], 0, "ready: ok");
    let listen = listen_of(&running);
    let usages = [
        &["lively"][..],
        &["live", "ready"],
        &["--nonsense"],
        &["-x"],
        &["-q", "nonsense"],
        &["--grace", "5s"],
        &["ready", "--", "true"],
        &[""],
    ];
    for args in usages {
        let output = check(&listen, args);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {output:?}");
        if !args.contains(&"-q") {
            said(&output);
        }
    }
    for form in ["nonsense", "127.0.0.1", "127.0.0.1:0x1", "1:2:3", "70000", "host:http"] {
        let (code, line) = said(&check(form, &[]));
        assert_eq!(code, 1, "{form}: {line}");
        assert!(line.contains("STEAD_LISTEN"), "{form}: {line}");
    }
    let scratch = Scratch::new();
    for text in ["listen = 9321.5\n", "listen = \"nonsense\"\n", "listen = \n", "= = =\n"] {
        let file = scratch.file("stead.toml", text, 0o644);
        let (code, line) = said(&output(stead(["check"]).env("STEAD_CONFIG", file)));
        assert_eq!(code, 1, "{text}: {line}");
        assert!(line.contains("stead.toml:1"), "{text}: {line}");
    }
    let (code, _) = said(&output(stead(["check"]).env("STEAD_CONFIG", "/nonexistent.toml")));
    assert_eq!(code, 1);
    // Whatever else is wrong in the environment, the code is 0 or 1.
    let mut odd = stead(["check"]);
    odd.env("STEAD_LISTEN", &listen).env("STEAD_GRACE", "soon").env("STEAD_NONSENSE", "1");
    assert!(matches!(output(&mut odd).status.code(), Some(0 | 1)));
}

#[test]
fn the_file_says_where_to_ask_and_the_variable_says_it_louder() {
    let stead_there = idle().serve();
    says(&stead_there, &["ready"], 0, "ready: ok");
    let scratch = Scratch::new();
    let listen = format!("listen = \"{}\"\n", listen_of(&stead_there));
    let file = scratch.file("stead.toml", listen, 0o644);
    let by_file = output(stead(["check"]).env("STEAD_CONFIG", &file));
    assert_eq!(said(&by_file), (0, "live: ok".to_owned()));
    let elsewhere = format!("127.0.0.1:{}", free_port());
    let mut command = stead(["check"]);
    command.env("STEAD_CONFIG", &file).env("STEAD_LISTEN", elsewhere);
    assert_eq!(output(&mut command).status.code(), Some(1));
}

#[test]
fn the_code_is_right_where_nobody_reads_the_line() {
    let stead_there = idle().serve();
    says(&stead_there, &["ready"], 0, "ready: ok");
    let nothing = format!("127.0.0.1:{}", free_port());
    for (listen, code) in [(listen_of(&stead_there), 0), (nothing, 1)] {
        for script in [
            "exec \"$0\" check >&-",
            "exec \"$0\" check >&- 2>&- <&-",
            "exec \"$0\" check >/dev/full 2>/dev/full",
        ] {
            let mut command = Command::new("/bin/sh");
            command.args(["-c", script]).arg(binary());
            command.env_clear().env("STEAD_LISTEN", &listen);
            assert_eq!(output(&mut command).status.code(), Some(code), "{script}");
        }
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut command = stead(["check"]);
        command.env("STEAD_LISTEN", &listen).stdout(writer).stderr(Stdio::null());
        let status = command.status().expect("stead check");
        assert_eq!(status.code(), Some(code), "a pipe without a reader: {status}");
    }
}

#[test]
fn it_starts_no_thread_and_no_process() {
    let stead_there = idle().serve();
    says(&stead_there, &["ready"], 0, "ready: ok");
    let scratch = Scratch::new();
    let trace = scratch.path().join("trace");
    let status = Command::new("strace")
        .args(["-f", "-e", "trace=process", "-o"])
        .arg(&trace)
        .arg(binary())
        .args(["check", "ready", "-q"])
        .env_clear()
        .env("STEAD_LISTEN", listen_of(&stead_there))
        .status()
        .expect("strace");
    assert!(status.success(), "{status}");
    let calls = std::fs::read_to_string(&trace).expect("the trace");
    assert_eq!(calls.matches("execve(").count(), 1, "{calls}");
    for call in ["clone(", "clone3(", "fork("] {
        assert!(!calls.contains(call), "{calls}");
    }
}

#[test]
fn it_needs_nothing_but_the_variable() {
    let stead_there = idle().serve();
    says(&stead_there, &["ready"], 0, "ready: ok");
    let mut command = Command::new(binary());
    command.arg("check").current_dir("/").stdin(Stdio::null());
    command.env_clear().env("STEAD_LISTEN", listen_of(&stead_there));
    assert_eq!(said(&output(&mut command)), (0, "live: ok".to_owned()));
}
