//! The start of the child: it gets exactly what stead was given, and what cannot start says why.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::harness::{
    LIMIT, Place, Running, Scratch, Stead, example, processes, stead, sys, until,
};

/// What the report says of a start; the pid and this run's own marks are left out.
fn report_of(start: Stead) -> Vec<String> {
    let mut running = start.start();
    assert_eq!(running.wait_exit(LIMIT), 0, "the report failed");
    comparable(running.stdout())
}

pub fn comparable(lines: Vec<String>) -> Vec<String> {
    let differs = [
        "pid ",
        "leads its group",
        "argument \"",
        "variable \"STEADS_TEST_RUN\"",
        "variable \"STEAD_LISTEN\"",
    ];
    lines.into_iter().filter(|line| !differs.iter().any(|start| line.starts_with(start))).collect()
}

/// The report started by stead as the harness prepares it, and the same started without stead.
fn under_stead_and_without(prepare: impl Fn(Stead) -> Stead) -> [Vec<String>; 2] {
    let without = Stead::invoked([""; 0]).program(example("report"));
    [report_of(prepare(Stead::example("report"))), report_of(prepare(without))]
}

fn is_handed_on(what: &str, prepare: impl Fn(Stead) -> Stead) {
    let [under, without] = under_stead_and_without(prepare);
    assert!(!without.is_empty());
    assert_eq!(under, without, "{what} is not as inherited");
}

#[test]
fn the_child_inherits_exactly_what_stead_was_given() {
    for place in Place::BOTH {
        is_handed_on("a plain start", |stead| stead.place(place));
        is_handed_on("with endpoints", |stead| stead.place(place).listening());
    }
}

#[test]
fn the_child_inherits_stead_s_signal_mask() {
    let sets = [
        vec![libc::SIGTERM, libc::SIGINT],
        vec![libc::SIGCHLD, libc::SIGPIPE],
        vec![libc::SIGSEGV, libc::SIGTSTP, libc::SIGTTOU, libc::SIGRTMIN() + 1],
        vec![libc::SIGUSR1],
    ];
    for blocked in sets {
        is_handed_on("the mask", |stead| {
            let blocked = blocked.clone();
            stead.before_exec(move || sys::block_only(&blocked))
        });
    }
}

#[test]
fn the_child_inherits_every_ignored_signal() {
    for signal in
        (1..=64).filter(|n| ![9, 19, 32, 33].contains(n) && (*n < 32 || *n >= libc::SIGRTMIN()))
    {
        let [under, without] =
            under_stead_and_without(|s| s.before_exec(move || sys::ignore(signal)));
        assert_eq!(under, without, "signal {signal} is not ignored as it was");
    }
    let [under, _] = under_stead_and_without(|s| s.before_exec(|| sys::ignore(libc::SIGPIPE)));
    assert!(under.contains(&"SigIgn: 0000000000001000".to_owned()), "{under:?}");
}

#[test]
fn nohup_in_front_of_stead_holds_for_the_child() {
    is_handed_on("what nohup set", |stead| stead.under(["nohup"]));
}

#[test]
fn the_child_s_end_is_seen_even_when_sigchld_was_ignored() {
    // With SIGCHLD ignored the kernel throws exit codes away: wait(2).
    let stead = Stead::script("exit 7").before_exec(|| sys::ignore(libc::SIGCHLD));
    assert_eq!(stead.start().wait_exit(LIMIT), 7);
}

#[test]
fn an_inherited_mask_or_disposition_does_not_hold_stead_s_own_signals_back() {
    let every: &[i32] = &[libc::SIGTERM, libc::SIGHUP, libc::SIGCHLD, libc::SIGINT];
    let ignored = |stead: Stead| {
        stead.before_exec(move || every.iter().try_for_each(|signal| sys::ignore(*signal)))
    };
    let blocked = |stead: Stead| stead.before_exec(move || sys::block_only(every));
    let ways: [&dyn Fn(Stead) -> Stead; 2] = [&ignored, &blocked];
    for way in ways {
        let mut stead = way(Stead::example("print_signals").args(["--exit-on", "15:5"])).start();
        stead.wait_ready();
        stead.signal(libc::SIGHUP);
        stead.wait_for_line(LIMIT, |line| line.starts_with("got 1 "));
        stead.signal(libc::SIGTERM);
        assert_eq!(stead.wait_exit(LIMIT), 5);
    }
}

