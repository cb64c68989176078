//! stead on a terminal: the child is the foreground, keys reach it as under a shell, job control works.

use std::process::{Child, Command};
use std::time::Duration;

use crate::harness::terminal::Terminal;
use crate::harness::{
    LIMIT, Place, Running, Stead, binary, example, processes, search_path, sys, until,
};

const CTRL_C: &str = "\x03";
const CTRL_Z: &str = "\x1a";
const CTRL_BACKSLASH: &str = "\x1c";
const CTRL_D: &str = "\x04";

/// The pid that the example program on the terminal has said.
fn wait_ready(terminal: &Terminal) -> i32 {
    let mut pid = None;
    let ready = until(LIMIT, || {
        let seen = terminal.seen();
        let after = seen.split_once("ready ").map(|(_, after)| after.to_owned());
        pid = after.and_then(|after| after.split_once('\r')?.0.parse().ok());
        pid.is_some()
    });
    assert!(ready, "no `ready` on the terminal:\n{}", terminal.seen());
    pid.expect("the pid that was read")
}

/// stead run of the signal printer on a terminal of its own.
fn start(args: &[&str]) -> (Terminal, Running, i32) {
    let terminal = Terminal::open();
    let stead = Stead::example("print_signals").args(args).on_terminal(&terminal).start();
    let child = wait_ready(&terminal);
    (terminal, stead, child)
}

fn times(terminal: &Terminal, text: &str) -> usize {
    terminal.seen().matches(text).count()
}

#[test]
fn the_child_is_the_foreground_group() {
    let (terminal, stead, child) = start(&[]);
    assert_eq!(terminal.foreground(), child);
    assert_ne!(stead.pid(), child);
}

#[test]
fn keys_reach_the_child_once_and_start_no_drain() {
    let (terminal, mut stead, _) = start(&["--exit-on", "15:4"]);
    for (key, signal) in [(CTRL_C, "got 2 "), (CTRL_BACKSLASH, "got 3 "), (CTRL_Z, "got 20 ")] {
        terminal.type_text(key);
        terminal.wait_for(signal, LIMIT);
    }
    // The terminal sends each key's signal once, and stead, which got none, adds nothing to it.
    stead.signal(libc::SIGUSR1);
    terminal.wait_for("got 10 ", LIMIT);
    for signal in ["got 2 ", "got 3 ", "got 20 "] {
        assert_eq!(times(&terminal, signal), 1, "{}", terminal.seen());
    }
    assert!(!terminal.seen().contains("drain started"), "{}", terminal.seen());
    assert!(stead.is_running());
    stead.signal(libc::SIGTERM);
    assert_eq!(stead.wait_exit(LIMIT), 4);
}

#[test]
fn ctrl_c_that_ends_the_child_ends_stead_with_130() {
    let terminal = Terminal::open();
    let script = "echo ready $$; exec sleep 1000";
    let mut stead = Stead::script(script).on_terminal(&terminal).start();
    wait_ready(&terminal);
    terminal.type_text(CTRL_C);
    assert_eq!(stead.wait_exit(LIMIT), 130);
    assert!(!terminal.seen().contains("drain started"), "{}", terminal.seen());
}

#[test]
fn a_term_from_outside_drains_on_a_terminal_too() {
    let (terminal, mut stead, _) = start(&["--exit-on", "15:7"]);
    stead.signal(libc::SIGTERM);
    assert_eq!(stead.wait_exit(LIMIT), 7);
    terminal.wait_for("drain started", LIMIT);
}

#[test]
fn the_log_on_a_terminal_is_text() {
    let (terminal, mut stead, _) = start(&["--exit-on", "15:0"]);
    stead.signal(libc::SIGTERM);
    assert_eq!(stead.wait_exit(LIMIT), 0);
    terminal.wait_for("finished", LIMIT);
    assert!(!terminal.seen().contains("{\""), "{}", terminal.seen());
    let seen = without_colours(&terminal.seen());
    let line = seen.lines().find(|line| line.contains("child started")).expect("the event");
    let words: Vec<_> = line.split_whitespace().collect();
    let digits = |c: char| c.is_ascii_digit();
    assert!(words[0].split(':').count() == 3 && words[0].starts_with(digits), "{line}");
    assert!(words[1].eq_ignore_ascii_case("info"), "{line}");
    assert!(words.iter().any(|word| word.starts_with("pid=")), "{line}");
    assert!(words.iter().any(|word| word.starts_with("command=")), "{line}");
}

