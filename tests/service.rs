//! Where there is no container: stead from a plain shell, and as a service by a stand-in that starts and stops it in
//! systemd's way. The units of examples/systemd are read by systemd's own program; under systemd itself they run in
//! `containers/systemd.rs`.

use std::collections::BTreeMap;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::harness::engine::Finished;
use crate::harness::processes::{children_of, status};
use crate::harness::{LIMIT, Running, Scratch, Stead, binary, example, free_port, sys, until};

const UNITS: [&str; 2] = ["app.service", "app-notify.service"];

/// A unit's settings of `[Service]`, each with all its values.
struct Unit(BTreeMap<String, Vec<String>>);

impl Unit {
    fn read(name: &str) -> Self {
        let mut settings = BTreeMap::<String, Vec<String>>::new();
        let text = text_of(name);
        let service = text.split("[Service]").nth(1).expect("a service");
        let service = service.split("[Install]").next().unwrap_or_default();
        for line in service.lines().filter(|line| !line.starts_with('#')) {
            if let Some((key, value)) = line.split_once('=') {
                settings.entry(key.to_owned()).or_default().push(value.to_owned());
            }
        }
        Self(settings)
    }

    fn one(&self, key: &str) -> &str {
        let values = self.0.get(key).map_or(&[][..], Vec::as_slice);
        let [value] = values else { panic!("{key}: {values:?}") };
        value
    }

    /// What it starts, with the example server as the app, and with its environment.
    fn stead(&self, app: &Path) -> Stead {
        let (options, _) = self.one("ExecStart").split_once(" -- ").expect("a command");
        let options = options.strip_prefix("/usr/local/bin/stead ").expect("stead");
        let mut stead = Stead::invoked(options.split(' ')).options(["--"]).args([app]);
        for variable in &self.0["Environment"] {
            let (name, value) = variable.split_once('=').expect("NAME=VALUE");
            if name != "STEAD_LISTEN" {
                stead = stead.env(name, value);
            }
        }
        stead.env("PORT", free_port().to_string()).listening()
    }
}

fn text_of(unit: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/systemd");
    std::fs::read_to_string(folder.join(unit)).expect(unit)
}

#[test]
fn systemd_has_nothing_to_say_against_the_units() {
    let scratch = Scratch::new();
    let verify = |name: &str, text: String| {
        let unit = scratch.file(name, text, 0o644);
        let verified =
            Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(unit).output();
        Finished::from(verified.expect("systemd-analyze, which `make test` installs"))
    };
    for name in UNITS {
        let here = text_of(name).replace("/usr/local/bin/stead", binary().to_str().unwrap());
        let said = verify(name, here.clone());
        assert_eq!((said.code, said.stderr.as_str()), (0, ""), "{name}");
        let said = verify(name, here.replace("KillMode=mixed", "KillMode=gently"));
        assert!(said.stderr.contains("kill mode"), "a mistake is not noticed: {said:?}");
    }
}

#[test]
fn the_units_give_stead_the_time_that_it_says_it_needs() {
    for name in UNITS {
        let unit = Unit::read(name);
        let mut stead = unit.stead(&example("hello")).start();
        let needed = stead.wait_for_event("starting", LIMIT)["stop_timeout_s"].as_f64();
        let given: f64 = unit.one("TimeoutStopSec").parse().expect("seconds");
        assert!(needed.is_some_and(|needed| given >= needed), "{name}: {needed:?}");
        assert_eq!(unit.one("KillMode"), "mixed");
        stead.signal(libc::SIGTERM);
        stead.wait_exit(LIMIT);
    }
}

/// stead as systemd starts it: a session of its own, nothing to read, and the journal's sockets as its streams.
struct Service {
    stead: Running,
    journal: thread::JoinHandle<String>,
}

impl Service {
    fn start(stead: Stead) -> Self {
        let (journal, stdout) = UnixStream::pair().expect("a pair of sockets");
        let stderr = stdout.try_clone().expect("a second one");
        let stead = stead
            .stdout(OwnedFd::from(stdout))
            .stderr(OwnedFd::from(stderr))
            .env("INVOCATION_ID", "0123456789abcdef0123456789abcdef")
            .env("JOURNAL_STREAM", "8:1")
            .cwd("/")
            .before_exec(sys::leave_session)
            .start();
        let journal = thread::spawn(move || {
            let mut text = String::new();
            let _ = (&journal).read_to_string(&mut text);
            text
        });
        let service = Self { stead, journal };
        assert!(until(LIMIT, || service.answers()), "its endpoints do not answer");
        service
    }

