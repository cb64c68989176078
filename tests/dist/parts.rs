//! The lists of what is in the binaries: CycloneDX documents.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use serde_json::Value;

use super::{TARGETS, Unpacked, VERSION, made, must, tool};
use crate::harness::kubelet::python;

fn document(target: &str) -> Value {
    let path = made(&format!("stead-{VERSION}-{target}.cdx.json"));
    serde_json::from_str(&fs::read_to_string(path).expect("the document")).expect("JSON")
}

/// The package URLs of its components.
fn urls(document: &Value) -> BTreeSet<String> {
    let components = document["components"].as_array().expect("components");
    components.iter().map(|c| c["purl"].as_str().expect("a package URL").to_owned()).collect()
}

/// Holds a document against the format's own schemas, which name one another.
const VALIDATE: &str = r#"
import json, pathlib, sys
from jsonschema import Draft7Validator
from referencing import Registry, Resource
document, folder = map(pathlib.Path, sys.argv[1:])
schemas = [json.loads(file.read_text()) for file in folder.glob("*.schema.json")]
registry = Registry().with_resources((s["$id"], Resource.from_contents(s)) for s in schemas)
schema = next(s for s in schemas if s["$id"].endswith("/bom-1.5.schema.json"))
for error in Draft7Validator(schema, registry=registry).iter_errors(json.loads(document.read_text())):
    print(error.json_path, error.message)
"#;

#[test]
fn each_list_of_parts_is_what_the_format_wants() {
    let schemas = tool("cyclonedx/schema/_res");
    for target in TARGETS {
        let document = made(&format!("stead-{VERSION}-{target}.cdx.json"));
        let said = must(python().args(["-c", VALIDATE]).arg(document).arg(&schemas));
        assert_eq!(said, "", "{target}");
    }
}

#[test]
fn each_list_of_parts_names_its_binary_by_its_checksum() {
    for target in TARGETS {
        let sum = must(Command::new("sha256sum").arg(Unpacked::new(target).file("stead")));
        let listed = &document(target)["metadata"]["component"]["hashes"][0];
        assert_eq!(listed["alg"], "SHA-256");
        assert_eq!(listed["content"].as_str(), sum.split(' ').next(), "{target}");
    }
}

#[test]
fn what_cargo_knows_to_be_linked_is_listed_and_nothing_else_of_its() {
    for target in TARGETS {
        // `name vX.Y.Z`, then what is not asked for here.
        let format = ["--edges", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}"];
        let mut cargo = Command::new("cargo");
        cargo.args(["tree", "--locked", "--package", "stead", "--target", target]).args(format);
        let linked: BTreeSet<_> = must(&mut cargo)
            .lines()
            .filter_map(|line| line.split_once(" v"))
            .map(|(name, rest)| (name, rest.split(' ').next().unwrap_or(rest)))
            .filter(|(name, _)| *name != "stead")
            .map(|(name, version)| format!("pkg:cargo/{name}@{}", version.replace('+', "%2B")))
            .collect();
        let mut listed = urls(&document(target));
        listed.retain(|url| url.starts_with("pkg:cargo/"));
        if target.ends_with("-gnu") {
            assert_eq!(listed, linked, "{target}");
        } else {
            // The standard library is built along.
            assert!(listed.is_superset(&linked), "{target}: not listed: {:?}", &linked - &listed);
        }
        assert!(linked.len() > 50, "{target}: {linked:?}");
    }
}

#[test]
fn what_cargo_does_not_build_is_listed_too() {
    let c_libraries = ["libc6-dev@", "musl-dev@", "libc6-dev-arm64-cross@"];
    for (target, library) in TARGETS.into_iter().zip(c_libraries) {
        let listed = urls(&document(target));
        // Rust's own is rustup's, Debian's, or built along.
        let rust = ["/rust-std@", "/libstd-rust-", "/std@"];
        for wanted in [&[library][..], &["/libgcc-"], &rust] {
            let found = listed.iter().any(|url| wanted.iter().any(|part| url.contains(part)));
            assert!(found, "{target}: none of {wanted:?} in {listed:?}");
        }
    }
}
