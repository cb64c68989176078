//! Files behind a mount that hangs, as a network file system does whose server is gone: a FUSE file system that nobody
//! serves. Every look at it blocks; it fails once the file system is given up.

use std::ffi::CString;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::ptr;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::app::{App, Serve, idle};
use crate::harness::certificates::Authority;
use crate::harness::processes::threads_of;
use crate::harness::servers::postgres::{PASSWORD, Postgres};
use crate::harness::servers::web::Web;
use crate::harness::{LIMIT, Running, Scratch, Stead, free_port, stead, until};

/// A directory below which everything hangs, for this thread and what it starts.
struct Hung {
    path: PathBuf,
    device: File,
}

/// Runs `action` where a directory of `scratch` hangs.
fn where_a_mount_hangs(scratch: &Scratch, action: impl FnOnce(Hung) + Send) {
    let inside = || {
        let path = scratch.path().join("hung");
        std::fs::create_dir(&path).expect("a directory");
        action(Hung::mounted(path));
    };
    thread::scope(|scope| match scope.spawn(inside).join() {
        Ok(()) => {}
        Err(panic) => std::panic::resume_unwind(panic),
    });
}

impl Hung {
    fn mounted(path: PathBuf) -> Self {
        let device = File::options().read(true).write(true).open("/dev/fuse").expect("/dev/fuse");
        let options = format!("fd={},rootmode=40000,user_id=0,group_id=0", device.as_raw_fd());
        let [options, place] = [options.as_bytes(), path.as_os_str().as_bytes()]
            .map(|text| CString::new(text).expect("no NUL"));
        let (root, kind, private) =
            (c"/".as_ptr(), c"fuse".as_ptr(), libc::MS_REC | libc::MS_PRIVATE);
        // SAFETY: C strings that outlive the calls, and numbers; of the mounts they change this thread's alone.
        let answers = unsafe {
            [
                libc::unshare(libc::CLONE_NEWNS),
                libc::mount(ptr::null(), root, ptr::null(), private, ptr::null()),
                libc::mount(kind, place.as_ptr(), kind, 0, options.as_ptr().cast()),
            ]
        };
        assert_eq!(answers, [0; 3], "cannot mount: {}", std::io::Error::last_os_error());
        Self { path, device }
    }

    /// A file that hangs.
    fn file(&self) -> PathBuf {
        self.path.join("file")
    }

    /// Has all that waits fail.
    fn give_up(self) {
        drop(self.device);
    }
}

fn check(stead: &Running, name: &str) -> Value {
    stead.get("/readyz").json()["checks"][name].take()
}

#[track_caller]
fn becomes(stead: &Running, name: &str, status: &str) -> Value {
    let mut last = Value::Null;
    let came = until(2 * LIMIT, || {
        last = check(stead, name);
        last["status"] == status
    });
    assert!(came, "{name} is not {status}: {last} {:?}", stead.stderr());
    last
}

/// How many attempts at this check are over.
fn attempts(stead: &Running, name: &str) -> u64 {
    let metrics = stead.get("/metrics").body;
    let name = format!("stead_check_duration_seconds_count{{check=\"{name}\"}} ");
    let count = metrics.lines().find_map(|line| line.strip_prefix(&name));
    count.and_then(|count| count.parse().ok()).unwrap_or_default()
}

/// Waits for so many more attempts.
#[track_caller]
fn goes_on(stead: &Running, name: &str, count: u64) {
    let before = attempts(stead, name);
    assert!(until(LIMIT, || attempts(stead, name) >= before + count), "{name} goes on no more");
}

/// How many of its threads wait in a call that blocks.
fn calls(stead: &Running) -> usize {
    let name = |thread: &i32| {
        let path = format!("/proc/{}/task/{thread}/comm", stead.pid());
        std::fs::read_to_string(path).unwrap_or_default()
    };
    threads_of(stead.pid()).into_iter().filter(|thread| name(thread).trim() == "stead-call").count()
}

