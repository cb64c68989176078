//! What the app may say of itself by sd_notify(3), and what hangs on it.

use super::sources::Sources;
use super::value::{self, Wrong};
use super::{Mistake, value::show_duration};
use crate::notify::Terms;
use std::time::Duration;

impl Sources {
    /// The terms, where it is asked for: each of these settings asks for it.
    pub(super) fn notify(&mut self) -> Result<Option<Terms>, Mistake> {
        let is_on = self.one("notify", value::switch)?.unwrap_or(false);
        let is_awaited = self.one("notify_ready", value::switch)?.unwrap_or(false);
        let watchdog = self.one("watchdog", period)?;
        let watchdog_signal = self.one("watchdog_signal", value::signal)?;
        let is_on = is_on || is_awaited || watchdog.is_some() || watchdog_signal.is_some();
        let switch = |on| if on { "on" } else { "off" };
        self.show("notify", switch(is_on));
        self.show("notify_ready", switch(is_awaited));
        self.show("watchdog", watchdog.map_or("none".to_owned(), show_duration));
        let signal = watchdog_signal.map_or("none".to_owned(), |signal| signal.to_string());
        self.show("watchdog_signal", signal);
        Ok(is_on.then_some(Terms { is_awaited, watchdog, watchdog_signal }))
    }
}

/// How often an app must say that it lives.
fn period(text: &str) -> Result<Duration, Wrong> {
    let period = value::duration(text)?;
    if period.is_zero() { Err("no time at all".to_owned()) } else { Ok(period) }
}