    fn answers(&self) -> bool {
        let answer = crate::harness::http::try_request(self.stead.port(), "GET", "/readyz", &[]);
        answer.is_some_and(|answer| answer.status == 200)
    }

    /// `systemctl stop`: TERM and CONT to these, and what was said until the end.
    fn stop(mut self, pids: &[i32]) -> (i32, String) {
        for signal in [libc::SIGTERM, libc::SIGCONT] {
            for pid in pids {
                // What has ended by now needs no second signal.
                let _ = sys::kill(*pid, signal);
            }
        }
        let code = self.stead.wait_exit(LIMIT);
        (code, self.journal.join().expect("the journal"))
    }
}

fn assert_silent(journal: &str) {
    for word in ["\"warn\"", "\"error\""] {
        assert!(!journal.contains(word), "{journal}");
    }
    assert!(journal.contains("drain ended"), "{journal}");
}

/// An app that leaves orphans behind and then is the example server.
fn app_with_orphans(scratch: &Scratch) -> std::path::PathBuf {
    let hello = example("hello");
    let text = format!(
        "#!/bin/sh\nfor i in 1 2 3; do (sleep 1 &); done\nexec {}\n",
        hello.to_str().expect("a path")
    );
    scratch.file("server", text, 0o755)
}

#[test]
fn as_a_service_it_works_without_a_word() {
    let scratch = Scratch::new();
    let app = app_with_orphans(&scratch);
    let service = Service::start(Unit::read("app.service").stead(&app));
    let pid = service.stead.pid();
    assert!(until(LIMIT, || children_of(pid).len() == 1), "the orphans were not reaped");
    let (code, journal) = service.stop(&[pid]);
    assert_eq!(code, 0);
    assert_silent(&journal);
    assert!(journal.contains("\"stop signal sent\""), "{journal}");
}

#[test]
fn a_service_whose_processes_are_all_told_to_stop_at_once_ends_well_too() {
    // systemd's default, KillMode=control-group.
    let service = Service::start(Unit::read("app.service").stead(&example("hello")));
    let pid = service.stead.pid();
    let all: Vec<i32> = [pid].into_iter().chain(children_of(pid)).collect();
    assert_eq!(all.len(), 2);
    let (code, journal) = service.stop(&all);
    assert_eq!(code, 0);
    assert_silent(&journal);
}

#[test]
fn an_app_that_ends_by_the_term_leaves_a_service_that_has_not_failed() {
    let stead = Unit::read("app.service").stead(Path::new("/bin/sleep"));
    let service = Service::start(stead.args(["1000"]).env("STEAD_APP_PORT", "off"));
    let pid = service.stead.pid();
    let (code, journal) = service.stop(&[pid]);
    assert_eq!(code, 0, "{journal}");
}

#[test]
fn the_journals_sockets_are_no_files_and_as_json_the_apps_streams_are() {
    let write = "echo reached > /dev/stdout; echo done; exec sleep 1000";
    let said = |logs: &str| {
        let stead = Stead::run(["/bin/sh", "-c", write]).env("STEAD_LOGS", logs).listening();
        let service = Service::start(stead);
        let pid = service.stead.pid();
        let starts_sleep =
            || children_of(pid).iter().any(|pid| status(*pid, "Name").as_deref() == Some("sleep"));
        assert!(until(LIMIT, starts_sleep), "it has not come to its end");
        service.stop(&[pid]).1
    };
    let (raw, json) = (said("raw"), said("json"));
    assert!(raw.contains("done\n") && !raw.contains("reached\n"), "{raw}");
    assert!(json.contains("\"message\":\"reached\""), "{json}");
}

#[test]
fn from_a_plain_shell_it_works_without_a_word() {
    let scratch = Scratch::new();
    let app = app_with_orphans(&scratch);
    // In the background of a shell that is no terminal's, which has it ignore INT and QUIT.
    let shell = ["/bin/sh", "-c", "\"$@\" & echo shell; wait $!", "sh"];
    let mut shell =
        Stead::run([app]).under(shell).env("PORT", free_port().to_string()).listening().start();
    shell.wait_for_line(LIMIT, |line| line == "shell");
    let starting = shell.wait_for_event("starting", LIMIT);
    assert_eq!(starting["pid1"], false);
    let stead = starting["pid"].as_i64().expect("a pid") as i32;
    assert!(until(LIMIT, || shell.status("/readyz") == 200));
    assert!(until(LIMIT, || children_of(stead).len() == 1), "the orphans were not reaped");
    sys::kill(stead, libc::SIGTERM).expect("kill");
    assert_eq!(shell.wait_exit(Duration::from_secs(30)), 0);
    for event in shell.events() {
        assert_eq!(event["level"], "info", "{event}");
    }
}