/// Puts a link to `to` in the place of a file, as a mounted secret is changed.
fn link(path: &Path, to: &Path) {
    let new = path.with_extension("new");
    symlink(to, &new).expect("a link");
    std::fs::rename(&new, path).expect("a link in the place of a file");
}

#[test]
fn a_secret_file_that_hangs_is_told_once_and_the_old_secret_is_kept() {
    let (scratch, app) = (Scratch::new(), App::new());
    let url = |port| format!("tcp://127.0.0.1:{port}?stead_interval=20ms&stead_fail_after=1\n");
    let path = scratch.file("url", url(app.port()), 0o600);
    where_a_mount_hangs(&scratch, |hung| {
        let stead = idle()
            .env("STEAD_CHECK_PEER_FILE", &path)
            .env("STEAD_CHECK_OTHER", url(app.port()).trim())
            .serve();
        becomes(&stead, "peer", "up");
        link(&path, &hung.file());
        let kept = "secret file does not answer, the old secret is kept";
        let event = stead.wait_for_event(kept, LIMIT);
        assert_eq!(event["file"], path.to_str().unwrap());
        goes_on(&stead, "peer", 100);
        goes_on(&stead, "other", 100);
        assert_eq!((stead.status("/readyz"), calls(&stead)), (200, 1));
        assert_eq!(stead.events_of(kept).len(), 1);
        assert_eq!(stead.events_of("check changed").len(), 2, "{:?}", stead.stderr());
        // What cannot be read changes nothing either; what can, does.
        hung.give_up();
        stead.wait_for_event("secret file not understood, the old secret is kept", LIMIT);
        link(&path, &scratch.file("closed", url(free_port()), 0o600));
        becomes(&stead, "peer", "down");
        stead.wait_for_event("secret file read again", LIMIT);
    });
}

#[test]
fn an_authority_that_hangs_ends_its_own_check_at_its_deadline_and_no_other() {
    let scratch = Scratch::new();
    let authority = Authority::new(&scratch, "ours");
    let pair = authority.server("server");
    let port = free_port();
    let server = format!(
        "server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {}; ssl_certificate_key {}; return 200 x; }}",
        pair.certificate.display(),
        pair.key.display()
    );
    let _web = Web::nginx(&server, port);
    let ca = scratch.file("ca", std::fs::read(authority.certificate()).unwrap(), 0o600);
    let further = "stead_interval=20ms&stead_fail_after=1";
    let good = format!("https://localhost:{port}/?stead_ca={}&{further}", ca.display());
    where_a_mount_hangs(&scratch, |hung| {
        let hangs = format!("https://localhost:{port}/?stead_ca={}", hung.file().display());
        let stead = idle()
            .env("STEAD_CHECK_HANGS", format!("{hangs}&stead_timeout=100ms&{further}"))
            .env("STEAD_CHECK_GOOD", good)
            .serve();
        let down = becomes(&stead, "hangs", "down");
        assert_eq!(
            (down["class"].as_str(), down["stage"].as_str()),
            (Some("timeout"), Some("tls"))
        );
        becomes(&stead, "good", "up");
        goes_on(&stead, "good", 50);
        // Whose authority was read once goes on with it.
        link(&ca, &hung.file());
        goes_on(&stead, "good", 50);
        assert_eq!(check(&stead, "good")["status"], "up");
        // Two look at files, and two may look up a name.
        assert!(calls(&stead) <= 4, "{} calls", calls(&stead));
        hung.give_up();
        let down = becomes(&stead, "good", "down");
        assert_eq!(
            (down["class"].as_str(), down["stage"].as_str()),
            (Some("tls_failed"), Some("tls"))
        );
        link(&ca, &authority.certificate());
        becomes(&stead, "good", "up");
    });
}

