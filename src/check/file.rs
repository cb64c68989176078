//! A file, for instance the heartbeat of a worker that has no port.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::flight::Flight;
use super::options::Options;
use super::url::Url;
use super::{Class, Fact, Pass, ProbeError, Progress, Stage};
use crate::value::Wrong;

/// A file.
///
/// Up proves: it exists, and was written no longer ago than `stead_younger_than` says. One from the future is as young as
/// can be. The detail is its age in seconds.
#[derive(Debug)]
pub struct FileTarget {
    path: Arc<PathBuf>,
    younger_than: Option<Duration>,
    /// A file system may hang as a name server may.
    look: Flight<io::Result<SystemTime>>,
}

impl FileTarget {
    /// `file:///path`.
    pub fn parse(url: &Url, options: &mut Options) -> Result<Self, Wrong> {
        Ok(Self {
            path: Arc::new(url.only_path()?),
            younger_than: options.take_duration("younger_than")?,
            look: Flight::default(),
        })
    }

    pub(super) async fn probe(&self, progress: &Progress) -> Result<Pass, ProbeError> {
        progress.enter(Stage::Query);
        let path = self.path.clone();
        let written = self.look.answer(move || fs::metadata(&*path)?.modified()).await?;
        let written = written.map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => ProbeError::new(Class::AccessDenied, error),
            // ENOENT, ENOTDIR, and whatever else stat(2) has: there is no such file for stead.
            _ => ProbeError::new(Class::NotFound, error),
        })?;
        progress.enter(Stage::State);
        let age = SystemTime::now().duration_since(written).unwrap_or_default();
        let limit = self.younger_than.filter(|limit| age > *limit);
        if let Some(limit) = limit {
            let text =
                format!("{:.1} s old, and should be younger than {limit:?}", age.as_secs_f64());
            return Err(ProbeError::new(Class::FileTooOld, text));
        }
        let age = (age.as_secs_f64() * 10.0).round() / 10.0;
        Ok(Pass { detail: vec![("age_s", Fact::Number(age))], concern: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn probe(url: &str) -> Result<Pass, Class> {
        let mut options = Options::default();
        let url = Url::parse(url, &mut options).unwrap();
        let target = FileTarget::parse(&url, &mut options).unwrap();
        target.probe(&Progress::new(true)).await.map_err(|error| error.class)
    }

    #[tokio::test]
    async fn a_file_is_as_old_as_it_is_and_one_from_the_future_is_new() {
        let path = std::env::temp_dir().join(format!("stead unit {}", std::process::id()));
        let url = format!("file://{}", path.display()).replace(' ', "%20");
        assert_eq!(probe(&url).await, Err(Class::NotFound));
        assert_eq!(probe(&format!("{url}/below")).await, Err(Class::NotFound));
        let file = fs::File::create(&path).unwrap();
        assert!(probe(&url).await.is_ok());
        let hour = Duration::from_secs(3600);
        file.set_modified(SystemTime::now() - hour).unwrap();
        assert!(probe(&url).await.is_ok());
        assert!(probe(&format!("{url}?stead_younger_than=61m")).await.is_ok());
        let old = probe(&format!("{url}?stead_younger_than=59m")).await;
        assert_eq!(old, Err(Class::FileTooOld));
        file.set_modified(SystemTime::now() + hour).unwrap();
        let young = probe(&format!("{url}?stead_younger_than=0s")).await;
        assert_eq!(young.unwrap().detail, [("age_s", Fact::Number(0.0))]);
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_url_of_a_file_has_a_path_and_no_host() {
        for url in ["file:", "file://", "file://host/path", "file:///"] {
            let mut options = Options::default();
            let parsed = Url::parse(url, &mut options).and_then(|url| url.only_path());
            assert!(parsed.is_err() || url == "file:///", "{url}");
        }
    }
}
