//! Who may say something, how much of it, and what becomes of that which came with it.

use super::{App, send, socket_of};
use crate::harness::{LIMIT, Stead, processes, stead, until};

/// systemd's own library, called by Python: `lib.sd_notify(0, b"...")`.
const LIBSYSTEMD: &str = "import ctypes, os; lib = ctypes.CDLL('libsystemd.so.0'); ";

/// A line for the shell that runs this Python.
fn python(text: &str) -> String {
    format!("/usr/bin/python3 -c \"{LIBSYSTEMD}{text}\"")
}

#[test]
fn systemds_library_is_understood_and_its_barrier_comes_back() {
    let mut app = App::start(["--notify-ready"]);
    // -110 is the time limit's error; more than 0 says that the descriptor was closed.
    app.run(&python(
        "print(lib.sd_notify(0, b'READY=1\\nSTATUS=from C'), \
         lib.sd_notify_barrier(0, ctypes.c_uint64(20_000_000)) > 0, \
         lib.sd_notify_barrier(0, ctypes.c_uint64(20_000_000)) > 0)",
    ));
    app.stead.wait_for_line(LIMIT, |line| line == "1 True True");
    assert_eq!((app.stead.status("/readyz"), &app.notified()["status"]), (200, &"from C".into()));
}

#[test]
fn a_barrier_among_other_assignments_makes_nothing_of_them() {
    let mut app = App::start(["--notify-ready"]);
    app.run("notify 'READY=1\\nBARRIER=1' 'BARRIER=1\\nREADY=1'; systemd-notify --status=behind");
    assert_eq!((app.stead.status("/readyz"), &app.notified()["status"]), (503, &"behind".into()));
}

#[test]
fn descriptors_are_closed_whatever_they_came_with() {
    let mut app = App::start(["--notify"]);
    let descriptors = format!("/proc/{}/fd", app.stead.pid());
    let open = || std::fs::read_dir(&descriptors).unwrap().count();
    let before = open();
    let send = python(
        "fds = (ctypes.c_int * 200)(*[os.dup(0) for _ in range(200)]); \
         say = lambda text: lib.sd_pid_notify_with_fds(0, 0, text, fds, 200); \
         print([say(t) for t in (b'FDSTORE=1', b'BARRIER=1', b'STATUS=x', b'X' * 5000, b'\\xff')], \
         lib.sd_notify_barrier(0, ctypes.c_uint64(20_000_000)) > 0)",
    );
    app.tell(&send);
    app.stead.wait_for_line(LIMIT, |line| line == "[1, 1, 1, 1, 1] True");
    assert!(until(LIMIT, || open() <= before), "{} are open, and {before} were", open());
    assert_eq!(app.notified()["status"], "x");
}

#[test]
fn what_is_too_long_or_no_text_is_dropped_whole() {
    let mut app = App::start(["--notify-ready"]);
    app.run("notify \"READY=1\\nSTATUS=$(head -c 5000 /dev/zero | tr '\\0' x)\"");
    app.run(&python("lib.sd_notify(0, b'READY=1\\nSTATUS=\\xff')"));
    app.run("systemd-notify --status=behind");
    assert_eq!((app.stead.status("/readyz"), &app.notified()["status"]), (503, &"behind".into()));
    assert_eq!(app.stead.wait_for_event("notification refused", LIMIT)["reason"], "too long");
}

#[test]
fn numbers_beyond_measure_hurt_nothing() {
    let mut app = App::start(["--notify", "--grace", "60s"]);
    let most = u64::MAX;
    app.run(&format!("notify WATCHDOG_USEC={most} WATCHDOG=1 MAINPID=2147483647 ERRNO=2147483647"));
    app.run("systemd-notify --ready");
    assert_eq!((app.stead.status("/livez"), &app.notified()["state"]), (200, &"ready".into()));
    app.tell(&format!(
        "trap 'systemd-notify EXTEND_TIMEOUT_USEC={most}; exit 5' TERM; echo trapped"
    ));
    app.stead.wait_for_line(LIMIT, |line| line == "trapped");
    app.stead.signal(libc::SIGTERM);
    assert_eq!(app.stead.wait_exit(LIMIT), 5);
}

