//! The hooks behind the command: when it and all that it left behind are gone.

use std::time::{Duration, Instant};

use super::{ended, file, printed, script, wait_printed, waits};
use crate::harness::{LIMIT, Place, Scratch, Stead, processes, until};

#[test]
fn post_stop_runs_when_the_command_and_what_it_left_are_gone() {
    for at in Place::BOTH {
        let left =
            "setsid sh -c 'trap \"sleep 0.3; exit 0\" TERM; sleep 1000 & wait' & sleep 0.2; exit 3";
        let hook = script(
            "echo code of nobody; cat /proc/[0-9]*/comm 2>/dev/null | grep -c \"^sleep$\"; exit 9",
        );
        let options = ["--post-stop", &hook, "--post-stop", "echo second"];
        let mut stead = Stead::script(left).options(options).place(at).start();
        assert_eq!(stead.wait_exit(LIMIT), 3, "{at:?}");
        let said = printed(&stead, "post_stop");
        assert_eq!((said[0].as_str(), said.last().unwrap().as_str()), ("code of nobody", "second"));
        if at == Place::Pid1 {
            assert_eq!(said[1], "0");
        }
        let order: Vec<_> = stead.events().iter().map(|e| e["message"].clone()).collect();
        let at = |message: &str| order.iter().position(|m| m == message).expect("the event");
        assert!(at("child ended") < at("straggler signalled"));
        assert!(
            at("straggler signalled") < at("hook started") && at("hook ended") < at("finished")
        );
        assert_eq!(stead.events_of("hook ended")[0]["code"], 9);
    }
}

#[test]
fn post_stop_runs_after_a_drain_and_after_a_kill_and_the_code_stays_the_commands() {
    let mut stead = waits().options(["--post-stop", "echo x"]).start();
    stead.wait_ready();
    stead.signal(libc::SIGTERM);
    assert_eq!((stead.wait_exit(LIMIT), printed(&stead, "post_stop")), (143, vec!["x".to_owned()]));
    for at in Place::BOTH {
        let stubborn = "trap '' TERM; echo ready; while :; do sleep 1000; done";
        let options = ["--post-stop", "echo x", "--grace", "200ms"];
        let mut stead = Stead::script(stubborn).options(options).place(at).start();
        stead.wait_ready();
        stead.signal(libc::SIGTERM);
        assert_eq!(stead.wait_exit(LIMIT), 137, "{at:?}");
        assert_eq!(printed(&stead, "post_stop"), ["x"], "{at:?}");
    }
}

#[test]
fn the_platform_is_asked_for_the_time_of_post_stop_too() {
    let scratch = Scratch::new();
    let text = "[[hook.post_stop]]\ncommand = \"true\"\ntimeout = 3\n[[hook.post_stop]]\ncommand = \"true\"\n";
    let mut stead = Stead::script("true").env("STEAD_CONFIG", file(&scratch, text)).start();
    assert_eq!(stead.wait_exit(LIMIT), 0);
    assert_eq!(stead.events_of("starting")[0]["stop_timeout_s"], 30.0 + 5.0 + 3.0 + 10.0);
}

#[test]
fn orphans_are_reaped_during_post_stop_and_the_endpoints_answer() {
    let scratch = Scratch::new();
    let go = scratch.path().join("go");
    let orphans = format!(
        "for i in 1 2 3 4 5; do (setsid sleep 0.05 &); done; sleep 0.3; echo left; until test -e {}; do sleep 0.02; done",
        go.display()
    );
    for at in Place::BOTH {
        let stead = Stead::script("exit 0").options(["--post-stop", &script(&orphans)]);
        let mut stead = stead.place(at).listening().start();
        wait_printed(&stead, "post_stop", "left", LIMIT);
        assert!(until(LIMIT, || processes::zombies_of(stead.pid()) == 0), "{at:?}");
        assert_eq!(stead.get("/readyz").status, 503);
        assert_eq!(stead.get("/livez").json()["phase"], "finished");
        std::fs::write(&go, "").unwrap();
        assert_eq!(stead.wait_exit(LIMIT), 0);
        std::fs::remove_file(&go).unwrap();
    }
}

#[test]
fn a_post_stop_hook_that_hangs_ends_at_its_timeout_or_at_a_second_int() {
    let scratch = Scratch::new();
    let text = "[hook.post_stop]\ncommand = \"sh -c 'setsid sleep 1000 & sleep 1000'\"\ntimeout = \"300ms\"\n";
    for at in Place::BOTH {
        let stead = Stead::script("exit 4").env("STEAD_CONFIG", file(&scratch, text));
        let mut stead = stead.place(at).start();
        assert_eq!(stead.wait_exit(LIMIT), 4, "{at:?}");
        assert_eq!(ended(&stead, "post_stop", LIMIT)["timeout_s"], 0.3);
        assert!(stead.processes().is_empty(), "{at:?}");
    }
    let mut stead = waits().options(["--post-stop", &script("echo runs; exec sleep 1000")]).start();
    stead.wait_ready();
    stead.signal(libc::SIGINT);
    wait_printed(&stead, "post_stop", "runs", LIMIT);
    // A TERM asks for what is under way.
    stead.signal(libc::SIGTERM);
    let asked = Instant::now();
    stead.signal(libc::SIGINT);
    assert_eq!(stead.wait_exit(LIMIT), 130);
    assert!(asked.elapsed() < Duration::from_secs(8) && stead.processes().is_empty());
}

#[test]
fn what_post_stop_leaves_behind_is_killed() {
    for at in Place::BOTH {
        let hook = script("setsid sh -c \"echo there; exec sleep 1000\" & sleep 0.3");
        let mut stead = Stead::script("true").options(["--post-stop", &hook]).place(at).start();
        assert_eq!(stead.wait_exit(LIMIT), 0);
        assert_eq!(printed(&stead, "post_stop"), ["there"]);
        assert!(stead.processes().is_empty(), "{at:?}");
    }
}

#[test]
fn without_a_command_there_is_nothing_behind_it() {
    let mut stead = Stead::script("echo started");
    stead = stead.options(["--pre-start", "false", "--post-start", "true", "--post-stop", "true"]);
    let mut stead = stead.start();
    assert_eq!(stead.wait_exit(LIMIT), 1);
    assert_eq!(stead.events_of("hook started").len(), 1);
}
