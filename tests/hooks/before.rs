//! The hooks before the command.

use std::fs::{self, File};
use std::time::{Duration, Instant};

use super::{ended, file, printed, script, wait_printed, waits};
use crate::harness::{LIMIT, Place, Scratch, Stead, until};

/// Where this hook fails, stead ends with `code`, the command never starts, and nothing is left.
#[track_caller]
fn fails_with(code: i32, hook: &str) {
    let mut stead = Stead::script("echo started").options(["--pre-start", hook]).start();
    assert_eq!(stead.wait_exit(LIMIT), code, "{hook}");
    assert!(stead.stdout().is_empty(), "{hook}");
    assert!(stead.events_of("child started").is_empty(), "{hook}");
    let last = stead.stderr().pop().expect("a last line");
    assert!(last.starts_with("stead: pre_start: "), "{hook}: {last}");
    assert!(stead.processes().is_empty(), "{hook}");
}

#[test]
fn hooks_run_one_after_the_other_and_then_the_command() {
    for place in Place::BOTH {
        let scratch = Scratch::new();
        let trace = scratch.path().join("trace");
        let says = |word: &str| script(&format!("sleep 0.1; echo {word} >> {}", trace.display()));
        let (first, second) = (says("first"), says("second"));
        let mut stead = Stead::script(&format!("cat {}", trace.display()))
            .options(["--pre-start", &first, "--pre-start", &second])
            .place(place)
            .start();
        assert_eq!(stead.wait_exit(LIMIT), 0);
        assert_eq!(stead.stdout(), ["first", "second"]);
        let order: Vec<_> = stead.events().iter().map(|e| e["message"].clone()).collect();
        let hooks = ["hook started", "hook ended", "hook started", "hook ended", "child started"];
        assert_eq!(order[1..6], hooks, "{place:?}");
        let end = ended(&stead, "pre_start", LIMIT);
        assert_eq!(
            (&end["level"], &end["command"], &end["code"]),
            (&"info".into(), &"sh".into(), &0.into())
        );
        assert!(end["elapsed_ms"].as_u64().is_some_and(|ms| ms >= 100), "{end}");
    }
}

#[test]
fn stead_ends_with_the_code_of_a_hook_that_fails() {
    for code in 1..=255 {
        fails_with(code, &format!("sh -c 'exit {code}'"));
    }
}

#[test]
fn stead_ends_with_128_and_the_signal_that_ended_a_hook() {
    for signal in (1..=31).filter(|n| ![17, 18, 19, 20, 21, 22, 23, 28].contains(n)) {
        fails_with(128 + signal, &script(&format!("ulimit -c 0; kill -{signal} $$; sleep 1000")));
    }
}

#[test]
fn a_hook_that_may_fail_lets_the_command_start() {
    let scratch = Scratch::new();
    let text = "[[hook.pre_start]]\ncommand = \"/no/such/program s3cret\"\non_failure = \"ignore\"\n\
         [[hook.pre_start]]\ncommand = \"false\"\non_failure = \"ignore\"\n\
         [[hook.pre_start]]\ncommand = \"sleep 1000\"\non_failure = \"ignore\"\ntimeout = \"100ms\"\n";
    let stead = Stead::script("echo started").env("STEAD_CONFIG", file(&scratch, text));
    let mut stead = stead.start();
    assert_eq!(stead.wait_exit(LIMIT), 0);
    assert_eq!(stead.stdout(), ["started"]);
    let ends = stead.events_of("hook ended");
    assert!(ends.iter().all(|end| end["level"] == "warn"), "{ends:?}");
    let facts: Vec<_> = ends.iter().map(|e| (&e["code"], &e["timeout_s"])).collect();
    let null = serde_json::Value::Null;
    assert_eq!(facts, [(&127.into(), &null), (&1.into(), &null), (&1.into(), &0.1.into())]);
    assert!(ends[0]["error"].as_str().is_some_and(|e| e.contains("no such file")), "{ends:?}");
    assert!(!stead.stderr().concat().contains("s3cret"));
}

#[test]
fn at_its_timeout_a_hook_is_killed_with_all_that_descends_from_it() {
    let scratch = Scratch::new();
    let scatters =
        "trap \\\"\\\" TERM INT; sleep 1000 & setsid sleep 1000 & sleep 1000; sleep 1000";
    let text = format!("[hook.pre_start]\ncommand = \"sh -c '{scatters}'\"\ntimeout = \"300ms\"\n");
    let mut stead =
        Stead::script("echo started").env("STEAD_CONFIG", file(&scratch, &text)).start();
    assert_eq!(stead.wait_exit(LIMIT), 1);
    assert!(stead.stdout().is_empty() && stead.processes().is_empty());
    assert_eq!(ended(&stead, "pre_start", LIMIT)["timeout_s"], 0.3);
    let last = stead.stderr().pop().unwrap();
    assert_eq!(last, "stead: pre_start: sh was not over after 300ms");
}

