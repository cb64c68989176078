//! What is asked about a queue, and which answer is a concern.

use super::session::Queue;
use crate::check::options::Options;
use crate::check::{Class, ProbeError};
use crate::value::Wrong;

/// A queue and its limits, if any.
#[derive(Debug)]
pub(super) struct Wanted {
    queue: Option<String>,
    max_messages: Option<u64>,
    min_consumers: Option<u64>,
}

impl Wanted {
    /// Takes `queue`, `max_messages` and `min_consumers`.
    pub(super) fn take(options: &mut Options) -> Result<Self, Wrong> {
        let this = Self {
            queue: options.take_as("queue", name)?,
            max_messages: options.take_number("max_messages")?,
            min_consumers: options.take_number("min_consumers")?,
        };
        if this.queue.is_none() && (this.max_messages.is_some() || this.min_consumers.is_some()) {
            return Err("stead_max_messages and stead_min_consumers need stead_queue".to_owned());
        }
        Ok(this)
    }

    /// The queue that is to be looked at.
    pub(super) fn queue(&self) -> Option<&str> {
        self.queue.as_deref()
    }

    /// What is not as it should be.
    pub(super) fn concern(&self, queue: Queue) -> Option<ProbeError> {
        let (messages, consumers) = (u64::from(queue.messages), u64::from(queue.consumers));
        if let Some(most) = self.max_messages.filter(|most| messages > *most) {
            let text = format!("{messages} messages wait, more than {most}");
            return Some(ProbeError::new(Class::TooManyMessages, text));
        }
        let least = self.min_consumers.filter(|least| consumers < *least)?;
        let text = format!("{consumers} consumers, fewer than {least}");
        Some(ProbeError::new(Class::TooFewConsumers, text))
    }
}

/// A name that fits into AMQP's short strings; lapin panics at a longer one.
pub(super) fn name(text: &str) -> Result<String, Wrong> {
    match text.len() {
        1..=255 => Ok(text.to_owned()),
        _ => Err("not a name of 1 to 255 bytes".to_owned()),
    }
}
