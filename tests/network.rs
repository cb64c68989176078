//! A network of the test's own, where every port is free and loopback is not the only address.

use std::net::Ipv4Addr;
use std::process::Command;
use std::thread;

/// An address of that network that is not loopback's (RFC 5737 keeps it for documentation).
pub const OTHER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 7);

/// Runs `action` in a new network namespace. What it starts and what it connects to is in there;
/// threads that it makes are too.
pub fn in_own_network<T: Send>(action: impl FnOnce() -> T + Send) -> T {
    let inside = || {
        // SAFETY: unshare(2) takes an integer; of the network it changes this thread's alone.
        let answer = unsafe { libc::unshare(libc::CLONE_NEWNET) };
        let error = std::io::Error::last_os_error();
        assert_eq!(answer, 0, "cannot make a network namespace: {error}");
        ip(&["link", "set", "lo", "up"]);
        ip(&["addr", "add", &format!("{OTHER}/32"), "dev", "lo"]);
        action()
    };
    thread::scope(|scope| match scope.spawn(inside).join() {
        Ok(value) => value,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

fn ip(args: &[&str]) {
    let status = Command::new("busybox").arg("ip").args(args).status();
    assert!(status.as_ref().is_ok_and(|s| s.success()), "busybox ip {args:?}: {status:?}");
}
