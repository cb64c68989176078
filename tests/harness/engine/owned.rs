//! Networks and volumes of a test's own.

use super::{docker, docker_line, label};
use crate::harness::unique;

/// A network or a volume, removed when it is dropped: make it before the containers that use it.
pub struct Owned {
    kind: &'static str,
    name: String,
}

impl Owned {
    /// A network in which containers find one another by name.
    pub fn network() -> Self {
        Self::create("network")
    }

    /// A network of which each container can be given an address: the first three numbers of all of them.
    pub fn network_with_addresses() -> (Self, String) {
        let owned = Self { kind: "network", name: unique("stead-test") };
        // Others take some, of this machine or of other runs.
        for third in 0..=255 {
            let prefix = format!("10.213.{}", (std::process::id() + third) % 256);
            let subnet = format!("--subnet={prefix}.0/24");
            let made = docker(["network", "create", &subnet, "--label", &label(), &owned.name]);
            if made.code == 0 {
                return (owned, prefix);
            }
            assert!(made.stderr.contains("overlaps"), "no network: {}", made.stderr);
        }
        panic!("no network of 10.213.0.0/16 is free");
    }

    /// A volume.
    pub fn volume() -> Self {
        Self::create("volume")
    }

    fn create(kind: &'static str) -> Self {
        let owned = Self { kind, name: unique("stead-test") };
        docker_line([kind, "create", "--label", &label(), &owned.name]);
        owned
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        docker([self.kind, "rm", &self.name]);
    }
}
