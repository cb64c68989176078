//! The image that docker/Dockerfile compiles in, without a registry: this machine's Rust and C compilers and what cargo has
//! fetched here, in the places where the public image of Rust has them. It has no network to fetch anything with.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::files::Files;
use super::images::tag;

/// As `rust:…-bookworm`.
pub fn rust() -> &'static str {
    static IMAGE: OnceLock<String> = OnceLock::new();
    let files = || {
        let compiler = PathBuf::from(line_of("rustc", &["--print", "sysroot"]));
        let fetched = cargo_home().join("registry");
        // A mirror that stands in for the registry is named there.
        let config = cargo_home().join("config.toml");
        let files = Files::new();
        let files = if config.exists() {
            files.part(&config, "/usr/local/cargo/config.toml")
        } else {
            files
        };
        files
            .packages(&["gcc", "libc6-dev", "dash", "coreutils", "sed"])
            .link("gcc", "/usr/bin/cc")
            .directory("/tmp", 0o1777)
            .part(&compiler.join("bin"), "/usr/local/rust/bin")
            .part(&compiler.join("lib"), "/usr/local/rust/lib")
            .part(&fetched.join("index"), "/usr/local/cargo/registry/index")
            .part(&fetched.join("cache"), "/usr/local/cargo/registry/cache")
            .change("ENV CARGO_HOME=/usr/local/cargo CARGO_NET_OFFLINE=true")
            .change("ENV PATH=/usr/local/rust/bin:/usr/bin:/bin")
    };
    IMAGE.get_or_init(|| tag(&files().import()))
}

/// Where cargo keeps what it has fetched.
pub fn cargo_home() -> PathBuf {
    let home = || Path::new(&std::env::var_os("HOME").expect("HOME")).join(".cargo");
    std::env::var_os("CARGO_HOME").map_or_else(home, PathBuf::from)
}

/// The line that a program prints.
fn line_of(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().expect(program);
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

/// The Debian packages that are installed here of these and of what they depend on.
pub fn with_dependencies(packages: &[&str]) -> Vec<String> {
    let mut line = vec!["depends", "--recurse", "--installed"];
    line.extend(["--no-recommends", "--no-suggests", "--no-enhances"]);
    line.extend(["--no-conflicts", "--no-breaks", "--no-replaces"]);
    line.extend(packages);
    let listing = line_of("apt-cache", &line);
    // What each depends on is indented; virtual packages are in angle brackets.
    let names = listing.lines().filter(|line| line.starts_with(|c: char| c.is_alphanumeric()));
    names.map(str::to_owned).collect()
}
