//! The examples for Kubernetes: rendered by kustomize, held against the schemas of Kubernetes, and each pod run by the
//! engine as a kubelet would run it.

mod cron;
mod manifests;
mod sidecar;
mod streams;
mod traffic;
mod worker;
mod wrapper;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::engine::files::Files;
use crate::harness::engine::images;
use crate::harness::engine::{Container, Owned};
use crate::harness::kubelet::{Cluster, documents, rendered};

/// The names that the examples give to their images.
const APP: &str = "registry.example.com/shop/app:1.4.2";
const STEAD: &str = "registry.example.com/stead:0.1.0";

/// Where the pods have stead's endpoints, and the app.
const ENDPOINTS: u16 = 9321;
const HTTP: u16 = 8080;

/// What a pod is given to become ready: two images are unpacked and a node starts, beside other tests.
const START: Duration = Duration::from_secs(60);

/// What hangs is seen by stead (a heartbeat first grows too old), three liveness probes fail, and the grace of that is
/// over; with as much again for a busy machine.
const RESTART: Duration = Duration::from_secs(100);

/// Time enough for a removed endpoint to be gone from every proxy.
const REMOVAL: Duration = Duration::from_secs(3);

/// A directory of the examples.
fn example(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples/kubernetes").join(name)
}

/// The rendered objects of a directory of the examples.
fn objects(name: &str) -> Vec<Value> {
    documents(&rendered(&example(name)))
}

/// A cluster that one of the examples was applied to, with a database and a cache in it.
struct Applied {
    redis: Container,
    _postgres: Container,
    cluster: Cluster,
}

fn applied(name: &str) -> Applied {
    let network = Owned::network();
    let on =
        |alias: &str| [format!("--network={}", network.name()), format!("--network-alias={alias}")];
    // initdb wants to be nobody of importance.
    let user = ["--user=65534".to_owned()];
    let postgres = Container::run(postgres(), &[&on("postgres")[..], &user].concat(), &[]);
    let redis = ["/usr/bin/redis-server", "--save", "", "--protected-mode", "no"];
    let redis = Container::run(images::redis(), &on("redis"), &redis);
    let url = "postgres://postgres@postgres:5432/postgres?sslmode=disable";
    let secrets = ["shop/database-url", "shop/direct-url"].map(|key| (key.into(), url.into()));
    let images = [(APP, app()), (STEAD, stead())].map(|(name, image)| (name.into(), image.into()));
    let services = [("postgres".to_owned(), 5432), ("redis".to_owned(), 6379)];
    let cluster = Cluster {
        objects: objects(name),
        images: BTreeMap::from(images),
        secrets: BTreeMap::from(secrets),
        services: BTreeMap::from(services),
        network,
    };
    Applied { redis, _postgres: postgres, cluster }
}

/// FROM scratch with stead, and nothing set that the manifests could rely on.
fn stead() -> &'static str {
    static IMAGE: OnceLock<String> = OnceLock::new();
    IMAGE.get_or_init(|| Files::new().stead().change("ENTRYPOINT []").import())
}

/// node with the apps, and without stead.
fn app() -> &'static str {
    static IMAGE: OnceLock<String> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let files = Files::new().program("/usr/bin/node");
        // Debian's own node reads parts of itself from there.
        let parts = "/usr/share/nodejs";
        let files = if PathBuf::from(parts).exists() { files.tree(parts) } else { files };
        files
            .text("/app/server.js", include_str!("kubernetes/apps/server.js"))
            .text("/app/worker.js", include_str!("kubernetes/apps/worker.js"))
            .text("/app/cron.js", include_str!("kubernetes/apps/cron.js"))
            .change("ENTRYPOINT []")
            .change("WORKDIR /app")
            .change(r#"CMD ["node","server.js"]"#)
            .import()
    })
}

/// PostgreSQL that lets everybody in.
fn postgres() -> &'static str {
    static IMAGE: OnceLock<String> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let (files, script) = images::postgres_files(
            "echo 'host all all all trust' >>data/pg_hba.conf",
            "-c listen_addresses=*",
        );
        files.change(format!("CMD {}", json!(["/bin/sh", "-c", script]))).import()
    })
}

#[test]
fn what_hangs_is_restarted_where_the_guide_says_so_and_nowhere_else() {
    // Each takes a minute of waiting.
    thread::scope(|scope| {
        scope.spawn(wrapper::leaves_an_app_that_hangs);
        scope.spawn(sidecar::has_an_app_that_hangs_restarted);
        scope.spawn(worker::that_hangs_is_restarted);
    });
}
