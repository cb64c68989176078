//! `stead install PATH`: a whole, executable copy of stead, or nothing and a line that says why.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::harness::{Scratch, binary, search_path, stead};

fn install(path: &Path) -> Output {
    stead(["install"]).arg(path).output().expect("stead install")
}

/// Fails when it is not the binary under test in full, with its mode, and running.
fn is_a_stead(path: &Path) {
    let same = fs::read(path).expect("the copy") == fs::read(binary()).expect("the binary");
    assert!(same, "{} differs from the binary", path.display());
    let mode = fs::metadata(path).expect("its mode").permissions().mode();
    assert_eq!(mode & 0o7777, 0o755);
    let version = Command::new(path).arg("--version").output().expect("the copy runs");
    assert!(version.status.success());
    assert_eq!(String::from_utf8_lossy(&version.stdout), "stead 0.1.0\n");
}

fn names_in(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("the directory").flatten();
    let mut names: Vec<_> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Fails when it is not exit code 1 with one line on stderr that names the path.
fn fails_with_a_line(output: &Output, path: &Path) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.starts_with("stead: "), "{stderr}");
    assert!(stderr.contains(&path.display().to_string()), "{stderr}");
    assert!(output.stdout.is_empty());
}

#[test]
fn a_file_is_the_name_of_the_copy() {
    let scratch = Scratch::new();
    let path = scratch.path().join("init");
    let output = install(&path);
    assert!(output.status.success(), "{output:?}");
    is_a_stead(&path);
    assert_eq!(names_in(scratch.path()), ["init"]);
}

#[test]
fn into_a_directory_it_goes_by_its_own_name() {
    let scratch = Scratch::new();
    assert!(install(scratch.path()).status.success());
    is_a_stead(&scratch.path().join("stead"));
    assert_eq!(names_in(scratch.path()), ["stead"]);
}

#[test]
fn the_umask_does_not_take_the_mode_away() {
    let scratch = Scratch::new();
    let script = "umask 077; exec \"$0\" install \"$1\"";
    let status = Command::new("/bin/sh")
        .args(["-c", script])
        .arg(binary())
        .arg(scratch.path())
        .status()
        .expect("a shell");
    assert!(status.success());
    is_a_stead(&scratch.path().join("stead"));
}

#[test]
fn a_copy_that_runs_is_replaced_and_runs_on() {
    let scratch = Scratch::new();
    let path = scratch.path().join("stead");
    assert!(install(&path).status.success());
    let mut running = Command::new(&path)
        .args(["run", "--", "cat"])
        .env_clear()
        .env("PATH", search_path())
        .env("STEAD_LISTEN", "off")
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the copy");
    let first = fs::metadata(&path).expect("the copy").ino();
    let output = install(&path);
    assert!(output.status.success(), "{output:?}");
    assert_ne!(fs::metadata(&path).expect("the new copy").ino(), first);
    is_a_stead(&path);
    assert!(running.try_wait().expect("the first copy").is_none());
    drop(running.stdin.take());
    assert!(running.wait().expect("the first copy").success());
    assert_eq!(names_in(scratch.path()), ["stead"]);
}

#[test]
fn another_file_there_is_replaced_whole() {
    let scratch = Scratch::new();
    let longer = vec![b'x'; 20_000_000];
    let path = scratch.file("stead", longer, 0o600);
    assert!(install(&path).status.success());
    is_a_stead(&path);
    assert_eq!(names_in(scratch.path()), ["stead"]);
}

#[test]
fn where_it_cannot_write_it_says_so_and_leaves_nothing() {
    let scratch = Scratch::new();
    let missing = scratch.path().join("missing/stead");
    fails_with_a_line(&install(&missing), &missing);
    let not_a_directory = scratch.file("file", "text", 0o644).join("stead");
    fails_with_a_line(&install(&not_a_directory), &not_a_directory);
    assert_eq!(names_in(scratch.path()), ["file"]);

    // Root may write anywhere that is not read-only, so this is done as another user.
    let closed = scratch.path().join("closed");
    fs::create_dir(&closed).expect("a directory");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o555)).expect("its mode");
    fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o755)).expect("its mode");
    let copy = scratch.path().join("copy");
    assert!(install(&copy).status.success());
    let mut command = Command::new(&copy);
    command.arg("install").arg(&closed).uid(65534).gid(65534);
    fails_with_a_line(&command.output().expect("the copy"), &closed);
    assert_eq!(names_in(&closed), Vec::<String>::new());
}

#[test]
fn a_full_file_system_leaves_what_was_there() {
    let scratch = Scratch::new();
    let full = scratch.path().join("full");
    fs::create_dir(&full).expect("a directory");
    // In a mount namespace of its own, which ends with the shell and takes the file system along.
    let script = "mount -t tmpfs -o size=64k tmpfs \"$1\" && echo before > \"$1/stead\" || exit 99\n\
                  \"$0\" install \"$1\"; code=$?\n\
                  ls -A \"$1\"; cat \"$1/stead\"; exit $code";
    let output = Command::new("unshare")
        .args(["--mount", "/bin/sh", "-c", script])
        .arg(binary())
        .arg(&full)
        .output()
        .expect("unshare");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "stead\nbefore\n");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.starts_with("stead: "), "{stderr}");
}

#[test]
fn it_wants_exactly_one_path() {
    let scratch = Scratch::new();
    for args in
        [&["install"][..], &["install", ""], &["install", "a", "b"], &["install", "--nonsense"]]
    {
        let mut command = stead(args);
        let output = command.current_dir(scratch.path()).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{args:?}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert_eq!(names_in(scratch.path()), Vec::<String>::new());
    }
}

#[test]
fn a_program_that_was_removed_still_copies_itself() {
    let scratch = Scratch::new();
    let (first, second) = (scratch.path().join("first"), scratch.path().join("second"));
    assert!(install(&first).status.success());
    // stead's own path is gone by the time it looks: only /proc/self/exe still leads to it.
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", "exec 3<\"$0\"; rm \"$0\"; exec /proc/self/fd/3 install \"$1\""])
        .arg(&first)
        .arg(&second);
    let output = command.output().expect("a shell");
    assert!(output.status.success(), "{output:?}");
    is_a_stead(&second);
}