#[test]
fn the_child_leads_a_group_of_its_own_in_stead_s_session() {
    let mut stead = Stead::example("report").start();
    assert_eq!(stead.wait_exit(LIMIT), 0);
    let lines = stead.stdout();
    assert!(lines.contains(&"leads its group true".to_owned()), "{lines:?}");
    assert!(lines.contains(&"leads its session false".to_owned()), "{lines:?}");
}

/// The descriptors of a process that lead to this file.
fn descriptors_to(pid: i32, file: &Path) -> usize {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    entries.filter(|entry| std::fs::read_link(entry.path()).is_ok_and(|to| to == file)).count()
}

#[test]
fn inherited_descriptors_reach_the_child_and_are_closed_in_stead() {
    let scratch = Scratch::new();
    let file = scratch.file("open", "", 0o600);
    let open = format!("exec 5>'{0}' 9>'{0}'; exec \"$@\"", file.display());
    let stead = Stead::example("print_signals").under(["sh", "-c", &open, "sh"]).listening();
    let stead = stead.start();
    stead.wait_ready();
    assert_eq!(descriptors_to(stead.child_pid(), &file), 2);
    assert!(until(LIMIT, || descriptors_to(stead.pid(), &file) == 0), "stead holds it open");
    assert_eq!(stead.status("/livez"), 200);
    is_handed_on("descriptors", |stead| stead.under(["sh", "-c", &open, "sh"]).listening());
}

#[test]
fn a_listen_pid_that_named_stead_names_the_child() {
    let own = "export LISTEN_PID=$$ LISTEN_FDS=1; exec \"$@\"";
    let mut stead =
        Stead::script("echo $$ $LISTEN_PID $LISTEN_FDS").under(["sh", "-c", own, "sh"]).start();
    assert_eq!(stead.wait_exit(LIMIT), 0);
    let line = stead.stdout().concat();
    let words: Vec<_> = line.split(' ').collect();
    assert_eq!(words[0], words[1], "{line}");
    assert_eq!(words[2], "1");
}

#[test]
fn a_listen_pid_that_named_another_stays() {
    is_handed_on("LISTEN_PID", |s| s.env("LISTEN_PID", "999999").env("LISTEN_FDS", "2"));
}

#[test]
fn closed_standard_streams_stay_closed_for_the_child() {
    let scratch = Scratch::new();
    let closings: [&[i32]; 5] = [&[0], &[1], &[2], &[0, 1], &[0, 1, 2]];
    for closed in closings {
        let report = |start: Stead| {
            let to = scratch.path().join("report");
            let start = start.args([OsStr::new("--to"), to.as_os_str()]).listening();
            let start = start.before_exec(move || closed.iter().try_for_each(|fd| sys::close(*fd)));
            assert_eq!(start.start().wait_exit(LIMIT), 0, "closed {closed:?}");
            let text = std::fs::read_to_string(&to).expect("the report");
            comparable(text.lines().map(str::to_owned).collect())
        };
        let under = report(Stead::example("report"));
        let without = report(Stead::invoked([""; 0]).program(example("report")));
        assert_eq!(under, without, "closed {closed:?}");
    }
}

#[test]
fn the_environment_reaches_the_child_unchanged() {
    is_handed_on("the environment", |stead| {
        stead
            .env("EMPTY", "")
            .env("SPACES", " a  b ")
            .env("NOT_UTF8", OsStr::from_bytes(b"\xff\xfe"))
            .env("LINES", "a\nb")
            .env("STEAD_GRACE", "20s")
            .env("SERVICE_NAME", "api")
    });
}

#[test]
fn arguments_that_are_not_utf_8_reach_the_child() {
    let odd = OsStr::from_bytes(b"\xff arg \x80");
    let mut stead = Stead::example("report")
        .args([odd, OsStr::new("-x"), OsStr::new("--"), OsStr::new("")])
        .start();
    assert_eq!(stead.wait_exit(LIMIT), 0);
    let lines = stead.stdout();
    let arguments: Vec<_> =
        lines.iter().filter_map(|l| l.strip_prefix("argument ")).skip(1).collect();
    assert_eq!(arguments, ["\"\\xFF arg \\x80\"", "\"-x\"", "\"--\"", "\"\""]);
}

