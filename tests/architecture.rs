//! Who may import whom in `src/`, and that each driver crate is named in one place.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The modules of the crate that each module may use, beside itself. `app` may use all and is used by none.
const ALLOWED: [(&str, &[&str]); 18] = [
    ("errand", &["signal", "sys"]),
    ("exit", &["signal"]),
    ("signal", &[]),
    ("sys", &["exit", "signal"]),
    ("supervisor", &["errand", "exit", "signal", "sys"]),
    ("compat", &["exit", "signal", "supervisor"]),
    ("config", &["check", "errand", "lock", "notify", "signal", "supervisor", "value"]),
    ("cli", &["config"]),
    ("check", &["errand", "sys", "value"]),
    ("lock", &["check", "supervisor"]),
    ("hook", &["check", "config", "errand", "exit", "logs", "signal", "supervisor", "sys"]),
    ("http", &["check", "cli", "config", "notify", "supervisor", "sys"]),
    ("logs", &["config", "sys"]),
    ("client", &["cli", "config"]),
    ("install", &[]),
    ("notify", &["signal", "supervisor", "sys"]),
    ("lib", &[]),
    ("value", &[]),
];

/// Crates that are one part's business, and the files or folders that may name them.
const CONFINED: [(&str, &[&str]); 12] = [
    ("toml", &["config/file.rs"]),
    ("lexopt", &["cli/options.rs"]),
    ("socket2", &["http/mod.rs"]),
    ("tracing_subscriber", &["logs/"]),
    ("tokio_postgres", &["check/postgres"]),
    ("redis", &["check/redis"]),
    ("lapin", &["check/amqp"]),
    ("rustls", &["check/tls/", "check/postgres"]),
    ("prometheus_client", &["http/metrics.rs"]),
    ("stead_lines", &["logs/"]),
    ("regex_lite", &["logs/child/", "config/"]),
    ("signal_hook", &["signal.rs", "sys/signals.rs"]),
];

fn sources() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = BTreeMap::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                // What tests of a module use is not what the module is built on.
                let text = fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]").next().unwrap().to_owned();
                found.insert(name, code);
            }
        }
    }
    found
}

#[test]
fn each_module_uses_only_the_modules_below_it() {
    let mut uses = 0;
    for (file, code) in sources().iter().filter(|(file, _)| !file.ends_with("tests.rs")) {
        let module = file.split(['/', '.']).next().unwrap();
        // The modules of `lines` are a crate's own: it cannot use any of these.
        if ["app", "main", "lines"].contains(&module) {
            continue;
        }
        let (_, allowed) = ALLOWED.iter().find(|(name, _)| *name == module).unwrap();
        for used in code.split("crate::").skip(1) {
            let used = used.split(|c: char| !c.is_ascii_lowercase() && c != '_').next().unwrap();
            uses += 1;
            assert!(used == module || allowed.contains(&used), "{file} uses {used}");
        }
    }
    assert!(uses > 50, "only {uses} uses were found: the sources are read wrongly");
}

#[test]
fn unsafe_code_is_in_sys_and_main_alone() {
    for (file, code) in sources() {
        let has_unsafe = code.contains("unsafe {") || code.contains("unsafe fn");
        assert!(!has_unsafe || file.starts_with("sys/") || file == "main.rs", "{file}");
    }
}

#[test]
fn each_crate_that_is_one_parts_business_stays_there() {
    for (name, places) in CONFINED {
        let named = format!("{name}::");
        let sources = sources();
        // A module of the same name is not the crate.
        let names = |code: &str| code.replace(&format!("self::{named}"), "").contains(&named);
        let files: Vec<_> = sources.iter().filter(|(_, code)| names(code)).collect();
        assert!(!files.is_empty(), "{name} is used nowhere");
        for (file, _) in files {
            let allowed = places.iter().any(|place| file.starts_with(place));
            assert!(allowed, "{file} names {name}");
        }
    }
}
