//! Images made without a registry: of the binary, the example programs, and this machine's installed
//! servers with the libraries that they load. Each is made once in a run of the tests.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use super::super::{binary, example, unique};
use super::files::{APP, Files};
use super::{Finished, command, docker, docker_line, label};

/// Nothing but stead, as `make image` makes it; by name.
pub fn stead() -> &'static str {
    static IMAGE: OnceLock<String> = OnceLock::new();
    let files =
        || Files::new().stead().change(r#"ENTRYPOINT ["/stead"]"#).change("USER 65534:65534");
    IMAGE.get_or_init(|| tag(&files().import()))
}

/// `make image` of the binary under test: by name, made each time.
pub fn made() -> String {
    let name = unique("stead-test-image");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("docker/build.sh");
    let mut build = Command::new(script);
    build.args(["--label", &label()]).env("STEAD_BIN", binary()).env("IMAGE", &name);
    let build = Finished::from(build.output().expect("docker/build.sh"));
    assert!(build.code == 0, "{build:?}");
    name
}

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

/// The example server `replica`, and what may be put in front of it, at the image's root. It has no entry point of use.
pub fn replica() -> &'static str {
    static IMAGE: OnceLock<String> = OnceLock::new();
    let files = || {
        busybox_files()
            .static_program(example("replica"), "/replica")
            .static_program("/usr/bin/tini-static", "/tini")
            .program("/usr/bin/dumb-init")
            .change(format!("ENV PORT={APP}"))
    };
    IMAGE.get_or_init(|| files().import())
}

/// How the slow answers of the servers end.
pub const LAST_LINE: &str = "the last line";

/// This machine's nginx; /slow takes five seconds to send.
pub fn nginx() -> &'static str {
    static IMAGE: OnceLock<String> = OnceLock::new();
    let files = || {
        server_files("/usr/sbin/nginx")
            .text("/etc/nginx.conf", NGINX_CONF)
            .text("/srv/slow", &format!("{}{LAST_LINE}\n", "a line\n".repeat(14_000)))
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
        location = /slow { limit_rate 20k; }
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

/// This machine's Python with an HTTP app: /slow takes four seconds between its two lines, and after a
/// stop, the open requests answered, it exits with 7.
pub fn python() -> &'static str {
    static IMAGE: OnceLock<String> = OnceLock::new();
    let files = || {
        let (files, python) = python_files();
        files.text("/app.py", PYTHON_APP).change(format!(r#"CMD ["{python}","/app.py"]"#))
    };
    IMAGE.get_or_init(|| files().import())
}

/// This machine's Python, to add an app to, and the path of its program.
pub fn python_files() -> (Files, String) {
    let python = fs::canonicalize("/usr/bin/python3").expect("python3");
    let python = python.to_str().expect("its path").to_owned();
    let version = python.rsplit('/').next().expect("its name");
    let library = format!("/usr/lib/{version}");
    (server_files(&python).tree(&library), python)
}

/// This machine's PostgreSQL, to add to, and the shell script that makes its data, does `prepare` there and becomes the
/// server, with these further options. Its socket is in /tmp.
pub fn postgres_files(prepare: &str, options: &str) -> (Files, String) {
    let home = "/usr/lib/postgresql/15";
    let program = |name: &str| format!("{home}/bin/{name}");
    // What initdb loads; the rest of the modules is large.
    let modules = ["dict_snowball.so", "plpgsql.so"].map(|name| format!("{home}/lib/{name}"));
    let script = format!(
        "cd /tmp && {} -D data -U postgres -A trust -E UTF8 --locale=C --no-sync && {prepare} && \
         exec {} -D data -c unix_socket_directories=/tmp -c fsync=off {options}",
        program("initdb"),
        program("postgres")
    );
    let files = [program("initdb")].into_iter().chain(modules);
    let files = files
        .fold(server_files(&program("postgres")), |files, file| files.program(&file))
        .tree("/usr/share/postgresql/15")
        .static_program("/bin/busybox", "/bin/sh");
    (files, script)
}

const PYTHON_APP: &str = r#"
import http.server, signal, sys, threading, time

class App(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        first, last = b"first\n", b"the last line\n"
        self.send_response(200)
        self.send_header("Content-Length", str(len(first) + len(last)))
        self.end_headers()
        self.wfile.write(first)
        if self.path == "/slow":
            time.sleep(4)
        self.wfile.write(last)

    def log_message(self, *_):
        pass

class Server(http.server.ThreadingHTTPServer):
    daemon_threads = False

server = Server(("0.0.0.0", 8080), App)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever()
server.server_close()
sys.exit(7)
"#;

/// stead, a dynamic program, and the few files that servers look for.
pub fn server_files(program: &str) -> Files {
    Files::new()
        .stead()
        .program(program)
        .directory("/tmp", 0o1777)
        .text("/etc/passwd", "root:x:0:0::/:\nnobody:x:65534:65534::/:\n")
        .text("/etc/group", "root:x:0:\nnogroup:x:65534:\n")
        .change(format!("ENV PORT={APP}"))
}

/// `docker build` of a Dockerfile; gives the image's name, which another Dockerfile can refer to.
pub fn build(dockerfile: &Path, context: &Path, arguments: &[String]) -> String {
    let name = unused_name();
    let mut build = command(["build", "--quiet", "--label", &label(), "--tag", &name]);
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
    name
}

/// A name for an image that has none.
pub fn tag(image: &str) -> String {
    let name = unused_name();
    docker_line(["tag", image, &name]);
    name
}

/// A name that no image has.
pub fn unused_name() -> String {
    format!("stead-test:{}", unique("image"))
}