#[test]
fn options_end_at_the_command_with_and_without_the_dashes() {
    for args in
        [&["run", "sh", "-c", "exit 6"][..], &["run", "--grace", "3s", "sh", "-c", "exit 6"]]
    {
        assert_eq!(Stead::invoked(args).start().wait_exit(LIMIT), 6, "{args:?}");
    }
}

#[test]
fn nothing_of_the_start_directory_is_held() {
    let scratch = Scratch::new();
    // Taken out of the way whatever becomes of the test, before the directory below it goes.
    let mounted = Mounted::on(scratch.path().join("mounted"));
    let script = "pwd; cd /; echo ready; exec sleep 1000";
    let mut stead = Stead::script(script).cwd(&mounted.0).start();
    stead.wait_ready();
    assert_eq!(stead.stdout()[0], mounted.0.to_string_lossy());
    // The child may be ready before the stead that started it has left the directory, and said so.
    stead.wait_for_event("child started", LIMIT);
    let output = Command::new("umount").arg(&mounted.0).output().expect("umount is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    stead.signal(libc::SIGTERM);
    assert_eq!(stead.wait_exit(LIMIT), 143);
}

/// A file system of its own on this directory.
struct Mounted(PathBuf);

impl Mounted {
    fn on(path: PathBuf) -> Self {
        std::fs::create_dir(&path).expect("a directory");
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "none"]).arg(&path);
        let output = command.output().expect("mount is installed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Self(path)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Where the test has unmounted it there is nothing left to do, and this says so.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).stderr(Stdio::null()).status();
    }
}

#[test]
fn arguments_are_in_no_line_of_the_log() {
    let mut stead = Stead::script("exit 3 # hunter2").options(["--log-level", "debug"]).start();
    assert_eq!(stead.wait_exit(LIMIT), 3);
    assert_eq!(stead.wait_for_event("child started", LIMIT)["command"], "/bin/sh");
    let mut unable = Stead::run(["/not/there", "hunter2"]).start();
    assert_eq!(unable.wait_exit(LIMIT), 127);
    for line in stead.stderr().iter().chain(&unable.stderr()) {
        assert!(!line.contains("hunter2"), "{line}");
    }
}

#[test]
fn a_script_without_an_interpreter_line_runs_as_a_shell_would_run_it() {
    let scratch = Scratch::new();
    let script = scratch.file("app", "echo \"ran $1\"; exit 4\n", 0o755);
    let mut by_path = Stead::run([script.as_os_str(), OsStr::new("a b")]).start();
    assert_eq!(by_path.wait_exit(LIMIT), 4);
    assert_eq!(by_path.stdout(), ["ran a b"]);

    let mut path = scratch.path().as_os_str().to_owned();
    path.push(":/usr/bin:/bin");
    let mut by_name = Stead::run(["app", "c"]).env("PATH", path).start();
    assert_eq!(by_name.wait_exit(LIMIT), 4);
    assert_eq!(by_name.stdout(), ["ran c"]);
}

/// Starts what cannot run, sees that nothing but one clear line was said, and gives code and line.
fn refused(start: Stead) -> (i32, String) {
    let mut stead = start.start();
    let code = stead.wait_exit(LIMIT);
    let lines = plain_lines(&stead);
    assert_eq!(lines.len(), 1, "not one clear line: {:?}", stead.stderr());
    assert_eq!(stead.stdout(), Vec::<String>::new());
    assert!(stead.events_of("child started").is_empty());
    (code, lines.concat())
}

/// The lines of stderr that are no events.
fn plain_lines(stead: &Running) -> Vec<String> {
    stead.stderr().into_iter().filter(|line| !line.starts_with('{')).collect()
}

#[test]
fn a_command_that_is_not_there_is_127() {
    for name in ["no-such-command", "/not/there", "./not-there"] {
        let (code, line) = refused(Stead::run([name, "arg"]));
        assert_eq!(code, 127, "{line}");
        assert!(line.starts_with(&format!("stead: cannot run {name}: ")), "{line}");
    }
}

