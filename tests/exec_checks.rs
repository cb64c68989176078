//! The kinds `exec` and `file`: commands that the one reaper collects and that never outlive their time, and heartbeats.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::app::{Serve, idle, stubborn};
use crate::harness::{
    LIMIT, Place, Running, Scratch, Stead, binary, processes, search_path, stead, unique, until,
};

/// The URL of a shell's script.
fn script(text: &str) -> String {
    let encoded: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
    format!("exec:///bin/sh?stead_args=-c%0A{encoded}")
}

fn check(url: &str) -> (bool, String) {
    let output = stead(["check", url]).output().expect("stead");
    let line = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&line).into_owned())
}

/// Fails unless the URL is down for this reason: `class at stage`.
#[track_caller]
fn is_down(url: &str, reason: &str) -> String {
    let (up, line) = check(url);
    assert!(!up && line.contains(&format!(" down: {reason} after ")), "{url}: {line}");
    line
}

fn reaches(stead: &Running, name: &str, status: &str) -> Value {
    let mut check = Value::Null;
    let reached = until(LIMIT, || {
        check = stead.get("/readyz").json()["checks"][name].take();
        check["status"] == status
    });
    assert!(reached, "{name} is never {status}: {check}");
    check
}

fn lines_of(path: &Path) -> usize {
    fs::read_to_string(path).unwrap_or_default().lines().count()
}

#[test]
fn the_exit_status_is_the_answer_and_the_last_line_says_why() {
    let (up, line) = check("exec:///bin/echo?stead_args=all  is%20well");
    assert!(up && line.contains(": output all is well\n"), "{line}");
    let (up, line) = check(&script("echo one; echo 'two words' >&2; echo"));
    assert!(up && line.contains(": output two words\n"), "{line}");
    let line = is_down(&script("echo why; exit 3"), "exec_failed at state");
    assert!(line.contains("exit status 3: why"), "{line}");
    let line = is_down(&script("kill -SEGV $$"), "exec_failed at state");
    assert!(line.contains("ended by SEGV"), "{line}");
    is_down("exec:///no/such/program", "not_found at query");
    is_down("exec:///etc/passwd", "access_denied at query");
    for mistake in ["exec:true", "exec://host/bin/true", "exec:///bin/true?-x", "exec:"] {
        assert!(!check(mistake).0, "{mistake}");
    }
}

#[test]
fn a_command_has_the_environment_and_the_signals_that_stead_was_given_and_nothing_to_read() {
    let command = "grep -E '^Sig(Blk|Ign)' /proc/self/status | tr '\\n\\t' '  '; cat; echo $MARK";
    let url = script(&format!("({command}) | tr '\\n' ' '"));
    let stead = idle().env("STEAD_CHECK_X", &url).env("MARK", "there").serve();
    let detail = reaches(&stead, "x", "up")["detail"]["output"].take();
    let none = "0000000000000000";
    let wanted = format!("SigBlk: {none} SigIgn: {none} there");
    assert_eq!(detail.as_str(), Some(wanted.as_str()));
}

/// A command that hangs with a grandchild, and would withstand all but KILL.
const HANGS: &str = "trap '' TERM INT; sleep 1000 & echo hangs; sleep 1000";

#[test]
fn without_a_supervisor_a_command_that_hangs_is_killed_with_its_grandchild() {
    let mark = unique("hangs");
    let mut command = stead(["check", &format!("{}&stead_timeout=500ms", script(HANGS))]);
    let output = command.env("EXEC_MARK", &mark).output().expect("stead");
    let line = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!output.status.success() && line.contains("timeout at query"), "{line}");
    let gone = until(LIMIT, || processes::with_variable("EXEC_MARK", &mark).is_empty());
    assert!(gone, "it lives on");
}

#[test]
fn under_stead_a_command_that_hangs_is_killed_with_its_grandchild() {
    for place in Place::BOTH {
        let url = format!("{}&stead_timeout=300ms", script(HANGS));
        let stead = idle().env("STEAD_CHECK_X", url).place(place).serve();
        let own = stead.child_pid();
        let check = reaches(&stead, "x", "down");
        assert_eq!(
            (check["class"].as_str(), check["stage"].as_str()),
            (Some("timeout"), Some("query"))
        );
        let alone = until(LIMIT, || processes::children_of(stead.pid()) == [own]);
        assert!(alone, "{place:?}: {:?}", processes::children_of(stead.pid()));
    }
}

/// A command that hangs, with a child and a grandchild that have left its group for sessions of their own.
const SCATTERS: &str = "setsid sh -c 'setsid sleep 1000 & sleep 1000' & sleep 1000";

