//! `--env-file`: what it gives to the command, to hooks and to stead itself, and what may not stand there. And what the
//! command's environment holds in any case: what stead was given, and nothing that it was told besides.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::app::{Serve, idle};
use crate::harness::{LIMIT, Place, Running, Scratch, Stead, free_port, stead, until};

/// The environment that a process was started with, entry by entry.
fn environ(pid: i32) -> Vec<String> {
    let bytes = fs::read(format!("/proc/{pid}/environ")).expect("an environment");
    let text = String::from_utf8(bytes).expect("UTF-8");
    text.split_terminator('\0').map(str::to_owned).collect()
}

/// What the command has that stead was not started with.
fn added(stead: &Running) -> Vec<String> {
    let (own, childs) = (environ(stead.pid()), environ(stead.child_pid()));
    assert_eq!(own, childs[..own.len()], "the command misses something, or has it changed");
    childs[own.len()..].to_vec()
}

fn path_of(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn file(scratch: &Scratch, name: &str, text: &str) -> PathBuf {
    scratch.file(name, text, 0o600)
}

#[test]
fn the_command_and_hooks_have_the_variables_below_the_environments_own() {
    for place in Place::BOTH {
        let scratch = Scratch::new();
        let first =
            file(&scratch, "first", "A=0\nA=1\nB=first\nexport C='x  y'\nOWN=file\nEMPTY=file\n");
        let second = file(&scratch, "second", "B=second # of two\nD=\"two\\nlines\"\n");
        let options = ["--env-file", path_of(&first), "--env-file", path_of(&second)];
        let stead = idle().options(options).env("OWN", "own").env("EMPTY", "");
        let stead = stead.options(["--pre-start", "sh -c 'echo \"$A $B $C $OWN\"'"]).place(place);
        let stead = stead.serve();
        let mut found = added(&stead);
        found.sort();
        assert_eq!(found, ["A=1", "B=second", "C=x  y", "D=two\nlines"], "{place:?}");
        let line = &stead.events_of("hook output")[0]["line"];
        assert_eq!(line, "1 second x  y own", "{place:?}");
    }
}

#[test]
fn programs_are_found_by_the_path_of_the_file_where_the_environment_has_none() {
    let scratch = Scratch::new();
    scratch.file("program", "#!/bin/sh\necho found\n", 0o755);
    let path = file(&scratch, "env", &format!("PATH={}\n", scratch.path().display()));
    let stead = Stead::run(["program"]).without_env("PATH");
    let mut stead = stead.options(["--env-file", path_of(&path)]).start();
    assert_eq!((stead.wait_exit(LIMIT), stead.stdout()), (0, vec!["found".to_owned()]));
}

#[test]
fn stead_finds_dependencies_and_settings_there_by_line() {
    let (scratch, closed) = (Scratch::new(), free_port());
    let text = format!(
        "# of the app\nREDIS_URL=redis://:s3cret-pw@127.0.0.1:{closed}/\nSTEAD_GRACE=7s\nSTEAD_LINGER=1s\nSTEAD_CHECK_PEER=tcp://127.0.0.1:{closed}\nSERVICE_NAME=api\n"
    );
    let path = file(&scratch, "env", &text);
    let toml = file(&scratch, "toml", "grace = 3\nlinger = 3\n");
    let config = |options: &[&str], env: &[(&str, &str)]| {
        let mut command = stead(["config", "--json"]);
        command.args(options).envs(env.iter().copied()).env("STEAD_CONFIG", &toml);
        let output = command.output().expect("stead");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let rows: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        move |key: &str| {
            let row = rows.as_array().unwrap().iter().find(|row| row["key"] == key);
            let row = row.unwrap_or_else(|| panic!("no row {key}: {rows}"));
            let text = |name: &str| row[name].as_str().unwrap().to_owned();
            (text("value"), text("from"))
        }
    };
    let pair = |value: &str, from: &str| (value.to_owned(), from.to_owned());
    let at = |line: u32, name: &str| format!("{}:{line}: {name}", path_of(&path));
    let by_flag = config(&["--env-file", path_of(&path), "--linger", "2s"], &[]);
    assert_eq!(by_flag("grace"), pair("7s", &at(3, "STEAD_GRACE")));
    assert_eq!(by_flag("linger"), pair("2s", "--linger"));
    assert_eq!(
        by_flag("check.redis").0,
        format!("redis://***:***@127.0.0.1:{closed}/").replace("***:", ":")
    );
    assert_eq!(by_flag("check.peer").1, at(5, "STEAD_CHECK_PEER"));
    assert_eq!(by_flag("env_file"), pair(path_of(&path), "--env-file"));
    let env = [("STEAD_ENV_FILE", path_of(&path)), ("STEAD_GRACE", "9s")];
    let by_variable = config(&[], &env);
    assert_eq!(by_variable("grace"), pair("9s", "STEAD_GRACE"));
    assert_eq!(by_variable("linger"), pair("1s", &at(4, "STEAD_LINGER")));
    assert_eq!(by_variable("env_file").1, "STEAD_ENV_FILE");
    fs::write(&toml, format!("linger = 3\nenv_file = [{:?}]\n", path_of(&path))).unwrap();
    let by_file = config(&[], &[]);
    assert_eq!(by_file("linger"), pair("1s", &at(4, "STEAD_LINGER")));
    assert_eq!(config(&["--discover=off"], &[])("check.peer").1, at(5, "STEAD_CHECK_PEER"));

    let stead = idle().options(["--env-file", path_of(&path)]).serve();
    let answer = stead.get("/readyz").json();
    assert_eq!(answer["service"], "api");
    assert!(answer["checks"]["redis"].is_object() && answer["checks"]["peer"].is_object());
    assert!(!stead.stderr().concat().contains("s3cret"));
}

#[test]
fn a_mistake_there_is_exit_code_64_at_its_line_and_never_shows_a_value() {
    let scratch = Scratch::new();
    let of = |text: &str, expected: &str| {
        let path = file(&scratch, "env", text);
        let options = ["--env-file", path_of(&path)];
        let mut stead = Stead::script("echo started").options(options).start();
        assert_eq!(stead.wait_exit(LIMIT), 64, "{text}");
        let said = stead.stderr();
        assert_eq!(said.len(), 1, "{said:?}");
        let expected = format!("stead: {}{expected}", path_of(&path));
        assert!(said[0].starts_with(&expected), "{text}: {said:?}, not {expected}");
        assert!(!said[0].contains("s3cret") && stead.stdout().is_empty(), "{said:?}");
    };
    of("A=1\ns3cret with blanks\n", ":2: not NAME=value");
    of("A='1\n2'\nB=\"s3cret\n", ":3: a quote without its end");
    of("A=\"1\" s3cret", ":1: something behind the closing quote");
    of("\nSTEAD_GRACE=s3cret", ":2: STEAD_GRACE: not a duration");
    of("STEAD_GRCE=s3cret", ":1: STEAD_GRCE: no such variable; did you mean STEAD_GRACE?");
    of("STEAD_CHECK_X=s3cret", ":1: STEAD_CHECK_X: ");
    of(
        "STEAD_LISTEN=9999",
        ":1: STEAD_LISTEN: only in the environment or the configuration file, where `stead check` sees it too",
    );
    of("STEAD_CONFIG=/s3cret", ":1: STEAD_CONFIG: only in the environment");
    of("STEAD_ENV_FILE=/s3cret", ":1: STEAD_ENV_FILE: only in");
    of(
        &format!("A={}", "x".repeat(1024 * 1024)),
        ": cannot read this file of variables: file too large",
    );
    fs::remove_file(scratch.path().join("env")).unwrap();
    let missing = scratch.path().join("missing");
    let mut stead = Stead::script("echo started").env("STEAD_ENV_FILE", &missing).start();
    assert_eq!(stead.wait_exit(LIMIT), 64);
    let said = stead.stderr().concat();
    let expected =
        format!("stead: {}: cannot read this file of variables: No such file", path_of(&missing));
    assert!(said.starts_with(&expected), "{said}");
    let broken = scratch.file("broken", b"A=\xff\n", 0o600);
    let mut stead = Stead::script("echo started").env("STEAD_ENV_FILE", &broken).start();
    assert_eq!(stead.wait_exit(LIMIT), 64);
}

#[test]
fn a_health_check_reads_none_of_them() {
    let stead_there = idle().serve();
    let mut check = stead(["check"]);
    check.env("STEAD_LISTEN", format!("127.0.0.1:{}", stead_there.port()));
    let output = check.env("STEAD_ENV_FILE", "/no/such/file").output().expect("stead");
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn stead_wait_and_stead_check_all_know_them_too() {
    let scratch = Scratch::new();
    let open = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("tcp://{}", open.local_addr().unwrap());
    let path = file(&scratch, "env", &format!("STEAD_CHECK_PEER={url}\nMARK=m\n"));
    let mut wait = stead(["wait", "--", "sh", "-c", "echo $MARK"]);
    let output = wait.env("STEAD_ENV_FILE", &path).output().expect("stead");
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(0), &b"m\n"[..]), "{output:?}");
    let output = stead(["check", "--all"]).env("STEAD_ENV_FILE", &path).output().expect("stead");
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("peer up"), "{output:?}");
}