#[test]
fn a_password_file_that_hangs_is_a_login_that_runs_out_of_time() {
    let scratch = Scratch::new();
    where_a_mount_hangs(&scratch, |hung| {
        let server = Postgres::start("");
        let passwords = scratch.path().join("passwords");
        link(&passwords, &hung.file());
        let options = "stead_timeout=1s&stead_interval=100ms&stead_fail_after=1";
        let url = |file: &Path| {
            let (port, file) = (server.port, file.display());
            format!("postgres://app@127.0.0.1:{port}/postgres?passfile={file}&{options}")
        };
        let good = scratch.file("good", format!("*:*:*:app:{PASSWORD}\n"), 0o600);
        let stead = idle()
            .env("STEAD_CHECK_HANGS", url(&passwords))
            .env("STEAD_CHECK_GOOD", url(&good))
            .serve();
        let down = becomes(&stead, "hangs", "down");
        let why = (down["class"].as_str(), down["stage"].as_str());
        assert_eq!(why, (Some("timeout"), Some("authenticate")));
        becomes(&stead, "good", "up");
        goes_on(&stead, "good", 20);
        assert!(calls(&stead) <= 2, "{} calls", calls(&stead));
        link(&passwords, &good);
        hung.give_up();
        becomes(&stead, "hangs", "up");
    });
}

#[test]
fn a_heartbeat_that_hangs_is_down_and_holds_up_nothing() {
    let scratch = Scratch::new();
    where_a_mount_hangs(&scratch, |hung| {
        let options = "stead_timeout=50ms&stead_interval=20ms&stead_fail_after=1";
        let mut stead = idle();
        for number in 0..5 {
            let url = format!("file://{}?{options}", hung.file().display());
            stead = stead.env(format!("STEAD_CHECK_BEAT{number}"), url);
        }
        let fresh = scratch.file("fresh", "", 0o600);
        let stead = stead.env("STEAD_CHECK_FRESH", format!("file://{}?{options}", fresh.display()));
        let stead = stead.serve();
        let down = becomes(&stead, "beat0", "down");
        assert_eq!(
            (down["class"].as_str(), down["stage"].as_str()),
            (Some("timeout"), Some("query"))
        );
        becomes(&stead, "fresh", "up");
        goes_on(&stead, "fresh", 100);
        assert!(calls(&stead) <= 6, "{} calls for six checks", calls(&stead));
        hung.give_up();
        let gone = || check(&stead, "beat4")["class"] == "not_found";
        assert!(until(2 * LIMIT, gone), "{}", check(&stead, "beat4"));
    });
}

#[test]
fn at_the_start_a_file_that_hangs_is_a_mistake_or_is_ignored_by_whose_it_is() {
    let scratch = Scratch::new();
    where_a_mount_hangs(&scratch, |hung| {
        let mut config = stead(["config"]);
        config.env("STEAD_CHECK_DB_FILE", hung.file()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut config = config.spawn().unwrap();
        let ended = until(LIMIT, || !matches!(config.try_wait(), Ok(None)));
        let _ = config.kill();
        let output = config.wait_with_output().unwrap();
        assert!(ended, "it waits for the file");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(64), "{said}");
        assert_eq!(
            said,
            "stead: STEAD_CHECK_DB_FILE: cannot read the file that it names: timed out\n"
        );
        let mut stead_run =
            Stead::script("echo started").env("STEAD_ENV_FILE", hung.file()).start();
        assert_eq!(stead_run.wait_exit(LIMIT), 64);
        let said = stead_run.stderr().concat();
        assert!(said.ends_with(": cannot read this file of variables: timed out"), "{said}");
        // Whether this authority is there counts at the first connection.
        let root = format!("postgres://u:p@127.0.0.1:1/d?sslrootcert={}", hung.file().display());
        let stead =
            idle().env("DATABASE_URL_FILE", hung.file()).env("STEAD_CHECK_LATER", root).serve();
        stead.wait_for_event("child started", LIMIT);
        let ignored = stead.wait_for_event("setting ignored", Duration::ZERO);
        assert_eq!(ignored["variable"], "DATABASE_URL_FILE");
        assert_eq!(stead.status("/livez"), 200);
    });
}
