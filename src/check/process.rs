//! The app's own process, where its pid namespace is shared.

use std::sync::Arc;

use super::flight::Flight;
use super::{Class, Fact, Pass, ProbeError, Progress, Stage};
use crate::sys::named::{Named, named};

/// A process, by its name.
///
/// Up proves: at the time of the attempt at least one process of this name was there and had not ended, stead itself left
/// out. Any process of the name counts, whoever started it. The detail is how many there were.
#[derive(Debug)]
pub struct ProcessTarget {
    name: Arc<str>,
    /// Every process of the namespace is looked at, which may be many.
    look: Flight<std::io::Result<Named>>,
}

impl ProcessTarget {
    /// The process whose `comm`, or the base name of whose first argument, is this.
    pub fn named(name: &str) -> Self {
        Self { name: name.into(), look: Flight::default() }
    }

    pub(super) async fn probe(&self, progress: &Progress) -> Result<Pass, ProbeError> {
        progress.enter(Stage::Query);
        let name = self.name.clone();
        let found = self.look.answer(move || named(&name)).await?;
        let found = found.map_err(|error| {
            ProbeError::new(Class::NotSupported, format!("cannot look at the processes: {error}"))
        })?;
        progress.enter(Stage::State);
        match found {
            Named { living: 0, ended: 0 } => Err(ProbeError::new(
                Class::ProcessNotFound,
                "no process of this name in this pid namespace (is it shared with the app's?)",
            )),
            Named { living: 0, .. } => Err(ProbeError::new(
                Class::ProcessEnded,
                "the process of this name has ended, and nobody has reaped it",
            )),
            Named { living, .. } => {
                Ok(Pass { detail: vec![("processes", Fact::Count(living))], concern: None })
            }
        }
    }
}
