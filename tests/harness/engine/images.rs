//! Images made without a registry: of the binary, the example programs, and this machine's installed
//! servers with the libraries that they load. Each is made once in a run of the tests.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::super::{Scratch, binary, example, unique};
use super::{Finished, command, docker, docker_line, label};

/// The port of the app in each of the images.
pub const APP: u16 = 8080;

/// How the images start: stead in front of the command.
const ENTRYPOINT: &str = r#"ENTRYPOINT ["/stead","run","--"]"#;

/// FROM scratch, with stead and one static HTTP server; its health check is `check ready`.
pub fn hello() -> &'static str {
    static IMAGE: OnceLock<String> = OnceLock::new();
    IMAGE.get_or_init(|| hello_files().change(health_check(r#""check","ready""#)).import())
}

/// As `hello`, with the plain `check` as its health check.
pub fn hello_live() -> &'static str {
    static IMAGE: OnceLock<String> = OnceLock::new();
    IMAGE.get_or_init(|| hello_files().change(health_check(r#""check""#)).import())
}

fn hello_files() -> Files {
    Files::new().stead().hello().broken_programs().change(r#"CMD ["/hello"]"#)
}

fn health_check(arguments: &str) -> String {
    format!(r#"HEALTHCHECK --interval=1s --timeout=5s --retries=2 CMD ["/stead",{arguments}]"#)
}

/// With busybox's shell and tools, for apps that are a few lines of shell. It has no CMD.
pub fn busybox() -> &'static str {
    static IMAGE: OnceLock<String> = OnceLock::new();
    IMAGE.get_or_init(|| busybox_files().import())
}

/// The files of `busybox`, to add to.
pub fn busybox_files() -> Files {
    let files = Files::new().stead().hello().broken_programs().directory("/tmp", 0o1777);
    let files = files.static_program("/bin/busybox", "/bin/busybox");
    let applets = Command::new("/bin/busybox").arg("--list").output().expect("busybox");
    for applet in Finished::from(applets).stdout.lines().filter(|name| *name != "busybox") {
        symlink("busybox", files.at(&format!("/bin/{applet}"))).expect("a link to busybox");
    }
    files
}

/// This machine's nginx; /slow takes five seconds to send, /slower eight.
pub fn nginx() -> &'static str {
    static IMAGE: OnceLock<String> = OnceLock::new();
    let files = || {
        server_files("/usr/sbin/nginx")
            .text("/etc/nginx.conf", NGINX_CONF)
            .text("/srv/slow", &"a line of a slow answer\n".repeat(4_300))
            .text("/srv/slower", &"a line of a slow answer\n".repeat(6_900))
            .change(r#"CMD ["/usr/sbin/nginx","-e","stderr","-c","/etc/nginx.conf"]"#)
    };
    IMAGE.get_or_init(|| files().import())
}

const NGINX_CONF: &str = "
daemon off;
user nobody nogroup;
worker_processes 1;
error_log stderr;
pid /tmp/nginx.pid;
events {}
http {
    access_log off;
    client_body_temp_path /tmp/body;
    proxy_temp_path /tmp/proxy;
    fastcgi_temp_path /tmp/fastcgi;
    uwsgi_temp_path /tmp/uwsgi;
    scgi_temp_path /tmp/scgi;
    server {
        listen 8080;
        root /srv;
        location /slow { limit_rate 20k; }
        location / { return 200 nginx; }
    }
}
";

/// This machine's redis-server.
pub fn redis() -> &'static str {
    static IMAGE: OnceLock<String> = OnceLock::new();
    let files = || {
        server_files("/usr/bin/redis-server").change(
            r#"CMD ["/usr/bin/redis-server","--port","8080","--save","","--protected-mode","no"]"#,
        )
    };
    IMAGE.get_or_init(|| files().import())
}

/// This machine's Python with an HTTP app: /slow takes four seconds, and after a stop, the open
/// requests answered, it exits with 7.
pub fn python() -> &'static str {
    static IMAGE: OnceLock<String> = OnceLock::new();
    let files = || {
        let python = fs::canonicalize("/usr/bin/python3").expect("python3");
        let python = python.to_str().expect("its path");
        let version = python.rsplit('/').next().expect("its name");
        server_files(python)
            .tree(&format!("/usr/lib/{version}"))
            .text("/app.py", PYTHON_APP)
            .change(format!(r#"CMD ["{python}","/app.py"]"#))
    };
    IMAGE.get_or_init(|| files().import())
}

const PYTHON_APP: &str = r#"
import http.server, signal, sys, threading, time

class App(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/slow":
            time.sleep(4)
        body = b"python\n"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

class Server(http.server.ThreadingHTTPServer):
    daemon_threads = False

server = Server(("0.0.0.0", 8080), App)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever()
server.server_close()
# As an app does that has connections to close; the engine needs it to hand on the last answer.
time.sleep(1)
sys.exit(7)
"#;

/// stead, a dynamic program, and the few files that servers look for.
fn server_files(program: &str) -> Files {
    Files::new()
        .stead()
        .program(program)
        .directory("/tmp", 0o1777)
        .text("/etc/passwd", "root:x:0:0::/:\nnobody:x:65534:65534::/:\n")
        .text("/etc/group", "root:x:0:\nnogroup:x:65534:\n")
        .change(format!("ENV PORT={APP}"))
}

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
    fn broken_programs(self) -> Self {
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
    fn tree(self, path: &str) -> Self {
        let parent = self.at(path);
        let copied = Command::new("cp").arg("-a").arg(path).arg(&parent).status();
        assert!(copied.expect("cp").success(), "cannot copy {path}");
        let mut modules = Vec::new();
        find_modules(Path::new(path), &mut modules);
        libraries(&modules).iter().fold(self, |files, library| {
            let at = library.to_str().expect("a library's path").to_owned();
            files.copy(library, &at)
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
    fn at(&self, path: &str) -> PathBuf {
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
        assert!(tar.wait().expect("tar").success(), "tar failed");
        assert!(import.code == 0, "cannot import the image: {}", import.stderr);
        import.stdout.trim().to_owned()
    }
}

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

/// An image with a name, which a Dockerfile can refer to; removed when it is dropped.
pub struct Named(String);

impl Named {
    /// `docker build` of a Dockerfile in a directory of its context.
    pub fn build(dockerfile: &Path, context: &Path, arguments: &[String]) -> Self {
        let named = Self::unmade();
        let mut build = command(["build", "--quiet", "--label", &label(), "--tag", &named.0]);
        build.arg("--file").arg(dockerfile);
        for argument in arguments {
            build.args(["--build-arg", argument]);
        }
        // A client without buildx has the classic builder only, and says so unless it is asked for.
        if docker(["buildx", "version"]).code != 0 {
            build.env("DOCKER_BUILDKIT", "0");
        }
        let build = Finished::from(build.arg(context).output().expect("docker"));
        assert!(build.code == 0, "cannot build {}: {}", dockerfile.display(), build.stderr);
        named
    }

    /// A name for an image that is there.
    pub fn tag(image: &str) -> Self {
        let named = Self::unmade();
        docker_line(["tag", image, &named.0]);
        named
    }

    fn unmade() -> Self {
        Self(format!("stead-test:{}", unique("image")))
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.0
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        docker(["image", "rm", "--no-prune", &self.0]);
    }
}
