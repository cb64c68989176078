//! Files that are read again when they have changed: by what a change is known, and how much of one is read. Both may
//! block for as long as a dead mount pleases: they are called on threads of their own (`flight`).

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// No secret and no configuration is longer; what claims to be is not read into memory.
const LONGEST: usize = 1024 * 1024;

/// By which a file is known to be the same that was read; none of a file that is not there. A mounted secret changes by
/// a link that is pointed elsewhere, so the file behind it is looked at.
pub(super) type Stamp = Option<[i64; 6]>;

/// The file as it is now. To be taken before it is read: what changes while it is read is seen next time.
pub(super) fn stamp(path: &Path) -> Stamp {
    let file = fs::metadata(path).ok()?;
    let (inode, size) = (file.ino().cast_signed(), file.size().cast_signed());
    Some([inode, size, file.mtime(), file.mtime_nsec(), file.ctime(), file.ctime_nsec()])
}

/// The text of a file, which fails where it is too long for one.
pub fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let read = File::open(path)?.take(LONGEST as u64 + 1).read_to_string(&mut text)?;
    if read > LONGEST { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(text) }
}