#[test]
fn a_stranger_of_the_same_user_is_not_listened_to() {
    let mut app = App::start(["--notify-ready"]);
    let socket = socket_of(&app.stead);
    for message in ["READY=1", "STOPPING=1", "WATCHDOG=trigger", "STATUS=lies", "MAINPID=1"] {
        send(&socket, message);
    }
    app.run("systemd-notify --status=truth");
    let notified = app.notified();
    assert_eq!((&notified["state"], &notified["status"]), (&"starting".into(), &"truth".into()));
    let refused = app.stead.wait_for_event("notification refused", LIMIT);
    assert_eq!(refused["from_pid"].as_i64(), Some(std::process::id().into()));
    assert_eq!(refused["reason"], "not from the command");
    assert_eq!(app.stead.events_of("notification refused").len(), 1, "one is enough");
    assert!(app.stead.is_running());
}

#[test]
fn processes_at_any_depth_and_orphans_of_the_command_are_listened_to() {
    let mut app = App::start(["--notify-ready"]);
    app.run("sh -c '(sh -c \"setsid systemd-notify --status=deep\")'");
    assert_eq!(app.notified()["status"], "deep");
    app.tell("(setsid sh -c 'sleep 0.2; systemd-notify --ready' &)");
    app.wait_for_status("/readyz", 200);
}

#[test]
fn a_sender_that_has_ended_counts_all_the_same() {
    let mut app = App::start(["--notify"]);
    for round in 0..100 {
        // It waits for no answer, and the shell reaps it at once.
        app.run(&format!("notify STATUS={round}"));
        let expected = serde_json::Value::from(round.to_string());
        let came = until(LIMIT, || app.notified()["status"] == expected);
        assert!(came, "round {round}: {}", app.notified());
    }
    assert!(app.stead.events_of("notification refused").is_empty());
}

#[test]
fn a_flood_delays_neither_signals_nor_answers_nor_the_end() {
    // More than can be taken in while the test lasts.
    let script = "notify 1000000xSTATUS=flood & notify 1000000xMAINPID=1 & notify 1000000xREADY=1 & \
                  notify 1000000xEXTEND_TIMEOUT_USEC=1 & exec print_signals --exit-on 15:5";
    let stead = Stead::script(script).options(["--notify", "--grace", "60s", "--linger", "60s"]);
    let mut stead = stead.listening().start();
    stead.wait_ready();
    stead.wait_for_event("app status", LIMIT);
    for _ in 0..20 {
        assert_eq!(stead.status("/livez"), 200);
        stead.signal(libc::SIGUSR1);
    }
    stead.wait_for_line(LIMIT, |line| line.starts_with("got 10 "));
    stead.signal(libc::SIGTERM);
    stead.wait_for_event("child ended", LIMIT);
    // What floods gets the signal too.
    assert_eq!(stead.wait_exit(LIMIT), 5);
}

#[test]
fn a_hundred_thousand_messages_are_all_taken_in() {
    let mut app = App::start(["--notify"]);
    app.run("notify 100000xSTATUS=flood STATUS=behind; systemd-notify READY=1");
    assert_eq!(app.notified(), serde_json::json!({"state": "ready", "status": "behind"}));
}

#[test]
fn nothing_of_it_is_there_without_the_option() {
    let mut app = App::start([]);
    app.run("echo \"socket: $NOTIFY_SOCKET, watchdog: $WATCHDOG_USEC\"");
    app.stead.wait_for_line(LIMIT, |line| line == "socket: , watchdog: ");
    assert!(app.notified().is_null());
    let threads = processes::threads_that_do_not_accept(app.stead.pid());
    let listening = App::start(["--notify-ready"]);
    let its = processes::threads_that_do_not_accept(listening.stead.pid());
    assert_eq!(its, threads);
}

#[test]
fn each_of_the_settings_turns_it_on_and_a_mistake_in_one_is_told() {
    for options in [&["--notify-ready"][..], &["--watchdog=5s"], &["--watchdog-signal=ABRT"]] {
        let mut config = stead(["config"]);
        let text = String::from_utf8(config.args(options).output().unwrap().stdout).unwrap();
        let row = text.lines().find(|line| line.starts_with("notify ")).unwrap();
        assert!(row.contains(" on "), "{options:?}: {text}");
    }
    for options in [["--watchdog=0s"], ["--watchdog=often"], ["--watchdog-signal=KILL"]] {
        let run = stead(["run"]).args(options).args(["--", "true"]).output().unwrap();
        let said = String::from_utf8_lossy(&run.stderr).into_owned();
        assert_eq!((run.status.code(), said.lines().count()), (Some(64), 1), "{said}");
    }
}
