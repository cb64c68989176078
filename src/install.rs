//! `stead install PATH`: a copy of the running binary, for a volume that another container mounts.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Why there is no copy: `cannot install to PATH: reason`.
#[derive(Debug, thiserror::Error)]
#[error("cannot install to {}: {error}", path.display())]
pub struct CannotInstall {
    path: PathBuf,
    error: io::Error,
}

/// Copies this program to `path`, or into it where it is a directory; answers where it is now.
/// It is written aside and renamed, so that nobody ever sees half of it, and a copy that runs may be replaced.
pub fn install(path: &Path) -> Result<PathBuf, CannotInstall> {
    let target = if path.is_dir() { path.join("stead") } else { path.to_owned() };
    let aside = target.with_file_name(format!(".stead-{}", std::process::id()));
    let copied = copy_to(&aside).and_then(|()| fs::rename(&aside, &target));
    copied.map_err(|error| {
        // What was not written cannot be removed, which is no further news.
        let _ = fs::remove_file(&aside);
        CannotInstall { path: target.clone(), error }
    })?;
    Ok(target)
}

fn copy_to(aside: &Path) -> io::Result<()> {
    let mut from =
        File::open("/proc/self/exe").or_else(|_| File::open(std::env::current_exe()?))?;
    let mut to = OpenOptions::new().write(true).create_new(true).mode(0o755).open(aside)?;
    io::copy(&mut from, &mut to)?;
    // Whatever the umask is: another user's container is to run it.
    to.set_permissions(Permissions::from_mode(0o755))?;
    to.sync_all()
}
