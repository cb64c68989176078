//! This machine's servers as images that keep to what the public ones promise: the same variables, users, commands and
//! folders, and no stead in them.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::OnceLock;

use super::super::example;
use super::files::{Files, libraries};
use super::images::tag;

/// The user of the public images of Postgres, Redis and RabbitMQ.
const SERVER: u32 = 999;

/// As `postgres`: `POSTGRES_USER`, `POSTGRES_PASSWORD` and `POSTGRES_DB` are made when there is no data yet.
pub fn postgres() -> &'static str {
    static IMAGE: OnceLock<String> = OnceLock::new();
    let files = || {
        let programs = "/usr/lib/postgresql/15/bin";
        let files = shell(&["rm"])
            .program(&format!("{programs}/postgres"))
            .program(&format!("{programs}/initdb"))
            .program("/usr/lib/postgresql/15/lib/plpgsql.so")
            .program("/usr/lib/postgresql/15/lib/dict_snowball.so")
            .tree("/usr/share/postgresql/15")
            .tree("/usr/share/zoneinfo/Etc")
            .copy("/usr/share/zoneinfo/UTC", "/usr/share/zoneinfo/UTC")
            .script("/entrypoint.sh", POSTGRES_ENTRYPOINT)
            .directory("/var/lib/postgresql/data", 0o777)
            .directory("/var/run/postgresql", 0o1777);
        files.change(r#"ENTRYPOINT ["/entrypoint.sh"]"#).change(r#"CMD ["postgres"]"#)
    };
    IMAGE.get_or_init(|| named(files()))
}

const POSTGRES_ENTRYPOINT: &str = r#"#!/bin/sh
set -eu
PATH=/usr/lib/postgresql/15/bin:$PATH
# A folder that this user makes is this user's, as the server wants it.
data=/var/lib/postgresql/data/15
if [ ! -s $data/PG_VERSION ]; then
    echo "$POSTGRES_PASSWORD" > /tmp/password
    initdb -D $data -U "$POSTGRES_USER" --pwfile=/tmp/password -A scram-sha-256 -E UTF8 --locale=C --no-sync
    rm /tmp/password
    echo "host all all all scram-sha-256" >> $data/pg_hba.conf
    echo "CREATE DATABASE \"$POSTGRES_DB\"" | postgres --single -D $data postgres
fi
exec "$@" -D $data -c listen_addresses=*
"#;

/// As `redis`.
pub fn redis() -> &'static str {
    static IMAGE: OnceLock<String> = OnceLock::new();
    IMAGE.get_or_init(|| named(plain().program("/usr/bin/redis-server")))
}

/// As `rabbitmq`: `RABBITMQ_DEFAULT_USER` and `RABBITMQ_DEFAULT_PASS` are the server's own variables.
pub fn rabbitmq() -> &'static str {
    static IMAGE: OnceLock<String> = OnceLock::new();
    let files = || {
        let tools = "erl epmd dirname basename id env sed awk readlink cat grep head tr cut hostname expr mkdir rm chmod \
                     sleep uname ps wc tail touch ls stty getconf df";
        let tools: Vec<&str> = tools.split_whitespace().collect();
        let files = shell(&tools).program("/bin/bash").tree("/usr/lib/rabbitmq").tree(ERLANG);
        erlang_programs()
            .iter()
            .fold(files, |files, program| files.program(program))
            .directory("/etc/rabbitmq", 0o755)
            .directory("/var/lib/rabbitmq", 0o777)
            .change("ENV HOME=/var/lib/rabbitmq")
            .change("ENV RABBITMQ_LOGS=-")
            .change(r#"ENV RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="+sbwt none""#)
            .change(r#"CMD ["/usr/lib/rabbitmq/bin/rabbitmq-server"]"#)
    };
    IMAGE.get_or_init(|| named(files()))
}

const ERLANG: &str = "/usr/lib/erlang";

/// What erl(1) becomes, whose libraries no module names.
fn erlang_programs() -> Vec<String> {
    let runtime = std::fs::read_dir(ERLANG)
        .expect("Erlang")
        .flatten()
        .find(|entry| entry.file_name().to_str().is_some_and(|name| name.starts_with("erts-")));
    let folder = runtime.expect("its runtime").path().join("bin");
    let programs = std::fs::read_dir(folder).expect("its programs").flatten();
    programs.map(|entry| entry.path().to_str().expect("a path").to_owned()).collect()
}

/// As `getmeili/meilisearch`, by its stand-in.
pub fn meilisearch() -> &'static str {
    static IMAGE: OnceLock<String> = OnceLock::new();
    let files = || {
        plain()
            .static_program(example("search_engine"), "/bin/meilisearch")
            .directory("/meili_data", 0o755)
    };
    IMAGE.get_or_init(|| named(files()))
}

