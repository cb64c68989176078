//! Names as the static binary resolves them: with what the engine gives and nothing else, and without
//! ever loading a library of the image's.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::engine::files::{APP, Files, libraries};
use crate::harness::engine::images;
use crate::harness::engine::{Container, Owned, run_to_end};
use crate::harness::{LIMIT, Scratch, binary, until};

/// Options for a container whose only check is a URL.
fn asking(url: &str, further: &[&str]) -> Vec<String> {
    let url = format!("--env=STEAD_APP_URL={url}");
    let options = [&[url.as_str(), "--env=STEAD_APP_PORT=off"], further].concat();
    options.into_iter().map(str::to_owned).collect()
}

#[test]
fn in_a_scratch_image_the_engines_names_resolve() {
    let network = Owned::network();
    let joined = format!("--network={}", network.name());
    let other = Container::run(images::hello(), &[&joined, "--network-alias=other.internal"], &[]);
    for name in [other.name(), "other.internal", &format!("{}.", other.name())] {
        let options = asking(&format!("http://{name}:{APP}/"), &[&joined]);
        Container::run(images::hello(), &options, &[]).wait_ready();
    }

    let url = format!("http://no-such-name:{APP}/");
    let container = Container::run(images::hello(), &asking(&url, &[&joined]), &[]);
    let mut said = String::new();
    let told = until(LIMIT, || {
        said = container.exec(&["/stead", "check", "ready"]).stdout;
        said.contains("dns_not_found")
    });
    assert!(told, "the last check said {said:?}");
    assert!(said.ends_with(" dns_not_found at dns\n"), "{said:?}");
}

#[test]
fn localhost_resolves_with_an_empty_hosts_file() {
    let script = ": > /etc/hosts; exec /stead run -- /hello";
    let url = format!("http://localhost:{APP}/");
    let options = asking(&url, &["--entrypoint=/bin/sh"]);
    let container = Container::run(images::busybox(), &options, &["-c", script]);
    container.wait_ready();
    assert_eq!(container.exec(&["cat", "/etc/hosts"]).stdout, "");
}

#[test]
fn localhost_resolves_where_there_is_no_etc_at_all() {
    let script = "mkdir /tmp/root; cp /stead /hello /tmp/root; \
                  exec chroot /tmp/root /stead run -- /hello";
    let url = format!("http://localhost:{APP}/");
    let options = asking(&url, &["--entrypoint=/bin/sh", "--network=none"]);
    let container = Container::run(images::busybox(), &options, &["-c", script]);
    container.wait_ready();
    assert_eq!(container.exec(&["ls", "/tmp/root"]).stdout, "hello\nstead\n");
}

/// A module for nsswitch.conf that says so when it is loaded.
const EVIL_MODULE: &str = r#"
#include <unistd.h>
__attribute__((constructor)) static void loaded(void) {
    static const char text[] = "evil module loaded\n";
    if (write(2, text, sizeof text - 1)) {}
}
"#;

/// What a static program does that asks the C library.
const ASKS_THE_C_LIBRARY: &str = r#"
#include <netdb.h>
#include <stddef.h>
int main(int argc, char **argv) {
    struct addrinfo *found = NULL;
    return argc == 2 && getaddrinfo(argv[1], NULL, NULL, &found) == 0 ? 0 : 2;
}
"#;

/// Compiles C for this machine.
fn compile(directory: &Scratch, name: &str, text: &str, options: &[&str]) -> PathBuf {
    let source = directory.file(&format!("{name}.c"), text, 0o644);
    let program = directory.path().join(name);
    let compiled = Command::new("cc").args(options).arg("-o").arg(&program).arg(source).output();
    let compiled = compiled.expect("a C compiler");
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    program
}

