//! The images of the programs whose lines are read, beyond those of the harness.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::harness::engine::images::{postgres_files, python_files, server_files};

/// PostgreSQL's client.
pub const PSQL: &str = "/usr/lib/postgresql/15/bin/psql";

/// How nginx is started. Its image has setpriv, which can make it another user's.
pub const NGINX: [&str; 5] = ["/usr/sbin/nginx", "-e", "stderr", "-c", "/etc/nginx.conf"];

/// nginx that logs as its usual image does: the files of its logs are links to the standard streams.
pub fn nginx() -> String {
    let files = server_files("/usr/sbin/nginx")
        .text("/etc/nginx.conf", include_str!("nginx.conf"))
        .directory("/srv", 0o755)
        .program("/usr/bin/setpriv")
        .change(format!("CMD {}", json!(NGINX)));
    for (log, stream) in [("access.log", "/dev/stdout"), ("error.log", "/dev/stderr")] {
        symlink(stream, files.at(&format!("/var/log/nginx/{log}"))).expect("a link to a stream");
    }
    files.import()
}

/// PostgreSQL that makes its data before it starts, as its usual image does. Its socket is in /tmp.
pub fn postgres() -> String {
    let (files, script) = postgres_files("true", "");
    files.program(PSQL).change(format!("CMD {}", json!(["/bin/sh", "-c", script]))).import()
}

/// Python with the app that dies of an exception.
pub fn python() -> String {
    let (files, python) = python_files();
    files
        .text("/app.py", include_str!("app.py"))
        .change(format!(r#"CMD ["{python}","/app.py"]"#))
        .import()
}

/// Node with the app that dies of an error.
pub fn node() -> String {
    let files = server_files("/usr/bin/node").text("/app.js", include_str!("app.js"));
    // Debian's own node reads parts of itself from there.
    let parts = "/usr/share/nodejs";
    let files = if Path::new(parts).exists() { files.tree(parts) } else { files };
    files.change(r#"CMD ["/usr/bin/node","/app.js"]"#).import()
}

/// Java, no more of it than its base, with the app that dies of an exception.
pub fn java() -> String {
    let javac = fs::canonicalize("/usr/bin/javac").expect("javac");
    let programs = javac.parent().expect("its directory");
    let java = programs.join("java");
    let files = server_files(java.to_str().expect("its path"));
    let files = files.text("/app/App.java", include_str!("App.java"));
    let (app, runtime) = (files.at("/app"), files.at("/java"));
    done(Command::new(&javac).arg("-d").arg(&app).arg(app.join("App.java")));
    let slim = ["--add-modules", "java.base", "--strip-debug", "--no-man-pages"];
    done(Command::new(programs.join("jlink")).args(slim).arg("--output").arg(&runtime));
    files.made("/java").change(r#"CMD ["/java/bin/java","-cp","/app","App"]"#).import()
}

fn done(command: &mut Command) {
    let output = command.output().expect("a program of a Debian package");
    assert!(output.status.success(), "{command:?}: {output:?}");
}
