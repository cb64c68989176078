//! `--notify`: the socket, what the command is told of it, and the service manager that stead itself runs under.

use std::env;
use std::time::Duration;

use super::Failure;
use crate::notify::{Notifications, Terms};
use crate::supervisor::child::Command;
use crate::sys::process::Pid;

/// Opens the socket, and names it in the command's environment.
pub(super) fn open(terms: Terms, command: &mut Command) -> Result<Notifications, Failure> {
    // Of two watchdogs the shorter one is to be served: its signs of life do for both.
    let watchdog = terms.watchdog.into_iter().chain(managers_watchdog()).min();
    let terms = Terms { watchdog, ..terms };
    let manager = env::var_os("NOTIFY_SOCKET");
    let (notifications, address) = Notifications::open(terms, manager.as_deref())
        .map_err(Failure::system("open the socket of notifications"))?;
    command.set("NOTIFY_SOCKET", &address);
    if let Some(period) = watchdog {
        command.set("WATCHDOG_USEC", &period.as_micros().to_string());
        // It becomes the command's own with its start.
        command.set("WATCHDOG_PID", &Pid::own().to_string());
    }
    Ok(notifications)
}

/// The watchdog that a service manager keeps over stead; sd_watchdog_enabled(3).
fn managers_watchdog() -> Option<Duration> {
    let number = |name| env::var(name).ok()?.parse::<u64>().ok();
    let is_for_stead = env::var_os("WATCHDOG_PID").is_none()
        || number("WATCHDOG_PID") == u64::try_from(Pid::own().number()).ok();
    let period = number("WATCHDOG_USEC").filter(|period| is_for_stead && *period > 0);
    period.map(Duration::from_micros)
}
