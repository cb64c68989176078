//! How a target is made, and made anew when the mounted secret that it comes from has changed.

use std::sync::Arc;

use super::{ProbeError, Target};

/// What a check asks, as it was configured.
#[derive(Debug)]
pub struct Recipe {
    made: Arc<Target>,
}

impl Recipe {
    /// A target that stays as it is.
    pub fn fixed(target: Target) -> Self {
        Self { made: Arc::new(target) }
    }

    /// The target as its source says now.
    pub fn target(&self) -> Result<Arc<Target>, ProbeError> {
        Ok(self.made.clone())
    }
}
