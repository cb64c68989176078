//! `run --wait`: the child is held back, and the endpoints answer meanwhile.

use super::{Later, plain_line, wait_for_changes};
use crate::app::App;
use crate::harness::{LIMIT, Place, Running, Scratch, Stead, free_port, http, processes, until};

/// `stead run --wait` of a shell that says `ready` and stays, with this dependency.
fn held_by(later: &Later) -> Stead {
    Stead::script("echo ready; exec sleep 1000")
        .options(["--wait", "1h"])
        .env("STEAD_CHECK_DATABASE", later.url())
        .listening()
}

fn wait_until_waiting(stead: &Running) {
    stead.wait_for_event("waiting", LIMIT);
    assert!(until(LIMIT, || http::try_request(stead.port(), "GET", "/livez", &[]).is_some()));
}

#[test]
fn the_endpoints_answer_starting_until_the_dependencies_are_up() {
    for place in Place::BOTH {
        let later = Later::new();
        let mut stead = held_by(&later).place(place).start();
        wait_until_waiting(&stead);
        for (path, status) in [("/livez", 200), ("/readyz", 503), ("/startupz", 503)] {
            let answer = stead.get(path);
            assert_eq!(answer.status, status, "{path}");
            assert_eq!(answer.json()["phase"], "starting", "{path}");
        }
        assert_eq!(stead.get("/readyz").json()["status"], "starting");
        assert!(stead.events_of("child started").is_empty());
        let _up = later.up();
        stead.wait_ready();
        assert!(until(LIMIT, || stead.status("/readyz") == 200), "{:?}", stead.get("/readyz"));
        stead.signal(libc::SIGTERM);
        assert_eq!(stead.wait_exit(LIMIT), 143);
        let messages: Vec<_> = stead.events().iter().map(|e| e["message"].to_string()).collect();
        let at = |message: &str| messages.iter().position(|m| m.contains(message));
        assert!(at("wait over") < at("child started") && at("wait over").is_some(), "{messages:?}");
    }
}

#[test]
fn term_and_int_end_it_and_the_child_never_starts() {
    for place in Place::BOTH {
        for (signal, code) in [(libc::SIGTERM, 143), (libc::SIGINT, 130)] {
            let later = Later::new();
            let mut stead = held_by(&later).place(place).start();
            wait_until_waiting(&stead);
            stead.signal(signal);
            assert_eq!(stead.wait_exit(LIMIT), code);
            assert!(stead.stdout().is_empty() && stead.events_of("child started").is_empty());
        }
    }
}

#[test]
fn the_stop_signal_ends_it_too() {
    let later = Later::new();
    let mut stead = held_by(&later).options(["--stop-signal", "QUIT"]).start();
    wait_until_waiting(&stead);
    stead.signal(libc::SIGQUIT);
    assert_eq!(stead.wait_exit(LIMIT), 131);
}

#[test]
fn the_time_is_over_with_1_and_a_clear_line() {
    let (later, scratch) = (Later::new(), Scratch::new());
    let file = scratch.file("stead.toml", "wait = \"1s\"\n", 0o644);
    let ways: [&dyn Fn(Stead) -> Stead; 3] =
        [&|stead| stead.options(["--wait=1s"]), &|stead| stead.env("STEAD_WAIT", "1s"), &|stead| {
            stead.env("STEAD_CONFIG", &file)
        }];
    for way in ways {
        let stead = Stead::script("echo started").env("STEAD_CHECK_DATABASE", later.url());
        let mut stead = way(stead.listening()).start();
        assert_eq!(stead.wait_exit(LIMIT), 1);
        let expected = "stead: not up after 1s: database (connect_refused at connect)";
        assert_eq!(plain_line(&stead), expected);
        assert!(stead.stdout().is_empty());
    }
}

#[test]
fn only_what_is_required_at_the_start_is_waited_for_and_never_the_app() {
    let (needed, optional, app) = (Later::new(), Later::new(), App::new());
    let mut stead = Stead::script("echo ready; exec sleep 1000")
        .options(["--wait"])
        .env("STEAD_CHECK_NEEDED", needed.url())
        .env("STEAD_CHECK_OPTIONAL", optional.url() + "?stead_required=false")
        .env("PORT", app.port().to_string())
        .listening()
        .start();
    let waiting = stead.wait_for_event("waiting", LIMIT);
    assert_eq!((&waiting["checks"], &waiting["timeout_s"]), (&"needed".into(), &60.0.into()));
    wait_for_changes(&stead, "down", 2);
    assert_eq!(app.connections().len(), 0, "the app was asked before it was started");
    let _up = needed.up();
    stead.wait_ready();
    assert!(until(LIMIT, || stead.status("/readyz") == 200), "{:?}", stead.get("/readyz"));
    assert!(!app.connections().is_empty());
    assert!(stead.is_running());
}

#[test]
fn with_the_endpoints_off_it_waits_too() {
    let later = Later::new();
    let mut stead = Stead::script("echo started")
        .options(["--wait"])
        .env("STEAD_CHECK_DATABASE", later.url())
        .start();
    stead.wait_for_event("waiting", LIMIT);
    let _up = later.up();
    assert_eq!(stead.wait_exit(LIMIT), 0);
    assert_eq!(stead.stdout(), ["started"]);
}

#[test]
fn where_nothing_is_to_be_waited_for_the_child_starts_at_once() {
    let optional = format!("tcp://127.0.0.1:{}?stead_required=false", free_port());
    let mut stead = Stead::script("echo started")
        .options(["--wait"])
        .env("STEAD_CHECK_OPTIONAL", optional)
        .env("PORT", free_port().to_string())
        .start();
    assert_eq!(stead.wait_exit(LIMIT), 0);
    assert!(stead.events_of("waiting").is_empty());
}

#[test]
fn a_command_that_is_not_there_is_127_before_the_wait() {
    let later = Later::new();
    let stead = Stead::run(["/not/there"]).options(["--wait"]);
    let mut stead = stead.env("STEAD_CHECK_DATABASE", later.url()).start();
    assert_eq!(stead.wait_exit(LIMIT), 127);
    assert_eq!(plain_line(&stead), "stead: cannot run /not/there: no such file");
    assert!(stead.events_of("waiting").is_empty());
}

#[test]
fn orphans_are_reaped_during_the_wait() {
    let later = Later::new();
    // The shell's child ends when it is told to, as a child of the stead that the shell becomes.
    let script = "sleep 1000 & exec \"$@\"";
    let stead = held_by(&later).under(["sh", "-c", script, "sh"]).start();
    wait_until_waiting(&stead);
    let orphans = processes::children_of(stead.pid());
    assert_eq!(orphans.len(), 1, "{orphans:?}");
    crate::harness::sys::kill(orphans[0], libc::SIGKILL).expect("a signal to the orphan");
    assert!(until(LIMIT, || processes::state(orphans[0]).is_none()), "it is a zombie");
}
