//! `--notify`: what an app says by sd_notify(3), sent by real clients (systemd's own tool and library), and what the
//! endpoints, the log and a service manager around stead make of it.

mod contained;
mod main_pid;
mod manager;
mod senders;

use std::io::{PipeWriter, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use serde_json::Value;

use crate::harness::{LIMIT, Running, Stead, until};

/// A shell that does what it is told, line by line, until there is no more.
const OBEDIENT: &str = r#"echo ready; while read -r line; do eval "$line"; done"#;

/// A stead whose command is such a shell.
struct App {
    stead: Running,
    commands: PipeWriter,
}

impl App {
    fn start<const N: usize>(options: [&str; N]) -> Self {
        Self::of(Stead::script(OBEDIENT).options(options).listening())
    }

    fn of(stead: Stead) -> Self {
        let (reader, commands) = std::io::pipe().expect("a pipe");
        let stead = stead.stdin(reader).start();
        stead.wait_ready();
        Self { stead, commands }
    }

    /// Has the shell do something.
    fn tell(&mut self, line: &str) {
        writeln!(self.commands, "{line}").expect("a shell that reads");
    }

    /// Has the shell do something, and waits until it is done.
    fn run(&mut self, line: &str) {
        let done = format!("done {}", self.stead.count_stdout());
        self.tell(&format!("{line}; echo {done}"));
        self.stead.wait_for_line(LIMIT, |line| line == done);
    }

    fn notified(&self) -> Value {
        self.stead.get("/readyz").json()["notify"].clone()
    }

    fn wait_for_status(&self, path: &str, status: u16) {
        let came = until(LIMIT, || self.stead.status(path) == status);
        assert!(came, "{path} is no {status}: {:?}", self.stead.get(path));
    }
}

#[test]
fn readiness_and_the_start_wait_for_ready_and_the_answer_says_so() {
    let mut app = App::start(["--notify-ready"]);
    for path in ["/readyz", "/startupz"] {
        let waiting = app.stead.get(path);
        assert_eq!((waiting.status, &waiting.json()["status"]), (503, &"starting".into()));
    }
    assert_eq!(app.stead.status("/livez"), 200);
    let verbose = app.stead.get("/readyz?verbose").body;
    assert_eq!(verbose, "[-]notify failed: READY=1 was not said\nreadyz check failed\n");
    // systemd-notify returns when its barrier does: what it has said counts by then.
    app.run("systemd-notify --ready --status='all \"is\" well'");
    for path in ["/readyz", "/startupz", "/livez"] {
        assert_eq!(app.stead.status(path), 200, "{path}");
    }
    assert_eq!(app.notified(), serde_json::json!({"state": "ready", "status": "all \"is\" well"}));
    assert_eq!(app.stead.wait_for_event("app notified", LIMIT)["state"], "ready");
    assert_eq!(app.stead.wait_for_event("app status", LIMIT)["status"], "all \"is\" well");
    assert_eq!(app.stead.wait_for_event("starting", LIMIT)["app"], "notify");
}

#[test]
fn without_notify_ready_an_app_may_say_nothing_and_is_ready() {
    let mut app = App::start(["--notify"]);
    assert_eq!(app.stead.status("/readyz"), 200);
    assert_eq!(app.notified()["state"], "starting");
    app.run("systemd-notify --ready");
    assert_eq!((app.stead.status("/readyz"), &app.notified()["state"]), (200, &"ready".into()));
}

#[test]
fn what_an_app_says_is_shown_to_those_who_see_details_alone() {
    let mut app = App::start(["--notify-ready", "--details", "never"]);
    app.run("systemd-notify --status=private");
    for path in ["/readyz", "/readyz?verbose"] {
        let answer = app.stead.get(path);
        assert_eq!(answer.status, 503);
        assert!(!answer.body.contains("private") && !answer.body.contains("READY"), "{answer:?}");
    }
}

#[test]
fn reloading_leaves_it_ready_and_stopping_does_not_without_any_drain() {
    let mut app = App::start(["--notify-ready"]);
    app.run("systemd-notify --ready");
    app.run("systemd-notify RELOADING=1 MONOTONIC_USEC=1");
    assert_eq!((app.stead.status("/readyz"), &app.notified()["state"]), (200, &"reloading".into()));
    app.run("systemd-notify --ready");
    app.run("systemd-notify STOPPING=1");
    let stopping = app.stead.get("/readyz");
    assert_eq!((stopping.status, &stopping.json()["status"]), (503, &"draining".into()));
    assert_eq!(stopping.json()["phase"], "running");
    assert_eq!((app.stead.status("/livez"), app.stead.status("/startupz")), (200, 200));
    // Nothing makes a dying app ready again.
    app.run("systemd-notify --ready");
    assert_eq!(app.stead.status("/readyz"), 503);
    app.tell("exit 7");
    assert_eq!(app.stead.wait_exit(LIMIT), 7);
    assert!(app.stead.events_of("drain started").is_empty());
}

#[test]
fn the_command_is_told_of_the_socket_and_of_its_watchdog_by_its_own_pid() {
    let mut app = App::start(["--watchdog", "90s"]);
    app.run(r#"echo "$NOTIFY_SOCKET $WATCHDOG_USEC $WATCHDOG_PID $$""#);
    let line = app.stead.wait_for_line(LIMIT, |line| line.starts_with('@'));
    let words: Vec<&str> = line.split(' ').collect();
    assert_eq!((words[1], words[2]), ("90000000", words[3]), "{line}");
    assert!(words[0].starts_with("@stead/") && words[0].len() == "@stead/".len() + 32, "{line}");
}

#[test]
fn a_missed_watchdog_ends_liveness_until_its_next_sign_of_life() {
    let mut app = App::start(["--watchdog", "300ms"]);
    // Until it has started, an app has better to do.
    assert_eq!(app.stead.status("/livez"), 200);
    app.run("systemd-notify --ready");
    app.wait_for_status("/livez", 503);
    let verbose = app.stead.get("/livez?verbose").body;
    assert_eq!(verbose, "[-]notify failed: WATCHDOG=1 was missed\nlivez check failed\n");
    assert_eq!(app.stead.wait_for_event("watchdog missed", LIMIT)["period_s"], 0.3);
    assert_eq!(app.stead.status("/readyz"), 200);
    app.tell("systemd-notify WATCHDOG_USEC=3600000000; systemd-notify WATCHDOG=1");
    app.wait_for_status("/livez", 200);
    app.stead.wait_for_event("watchdog is back", LIMIT);
    assert_eq!(app.stead.events_of("watchdog missed").len(), 1);
}

#[test]
fn a_watchdog_that_the_app_pulls_itself_brings_the_signal_once() {
    let script = "systemd-notify --ready; systemd-notify WATCHDOG=trigger; \
                  systemd-notify WATCHDOG=trigger; exec print_signals";
    let stead = Stead::script(script).options(["--watchdog-signal", "USR1", "--notify"]);
    // Before the shell is the program, USR1 would be the end of it.
    let stead = stead.before_exec(|| crate::harness::sys::ignore(libc::SIGUSR1));
    let stead = stead.listening().start();
    stead.wait_ready();
    let sent = stead.wait_for_event("watchdog signal sent", LIMIT);
    assert_eq!(
        (&sent["signal"], sent["pid"].as_i64()),
        (&"USR1".into(), Some(stead.child_pid().into()))
    );
    assert_eq!(stead.status("/livez"), 503);
    assert_eq!(stead.events_of("watchdog signal sent").len(), 1);
    assert_eq!(stead.events_of("watchdog missed").len(), 1);
}

#[test]
fn a_hung_app_gets_the_signal_that_was_agreed_and_its_end_is_its_own() {
    let script = "systemd-notify --ready; exec sleep 300";
    let mut stead =
        Stead::script(script).options(["--watchdog", "200ms", "--watchdog-signal", "ABRT"]).start();
    assert_eq!(stead.wait_exit(LIMIT), 134);
    assert_eq!(stead.wait_for_event("watchdog signal sent", LIMIT)["signal"], "ABRT");
}

#[test]
fn the_drain_counts_no_watchdog() {
    let script = "trap 'systemd-notify WATCHDOG=trigger; echo pulled' TERM; trap 'exit 6' USR1; \
                  systemd-notify --ready; echo ready; while :; do sleep 0.05; done";
    let options = ["--watchdog", "30s", "--watchdog-signal", "ABRT", "--grace", "60s"];
    let mut stead = Stead::script(script).options(options).listening().start();
    stead.wait_ready();
    stead.signal(libc::SIGTERM);
    stead.wait_for_line(LIMIT, |line| line == "pulled");
    assert_eq!(stead.status("/livez"), 200);
    stead.signal(libc::SIGUSR1);
    assert_eq!(stead.wait_exit(LIMIT), 6);
    assert!(stead.events_of("watchdog missed").is_empty());
}

#[test]
fn a_drain_lasts_as_long_as_the_app_says_that_it_needs() {
    // At 0.3 s it asks for two more seconds, at 1.5 s it ends by itself: the grace of 1 s is over by then.
    let script = "trap 'systemd-notify STOPPING=1; sleep 0.3; systemd-notify EXTEND_TIMEOUT_USEC=2000000; \
                  sleep 1.2; exit 9' TERM; echo ready; while :; do sleep 0.05; done";
    for (options, code) in [(&["--grace", "1s", "--notify"][..], 9), (&["--grace", "1s"], 137)] {
        let mut stead = Stead::script(script).options(options.iter().copied()).listening().start();
        stead.wait_ready();
        stead.signal(libc::SIGTERM);
        assert_eq!(stead.wait_exit(LIMIT), code, "{options:?}");
    }
}

#[test]
fn a_status_that_changes_all_the_time_is_few_events_and_never_stale() {
    let mut app = App::start(["--notify"]);
    app.run("for n in 1 2 3 4 5 6 7 8 9; do notify STATUS=$n; done; systemd-notify --status=last");
    assert_eq!(app.notified()["status"], "last");
    let last = |event: &Value| event["message"] == "app status" && event["status"] == "last";
    app.stead.wait_for("the last status", LIMIT, last);
    assert!(app.stead.events_of("app status").len() < 10);
}

#[test]
fn without_endpoints_it_still_works() {
    let script = "systemd-notify --ready --status=here; exec sleep 300";
    let stead = Stead::script(script).options(["--notify"]).start();
    assert_eq!(stead.wait_for_event("app status", LIMIT)["status"], "here");
}

#[test]
fn the_page_shows_what_the_app_says_of_itself() {
    let mut app = App::start(["--notify-ready"]);
    app.run("systemd-notify --status='<b>17 jobs'");
    let page = app.stead.get("/").body;
    assert!(page.contains("The app says: <b>starting</b> &lt;b"), "{page}");
    assert!(page.contains("ready <b class=\"middling\">starting</b>"), "{page}");
}

/// The name of the socket, out of the environment of the command.
fn socket_of(stead: &Running) -> String {
    let environ =
        std::fs::read(format!("/proc/{}/environ", stead.child_pid())).expect("its environment");
    let text = String::from_utf8_lossy(&environ).into_owned();
    let value = text.split('\0').find_map(|entry| entry.strip_prefix("NOTIFY_SOCKET="));
    value.expect("the socket").to_owned()
}

/// Sends a message from this process, which is not stead's.
fn send(socket: &str, message: &str) {
    let name = socket.strip_prefix('@').expect("an abstract name");
    let address = SocketAddr::from_abstract_name(name).expect("an address");
    let sender = UnixDatagram::unbound().expect("a socket");
    sender.set_write_timeout(Some(Duration::from_secs(5))).expect("a limit");
    sender.send_to_addr(message.as_bytes(), &address).expect("a socket that takes it");
}
