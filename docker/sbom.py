#!/usr/bin/env python3
"""Writes what is in a binary of stead's as a CycloneDX 1.5 document: docker/dist.sh calls it.

    cargo build ... --message-format json | docker/sbom.py BINARY TARGET PURL... > FILE

What cargo has compiled for the target is what is linked: no build script, no macro, nothing that only tests need. What
is linked and was compiled by others (the C library, Rust's own) is told by package URLs.
"""

import hashlib
import json
import os
import subprocess
import sys
import tomllib
import uuid
from datetime import datetime, timezone
from urllib.parse import quote, unquote


def compiled_for(target, messages):
    """The manifests of the packages of which cargo has made something for the target."""
    manifests = set()
    for line in messages:
        message = json.loads(line)
        if any(f"/{target}/" in file for file in message.get("filenames", ())):
            manifests.add(message["manifest_path"])
    return sorted(manifests)


def checksums(*lock_files):
    """The checksums that lock files have of what a registry gave, by name and version."""
    known = {}
    for path in filter(os.path.exists, lock_files):
        with open(path, "rb") as file:
            for package in tomllib.load(file)["package"]:
                known[package["name"], package["version"]] = package.get("checksum")
    return known


def crate_url(name, version):
    """The package URL of a crate."""
    return f"pkg:cargo/{name}@{quote(version)}"


def component(name, version, url):
    """What CycloneDX has of everything."""
    return {"type": "library", "bom-ref": url, "name": name, "version": version, "purl": url}


def crate(manifest, known):
    """A crate."""
    with open(manifest, "rb") as file:
        package = tomllib.load(file)["package"]
    name, version = package["name"], package["version"]
    made = component(name, version, crate_url(name, version))
    if checksum := known.get((name, version)):
        made["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    if isinstance(licence := package.get("license"), str):
        made["licenses"] = [{"expression": licence.replace("/", " OR ")}]
    return made


def told(url):
    """What somebody else has compiled."""
    name, version = url.split("?")[0].rsplit("/", 1)[1].split("@")
    return component(name, unquote(version), url)


def edges(target, components):
    """What each package depends on, of those that are in the binary."""
    line = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", target]
    metadata = json.loads(subprocess.run(line, stdout=subprocess.PIPE, check=True).stdout)
    refs = {p["id"]: crate_url(p["name"], p["version"]) for p in metadata["packages"]}
    inside = {c["bom-ref"] for c in components}
    found = {}
    for node in metadata["resolve"]["nodes"]:
        normal = (d["pkg"] for d in node["deps"] if any(k["kind"] is None for k in d["dep_kinds"]))
        found[refs[node["id"]]] = {refs[package] for package in normal} & inside
    return found


def main():
    binary, target, *urls = sys.argv[1:]
    manifests = compiled_for(target, sys.stdin)
    standard = [m for m in manifests if "/rustlib/src/" in m]
    known = checksums("Cargo.lock", *{m.split("/library/")[0] + "/library/Cargo.lock" for m in standard})
    crates = [crate(m, known) for m in manifests]
    root = next(c for c in crates if c["name"] == "stead")
    crates.remove(root)

    with open(binary, "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    root |= {"type": "application", "hashes": [{"alg": "SHA-256", "content": digest}]}
    components = sorted([*crates, *map(told, urls)], key=lambda c: c["bom-ref"])
    needs = edges(target, [root, *components])
    # What no package names, all of them need: the standard library with its own, and the C libraries.
    named = set().union(*needs.values())
    needs[root["bom-ref"]] |= {c["bom-ref"] for c in components} - named
    when = datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), timezone.utc)
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": uuid.UUID(digest[:32]).urn,
        "version": 1,
        "metadata": {"timestamp": when.strftime("%Y-%m-%dT%H:%M:%SZ"), "component": root},
        "components": components,
        "dependencies": [
            {"ref": ref, "dependsOn": sorted(needs.get(ref, ()))}
            for ref in sorted(c["bom-ref"] for c in [root, *components])
        ],
    }
    json.dump(document, sys.stdout, indent=1)
    print()


main()