#[test]
fn what_has_left_the_group_of_a_command_that_hangs_is_killed_with_it() {
    let url = format!("{}&stead_timeout=500ms", script(SCATTERS));
    let mark = unique("scatters");
    let marked = || processes::with_variable("EXEC_MARK", &mark);
    let mut command = stead(["check", &url]);
    command.env("EXEC_MARK", &mark).stdout(Stdio::piped()).stderr(Stdio::piped());
    let direct = command.spawn().expect("stead");
    // stead, two shells and three programs that sleep.
    assert!(until(LIMIT, || marked().len() == 6), "{}", marked().len());
    let output = direct.wait_with_output().expect("stead");
    let line = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(line.contains("timeout at query"), "{line}");
    assert!(until(LIMIT, || marked().is_empty()), "some live on");
    for place in Place::BOTH {
        let stead = idle().env("STEAD_CHECK_X", &url).place(place).serve();
        let own = stead.child_pid();
        assert_eq!(reaches(&stead, "x", "down")["class"], "timeout");
        let alone = until(LIMIT, || processes::children_of(stead.pid()) == [own]);
        assert!(alone, "{place:?}: {:?}", processes::children_of(stead.pid()));
    }
}

#[test]
fn descriptors_that_are_the_commands_are_not_handed_to_checks() {
    let none = script("! test -e /proc/self/fd/7") + "&stead_interval=50ms";
    let open = ["sh", "-c", "exec 7</dev/null && exec \"$@\"", "sh"];
    let has_it = "test -e /proc/self/fd/7 && echo handed on";
    let stead = Stead::script(&format!("{has_it}; sleep 1000"))
        .options(["--wait", "20s"])
        .env("STEAD_CHECK_X", &none);
    let stead = stead.under(open).listening().start();
    stead.wait_for_line(LIMIT, |line| line == "handed on");
    assert_eq!(reaches(&stead, "x", "up")["status"], "up");

    let stead = binary().into_os_string().into_string().expect("a path in UTF-8");
    let under = |line: &[&str]| {
        let mut command = Command::new("sh");
        command.args(&open[1..]).arg(&stead).args(line).env_clear();
        let output = command.env("PATH", search_path()).output().expect("sh");
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    let said = under(&["wait", "--timeout", "20s", &none, "--", "sh", "-c", has_it]);
    assert!(said.contains("handed on"), "{said}");
    let said = under(&["check", &none]);
    assert!(said.contains(" up in "), "{said}");
}

#[test]
fn what_a_command_leaves_in_its_group_ends_with_it() {
    let stead = idle()
        .env(
            "STEAD_CHECK_X",
            script("sleep 1000 >/dev/null 2>&1 & echo left") + "&stead_interval=100ms",
        )
        .serve();
    let own = stead.child_pid();
    assert_eq!(reaches(&stead, "x", "up")["detail"]["output"], "left");
    let alone = until(LIMIT, || processes::children_of(stead.pid()) == [own]);
    assert!(alone, "{:?}", processes::children_of(stead.pid()));
}

#[test]
fn a_thousand_rounds_leave_no_zombie_and_no_descriptor() {
    let scratch = Scratch::new();
    let count = scratch.path().join("count");
    let mut stead = idle();
    for name in ["A", "B", "C", "D"] {
        let url = script(&format!("echo x >>{}", count.display())) + "&stead_interval=10ms";
        stead = stead.env(format!("STEAD_CHECK_{name}"), url);
    }
    let endless = script("while :; do echo endless; done") + "&stead_timeout=50ms";
    let failing = script("sleep 1000 & exit 1");
    let stead = stead.env("STEAD_CHECK_ENDLESS", endless).env("STEAD_CHECK_FAILING", failing);
    let stead = stead.serve();
    let descriptors = || fs::read_dir(format!("/proc/{}/fd", stead.pid())).unwrap().count();
    assert!(until(LIMIT, || lines_of(&count) > 40));
    let before = descriptors();
    let long = Duration::from_secs(90);
    assert!(until(long, || lines_of(&count) > 1000), "{} rounds", lines_of(&count));
    assert_eq!(stead.status("/livez"), 200);
    assert!(until(LIMIT, || processes::zombies_of(stead.pid()) == 0));
    // Each of the six may be under way: two pipes' ends each.
    assert!(until(LIMIT, || descriptors() <= before + 12), "{} of {before}", descriptors());
}

#[test]
fn a_hanging_command_holds_up_neither_the_drain_nor_the_end() {
    for place in Place::BOTH {
        let url = format!("{}&stead_timeout=60s", script(HANGS));
        let child = Stead::example("print_signals").args(["--exit-on", "15:6"]);
        let mut stead = child.env("STEAD_CHECK_X", url).place(place).listening().start();
        stead.wait_ready();
        assert!(until(LIMIT, || processes::children_of(stead.pid()).len() == 2));
        let began = Instant::now();
        stead.signal(libc::SIGTERM);
        assert_eq!(stead.wait_exit(LIMIT), 6, "{place:?}");
        assert!(began.elapsed() < Duration::from_secs(5), "{place:?}: {:?}", began.elapsed());
        for message in ["straggler signalled", "straggler killed"] {
            assert_eq!(stead.events_of(message), Vec::<Value>::new(), "{place:?}");
        }
        assert!(until(LIMIT, || stead.processes().is_empty()), "{place:?}");
    }
}

#[test]
fn a_child_that_ends_by_itself_is_the_end_whatever_a_command_does() {
    let url = format!("{}&stead_timeout=60s", script(HANGS));
    let mut stead = Stead::script("read line; exit 7").env("STEAD_CHECK_X", url);
    let (reader, writer) = std::io::pipe().expect("a pipe");
    stead = stead.stdin(reader);
    let mut stead = stead.listening().start();
    assert!(until(LIMIT, || processes::children_of(stead.pid()).len() == 2));
    let began = Instant::now();
    drop(writer);
    assert_eq!(stead.wait_exit(LIMIT), 7);
    // The 5 s of linger are for what the child left behind.
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    assert_eq!(stead.events_of("straggler signalled"), Vec::<Value>::new());
}

#[test]
fn while_stead_drains_no_command_is_started() {
    let scratch = Scratch::new();
    let count = scratch.path().join("count");
    let url = script(&format!("echo x >>{}", count.display())) + "&stead_interval=20ms";
    let stead =
        stubborn().env("STEAD_CHECK_X", url).options(["--grace", "60s"]).listening().start();
    stead.wait_ready();
    assert!(until(LIMIT, || lines_of(&count) > 5));
    stead.signal(libc::SIGTERM);
    stead.wait_for_event("drain started", LIMIT);
    let drained = lines_of(&count);
    assert_eq!(stead.status("/readyz"), 503);
    // Ten intervals and more: the endpoints are asked until so much time has gone.
    let over = Instant::now() + Duration::from_millis(500);
    assert!(until(LIMIT, || stead.status("/livez") == 200 && Instant::now() > over));
    assert!(lines_of(&count) <= drained + 1, "{drained} and then {}", lines_of(&count));
}

#[test]
fn a_command_may_hold_the_start_back() {
    let scratch = Scratch::new();
    let flag = scratch.path().join("flag");
    let url = script(&format!("test -e {}", flag.display())) + "&stead_interval=50ms";
    let stead = Stead::script("echo started; sleep 1000").options(["--wait", "60s"]);
    let stead = stead.env("STEAD_CHECK_X", &url).listening().start();
    stead.wait_for("a failed check", LIMIT, |event| event["class"] == "exec_failed");
    assert_eq!(stead.stdout(), [] as [String; 0]);
    fs::write(&flag, "").expect("a flag");
    stead.wait_for_line(LIMIT, |line| line == "started");

    // In place of `stead wait` comes the command, with no child that it does not know of.
    let list = "ps -o pid= --ppid $$ | wc -l";
    let mut command = stead_wait(&[&url, &format!("{}&stead_interval=20ms", script("true"))]);
    let output = command.args(["--", "/bin/sh", "-c", list]).output().expect("stead");
    // The two programs of the pipeline itself.
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "2", "{output:?}");
}

fn stead_wait(urls: &[&str]) -> std::process::Command {
    stead(["wait"].iter().chain(urls))
}

#[test]
fn a_heartbeat_is_up_while_it_is_fresh() {
    let scratch = Scratch::new();
    let beat = scratch.file("beat", "", 0o600);
    let url = format!("file://{}?stead_younger_than=3s&stead_interval=100ms", beat.display());
    let stead = idle().env("STEAD_CHECK_WORKER", url).serve();
    assert!(reaches(&stead, "worker", "up")["detail"]["age_s"].is_number());
    assert_eq!(reaches(&stead, "worker", "down")["class"], "file_too_old");
    fs::write(&beat, "x").expect("a heartbeat");
    reaches(&stead, "worker", "up");
    fs::remove_file(&beat).expect("no file");
    assert_eq!(reaches(&stead, "worker", "down")["class"], "not_found");
}