#[test]
fn a_command_that_cannot_be_executed_is_126() {
    let scratch = Scratch::new();
    let plain = scratch.file("plain", "#!/bin/sh\n", 0o644);
    // A 64-bit ELF header of a RISC-V program (machine 243, elf(5)), which this machine cannot run.
    let mut elf =
        vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 243, 0, 1, 0, 0, 0];
    elf.resize(256, 0);
    let foreign = scratch.file("foreign", elf, 0o755);
    for path in [plain.as_path(), foreign.as_path(), scratch.path()] {
        let (code, line) = refused(Stead::run([path]));
        assert_eq!(code, 126, "{line}");
        assert!(line.starts_with(&format!("stead: cannot run {}: ", path.display())), "{line}");
    }
}

#[test]
fn a_missing_interpreter_is_told_from_a_missing_command() {
    let scratch = Scratch::new();
    let script = scratch.file("script", "#!/not/there/interpreter\n", 0o755);
    let (code, line) = refused(Stead::run([&script]));
    assert!([126, 127].contains(&code), "{code}: {line}");
    assert!(line.contains("interpreter"), "{line}");
}

#[test]
fn the_search_path_is_searched_as_a_shell_does() {
    let scratch = Scratch::new();
    let cannot = scratch.path().join("cannot");
    let can = scratch.path().join("can");
    std::fs::create_dir(&cannot).unwrap();
    std::fs::create_dir(&can).unwrap();
    scratch.file("cannot/app", "#!/bin/sh\necho wrong\n", 0o644);
    scratch.file("can/app", "#!/bin/sh\necho right\n", 0o755);
    let (cannot, can) = (cannot.display(), can.display());

    // What cannot be executed is passed over where a later one can: execvp(3).
    let mut later = Stead::run(["app"]).env("PATH", format!("/not/there:{cannot}:{can}")).start();
    assert_eq!(later.wait_exit(LIMIT), 0);
    assert_eq!(later.stdout(), ["right"]);
    let (code, _) = refused(Stead::run(["app"]).env("PATH", cannot.to_string()));
    assert_eq!(code, 126);

    // An empty entry is the current directory, wherever it stands.
    for path in [":/usr/bin", "/usr/bin:", "/usr/bin::/bin", ""] {
        let mut here = Stead::run(["app"]).env("PATH", path).cwd(can.to_string()).start();
        assert_eq!(here.wait_exit(LIMIT), 0, "PATH={path}");
        assert_eq!(here.stdout(), ["right"], "PATH={path}");
    }
}

#[test]
fn without_a_path_the_usual_directories_are_searched() {
    let mut stead = Stead::run(["sh", "-c", "exit 5"]).without_env("PATH").start();
    assert_eq!(stead.wait_exit(LIMIT), 5);
}

#[test]
fn a_missing_command_tells_of_the_entrypoint() {
    for args in [&["run"][..], &["run", "--"], &["run", "--grace", "5s", "--"]] {
        let output = stead(args).output().expect("stead runs");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(64), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains("ENTRYPOINT") && text.contains("CMD"), "{text}");
    }
}

#[test]
fn a_taken_port_is_an_error_before_the_child_starts() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address").to_string();
    let (code, line) = refused(Stead::script("echo started").env("STEAD_LISTEN", &address));
    assert_eq!(code, 1, "{line}");
    let start = format!("stead: STEAD_LISTEN: cannot listen on {address}: ");
    assert!(line.starts_with(&start), "{line}");
}

#[test]
fn stead_works_with_nothing_but_its_arguments() {
    // No environment at all and no standard stream: as little as a container can give.
    let mut command = Command::new(crate::harness::binary());
    command.args(["run", "--", "/bin/sh", "-c", "exit 8"]).env_clear();
    command.env("STEAD_LISTEN", "off");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    sys::before_exec(&mut command, || (0..3).try_for_each(sys::close));
    let mut child = command.spawn().expect("stead starts");
    let mut status = None;
    let ended = until(LIMIT, || {
        status = child.try_wait().expect("wait for stead");
        status.is_some()
    });
    assert!(ended, "stead still runs");
    assert_eq!(status.and_then(|s| s.code()), Some(8));
}

#[test]
fn a_sigpipe_ends_the_child_as_it_would_without_stead() {
    // SIGPIPE is at its default here, so a writer whose reader is gone dies of it.
    let mut stead = Stead::script("yes | head -n 1; kill -PIPE $$").start();
    assert_eq!(stead.wait_exit(LIMIT), 128 + libc::SIGPIPE);
    assert_eq!(stead.stdout(), ["y"]);
    assert!(!processes::is_alive(stead.pid()));
}
