//! What the app has said of itself by now, as a value: assignments and moments go in, what to do comes out.
//! No clock, no socket. Times are durations since some moment before the first of them.

use std::time::Duration;

use super::message::Assignment;
use crate::sys::process::Pid;

/// How many characters of `STATUS=` are kept.
const STATUS_SIZE: usize = 200;
/// How often a new status is an event.
const STATUS_PAUSE: Duration = Duration::from_secs(1);
/// A watchdog that is looked at so much later than it is due says more of this machine (a container that was paused,
/// a processor that was not to be had) than of the app.
const LATE: Duration = Duration::from_secs(1);

/// What the endpoints tell of it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Notified {
    /// Whether readiness waits for `READY=1`.
    pub is_awaited: bool,
    /// Whether `READY=1` has come, ever.
    pub was_ready: bool,
    /// What it does now.
    pub doing: Doing,
    /// Its `STATUS=`.
    pub status: String,
    /// Its watchdog was missed, and has not come since.
    pub is_hung: bool,
}

/// What an app says that it does.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Doing {
    /// It has said nothing yet.
    #[default]
    Starting,
    /// `READY=1`
    Ready,
    /// `RELOADING=1`; it is as ready as before, and says `READY=1` again.
    Reloading,
    /// `STOPPING=1`, which nothing takes back.
    Stopping,
}

impl Doing {
    /// The name, as the endpoints and the log say it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Reloading => "reloading",
            Self::Stopping => "stopping",
        }
    }
}

/// What is to be done about an assignment, or about the time that has passed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Effect {
    /// It does something else now, which is an event.
    Does(Doing),
    /// Its status is new, and an event.
    Status,
    /// Its watchdog was missed, or it has pulled it itself.
    Hung,
    /// Its watchdog is back.
    Alive,
    /// It wants at least so much time from now on.
    Extend(Duration),
    /// Another process is the main one.
    MainPid(Pid),
    /// It failed with this errno.
    Failed(i32),
}

/// The account that is kept of the app.
#[derive(Debug)]
pub struct Account {
    notified: Notified,
    period: Option<Duration>,
    /// When the next `WATCHDOG=1` must have come, once it has begun.
    due: Option<Duration>,
    /// When the status was an event last, and whether there has been a new one since.
    told: Option<Duration>,
    is_untold: bool,
}

impl Account {
    /// Nothing was said yet. `period` is that of the watchdog, where there is one.
    pub fn new(is_awaited: bool, period: Option<Duration>) -> Self {
        let notified = Notified { is_awaited, ..Notified::default() };
        Self { notified, period, due: None, told: None, is_untold: false }
    }

    /// What the endpoints tell.
    pub fn notified(&self) -> &Notified {
        &self.notified
    }

    /// The watchdog's period.
    pub fn period(&self) -> Option<Duration> {
        self.period
    }

    /// When [`Account::woke`] is due.
    pub fn deadline(&self) -> Option<Duration> {
        let status = self.told.filter(|_| self.is_untold).map(|at| at + STATUS_PAUSE);
        self.due.into_iter().chain(status).min()
    }

    /// Takes in an assignment.
    pub fn on(&mut self, assignment: Assignment<'_>, now: Duration) -> Option<Effect> {
        match assignment {
            Assignment::Ready => self.does(Doing::Ready, now),
            Assignment::Reloading => self.does(Doing::Reloading, now),
            Assignment::Stopping => self.does(Doing::Stopping, now),
            Assignment::Status(text) => self.status(text, now),
            Assignment::Alive => {
                self.wind(now);
                std::mem::take(&mut self.notified.is_hung).then_some(Effect::Alive)
            }
            Assignment::Trigger => self.hung(),
            Assignment::Period(period) => {
                self.period = Some(period).filter(|period| !period.is_zero());
                if self.due.is_some() {
                    self.wind(now);
                }
                None
            }
            Assignment::Extend(time) => Some(Effect::Extend(time)),
            Assignment::MainPid(pid) => Some(Effect::MainPid(pid)),
            Assignment::Errno(errno) => Some(Effect::Failed(errno)),
        }
    }

    /// Takes in that time has passed. The watchdog `counts` while the app runs and nobody has asked it to end.
    pub fn woke(&mut self, now: Duration, counts: bool) -> Option<Effect> {
        if let Some(effect) = self.tell_status(now) {
            return Some(effect);
        }
        let late = now.checked_sub(self.due?)?;
        if counts && late < LATE {
            return self.hung();
        }
        // Not counted, or counted anew.
        self.due = None;
        if counts {
            self.wind(now);
        }
        None
    }

    fn does(&mut self, doing: Doing, now: Duration) -> Option<Effect> {
        if [doing, Doing::Stopping].contains(&self.notified.doing) {
            return None;
        }
        self.notified.doing = doing;
        // Until it has started, an app has better to do than to say that it lives.
        if doing == Doing::Ready && !std::mem::replace(&mut self.notified.was_ready, true) {
            self.wind(now);
        }
        Some(Effect::Does(doing))
    }

    fn status(&mut self, text: &str, now: Duration) -> Option<Effect> {
        let readable = text.chars().map(|c| if c.is_control() { ' ' } else { c });
        let status: String = readable.take(STATUS_SIZE).collect();
        if status != self.notified.status {
            self.notified.status = status;
            self.is_untold = true;
        }
        self.tell_status(now)
    }

    /// A new status is an event at once, or when the pause after the last one is over.
    fn tell_status(&mut self, now: Duration) -> Option<Effect> {
        if !self.is_untold || self.told.is_some_and(|at| now < at + STATUS_PAUSE) {
            return None;
        }
        (self.told, self.is_untold) = (Some(now), false);
        Some(Effect::Status)
    }

    fn wind(&mut self, now: Duration) {
        self.due = self.period.map(|period| now.saturating_add(period));
    }

    fn hung(&mut self) -> Option<Effect> {
        self.due = None;
        (!std::mem::replace(&mut self.notified.is_hung, true)).then_some(Effect::Hung)
    }
}

#[cfg(test)]
mod tests;
