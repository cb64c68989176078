//! The files of an image before it is one: programs of this machine with the libraries that they load,
//! texts and directories.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::super::{Scratch, binary, example};
use super::rust::with_dependencies;
use super::{Finished, command, label};

/// The port of the app in each of the images.
pub const APP: u16 = 8080;

/// How the images start: stead in front of the command.
const ENTRYPOINT: &str = r#"ENTRYPOINT ["/stead","run","--"]"#;

/// The files of an image, and what else `docker import` is to write into it.
pub struct Files {
    root: Scratch,
    changes: Vec<String>,
}

impl Files {
    /// Nothing but the entry point and the label.
    pub fn new() -> Self {
        let changes = vec![ENTRYPOINT.into(), format!("LABEL {}", label())];
        Self { root: Scratch::new(), changes }
    }

    /// One more instruction of a Dockerfile.
    pub fn change(mut self, instruction: impl Into<String>) -> Self {
        self.changes.push(instruction.into());
        self
    }

    /// The binary under test, at /stead.
    pub fn stead(self) -> Self {
        self.static_program(binary(), "/stead")
    }

    /// The example server, at /hello.
    pub fn hello(self) -> Self {
        self.static_program(example("hello"), "/hello").change(format!("ENV PORT={APP}"))
    }

    /// Files that no kernel executes: /text is not executable, /garbage begins as a program does and
    /// is none, /foreign is the example server made for another processor.
    pub fn broken_programs(self) -> Self {
        let mut foreign = fs::read(example("hello")).expect("the example server");
        // e_machine of elf(5): EM_S390 is nothing that these tests run on.
        foreign[18..20].copy_from_slice(&22_u16.to_ne_bytes());
        self.file("/text", b"no program\n", 0o644)
            .file("/garbage", b"\x7fELF\x02\x01\x01 and no more\n", 0o755)
            .file("/foreign", &foreign, 0o755)
    }

    /// A static program of this machine.
    pub fn static_program(self, program: impl AsRef<Path>, at: &str) -> Self {
        let program = program.as_ref();
        assert!(
            libraries(&[program]).is_empty(),
            "{} is not static: run the tests by `make test`",
            program.display()
        );
        self.copy(program, at)
    }

    /// A program of this machine with the libraries that it loads, at the same paths.
    pub fn program(self, program: &str) -> Self {
        let files = self.system_links();
        let needed = libraries(&[Path::new(program)]);
        needed.iter().fold(files.copy(program, program), |files, library| {
            let at = library.to_str().expect("a library's path");
            files.copy(library, at)
        })
    }

    /// A directory of this machine with the libraries that the modules in it load, at the same path.
    pub fn tree(self, path: &str) -> Self {
        let parent = self.at(path);
        let copied = Command::new("cp").arg("-a").arg(path).arg(&parent).status();
        assert!(copied.expect("cp").success(), "cannot copy {path}");
        self.libraries_of(Path::new(path))
    }

    /// A directory of this machine at another path, without what its programs load.
    pub fn part(self, from: &Path, at: &str) -> Self {
        let to = self.at(at);
        let copied = Command::new("cp").arg("-a").arg(from).arg(to).status();
        assert!(copied.expect("cp").success(), "cannot copy {}", from.display());
        self
    }

    /// The files of Debian packages that are installed here, and of those that they depend on.
    pub fn packages(self, names: &[&str]) -> Self {
        let files = self.system_links();
        let copied = Command::new("sh")
            .args(["-c", COPY_PACKAGES, "sh"])
            .arg(files.root.path())
            .args(with_dependencies(names))
            .status();
        assert!(copied.expect("sh").success(), "cannot copy the files of {names:?}");
        files
    }

    /// A symbolic link.
    pub fn link(self, target: &str, at: &str) -> Self {
        symlink(target, self.at(at)).expect("a link");
        self
    }

    /// The libraries that the modules in a directory of the image load, where it was made in its place.
    pub fn made(self, at: &str) -> Self {
        let directory = self.at(at);
        self.libraries_of(&directory)
    }

    fn libraries_of(self, directory: &Path) -> Self {
        let mut modules = Vec::new();
        find_modules(directory, &mut modules);
        let mut needed = libraries(&modules);
        needed.retain(|library| !library.starts_with(self.root.path()));
        needed.iter().fold(self, |files, library| {
            let at = library.to_str().expect("a library's path");
            files.copy(library, at)
        })
    }