#[test]
fn stead_is_live_and_not_ready_while_a_hook_runs_and_asks_nothing_of_the_app() {
    let scratch = Scratch::new();
    let go = scratch.path().join("go");
    let hook = script(&format!("echo runs; until test -e {}; do sleep 0.02; done", go.display()));
    let port = crate::harness::free_port();
    let listener = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let options = ["--pre-start".to_owned(), hook, format!("--app-port={port}")];
    let mut stead = waits().options(options).listening().start();
    wait_printed(&stead, "pre_start", "runs", LIMIT);
    for _ in 0..20 {
        assert_eq!(stead.status("/livez"), 200);
        let ready = stead.get("/readyz");
        assert_eq!((ready.status, &ready.json()["phase"]), (503, &"starting".into()));
        assert_eq!(stead.status("/startupz"), 503);
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(listener.accept().is_err(), "the app's port was asked");
    std::fs::write(&go, "").unwrap();
    stead.wait_ready();
    assert!(until(LIMIT, || stead.status("/readyz") == 200));
    stead.signal(libc::SIGTERM);
    assert_eq!(stead.wait_exit(LIMIT), 143);
}

#[test]
fn a_signal_during_a_hook_ends_both_and_the_command_never_starts() {
    for place in Place::BOTH {
        for (signal, code) in [(libc::SIGTERM, 143), (libc::SIGINT, 130)] {
            let hook = script(
                "trap \"sleep 0.2; echo cleaned up; exit 0\" TERM; echo runs; sleep 1000 & wait",
            );
            let options = ["--pre-start", &hook, "--pre-start", "false"];
            let mut stead = Stead::script("echo started").options(options).place(place).start();
            wait_printed(&stead, "pre_start", "runs", LIMIT);
            stead.signal(signal);
            assert_eq!(stead.wait_exit(LIMIT), code, "{place:?}");
            assert_eq!(printed(&stead, "pre_start"), ["runs", "cleaned up"]);
            assert!(stead.stdout().is_empty() && stead.processes().is_empty());
            assert_eq!(stead.events_of("hook started").len(), 1);
        }
    }
}

#[test]
fn a_term_at_any_moment_of_a_hook_ends_stead_with_143() {
    for step in 0..40 {
        let mut stead = Stead::script("echo started; exec sleep 1000")
            .options(["--pre-start", &script("sleep 0.02; echo x"), "--pre-start", "sleep 0.02"])
            .place(Place::BOTH[step % 2])
            .start();
        stead.wait_for_event("starting", LIMIT);
        std::thread::sleep(Duration::from_millis(2 * step as u64));
        stead.signal(libc::SIGTERM);
        assert_eq!(stead.wait_exit(LIMIT), 143, "step {step}");
        assert!(stead.processes().is_empty(), "step {step}");
    }
}

#[test]
fn a_hook_that_withstands_term_is_killed_when_the_grace_is_over() {
    for place in Place::BOTH {
        let hook =
            script("trap \"\" TERM; setsid sleep 1000 & echo runs; while :; do sleep 1000; done");
        let options = ["--grace", "300ms", "--pre-start", &hook];
        let mut stead = Stead::script("echo started").options(options).place(place).start();
        wait_printed(&stead, "pre_start", "runs", LIMIT);
        let asked = Instant::now();
        stead.signal(libc::SIGTERM);
        assert_eq!(stead.wait_exit(LIMIT), 143);
        assert!(asked.elapsed() >= Duration::from_millis(300), "{place:?}");
        assert!(stead.stdout().is_empty() && stead.processes().is_empty(), "{place:?}");
    }
}

#[test]
fn a_second_int_kills_a_hook_at_once() {
    let hook = script("trap \"\" TERM INT; echo runs; while :; do sleep 1000; done");
    let mut stead = Stead::script("echo started").options(["--pre-start", &hook]).start();
    wait_printed(&stead, "pre_start", "runs", LIMIT);
    stead.signal(libc::SIGINT);
    stead.wait_for_event("ended before the child was started", LIMIT);
    assert!(stead.is_running());
    stead.signal(libc::SIGINT);
    assert_eq!(stead.wait_exit(LIMIT), 130);
    assert!(stead.processes().is_empty());
}

#[test]
fn a_signal_that_ends_any_process_ends_stead_and_the_hook_where_it_is_not_pid_1() {
    for signal in [libc::SIGHUP, libc::SIGQUIT, libc::SIGUSR1] {
        let hook = script("echo runs; exec sleep 1000");
        let mut stead = Stead::script("echo started").options(["--pre-start", &hook]).start();
        wait_printed(&stead, "pre_start", "runs", LIMIT);
        stead.signal(libc::SIGWINCH);
        stead.signal(signal);
        assert_eq!(stead.wait_exit(LIMIT), 128 + signal);
        assert!(stead.processes().is_empty());
    }
    let hook = script("echo runs; sleep 0.3");
    let stead = Stead::script("echo started").options(["--pre-start", &hook]);
    let mut stead = stead.place(Place::Pid1).start();
    wait_printed(&stead, "pre_start", "runs", LIMIT);
    stead.signal(libc::SIGHUP);
    assert_eq!((stead.wait_exit(LIMIT), stead.stdout()), (0, vec!["started".to_owned()]));
}

#[test]
fn a_hook_has_what_the_command_has_but_for_its_descriptors_and_its_input() {
    let scratch = Scratch::new();
    let said = "pwd; cat; ls /proc/self/fd | grep -E \"^[1-7]$\" | tr -d \"\\n\"; echo; grep -E \"^Sig(Blk|Ign)\" /proc/self/status; env | sort | grep -v -E \"^(_|PWD|SHLVL|OLDPWD)=\"";
    let open = ["sh", "-c", "exec 7</dev/null && trap '' HUP && exec \"$@\"", "sh"];
    let mut stead = Stead::script(said)
        .options(["--pre-start", &script(said)])
        .under(open)
        .env("MARK", "a b")
        .cwd(scratch.path())
        .stdin(File::open(scratch.file("input", "not for the hook\n", 0o644)).unwrap())
        .start();
    assert_eq!(stead.wait_exit(LIMIT), 0);
    let (mut hook, mut command) = (printed(&stead, "pre_start"), stead.stdout());
    assert_eq!(command.remove(1), "not for the hook");
    // What was passed on, and the listing's own descriptor.
    assert_eq!(hook.remove(1), "123");
    assert!(command.remove(1).ends_with('7'));
    assert_eq!(hook, command);
    assert!(hook.contains(&"MARK=a b".to_owned()), "{hook:?}");
}

#[test]
fn a_script_without_an_interpreter_is_run_by_the_shell() {
    let scratch = Scratch::new();
    let plain = scratch.file("migrate", "echo \"$1\"; exit 3\n", 0o755);
    let hook = format!("'{}' 'a  b'", plain.display());
    let mut stead = Stead::script("echo started").options(["--pre-start", &hook]).start();
    assert_eq!(stead.wait_exit(LIMIT), 3);
    assert_eq!(printed(&stead, "pre_start"), ["a  b"]);
}

#[test]
fn what_a_hook_leaves_in_its_group_is_killed_and_a_daemon_lives_on_and_holds_up_nothing() {
    let scratch = Scratch::new();
    let there = scratch.path().join("there").display().to_string();
    let daemon = format!("setsid sh -c \"touch {there}; exec sleep 1002\" &");
    let hook = script(&format!(
        "sleep 1001 & {daemon} until test -e {there}; do sleep 0.01; done; exit 0"
    ));
    let mut stead = waits().options(["--pre-start", &hook, "--linger", "100ms"]).start();
    stead.wait_ready();
    let named = |time: &str| {
        let line =
            |pid: &i32| fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        stead
            .processes()
            .iter()
            .filter(|pid| line(pid).contains(&format!("sleep\0{time}\0")))
            .count()
    };
    assert!(until(LIMIT, || named("1001") == 0));
    assert_eq!(named("1002"), 1);
    stead.signal(libc::SIGTERM);
    assert_eq!(stead.wait_exit(LIMIT), 143);
    assert!(stead.processes().is_empty());
}

#[test]
fn before_pre_start_what_the_command_waits_for_is_up() {
    let port = crate::harness::free_port();
    let mut stead = Stead::script("echo started")
        .options(["--wait", "--pre-start", "echo migrates"])
        .env("STEAD_CHECK_DB", format!("tcp://127.0.0.1:{port}"))
        .start();
    stead.wait_for_event("waiting", LIMIT);
    assert!(stead.events_of("hook started").is_empty());
    let _listener = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    assert_eq!(stead.wait_exit(LIMIT), 0);
    let order: Vec<_> = stead.events().iter().map(|e| e["message"].clone()).collect();
    let place = |message: &str| order.iter().position(|m| m == message).expect("the event");
    assert!(
        place("wait over") < place("hook started") && place("hook ended") < place("child started")
    );
}