/// The text without escape sequences of the form `ESC [ ... m`.
fn without_colours(text: &str) -> String {
    let mut parts = text.split("\x1b[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once('m').map_or(part, |(_, rest)| rest))
}

#[test]
fn a_change_of_the_window_s_size_reaches_the_child_once() {
    let (terminal, stead, _) = start(&[]);
    sys::resize(terminal.programs(), 41, 132).expect("a new size");
    terminal.wait_for("got 28 ", LIMIT);
    stead.signal(libc::SIGUSR1);
    terminal.wait_for("got 10 ", LIMIT);
    assert_eq!(times(&terminal, "got 28 "), 1, "{}", terminal.seen());
}

#[test]
fn the_child_sees_the_terminal_as_its_own() {
    let terminal = Terminal::open();
    sys::resize(terminal.programs(), 33, 77).expect("a size");
    let script = "tty; stty size; read line </dev/tty; echo \"read $line\"";
    let mut stead = Stead::script(script).on_terminal(&terminal).start();
    terminal.wait_for("33 77", LIMIT);
    terminal.type_text("something\n");
    terminal.wait_for("read something", LIMIT);
    assert_eq!(stead.wait_exit(LIMIT), 0);
    assert!(terminal.seen().contains("/dev/pts/"), "{}", terminal.seen());
}

#[test]
fn background_writers_being_stopped_does_not_stop_steads_log() {
    let terminal = Terminal::open();
    sys::stop_background_writers(terminal.programs()).expect("TOSTOP");
    let mut stead =
        Stead::example("print_signals").args(["--exit-on", "15:4"]).on_terminal(&terminal).start();
    wait_ready(&terminal);
    for signal in [libc::SIGHUP, libc::SIGUSR1, libc::SIGUSR2] {
        stead.signal(signal);
        terminal.wait_for(&format!("got {signal} "), LIMIT);
    }
    let logged = until(LIMIT, || without_colours(&terminal.seen()).contains("signal=USR2"));
    assert!(logged, "{}", terminal.seen());
    assert_ne!(processes::state(stead.pid()), Some('T'));
    stead.signal(libc::SIGTERM);
    assert_eq!(stead.wait_exit(LIMIT), 4);
}

#[test]
fn the_foreground_and_the_modes_are_given_back_to_a_plain_script() {
    for command in ["true", "print_signals --exit-on 2:0"] {
        let terminal = Terminal::open();
        let before = sys::modes(terminal.programs()).expect("the modes");
        let script = format!("{} run -- {command}; echo after; exec cat", binary().display());
        let mut shell =
            Stead::invoked(["-c", &script]).program("/bin/sh").on_terminal(&terminal).start();
        if command != "true" {
            wait_ready(&terminal);
            terminal.type_text(CTRL_C);
        }
        terminal.wait_for("after\r\n", LIMIT);
        assert_eq!(terminal.foreground(), shell.pid());
        assert_eq!(sys::modes(terminal.programs()).expect("the modes"), before);
        // Without the foreground this read would stop cat, or fail.
        terminal.type_text("hello\n");
        assert!(until(LIMIT, || times(&terminal, "hello") == 2), "{}", terminal.seen());
        terminal.type_text(CTRL_D);
        assert_eq!(shell.wait_exit(LIMIT), 0);
    }
}

#[test]
fn stead_in_the_background_does_not_take_the_foreground() {
    let terminal = Terminal::open();
    // The shell keeps the terminal; stead runs in a group of the background.
    let script = format!(
        "set -m; {} run -- {} & echo started; exec cat",
        binary().display(),
        example("print_signals").display()
    );
    let shell = Stead::invoked(["-c", &script]).program("bash").on_terminal(&terminal).start();
    wait_ready(&terminal);
    assert_eq!(terminal.foreground(), shell.pid());
    terminal.type_text("hello\n");
    assert!(until(LIMIT, || times(&terminal, "hello") == 2), "{}", terminal.seen());
}

#[test]
fn a_closed_or_detached_stdin_on_a_terminal_hangs_nothing() {
    let terminal = Terminal::open();
    let closed = Stead::example("print_signals")
        .args(["--exit-on", "15:4"])
        .on_terminal(&terminal)
        .before_exec(|| sys::close(0));
    let mut closed = closed.start();
    wait_ready(&terminal);
    closed.signal(libc::SIGTERM);
    assert_eq!(closed.wait_exit(LIMIT), 4);

    let terminal = Terminal::open();
    let detached = Stead::example("print_signals").args(["--exit-on", "15:4"]);
    let mut detached = detached.stdout(terminal.stream()).stderr(terminal.stream()).start();
    wait_ready(&terminal);
    detached.signal(libc::SIGTERM);
    assert_eq!(detached.wait_exit(LIMIT), 4);
}

#[test]
fn another_session_s_terminal_on_stdin_hangs_nothing() {
    // tcsetpgrp(3) answers ENOTTY for a terminal that is not the controlling one: nothing to do.
    let terminal = Terminal::open();
    let stead = Stead::example("print_signals").args(["--exit-on", "15:4"]);
    let mut stead = stead.stdin(terminal.stream()).start();
    stead.wait_ready();
    stead.signal(libc::SIGTERM);
    assert_eq!(stead.wait_exit(LIMIT), 4);
}

/// stead as PID 1 that leads a session with a terminal, as `docker run -t` starts it.
fn as_pid1_on(terminal: &Terminal, stead: Stead) -> Running {
    let stead = stead.stdin(terminal.stream()).stdout(terminal.stream()).stderr(terminal.stream());
    stead.under(["setsid", "--ctty"]).place(Place::Pid1).start()
}

#[test]
fn ctrl_z_does_not_lock_a_container_s_terminal() {
    let terminal = Terminal::open();
    let script = "echo ready $$; exec cat";
    let mut stead = as_pid1_on(&terminal, Stead::script(script));
    wait_ready(&terminal);
    terminal.type_text("typed\n");
    assert!(until(LIMIT, || times(&terminal, "typed") == 2), "{}", terminal.seen());
    terminal.type_text(CTRL_Z);
    terminal.wait_for("^Z", LIMIT);
    // Nobody there could say `fg`: what is typed must still arrive.
    terminal.type_text("further\n");
    assert!(until(LIMIT, || times(&terminal, "further") == 2), "{}", terminal.seen());
    stead.signal(libc::SIGTERM);
    assert_eq!(stead.wait_exit(LIMIT), 143);
}

#[test]
fn keys_reach_the_child_of_a_pid_1_on_a_terminal() {
    let terminal = Terminal::open();
    let child = Stead::example("print_signals").args(["--exit-on", "15:4"]);
    let mut stead = as_pid1_on(&terminal, child);
    wait_ready(&terminal);
    for (key, signal) in [(CTRL_C, "got 2 "), (CTRL_BACKSLASH, "got 3 ")] {
        terminal.type_text(key);
        terminal.wait_for(signal, LIMIT);
        assert_eq!(times(&terminal, signal), 1);
    }
    stead.signal(libc::SIGTERM);
    assert_eq!(stead.wait_exit(LIMIT), 4);
}

/// An interactive shell on a terminal; it is hung up on when this is dropped.
struct Shell {
    terminal: Terminal,
    bash: Child,
}

impl Shell {
    fn start() -> Self {
        let terminal = Terminal::open();
        let mut command = Command::new("bash");
        command
            .args(["--norc", "--noprofile", "-i"])
            .env_clear()
            .env("PATH", search_path())
            .env("PS1", "prompt> ")
            .env("STEAD_LISTEN", "off")
            .env("STEAD_LOG_LEVEL", "off")
            .stdin(terminal.stream())
            .stdout(terminal.stream())
            .stderr(terminal.stream());
        // A shell hands on what it was started with: where this program is itself in the background of a plain script,
        // INT is ignored, and no Ctrl-C would end anything.
        sys::before_exec(&mut command, sys::forget_signals);
        sys::before_exec(&mut command, || sys::become_session_leader(0));
        let bash = command.spawn().expect("bash is installed");
        let shell = Self { terminal, bash };
        shell.terminal.wait_for("prompt> ", LIMIT);
        shell
    }

    /// Types a line that starts stead in front of this script, and waits until it has said `ready`:
    /// what is typed before that is anybody's.
    fn run_under_stead(&self, script: &str) {
        let stead = binary();
        let line = format!("{} run -- sh -c 'echo ready; {script}'\n", stead.display());
        self.say(&line, "\nready");
    }

    /// Types a line and waits until its answer has appeared once more than before.
    fn say(&self, line: &str, answer: &str) {
        let before = times(&self.terminal, answer);
        self.terminal.type_text(line);
        let came = until(LIMIT, || times(&self.terminal, answer) > before);
        assert!(came, "{line:?} brought no {answer:?}:\n{}", self.terminal.seen());
    }

    /// Types something that is shown twice: by the terminal, and by the cat that reads it.
    fn is_echoed(&self, word: &str) {
        self.terminal.type_text(&format!("{word}\n"));
        let twice = until(LIMIT, || times(&self.terminal, word) == 2);
        assert!(twice, "{word:?} was not echoed:\n{}", self.terminal.seen());
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // Everything that has this terminal goes with its session leader: KILL for what is left.
        let session = self.bash.id().to_string();
        let of_session = |pid: &i32| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let after_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
            after_name.split(' ').nth(3) == Some(&session)
        };
        for pid in processes::all().into_iter().filter(of_session) {
            let _ = sys::kill(pid, libc::SIGKILL);
        }
        let _ = self.bash.wait();
    }
}

