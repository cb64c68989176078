//! The ways into an image: a volume, and the project's Dockerfiles.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::{NONE, STOP};
use crate::harness::engine::{Container, Owned, images, run_to_end};
use crate::harness::{LIMIT, Scratch};

#[test]
fn it_installs_itself_into_a_volume_and_runs_from_there() {
    let volume = Owned::volume();
    let mounted = format!("--volume={}:/shared", volume.name());
    for target in ["/shared", "/shared/bin-stead"] {
        let options = [mounted.as_str(), "--entrypoint=/stead"];
        let installed = run_to_end(images::hello(), &options, &["install", target]);
        assert_eq!(installed.code, 0, "{installed:?}");
    }
    for path in ["/shared/stead", "/shared/bin-stead"] {
        let entry = format!("--entrypoint={path}");
        let options = [mounted.as_str(), &entry, "--user=65534", "--read-only"];
        let line = ["run", "--", "sh", "-c", "ls -A /shared; exit 8"];
        let finished = run_to_end(images::busybox(), &options, &line);
        assert_eq!(finished.code, 8, "{finished:?}");
        assert_eq!(finished.stdout, "bin-stead\nstead\n", "what was written aside is gone");
    }
}

#[test]
fn it_shows_its_configuration_in_a_scratch_image() {
    let options = ["--entrypoint=/stead", "--env=STEAD_GRACE=45s"];
    let shown = run_to_end(images::hello(), &options, &["config"]);
    assert_eq!(shown.code, 0, "{shown:?}");
    for text in ["grace", "45s", "STEAD_GRACE", "app_port"] {
        assert!(shown.stdout.contains(text), "no {text}: {shown:?}");
    }
    let shown = run_to_end(images::hello(), &options, &["config", "--json"]);
    let json: Result<Value, _> = serde_json::from_str(&shown.stdout);
    assert!(shown.code == 0 && json.is_ok(), "{shown:?}");
}

#[test]
fn the_projects_dockerfiles_make_images_that_work() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("docker");
    let context = Scratch::new();
    let stead = images::made();
    let said = run_to_end(&stead, NONE, &["--version"]);
    assert_eq!((said.code, said.stdout.starts_with("stead ")), (0, true), "{said:?}");

    let base = images::tag(images::python());
    let arguments = [format!("BASE={base}"), format!("STEAD={stead}")];
    let added = directory.join("add-to-image.Dockerfile");
    let added = images::build(&added, context.path(), &arguments);
    let python = fs::canonicalize("/usr/bin/python3").unwrap();
    let app = [python.to_str().unwrap(), "/app.py"];
    let container = Container::run(&added, &["--health-interval=1s"], &app);
    container.wait_for_health("healthy", LIMIT);
    container.stop(STOP);
    assert_eq!(container.wait_exit(LIMIT), 7);
}
