//! Under a service manager: stead is started with `NOTIFY_SOCKET` set, as systemd and podman do it.

use std::os::unix::net::UnixDatagram;

use super::{App, OBEDIENT};
use crate::harness::{LIMIT, Scratch, Stead};

/// A service manager's socket, in a file.
struct Manager {
    socket: UnixDatagram,
    scratch: Scratch,
}

impl Manager {
    fn new() -> Self {
        let scratch = Scratch::new();
        let socket = UnixDatagram::bind(scratch.path().join("notify")).expect("a socket");
        socket.set_read_timeout(Some(LIMIT)).expect("a limit");
        Self { socket, scratch }
    }

    fn address(&self) -> String {
        self.scratch.path().join("notify").to_str().expect("a path").to_owned()
    }

    /// stead under it, with a command that does what it is told.
    fn start<const N: usize>(&self, options: [&str; N]) -> App {
        let stead = Stead::script(OBEDIENT).options(options).listening();
        App::of(stead.env("NOTIFY_SOCKET", self.address()))
    }

    /// What comes next.
    fn next(&self) -> String {
        let mut buffer = [0; 4096];
        let length = self.socket.recv(&mut buffer).expect("a message");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }
}

#[test]
fn without_notify_the_command_has_the_managers_own_socket() {
    let manager = Manager::new();
    let mut app = manager.start([]);
    app.run("echo \"at $NOTIFY_SOCKET\"; notify READY=1 MAINPID=1");
    let address = format!("at {}", manager.address());
    app.stead.wait_for_line(LIMIT, |line| line == address);
    assert_eq!((manager.next(), manager.next()), ("READY=1".into(), "MAINPID=1".into()));
}

#[test]
fn with_notify_the_manager_is_told_what_is_for_it() {
    let manager = Manager::new();
    let mut app = manager.start(["--notify-ready"]);
    app.run("notify 'READY=1\\nSTATUS=a\\nMAINPID=1\\nX_OWN=1' BARRIER=1 FDSTORE=1 nonsense");
    app.run("notify EXTEND_TIMEOUT_USEC=5 WATCHDOG=1 'RELOADING=1\\nMONOTONIC_USEC=7' STOPPING=1");
    for expected in [
        "READY=1\nSTATUS=a",
        "EXTEND_TIMEOUT_USEC=5",
        "WATCHDOG=1",
        "RELOADING=1\nMONOTONIC_USEC=7",
        "STOPPING=1",
    ] {
        assert_eq!(manager.next(), expected);
    }
}

#[test]
fn a_manager_that_is_gone_is_one_event_and_no_more() {
    let manager = Manager::new();
    let mut app = manager.start(["--notify-ready"]);
    drop(manager);
    app.run("systemd-notify --status=one; systemd-notify --status=two; systemd-notify --ready");
    assert_eq!(app.stead.status("/readyz"), 200);
    assert_eq!(app.stead.events_of("service manager not told").len(), 1);
}

#[test]
fn the_managers_watchdog_is_passed_on_and_the_shorter_of_two_counts() {
    for (options, expected) in [
        (&["--notify"][..], "45000000"),
        (&["--watchdog=10s"], "10000000"),
        (&["--watchdog=90s"], "45000000"),
    ] {
        let stead = Stead::script(OBEDIENT).options(options.iter().copied());
        let mut app = App::of(stead.env("WATCHDOG_USEC", "45000000"));
        app.run("echo \"watchdog $WATCHDOG_USEC $((WATCHDOG_PID - $$))\"");
        let expected = format!("watchdog {expected} 0");
        app.stead.wait_for_line(LIMIT, |line| line == expected);
    }
    // One that is for another process says nothing here.
    let other = Stead::script(OBEDIENT).options(["--notify"]);
    let other = other.env("WATCHDOG_USEC", "45000000").env("WATCHDOG_PID", "1");
    let mut app = App::of(other);
    app.run("systemd-notify --ready; echo \"still $WATCHDOG_PID\"");
    app.stead.wait_for_line(LIMIT, |line| line == "still 1");
}
