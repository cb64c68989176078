//! The hooks beside the command: once it runs, and when the drain begins.

use std::time::{Duration, Instant};

use super::{ended, file, printed, script, wait_printed, waits};
use crate::harness::{LIMIT, Place, Running, Scratch, Stead, binary, stead, until};

/// Where an event stands among all.
#[track_caller]
fn place(stead: &Running, message: &str, hook: &str) -> usize {
    let events = stead.events();
    let found = events.iter().position(|event| {
        event["message"] == message && (hook.is_empty() || event["hook"] == hook)
    });
    found.unwrap_or_else(|| panic!("no event {message} {hook}: {events:?}"))
}

#[test]
fn post_start_runs_once_the_command_runs_where_stead_was_started() {
    for at in Place::BOTH {
        let scratch = Scratch::new();
        let stead = waits().options(["--post-start", &script("pwd; echo $MARK")]).env("MARK", "m");
        let mut stead = stead.cwd(scratch.path()).place(at).listening().start();
        let end = ended(&stead, "post_start", LIMIT);
        assert_eq!((&end["code"], &end["level"]), (&0.into(), &"info".into()));
        assert_eq!(printed(&stead, "post_start"), [scratch.path().to_str().unwrap(), "m"]);
        assert!(place(&stead, "child started", "") < place(&stead, "hook started", "post_start"));
        stead.wait_ready();
        stead.signal(libc::SIGTERM);
        assert_eq!(stead.wait_exit(LIMIT), 143);
        assert_eq!(stead.events_of("hook started").len(), 1);
    }
}

#[test]
fn a_post_start_hook_that_fails_is_a_warning_and_the_next_one_runs() {
    let options =
        ["--post-start", "/no/such/program", "--post-start", "false", "--post-start", "echo x"];
    let mut stead = waits().options(options).start();
    wait_printed(&stead, "post_start", "x", LIMIT);
    let codes: Vec<_> = stead.events_of("hook ended").iter().map(|e| e["code"].clone()).collect();
    assert_eq!(codes[..2], [127, 1]);
    assert!(stead.is_running() && stead.events_of("drain started").is_empty());
}

#[test]
fn a_post_start_hook_that_must_succeed_and_fails_begins_the_drain_and_gives_the_code() {
    for (command, code) in [("false", 1), ("sh -c 'exit 7'", 7), ("sh -c 'kill -9 $$'", 137)] {
        let scratch = Scratch::new();
        let text = format!("[hook.post_start]\ncommand = \"{command}\"\non_failure = \"fail\"\n");
        let stop = script("echo deregisters");
        let app = "trap 'echo stopped; exit 0' TERM; echo ready; sleep 1000 & wait";
        let stead = Stead::script(app).env("STEAD_CONFIG", file(&scratch, &text));
        let mut stead = stead.options(["--pre-stop", &stop]).start();
        assert_eq!(stead.wait_exit(LIMIT), code, "{command}");
        assert!(stead.stdout().contains(&"stopped".to_owned()), "{command}");
        assert_eq!(printed(&stead, "pre_stop"), ["deregisters"], "{command}");
        assert_eq!(stead.events_of("stop signal sent")[0]["signal"], "TERM");
    }
}

#[test]
fn a_term_during_post_start_is_a_drain_that_ends_the_hook() {
    for fails in ["fail", "ignore"] {
        let scratch = Scratch::new();
        let text = format!(
            "[[hook.post_start]]\ncommand = \"sh -c 'trap \\\"echo told; exit 9\\\" TERM; echo runs; sleep 1000 & wait'\"\non_failure = \"{fails}\"\ntimeout = 60\n\
             [[hook.post_start]]\ncommand = \"echo second\"\n"
        );
        let mut stead = waits().env("STEAD_CONFIG", file(&scratch, &text)).start();
        wait_printed(&stead, "post_start", "runs", LIMIT);
        stead.wait_ready();
        stead.signal(libc::SIGTERM);
        assert_eq!(stead.wait_exit(LIMIT), 143, "{fails}");
        assert_eq!(printed(&stead, "post_start"), ["runs", "told"], "{fails}");
        assert!(stead.processes().is_empty());
    }
}

#[test]
fn a_post_start_hook_that_withstands_term_is_killed_at_the_deadline_or_when_the_linger_is_over() {
    let stubborn = script("trap \"\" TERM; echo runs; while :; do sleep 1000; done");
    let app = "echo ready; read line";
    for (options, signal, code) in
        [(["--grace", "500ms"], Some(libc::SIGTERM), 143), (["--linger", "300ms"], None, 0)]
    {
        let (ours, theirs) = std::io::pipe().unwrap();
        let stead = Stead::script(app).options(["--post-start", &stubborn]).options(options);
        let mut stead = stead.stdin(ours).start();
        wait_printed(&stead, "post_start", "runs", LIMIT);
        stead.wait_ready();
        match signal {
            Some(signal) => stead.signal(signal),
            None => std::io::Write::write_all(&mut &theirs, b"end\n").unwrap(),
        }
        assert_eq!(stead.wait_exit(LIMIT), code);
        assert!(stead.processes().is_empty());
    }
}