    /// /bin, /lib and their like as they are here, where they may be links into /usr.
    fn system_links(self) -> Self {
        for name in ["bin", "sbin", "lib", "lib32", "lib64", "libx32"] {
            let (Ok(target), link) =
                (fs::read_link(Path::new("/").join(name)), self.root.path().join(name))
            else {
                continue;
            };
            fs::create_dir_all(self.root.path().join(&target)).expect("the link's target");
            if fs::symlink_metadata(&link).is_err() {
                symlink(&target, &link).expect("a link");
            }
        }
        self
    }

    /// One file of this machine, links followed.
    pub fn copy(self, from: impl AsRef<Path>, at: &str) -> Self {
        let (from, to) = (from.as_ref(), self.at(at));
        fs::copy(from, to).unwrap_or_else(|e| panic!("cannot copy {}: {e}", from.display()));
        self
    }

    /// A text file.
    pub fn text(self, at: &str, text: &str) -> Self {
        self.file(at, text.as_bytes(), 0o644)
    }

    /// A program that is a text.
    pub fn script(self, at: &str, text: &str) -> Self {
        self.file(at, text.as_bytes(), 0o755)
    }

    fn file(self, at: &str, bytes: &[u8], mode: u32) -> Self {
        let path = self.at(at);
        fs::write(&path, bytes).expect("a file of the image");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("its mode");
        self
    }

    /// An empty directory.
    pub fn directory(self, at: &str, mode: u32) -> Self {
        let path = self.at(at);
        fs::create_dir_all(&path).expect("a directory of the image");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("its mode");
        self
    }

    /// Where a path of the image is here, its directory made.
    pub fn at(&self, path: &str) -> PathBuf {
        let path = self.root.path().join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().expect("its directory")).expect("its directory");
        path
    }

    /// Makes the image; gives its id.
    pub fn import(self) -> String {
        let mut tar = Command::new("tar")
            .args(["--create", "--owner=0", "--group=0", "--numeric-owner", "--directory"])
            .arg(self.root.path())
            .arg(".")
            .stdout(Stdio::piped())
            .spawn()
            .expect("tar");
        let mut line = vec!["import"];
        for change in &self.changes {
            line.extend(["--change", change]);
        }
        line.push("-");
        let import =
            command(line).stdin(tar.stdout.take().expect("a pipe")).output().expect("docker");
        let import = Finished::from(import);
        // The engine reads to the archive's end mark, and not what tar puts behind that.
        let packed = tar.wait().expect("tar");
        assert!(packed.success() || packed.signal() == Some(libc::SIGPIPE), "tar: {packed}");
        assert!(import.code == 0, "cannot import the image: {}", import.stderr);
        import.stdout.trim().to_owned()
    }
}

/// Copies to $1 what the packages after it consist of, but for what is read by people alone.
const COPY_PACKAGES: &str = r#"
root=$1
shift
dpkg-query --listfiles "$@" | grep -vE '^/\.$|^/usr/share/(doc|man|locale|info|lintian)/|^diverted by|^$' | sort -u |
    tar --create --no-recursion --files-from - --ignore-failed-read 2>/dev/null |
    tar --extract --keep-directory-symlink --directory "$root"
"#;

/// The shared libraries and the interpreter that these files load, as ldd(1) tells them.
pub fn libraries<P: AsRef<Path>>(files: &[P]) -> Vec<PathBuf> {
    if files.is_empty() {
        return Vec::new();
    }
    let listing = Command::new("ldd").args(files.iter().map(AsRef::as_ref)).output();
    let mut libraries: Vec<PathBuf> = Finished::from(listing.expect("ldd"))
        .stdout
        .lines()
        // `name => /path (0x…)`, or `/path (0x…)`; the names of several files end in a colon.
        .filter(|line| line.trim_end().ends_with(')'))
        .filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')))
        .map(PathBuf::from)
        .collect();
    libraries.sort();
    libraries.dedup();
    libraries
}

/// The shared objects in a directory, at any depth.
fn find_modules(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("a directory").flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            find_modules(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "so") {
            found.push(path);
        }
    }
}
