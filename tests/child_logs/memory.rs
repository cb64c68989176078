//! However long the lines and however many, stead stays small.

use std::fs::File;

use super::json;
use crate::harness::{LIMIT, Running, Stead, processes, until};

/// The promised bound, for both streams together.
const BOUND_KIB: u64 = 4 * 1024;

/// Memory of its own that a process has, in KiB.
fn own_kib(stead: &Running) -> u64 {
    let text = processes::status(stead.pid(), "RssAnon").expect("a living process");
    text.split(' ').next().and_then(|n| n.parse().ok()).expect("a number of KiB")
}

/// What it has at most more than at first while this goes through on both streams; once it is through, that is hardly
/// anything.
fn grows_by(line: &str, options: &[&str]) -> u64 {
    let script = format!(
        "trap 'exit 0' TERM; read go; for n in 1 2 3; do {{ {line}; }} & {{ {line}; }} >&2; wait; done; \
         echo through >\"$0\"; while :; do sleep 0.01; done"
    );
    let scratch = crate::harness::Scratch::new();
    let done = scratch.path().join("done");
    let (go, gone) = std::io::pipe().expect("a pipe");
    let nowhere = || File::options().write(true).open("/dev/null").expect("/dev/null");
    let stead = json(Stead::script(&script)).args([&done]).options(options).stdin(go);
    let mut stead = stead.stdout(nowhere()).stderr(nowhere()).listening().start();
    let runs = || {
        crate::harness::http::try_request(stead.port(), "GET", "/readyz", &[])
            .is_some_and(|answer| answer.status == 200)
    };
    assert!(until(LIMIT, runs), "it does not start");
    let idle = own_kib(&stead);
    std::io::Write::write_all(&mut &gone, b"go\n").expect("a line");
    let mut most = 0;
    let through = until(3 * LIMIT, || {
        most = most.max(own_kib(&stead));
        done.exists()
    });
    assert!(through, "it does not come through");
    let is_small = || own_kib(&stead).saturating_sub(idle) < BOUND_KIB / 4;
    assert!(until(LIMIT, is_small), "{line}: {} KiB after {idle}", own_kib(&stead));
    stead.signal(libc::SIGTERM);
    assert_eq!(stead.wait_exit(LIMIT), 0);
    most.saturating_sub(idle)
}

#[test]
fn a_megabyte_of_nuls_that_grows_sixfold_takes_no_more_memory_than_it_has() {
    for line in [
        "head -c 1048576 /dev/zero; echo",
        "head -c 3000000 /dev/zero; echo",
        "head -c 2000000 /dev/urandom; echo",
    ] {
        let most = grows_by(line, &[]);
        assert!(most < BOUND_KIB, "{line}: {most} KiB more than when idle");
    }
}

#[test]
fn lines_that_are_nothing_but_their_end_take_no_memory() {
    let most = grows_by("yes '' | head -n 1000000", &["--log-drop"]);
    assert!(most < BOUND_KIB, "{most} KiB more than when idle");
}