/// The image's files, with the C library where a static program that loads a module looks for it.
fn with_c_library(files: Files, module: &Path) -> Files {
    let libraries = libraries(&[Path::new("/usr/bin/getent")]);
    let directory = libraries
        .iter()
        .find(|path| path.ends_with("libc.so.6"))
        .and_then(|libc| libc.parent())
        .expect("getent is dynamic");
    let loader = libraries
        .iter()
        .find(|path| path.to_string_lossy().contains("/ld-linux"))
        .expect("its loader");
    [module, loader].into_iter().fold(files.program("/usr/bin/getent"), |files, library| {
        let at = directory.join(library.file_name().expect("its name"));
        files.copy(library, at.to_str().expect("its path"))
    })
}

#[test]
fn an_images_nsswitch_conf_makes_it_load_no_library() {
    let scratch = Scratch::new();
    let module = compile(&scratch, "libnss_evil.so.2", EVIL_MODULE, &["-shared", "-fPIC"]);
    let control = compile(&scratch, "control", ASKS_THE_C_LIBRARY, &["-static"]);
    let image = with_c_library(images::busybox_files(), &module)
        .static_program(&control, "/control")
        .text("/etc/nsswitch.conf", "hosts: evil dns\npasswd: evil files\ngroup: evil files\n")
        .import();

    let network = Owned::network();
    let joined = format!("--network={}", network.name());
    let other = Container::run(images::hello(), &[&joined], &[]);
    // The image does what it is there for: a static program that asks the C library loads it.
    let options = [&joined, "--entrypoint=/control"];
    let asked = run_to_end(&image, &options, &[other.name()]);
    assert!(asked.stderr.contains("evil module loaded"), "{asked:?}");

    let options = asking(&format!("http://{}:{APP}/", other.name()), &[&joined]);
    let container = Container::run(&image, &options, &["/hello"]);
    container.wait_ready();
    let checked = container.exec(&["/stead", "check", "ready"]);
    assert!(!checked.stderr.contains("evil"), "stead check: {checked:?}");
    let said = container.logs();
    assert!(!said.stderr.contains("evil") && !said.stdout.contains("evil"), "{said:?}");
    let mapped = container.exec(&["cat", "/proc/1/maps"]).stdout;
    assert!(mapped.contains("/stead") && !mapped.contains(".so"), "{mapped}");
}

// ---- The file ---------------------------------------------------------------------------------------

/// The little-endian number in `bytes` at `at`, `size` bytes long.
fn number(bytes: &[u8], at: usize, size: usize) -> usize {
    let mut whole = [0; 8];
    whole[..size].copy_from_slice(&bytes[at..at + size]);
    usize::try_from(u64::from_le_bytes(whole)).expect("an offset")
}

/// Whether a 64-bit ELF file names an interpreter, and how many shared libraries it needs.
fn interpreter_and_libraries(file: &[u8]) -> (bool, usize) {
    const PT_DYNAMIC: usize = 2;
    const PT_INTERP: usize = 3;
    const DT_NEEDED: usize = 1;
    assert_eq!(&file[..6], b"\x7fELF\x02\x01", "64-bit, little-endian");
    let (table, size, count) = (number(file, 32, 8), number(file, 54, 2), number(file, 56, 2));
    let (mut interpreter, mut libraries) = (false, 0);
    for header in (0..count).map(|index| table + index * size) {
        match number(file, header, 4) {
            PT_INTERP => interpreter = true,
            PT_DYNAMIC => {
                let (start, length) = (number(file, header + 8, 8), number(file, header + 32, 8));
                let entries = (start..start + length).step_by(16);
                libraries += entries.filter(|at| number(file, *at, 8) == DT_NEEDED).count();
            }
            _ => {}
        }
    }
    (interpreter, libraries)
}

#[test]
fn the_binary_needs_no_interpreter_and_no_library() {
    let read = |path: &Path| std::fs::read(path).expect("a program");
    assert_eq!(interpreter_and_libraries(&read(&binary())), (false, 0));
    // A program that does: so the reading above can tell.
    let (interpreter, libraries) = interpreter_and_libraries(&read(Path::new("/usr/bin/getent")));
    assert!(interpreter && libraries > 0);
}