#[test]
fn ctrl_z_and_fg_work_under_an_interactive_shell() {
    let shell = Shell::start();
    shell.run_under_stead("exec cat");
    shell.is_echoed("first");
    for word in ["second", "third"] {
        shell.say(CTRL_Z, "Stopped");
        shell.say("echo the-shell-is-$((40 + 2))\n", "the-shell-is-42");
        shell.say("jobs\n", "Stopped");
        shell.say("fg\n", "exec cat");
        shell.is_echoed(word);
    }
    shell.say(CTRL_D, "prompt> ");
    shell.say("echo code-$?\n", "code-0");
}

#[test]
fn ctrl_z_and_bg_work_under_an_interactive_shell() {
    let shell = Shell::start();
    shell.run_under_stead("exec sleep 1000");
    let bash = shell.bash.id() as i32;
    shell.say(CTRL_Z, "Stopped");
    shell.say("bg\n", "&");
    shell.say("jobs\n", "Running");
    let jobs_child = processes::children_of(bash);
    assert_eq!(jobs_child.len(), 1, "{jobs_child:?}");
    let running = until(LIMIT, || {
        let below = processes::children_of(jobs_child[0]);
        below.len() == 1 && !matches!(processes::state(below[0]), Some('T') | None)
    });
    assert!(running, "the child does not run in the background");
    shell.say("kill %1; wait %1; echo code-$?\n", "code-143");
}

#[test]
fn ctrl_c_under_an_interactive_shell_gives_the_prompt_back() {
    let shell = Shell::start();
    shell.run_under_stead("exec cat");
    shell.is_echoed("first");
    shell.say(CTRL_C, "prompt> ");
    shell.say("echo code-$?\n", "code-130");
    shell.say("stty -a | grep -c ' icanon'\n", "1\r\n");
}

#[test]
fn a_pipeline_under_an_interactive_shell_works() {
    let shell = Shell::start();
    let stead = binary();
    let line = format!("echo piped | {} run -- tr a-z A-Z | cat\n", stead.display());
    shell.say(&line, "PIPED");
    shell.say("echo code-$?\n", "code-0");
    assert!(until(Duration::from_secs(5), || shell.terminal.foreground() == shell.bash.id() as i32));
}
