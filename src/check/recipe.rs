//! How a target is made, and made anew when the mounted secret that it comes from has changed.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tracing::{info, warn};

use super::{ProbeError, Target};
use crate::value::Wrong;

/// Reads a file whole.
pub type ReadFile<'a> = &'a dyn Fn(&Path) -> io::Result<String>;

/// Makes the target from what its files hold now.
type Make = Box<dyn Fn(ReadFile) -> Result<Target, Wrong> + Send + Sync>;

/// No secret is longer; what claims to be is not read into memory.
const LONGEST_FILE: u64 = 64 * 1024;

/// What a check asks, as it was configured.
pub struct Recipe {
    make: Option<Make>,
    made: Mutex<Made>,
}

/// The target, and the files as they were before they were read for it.
struct Made {
    files: Files,
    target: Arc<Target>,
}

/// Files, and by what each is known to have changed. A mounted secret changes by a link that is pointed elsewhere, so
/// the file behind it is looked at.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Files {
    paths: Vec<PathBuf>,
    stamps: Vec<Option<[i64; 6]>>,
}

impl Files {
    /// The files as they are now.
    pub fn look_at(paths: Vec<PathBuf>) -> Self {
        let stamps = paths.iter().map(|path| stamp(path)).collect();
        Self { paths, stamps }
    }
}

fn stamp(path: &Path) -> Option<[i64; 6]> {
    let file = fs::metadata(path).ok()?;
    let (inode, size) = (file.ino().cast_signed(), file.size().cast_signed());
    Some([inode, size, file.mtime(), file.mtime_nsec(), file.ctime(), file.ctime_nsec()])
}

impl Recipe {
    /// A target that stays as it is.
    pub fn fixed(target: Target) -> Self {
        Self {
            make: None,
            made: Mutex::new(Made { files: Files::default(), target: Arc::new(target) }),
        }
    }

    /// A target that was made from files, and is made again when one of them has changed.
    pub fn of_files(
        target: Target,
        files: Files,
        make: impl Fn(ReadFile) -> Result<Target, Wrong> + Send + Sync + 'static,
    ) -> Self {
        let made = Mutex::new(Made { files, target: Arc::new(target) });
        Self { make: Some(Box::new(make)), made }
    }

    /// The target as its source says now. To be called where no attempt at it is under way.
    ///
    /// A file that cannot be read, or holds nothing of use, changes nothing: what was in it before may still be right, and
    /// if it is not, the server will say so.
    pub fn target(&self) -> Result<Arc<Target>, ProbeError> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(make) = &self.make else {
            return Ok(made.target.clone());
        };
        let files = Files::look_at(made.files.paths.clone());
        if files == made.files {
            return Ok(made.target.clone());
        }
        made.files = files;
        let file = shown(&made.files.paths);
        match make(&read) {
            Ok(target) => {
                info!(file, "secret file read again");
                let old = std::mem::replace(&mut made.target, Arc::new(target));
                if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                    runtime.spawn(async move { old.close().await });
                }
            }
            Err(error) => warn!(file, error, "secret file not understood, the old secret is kept"),
        }
        Ok(made.target.clone())
    }
}

impl fmt::Debug for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        f.debug_struct("Recipe").field("files", &made.files.paths).finish_non_exhaustive()
    }
}

fn shown(paths: &[PathBuf]) -> String {
    let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    paths.join(" ")
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(LONGEST_FILE).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::super::TcpTarget;
    use super::*;

    /// A target of the port that the file holds.
    fn make(path: &Path, read: ReadFile) -> Result<Target, Wrong> {
        let text = read(path).map_err(|error| error.to_string())?;
        Ok(Target::Tcp(TcpTarget::on_loopback(crate::value::port(&text)?)))
    }

    fn port(recipe: &Recipe) -> String {
        let target = recipe.target().unwrap();
        format!("{target:?}").split("127.0.0.1:").nth(1).unwrap().chars().take(4).collect()
    }

    #[test]
    fn a_target_is_made_again_when_its_file_was_changed_and_kept_while_the_file_is_none() {
        let folder = std::env::temp_dir().join(format!("stead-recipe-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("secret");
        fs::write(&path, "1001\n").unwrap();
        let files = Files::look_at(vec![path.clone()]);
        let first = make(&path, &read).unwrap();
        let from = path.clone();
        let recipe = Recipe::of_files(first, files, move |read| make(&from, read));
        assert_eq!(port(&recipe), "1001");
        let unchanged = recipe.target().unwrap();
        assert!(Arc::ptr_eq(&unchanged, &recipe.target().unwrap()));
        // As Kubernetes does it: another file in its place, with the same size and perhaps the same time.
        let other = folder.join("other");
        fs::write(&other, "1002\n").unwrap();
        fs::rename(&other, &path).unwrap();
        assert_eq!(port(&recipe), "1002");
        for broken in ["", "s3cret"] {
            fs::write(&path, broken).unwrap();
            assert_eq!(port(&recipe), "1002");
        }
        fs::remove_file(&path).unwrap();
        assert_eq!(port(&recipe), "1002");
        fs::write(&path, "1003").unwrap();
        assert_eq!(port(&recipe), "1003");
        fs::remove_dir_all(&folder).unwrap();
    }
}