#[test]
fn secrets_of_a_file_are_redacted_and_scrubbed() {
    let scratch = Scratch::new();
    let text = "APP_TOKEN=s3cret-token\nREDIS_URL=redis://:s3cret-redis@127.0.0.1:1/\n";
    let path = file(&scratch, "env", text);
    let said = "echo $APP_TOKEN $REDIS_URL";
    let hook = format!("sh -c '{said}'");
    let options =
        ["--env-file", path_of(&path), "--logs=json", "--redact-secrets", "--pre-start", &hook];
    let exec = "exec:///bin/sh?stead_args=-c%0Aecho%20$APP_TOKEN;exit%201";
    let stead = Stead::script(&format!("{said}; exec sleep 1000")).options(options);
    let stead = stead.env("STEAD_CHECK_X", exec).listening().start();
    stead.wait_for_line(LIMIT, |line| line.contains("redis://"));
    stead.wait_for("check changed: x", LIMIT, |e| {
        e["message"] == "check changed" && e["check"] == "x"
    });
    let all = stead.stdout().concat() + &stead.stderr().concat() + &stead.get("/readyz").body;
    assert!(!all.contains("s3cret"), "{all}");
    assert!(all.contains("[redacted]") && all.contains("***"), "{all}");
    // A hook's lines are without them in any case.
    let options = ["--env-file", path_of(&path), "--pre-start", &hook];
    let mut stead = Stead::script("true").options(options).start();
    assert_eq!(stead.wait_exit(LIMIT), 0);
    assert!(!stead.stderr().concat().contains("s3cret"), "{:?}", stead.stderr());
}

