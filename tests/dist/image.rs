//! The images: compiled from source by docker/Dockerfile, of a binary by docker/build.sh, and what hadolint says of every
//! Dockerfile here.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::{TARGETS, Unpacked, VERSION, must, tool};
use crate::harness::engine::rust::rust;
use crate::harness::engine::{Container, docker, docker_line, images, run_to_end};
use crate::harness::{LIMIT, Scratch};

const REPOSITORY: &str = env!("CARGO_MANIFEST_DIR");

/// What the engine has of an image.
fn inspect(image: &str) -> Value {
    let text = docker_line(["image", "inspect", "--format", "{{json .}}", image]);
    serde_json::from_str(&text).expect("JSON")
}

/// The file /stead of an image.
fn stead_of(image: &str) -> Vec<u8> {
    let folder = Scratch::new();
    let container = docker_line(["create", image]);
    let from = format!("{container}:/stead");
    let copied = docker(["cp", from.as_str(), folder.path().to_str().expect("a path")]);
    docker(["rm", &container]);
    assert_eq!(copied.code, 0, "{copied:?}");
    fs::read(folder.path().join("stead")).expect("the copy")
}

#[test]
fn the_dockerfile_compiles_the_very_binary_of_make_dist() {
    let dockerfile = Path::new(REPOSITORY).join("docker/Dockerfile");
    let arguments = [format!("BUILDER={}", rust())];
    let image = images::build(&dockerfile, Path::new(REPOSITORY), &arguments);
    // With other folders for the sources, for what cargo fetches, and for what it makes.
    let unpacked = Unpacked::new(TARGETS[0]);
    let same = stead_of(&image) == fs::read(unpacked.file("stead")).expect("the binary");
    assert!(same, "what was compiled in a container differs from that of {}", TARGETS[0]);

    let known = inspect(&image);
    assert_eq!(known["Config"]["User"], "65534:65534");
    assert_eq!(known["Config"]["Entrypoint"], serde_json::json!(["/stead"]));
    assert_eq!(known["RootFS"]["Layers"].as_array().map(Vec::len), Some(1), "{known}");
    let labels = &known["Config"]["Labels"];
    assert_eq!(labels["org.opencontainers.image.version"], VERSION, "{labels}");
    for label in ["title", "description", "licenses"] {
        let label = format!("org.opencontainers.image.{label}");
        assert!(labels[&label].as_str().is_some_and(|text| !text.is_empty()), "no {label}");
    }
    let options = ["--read-only", "--cap-drop=ALL", "--health-interval=1s"];
    let container = Container::run(&image, &options, &["sidecar"]);
    container.wait_for_health("healthy", LIMIT);
}

#[test]
fn an_image_of_a_binary_is_the_same_whenever_it_is_made() {
    let names = [images::made(), images::made()];
    let said = run_to_end(&names[0], &[] as &[&str], &["--version"]);
    let [mut first, mut second] = names.each_ref().map(|name| inspect(name));
    assert_eq!((said.code, said.stdout), (0, format!("stead {VERSION}\n")));
    assert_eq!(first["Config"]["User"], "65534:65534");
    if first["Id"] == second["Id"] {
        return;
    }
    // The classic builder dates an image and names what it was made in; all else is the same.
    assert_ne!(docker(["buildx", "version"]).code, 0, "BuildKit made two: {first}, {second}");
    for image in [&mut first, &mut second] {
        let fields = image.as_object_mut().expect("an object");
        let own = ["Id", "Created", "Container", "Parent", "RepoTags", "Metadata", "GraphDriver"];
        fields.retain(|name, _| !own.contains(&name.as_str()));
        image["ContainerConfig"] = Value::Null;
        image["Config"]["Image"] = Value::Null;
    }
    assert_eq!(first, second);
}

#[test]
fn hadolint_has_nothing_against_the_dockerfiles() {
    let all = must(Command::new("git").args(["ls-files", "*Dockerfile"]).current_dir(REPOSITORY));
    assert!(all.lines().count() >= 2, "{all}");
    let mut hadolint = Command::new(tool("bin/hadolint"));
    let said = must(hadolint.arg("--no-color").args(all.lines()).current_dir(REPOSITORY));
    assert_eq!(said, "");
}
