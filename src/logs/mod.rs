//! stead's own events: one line each on standard error, through tracing-subscriber.
//! The messages are constant and the fields are a contract (README, "Log events").

pub mod child;
mod format;
mod schema;
mod turn;
pub mod writer;

use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;

use crate::config::{Events, Labels, LogFormat};
use crate::sys::descriptors::stderr_is_terminal;

use format::Format;
use writer::Lines;

/// Sends events to standard error from now on; they are written once [`writer::release`] was called.
pub fn init(events: Events, labels: Labels) {
    let terminal = stderr_is_terminal();
    let text = match events.format {
        LogFormat::Auto => terminal,
        LogFormat::Json => false,
        LogFormat::Text => true,
    };
    let format = if text {
        Format::Text { colours: terminal }
    } else {
        Format::json(events.schema, &labels)
    };
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(events.level)
        .with_writer(|| Lines)
        .event_format(format)
        .finish()
        // What the drivers log of their own is not a contract, and their errors are not scrubbed.
        .with(filter_fn(|metadata| metadata.target().starts_with("stead")));
    // A second subscriber in one process can only be a test's, which keeps its own.
    let _ = tracing::subscriber::set_global_default(subscriber);
}