#[test]
fn the_commands_environment_is_what_stead_was_given_whatever_stead_was_told() {
    let scratch = Scratch::new();
    let secret = file(&scratch, "secret", "s3cret-file\n");
    let url = file(&scratch, "url", "redis://:s3cret-url@127.0.0.1:1/\n");
    let toml = file(
        &scratch,
        "toml",
        "[check.table]\nurl = \"amqp://u:s3cret-table@127.0.0.1:1/\"\n[hook.pre_start]\ncommand = \"true s3cret-hook\"\n[hook.post_start]\ncommand = \"true\"\n",
    );
    let flags = [
        "--check=flag=postgres://u:s3cret-flag@127.0.0.1:1/d",
        "--app-url=http://127.0.0.1:1/",
        "--redact=s3cret-[a-z]*",
        "--redact-secrets",
        "--logs=json",
        "--signal-group",
        "--stop-signal=QUIT",
        "--post-stop=true",
        "--pre-stop=true s3cret-stop",
    ];
    for place in Place::BOTH {
        let stead = idle()
            .options(flags)
            .env("STEAD_CONFIG", &toml)
            .env("REDIS_HOST", "127.0.0.1")
            .env("REDIS_PASSWORD_FILE", &secret)
            .env("STEAD_CHECK_URL_FILE", &url)
            .env("APP_PASSWORD", "s3cret-given")
            .env("LISTEN_FDS", "0")
            .env("ODD=NAME", "x")
            .place(place)
            .serve();
        assert_eq!(added(&stead), [] as [&str; 0], "{place:?}");
        let secrets: BTreeSet<String> = environ(stead.child_pid())
            .into_iter()
            .filter(|entry| entry.contains("s3cret"))
            .collect();
        assert_eq!(secrets.into_iter().collect::<Vec<_>>(), ["APP_PASSWORD=s3cret-given"]);
    }
    let mut stead = idle().options(["--notify"]).serve();
    let added = added(&stead);
    assert!(added.len() == 1 && added[0].starts_with("NOTIFY_SOCKET="), "{added:?}");
    stead.signal(libc::SIGTERM);
    stead.wait_exit(LIMIT);
}

