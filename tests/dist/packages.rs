//! The Debian packages, the checksums, and that everything comes out the same again.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{TARGETS, VERSION, command, emulator, made, must, target_dir};
use crate::harness::Scratch;

/// Each package with the target of its binary.
const PACKAGES: [(&str, &str); 2] = [("amd64", TARGETS[0]), ("arm64", TARGETS[2])];

fn package(architecture: &str) -> std::path::PathBuf {
    made(&format!("stead_{VERSION}_{architecture}.deb"))
}

/// dpkg for a system of its own below `root`, where packages of any architecture may be.
fn dpkg(root: &Path) -> Command {
    let state = root.join("var/lib/dpkg");
    fs::create_dir_all(state.join("info")).expect("dpkg's folder");
    fs::create_dir_all(state.join("updates")).expect("dpkg's folder");
    for (name, text) in [("status", ""), ("arch", "amd64\narm64\n")] {
        let path = state.join(name);
        if !path.exists() {
            fs::write(path, text).expect("dpkg's file");
        }
    }
    let mut dpkg = Command::new("dpkg");
    dpkg.arg("--root").arg(root).args(["--force-not-root", "--force-script-chrootless"]);
    dpkg.arg("--log=/dev/null");
    dpkg
}

/// The files below a folder but dpkg's own.
fn files(root: &Path) -> Vec<String> {
    let find = ["-path", "./var/lib/dpkg", "-prune", "-o", "-type", "f", "-printf", "%p %m\n"];
    let listing = must(Command::new("find").arg(".").args(find).current_dir(root));
    let mut files: Vec<_> = listing.lines().map(str::to_owned).collect();
    files.sort();
    files
}

#[test]
fn the_debian_packages_install_run_and_leave_nothing_behind() {
    for (architecture, target) in PACKAGES {
        let root = Scratch::new();
        must(dpkg(root.path()).arg("--install").arg(package(architecture)));
        let installed = files(root.path());
        for wanted in ["./usr/bin/stead 755", "./usr/share/doc/stead/copyright 644"] {
            assert!(installed.iter().any(|file| file == wanted), "no {wanted} in {installed:?}");
        }
        let binary = (root.path().join("usr/bin/stead"), emulator(target));
        assert_eq!(must(command(&binary).arg("--version")), format!("stead {VERSION}\n"));
        must(dpkg(root.path()).args(["--verify", "stead"]));

        must(dpkg(root.path()).args(["--purge", "stead"]));
        assert_eq!(files(root.path()), [""; 0], "left by that for {architecture}");
    }
}

#[test]
fn lintian_has_nothing_against_the_debian_packages() {
    for (architecture, _) in PACKAGES {
        let mut lintian = Command::new("lintian");
        lintian.args(["--allow-root", "--fail-on=error,warning", "--tag-display-limit=0"]);
        let said = must(lintian.arg(package(architecture)));
        assert_eq!(said, "", "{architecture}");
    }
}

#[test]
fn the_checksums_are_those_of_every_file() {
    let sums = made("SHA256SUMS");
    let folder = sums.parent().expect("its folder");
    must(
        Command::new("sha256sum")
            .args(["--check", "--strict", "--quiet"])
            .arg(&sums)
            .current_dir(folder),
    );
    let text = fs::read_to_string(&sums).expect("the checksums");
    let mut named: Vec<_> = text.lines().filter_map(|line| line.split("  ").nth(1)).collect();
    named.push("SHA256SUMS");
    named.sort_unstable();
    let entries = fs::read_dir(folder).expect("the folder").flatten();
    let mut there: Vec<_> =
        entries.map(|entry| entry.file_name().into_string().expect("a name")).collect();
    there.sort();
    assert_eq!(named, there);
}

#[test]
fn made_again_by_another_user_at_another_time_everything_has_the_same_bytes() {
    let again = Scratch::new();
    let folder = again.path().join("dist");
    // Nothing that cargo has set for this program: what is built would be built anew for it.
    let kept =
        ["PATH", "HOME", "CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN", "SOURCE_DATE_EPOCH"];
    let kept = kept.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
    let mut dist = Command::new("sh");
    dist.args(["-c", "umask 077; exec docker/dist.sh \"$0\""]).arg(&folder).env_clear().envs(kept);
    dist.env("CARGO_TARGET_DIR", target_dir()).env("TZ", "Asia/Tokyo").env("LANG", "C.UTF-8");
    must(&mut dist);
    let sums = |path: &Path| fs::read_to_string(path).expect("the checksums");
    assert_eq!(sums(&folder.join("SHA256SUMS")), sums(&made("SHA256SUMS")));
}