/// As `nginx`, with the configuration that it is given.
pub fn nginx() -> &'static str {
    static IMAGE: OnceLock<String> = OnceLock::new();
    let files = || plain().program("/usr/sbin/nginx").directory("/var/log/nginx", 0o777);
    IMAGE.get_or_init(|| named(files().directory("/var/lib/nginx", 0o777)))
}

/// As `haproxy`, with the configuration that it is given.
pub fn haproxy() -> &'static str {
    static IMAGE: OnceLock<String> = OnceLock::new();
    IMAGE.get_or_init(|| named(plain().program("/usr/sbin/haproxy")))
}

/// As `python`, with pip and what a project asks of it in the folder of wheels.
pub fn python(wheels: &Path) -> &'static str {
    static IMAGE: OnceLock<String> = OnceLock::new();
    let files = || {
        let python = std::fs::canonicalize("/usr/bin/python3").expect("python3");
        let python = python.to_str().expect("its path");
        let version = python.rsplit('/').next().expect("its name");
        let mut files = plain()
            .program(python)
            .tree(&format!("/usr/lib/{version}"))
            .tree("/usr/lib/python3/dist-packages/pip")
            .change("ENV PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheels PIP_BREAK_SYSTEM_PACKAGES=1");
        symlink(python, files.at("/usr/bin/python")).expect("a link");
        // Wheels for any Linux name the parts of the C library as they were before they became one.
        for library in parts_of_the_c_library(python) {
            files = files.program(&library);
        }
        let found = std::fs::read_dir(wheels);
        let found = found.expect("the wheels, which `make test` fetches, or says why it cannot");
        for wheel in found.flatten() {
            let name = wheel.file_name().into_string().expect("a wheel's name");
            files = files.copy(wheel.path(), &format!("/wheels/{name}"));
        }
        files
    };
    IMAGE.get_or_init(|| named(files()))
}

fn parts_of_the_c_library(program: &str) -> Vec<String> {
    let needed = libraries(&[program]);
    let libc = needed.iter().find(|library| library.ends_with("libc.so.6")).expect("glibc");
    let folder = libc.parent().expect("its folder");
    let parts = [
        "libpthread.so.0",
        "libdl.so.2",
        "librt.so.1",
        "libutil.so.1",
        "libm.so.6",
        "libresolv.so.2",
    ];
    parts.map(|part| folder.join(part).to_str().expect("a path").to_owned()).to_vec()
}

/// A shell, and these programs of this machine.
fn shell(tools: &[&str]) -> Files {
    let path = |tool: &&str| {
        let found = ["/usr/bin", "/usr/sbin", "/bin"].map(|folder| format!("{folder}/{tool}"));
        found.into_iter().find(|path| Path::new(path).exists()).expect("a program of Debian's")
    };
    tools.iter().map(path).fold(plain().program("/bin/sh"), |files, tool| files.program(&tool))
}

/// No stead, and the few files that servers look for.
fn plain() -> Files {
    let users = format!(
        "root:x:0:0::/:/bin/sh\nnginx:x:101:101::/:/bin/sh\nserver:x:{SERVER}:{SERVER}::/var/lib/rabbitmq:/bin/sh\n\
         nobody:x:65534:65534::/:/bin/sh\n"
    );
    let groups = format!("root:x:0:\nnginx:x:101:\nserver:x:{SERVER}:\nnogroup:x:65534:\n");
    Files::new()
        .directory("/tmp", 0o1777)
        .text("/etc/passwd", &users)
        .text("/etc/group", &groups)
        .change("ENTRYPOINT []")
        .change("ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
}

/// The image with a name, as a file of Compose refers to it.
fn named(files: Files) -> String {
    tag(&files.import())
}