/// Rewrites one file after the other, each as it is mounted anew, and fails where stead does not read one again.
fn are_read_again(stead: &Running, files: &[(PathBuf, String)]) {
    // Each check has looked at its files by then: a change before the first look is taken in without a word.
    let found = stead.wait_for_event("checks found", LIMIT)["checks"].to_string();
    let checks = found.split(", ").count();
    let looked = until(3 * LIMIT, || stead.events_of("check changed").len() >= checks);
    assert!(looked, "not each of {found} was attempted");
    let count = || stead.events_of("secret file read again").len();
    for (path, text) in files {
        let before = count();
        let next = path.with_extension("next");
        fs::write(&next, text).unwrap();
        fs::rename(&next, path).unwrap();
        let read = until(3 * LIMIT, || count() > before);
        assert!(read, "{} is not read again", path.display());
    }
    assert!(stead.events_of("secret file not understood, the old secret is kept").is_empty());
}

#[test]
fn each_variable_by_its_file_is_read_again_when_it_changes() {
    let scratch = Scratch::new();
    let urls = [
        ("DATABASE_URL", "postgres"),
        ("POSTGRES_URL", "postgresql"),
        ("REDIS_URL", "redis"),
        ("CACHE_URL", "valkey"),
        ("DRAGONFLY_URL", "dragonfly"),
        ("VALKEY_URL", "valkey"),
        ("RABBITMQ_URL", "amqp"),
        ("AMQP_URL", "amqp"),
        ("CLOUDAMQP_URL", "amqp"),
        ("MEILI_HOST", "http"),
        ("MEILISEARCH_URL", "http"),
        ("STEAD_CHECK_PEER", "tcp"),
    ];
    // Each leads elsewhere, so that each is a check of its own.
    let url = |number: usize, scheme: &str| format!("{scheme}://127.0.0.1:{}\n", number + 1);
    let (mut app, mut changes) = (idle(), Vec::new());
    for (number, (variable, scheme)) in urls.iter().enumerate() {
        let path = file(&scratch, variable, &url(number, scheme));
        app = app.env(format!("{variable}_FILE"), &path);
        changes.push((path, url(number + 20, scheme)));
    }
    let table = file(&scratch, "table", "tcp://127.0.0.1:90\n");
    let toml = format!("[check.table]\nurl_file = {:?}\n", path_of(&table));
    changes.push((table, "tcp://127.0.0.1:91\n".to_owned()));
    are_read_again(&app.env("STEAD_CONFIG", file(&scratch, "toml", &toml)).serve(), &changes);
}

#[test]
fn each_part_of_a_login_by_its_file_is_read_again_when_it_changes() {
    let scratch = Scratch::new();
    let parts = [
        ("REDIS_HOST", "127.0.0.1", "127.0.0.2"),
        ("REDIS_PORT", "1", "2"),
        ("REDIS_USERNAME", "a", "b"),
        ("REDIS_PASSWORD", "a", "b"),
        ("REDIS_TLS", "off", "on"),
        ("DRAGONFLY_HOST", "127.0.0.3", "127.0.0.4"),
        ("DRAGONFLY_PASSWORD", "a", "b"),
        ("PGHOST", "127.0.0.1", "127.0.0.2"),
        ("PGPORT", "1", "2"),
        ("PGDATABASE", "a", "b"),
        ("PGUSER", "a", "b"),
        ("PGPASSWORD", "a", "b"),
        ("PGSSLMODE", "disable", "prefer"),
        ("MEILI_MASTER_KEY", "a", "b"),
    ];
    let (mut app, mut changes) = (idle().env("MEILI_HOST", "127.0.0.1:1"), Vec::new());
    for (variable, before, after) in parts {
        let path = file(&scratch, variable, before);
        app = app.env(format!("{variable}_FILE"), &path);
        changes.push((path, after.to_owned()));
    }
    are_read_again(&app.serve(), &changes);
}
