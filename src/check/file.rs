//! A file.

use super::options::Options;
use super::url::Url;
use super::{Class, Pass, ProbeError, Progress};
use crate::value::Wrong;

/// A file.
#[derive(Debug)]
pub struct FileTarget {}

impl FileTarget {
    /// The target of a URL.
    pub fn parse(_url: &Url, _options: &mut Options) -> Result<Self, Wrong> {
        Ok(Self {})
    }

    pub(super) async fn probe(&self, _progress: &Progress) -> Result<Pass, ProbeError> {
        Err(ProbeError::new(Class::NotSupported, "to be written"))
    }
}
