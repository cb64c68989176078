//! How a target is made, and made anew when the mounted secret that it comes from has changed.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::{info, warn};

use super::files::{Stamp, read, stamp};
use super::flight::Flight;
use super::{ProbeError, Target};
use crate::value::Wrong;

/// Reads a file whole.
pub type ReadFile<'a> = &'a dyn Fn(&Path) -> io::Result<String>;

/// Makes the target from what its files hold now.
type Make = Box<dyn Fn(ReadFile) -> Result<Target, Wrong> + Send + Sync>;

/// What a check asks, as it was configured.
pub struct Recipe {
    source: Option<Arc<Source>>,
    made: Mutex<Made>,
    look: Flight<Option<News>>,
    /// Whether it was told that the files do not answer.
    told: AtomicBool,
}

/// The files of a target, and how it is made from them.
struct Source {
    paths: Vec<PathBuf>,
    make: Make,
}

/// The target, and the files as they were before they were read for it, where they have been looked at.
struct Made {
    stamps: Option<Vec<Stamp>>,
    target: Arc<Target>,
}

/// The files as they are now, which is not as they were, and what is made of them.
struct News {
    stamps: Vec<Stamp>,
    target: Result<Target, Wrong>,
}

impl Source {
    fn look(&self, known: Option<&[Stamp]>) -> Option<News> {
        let stamps: Vec<Stamp> = self.paths.iter().map(|path| stamp(path)).collect();
        let is_new = known != Some(&stamps);
        is_new.then(|| News { stamps, target: (self.make)(&read) })
    }

    /// The files' names, for the log.
    fn shown(&self) -> String {
        let paths: Vec<String> = self.paths.iter().map(|path| path.display().to_string()).collect();
        paths.join(" ")
    }
}

impl Recipe {
    /// A target that stays as it is.
    pub fn fixed(target: Target) -> Self {
        Self::new(None, target)
    }

    /// A target that was made from files, and is made again when one of them has changed. None of them is touched here.
    pub fn of_files(
        target: Target,
        paths: Vec<PathBuf>,
        make: impl Fn(ReadFile) -> Result<Target, Wrong> + Send + Sync + 'static,
    ) -> Self {
        Self::new(Some(Arc::new(Source { paths, make: Box::new(make) })), target)
    }

    fn new(source: Option<Arc<Source>>, target: Target) -> Self {
        let made = Mutex::new(Made { stamps: None, target: Arc::new(target) });
        Self { source, made, look: Flight::default(), told: AtomicBool::new(false) }
    }

    /// The target as it was made last.
    pub fn made(&self) -> Arc<Target> {
        self.lock().target.clone()
    }

    /// The target as its source says now. To be called where no attempt at it is under way.
    ///
    /// A file that cannot be read, or holds nothing of use, changes nothing, and neither does one that does not answer:
    /// what was in it before may still be right, and if it is not, the server will say so.
    pub async fn target(&self) -> Result<Arc<Target>, ProbeError> {
        if let Some(source) = &self.source {
            let (looked_at, known) = (source.clone(), self.lock().stamps.clone());
            let look = move || looked_at.look(known.as_deref());
            match self.look.answer_soon(look).await? {
                Some(news) => self.take(news, source),
                None if !self.told.swap(true, Ordering::Relaxed) => {
                    warn!(
                        file = source.shown(),
                        "secret file does not answer, the old secret is kept"
                    );
                }
                None => {}
            }
        }
        Ok(self.made())
    }

    fn take(&self, news: Option<News>, source: &Source) {
        self.told.store(false, Ordering::Relaxed);
        let Some(News { stamps, target }) = news else { return };
        let file = source.shown();
        let mut made = self.lock();
        // The first look is at what was read for the configuration a moment ago.
        let is_first = made.stamps.replace(stamps).is_none();
        match target {
            Ok(target) => {
                if !is_first {
                    info!(file, "secret file read again");
                }
                let old = std::mem::replace(&mut made.target, Arc::new(target));
                tokio::spawn(async move { old.close().await });
            }
            Err(error) => warn!(file, error, "secret file not understood, the old secret is kept"),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Made> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files = self.source.as_ref().map(|source| &source.paths);
        f.debug_struct("Recipe").field("files", &files).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::TcpTarget;
    use super::*;

    /// A target of the port that the file holds.
    fn make(path: &Path, read: ReadFile) -> Result<Target, Wrong> {
        let text = read(path).map_err(|error| error.to_string())?;
        Ok(Target::Tcp(TcpTarget::on_loopback(crate::value::port(&text)?)))
    }

    async fn port(recipe: &Recipe) -> String {
        let target = recipe.target().await.unwrap();
        format!("{target:?}").split("127.0.0.1:").nth(1).unwrap().chars().take(4).collect()
    }

    #[tokio::test]
    async fn a_target_is_made_again_when_its_file_was_changed_and_kept_while_the_file_is_none() {
        let folder = std::env::temp_dir().join(format!("stead-recipe-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("secret");
        fs::write(&path, "1001\n").unwrap();
        let first = make(&path, &read).unwrap();
        let from = path.clone();
        let recipe = Recipe::of_files(first, vec![path.clone()], move |read| make(&from, read));
        assert_eq!(port(&recipe).await, "1001");
        let unchanged = recipe.target().await.unwrap();
        assert!(Arc::ptr_eq(&unchanged, &recipe.target().await.unwrap()));
        // As Kubernetes does it: another file in its place, with the same size and perhaps the same time.
        let other = folder.join("other");
        fs::write(&other, "1002\n").unwrap();
        fs::rename(&other, &path).unwrap();
        assert_eq!(port(&recipe).await, "1002");
        for broken in ["", "s3cret"] {
            fs::write(&path, broken).unwrap();
            assert_eq!(port(&recipe).await, "1002");
        }
        fs::remove_file(&path).unwrap();
        assert_eq!(port(&recipe).await, "1002");
        fs::write(&path, "1003").unwrap();
        assert_eq!(port(&recipe).await, "1003");
        fs::remove_dir_all(&folder).unwrap();
    }

    #[tokio::test]
    async fn what_changes_between_the_configuration_and_the_first_look_is_not_missed() {
        let path = std::env::temp_dir().join(format!("stead-recipe-first-{}", std::process::id()));
        let (from, first) = (path.clone(), Target::Tcp(TcpTarget::on_loopback(1001)));
        let recipe = Recipe::of_files(first, vec![path.clone()], move |read| make(&from, read));
        fs::write(&path, "1002").unwrap();
        assert_eq!(port(&recipe).await, "1002");
        fs::remove_file(&path).unwrap();
    }
}
