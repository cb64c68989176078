//! The units of examples/systemd under systemd itself, which is PID 1 of a container.

use std::path::Path;
use std::sync::OnceLock;

use super::has_connection;
use crate::harness::engine::{Container, images};
use crate::harness::{LIMIT, binary, example, until};

/// What of systemd's own units has to be there.
const NEEDED: [&str; 12] = [
    "basic.target",
    "sysinit.target",
    "multi-user.target",
    "network-online.target",
    "shutdown.target",
    "umount.target",
    "local-fs.target",
    "swap.target",
    "slices.target",
    "sockets.target",
    "paths.target",
    "timers.target",
];

/// Leaves orphans behind, says that it is ready to who wants to know, and is the example server.
const SERVER: &str = "#!/bin/sh
for i in 1 2 3; do (sleep 2 &); done
[ -z \"$NOTIFY_SOCKET\" ] || /notify READY=1 STATUS=serving
exec /hello
";

/// There is no journal.
const TO_FILE: &str =
    "[Service]\nStandardOutput=append:/run/app.log\nStandardError=append:/run/app.log\n";

fn image() -> &'static str {
    static IMAGE: OnceLock<String> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let files = images::busybox_files()
            .program("/lib/systemd/systemd")
            .program("/usr/bin/systemctl")
            .static_program(binary(), "/usr/local/bin/stead")
            .static_program(example("notify"), "/notify")
            .script("/srv/app/server", SERVER)
            .text(
                "/etc/systemd/system/app-hasty.service.d/watchdog.conf",
                "[Service]\nWatchdogSec=2\n",
            )
            .text("/etc/passwd", "root:x:0:0::/:\nnobody:x:65534:65534::/:\n")
            .text("/etc/group", "root:x:0:\nnogroup:x:65534:\n")
            .text("/etc/machine-id", "")
            .directory("/var/tmp", 0o1777);
        let files = NEEDED.iter().fold(files, |files, unit| {
            files.copy(
                Path::new("/lib/systemd/system").join(unit),
                &format!("/lib/systemd/system/{unit}"),
            )
        });
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/systemd");
        let units = [("app", "app"), ("app-notify", "app-notify"), ("app-notify", "app-hasty")];
        let files = units.iter().fold(files, |files, (from, name)| {
            let at = format!("/etc/systemd/system/{name}.service");
            let files = files.copy(examples.join(format!("{from}.service")), &at);
            files.text(&format!("{at}.d/log.conf"), TO_FILE)
        });
        files.import()
    })
}

/// systemd, with nothing of the machine's but what it needs to manage its own control groups.
fn boot() -> Container {
    let options = [
        "--entrypoint=/lib/systemd/systemd",
        "--env=container=docker",
        "--cap-add=SYS_ADMIN",
        "--security-opt=seccomp=unconfined",
        "--security-opt=apparmor=unconfined",
        "--cgroupns=host",
        "--volume=/sys/fs/cgroup:/sys/fs/cgroup:rw",
        "--tmpfs=/run",
        "--tmpfs=/tmp",
    ];
    let container = Container::run(image(), &options, &["--unit=multi-user.target"]);
    let mut state = String::new();
    let booted = until(LIMIT, || {
        state = container.exec(&["/usr/bin/systemctl", "is-system-running"]).stdout;
        ["running", "degraded"].contains(&state.trim())
    });
    assert!(booted, "systemd is {state:?}: {:?}", container.logs());
    container
}

fn systemctl(container: &Container, verb: &str, unit: &str) {
    let done = container.exec(&["/usr/bin/systemctl", verb, unit]);
    assert_eq!(done.code, 0, "{done:?}; {}", log(container));
}

/// A property of a unit.
fn show(container: &Container, unit: &str, property: &str) -> String {
    let line = ["/usr/bin/systemctl", "show", "--value", "--property", property, unit];
    container.exec(&line).stdout.trim().to_owned()
}

fn log(container: &Container) -> String {
    container.exec(&["cat", "/run/app.log"]).stdout
}

#[test]
fn a_service_of_systemds_works_without_a_word() {
    for unit in ["app", "app-notify"] {
        let container = boot();
        systemctl(&container, "start", unit);
        container.wait_ready();
        let pid = show(&container, unit, "MainPID");
        let children = || {
            let ps = container.exec(&["ps", "-o", "ppid,comm"]).stdout;
            ps.lines().filter(|line| line.split_whitespace().next() == Some(&pid)).count()
        };
        assert!(until(LIMIT, || children() == 1), "the orphans were not reaped");

        container.exec_detached(&["wget", "-q", "-O", "/run/answer", "http://127.0.0.1:8080/slow"]);
        assert!(until(LIMIT, || has_connection(&container)), "no request is under way");
        systemctl(&container, "stop", unit);
        assert_eq!(show(&container, unit, "Result"), "success", "{}", log(&container));
        assert_eq!(show(&container, unit, "ExecMainStatus"), "0");
        let answered = || container.exec(&["test", "-s", "/run/answer"]).code == 0;
        assert!(until(LIMIT, answered), "the request was cut off: {}", log(&container));
        let log = log(&container);
        assert!(log.contains("\"drain ended\"") && log.contains("\"stop signal sent\""), "{log}");
        assert!(!log.contains("\"warn\"") && !log.contains("\"error\""), "{unit}: {log}");
    }
}

#[test]
fn systemd_knows_what_an_app_says_of_itself_and_restarts_it_when_it_falls_silent() {
    let container = boot();
    // Comes back when READY=1 was said.
    systemctl(&container, "start", "app-hasty");
    assert_eq!(show(&container, "app-hasty", "StatusText"), "serving");
    let restarted = || show(&container, "app-hasty", "NRestarts") != "0";
    assert!(until(LIMIT, restarted), "{}", log(&container));
    assert!(log(&container).contains("\"watchdog missed\""), "{}", log(&container));
}