#[test]
fn the_stop_signal_waits_for_pre_stop_which_runs_beside_the_delay() {
    for at in Place::BOTH {
        let hook = script("echo begins; sleep 0.5; echo over");
        let mut stead = waits()
            .options(["--pre-stop", &hook, "--drain-delay=200ms"])
            .place(at)
            .listening()
            .start();
        stead.wait_ready();
        stead.signal(libc::SIGTERM);
        wait_printed(&stead, "pre_stop", "begins", LIMIT);
        let ready = stead.get("/readyz");
        assert_eq!((ready.status, &ready.json()["phase"]), (503, &"quiescing".into()));
        assert_eq!(stead.status("/livez"), 200);
        assert_eq!(stead.wait_exit(LIMIT), 143);
        assert!(place(&stead, "drain started", "") < place(&stead, "hook started", "pre_stop"));
        let sent = place(&stead, "stop signal sent", "");
        assert!(place(&stead, "hook ended", "pre_stop") < sent, "{at:?}");
        let elapsed = &stead.events_of("drain ended")[0]["elapsed_s"];
        assert!(elapsed.as_f64().is_some_and(|s| s >= 0.5), "{elapsed}");
    }
}

#[test]
fn pre_stop_hooks_that_fail_hold_back_nothing() {
    let options = ["--pre-stop", "/no/such", "--pre-stop", "false", "--pre-stop", "echo x"];
    let mut stead = waits().options(options).start();
    stead.wait_ready();
    stead.signal(libc::SIGINT);
    assert_eq!(stead.wait_exit(LIMIT), 130);
    assert_eq!(printed(&stead, "pre_stop"), ["x"]);
}

#[test]
fn a_pre_stop_hook_that_hangs_gives_way_at_its_timeout_and_to_a_second_term_or_int() {
    let scratch = Scratch::new();
    let hangs = "trap \\\"\\\" TERM INT; echo runs; while :; do sleep 1000; done";
    let of = |timeout: &str| {
        format!("[hook.pre_stop]\ncommand = \"sh -c '{hangs}'\"\ntimeout = \"{timeout}\"\n")
    };
    let mut stead = waits().env("STEAD_CONFIG", file(&scratch, &of("300ms"))).start();
    stead.wait_ready();
    stead.signal(libc::SIGTERM);
    assert_eq!(stead.wait_exit(LIMIT), 143);
    assert_eq!(ended(&stead, "pre_stop", LIMIT)["timeout_s"], 0.3);
    assert!(stead.processes().is_empty());

    for (first, second, code) in
        [(libc::SIGTERM, libc::SIGTERM, 143), (libc::SIGINT, libc::SIGINT, 137)]
    {
        // The hook is over with the grace at the latest, as all that is left.
        let options = ["--grace", "2s"];
        let stead = waits().env("STEAD_CONFIG", file(&scratch, &of("1900ms"))).options(options);
        let mut stead = stead.start();
        stead.wait_ready();
        stead.signal(first);
        wait_printed(&stead, "pre_stop", "runs", LIMIT);
        stead.signal(second);
        assert_eq!(stead.wait_exit(LIMIT), code);
        assert!(stead.processes().is_empty());
    }
}

#[test]
fn pre_stop_runs_once_for_a_drain_that_was_asked_for_and_the_term_behind_it() {
    let mut app = waits().options(["--pre-stop", &script("echo deregisters")]).listening().start();
    app.wait_ready();
    let listen = format!("127.0.0.1:{}", app.port());
    let output = stead(["drain"]).env("STEAD_LISTEN", listen).output().expect("stead");
    assert!(output.status.success(), "{}: {output:?}", binary().display());
    assert_eq!(printed(&app, "pre_stop"), ["deregisters"]);
    assert!(app.is_running());
    app.signal(libc::SIGTERM);
    assert_eq!(app.wait_exit(LIMIT), 143);
    assert_eq!(printed(&app, "pre_stop"), ["deregisters"]);
}

#[test]
fn pre_stop_does_not_run_where_the_command_ends_by_itself() {
    let mut stead = Stead::script("exit 3").options(["--pre-stop", "echo x"]).start();
    assert_eq!(stead.wait_exit(LIMIT), 3);
    assert!(stead.events_of("hook started").is_empty());
}

#[test]
fn a_term_at_any_moment_ends_stead_in_order() {
    for step in 0..40 {
        let options = [
            "--pre-start",
            "true",
            "--post-start",
            "sleep 0.02",
            "--pre-stop",
            "sleep 0.01",
            "--post-stop",
            "true",
        ];
        let stead = Stead::script("exec sleep 1000").options(options);
        let mut stead = stead.place(Place::BOTH[step % 2]).start();
        stead.wait_for_event("starting", LIMIT);
        std::thread::sleep(Duration::from_millis(step as u64));
        let asked = Instant::now();
        stead.signal(libc::SIGTERM);
        assert_eq!(stead.wait_exit(LIMIT), 143, "step {step}");
        assert!(
            asked.elapsed() < Duration::from_secs(9),
            "step {step}: a hook was waited for in vain"
        );
        assert!(stead.processes().is_empty(), "step {step}");
        let (started, ended) = (stead.events_of("hook started"), stead.events_of("hook ended"));
        assert_eq!(started.len(), ended.len(), "step {step}");
    }
}

#[test]
fn hooks_end_where_nobody_reads_the_log() {
    let (reader, writer) = std::io::pipe().unwrap();
    let scratch = Scratch::new();
    let there = scratch.path().join("there");
    let floods = script(&format!("seq 1 100000; touch {}", there.display()));
    let stead =
        waits().options(["--pre-start", &floods, "--pre-stop", &floods, "--post-stop", "true"]);
    let mut stead = stead.stderr(writer).start();
    stead.wait_ready();
    assert!(there.exists());
    std::fs::remove_file(&there).unwrap();
    stead.signal(libc::SIGTERM);
    assert!(until(LIMIT, || there.exists()));
    assert_eq!(stead.wait_exit(LIMIT), 143);
    drop(reader);
}
