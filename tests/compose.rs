//! `examples/compose` as it stands, run by Compose with this machine's servers in the places of the public images.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::engine::compose::Project;
use crate::harness::engine::{ENDPOINTS, images, services};
use crate::harness::{LIMIT, free_port, http, until};

/// Longest that Compose may take for all of it to be healthy on a busy machine.
const UP: &str = "180";

/// Longest until a check at its defaults knows that its server is gone (18 s), on a busy machine.
const NOTICED: Duration = Duration::from_secs(60);

/// The services, and the seconds that each is given to end in.
const SERVICES: [(&str, u64); 7] = [
    ("nginx", 35),
    ("app", 35),
    ("worker", 35),
    ("database", 35),
    ("cache", 15),
    ("queue", 35),
    ("search", 35),
];

/// The example with images of this machine's.
fn shop() -> Project {
    let wheels = std::env::var_os("EXAMPLE_WHEELS").unwrap_or_default();
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/compose/compose.yaml");
    Project::new(file)
        .set("IMAGE_STEAD", images::stead())
        .set("IMAGE_PYTHON", services::python(wheels.as_ref()))
        .set("IMAGE_NGINX", services::nginx())
        .set("IMAGE_POSTGRES", services::postgres())
        .set("IMAGE_REDIS", services::redis())
        .set("IMAGE_RABBITMQ", services::rabbitmq())
        .set("IMAGE_MEILISEARCH", services::meilisearch())
        .set("IMAGE_APP", images::unused_name())
        .set("HTTP_PORT", free_port())
        .set("STEAD_PORT", free_port())
}

/// A GET through nginx, or to the app's stead.
fn get(port: u16, path: &str) -> http::Response {
    http::request(port, "GET", path, &[])
}

#[test]
fn the_shop_of_the_example_comes_up_sells_loses_what_it_can_do_without_and_ends_in_its_grace() {
    let mut shop = shop();
    shop.must(&["up", "--detach", "--build", "--wait", "--wait-timeout", UP]);
    assert_all_are_healthy(&shop);
    assert_all_are_confined(&shop);
    let (front, app) = (shop.container("nginx").port(8080), shop.container("app").port(ENDPOINTS));

    sells(front);
    runs_behind_the_engines_init_too(&mut shop);
    the_page_says_what_is_down(&shop, front, app);
    stops_in_its_grace(&shop);
    shop.must(&["down", "--volumes"]);
    assert_eq!(shop.left(), Vec::<String>::new());
}

fn assert_all_are_healthy(shop: &Project) {
    let services = shop.services();
    for (name, _) in SERVICES {
        let service = services.iter().find(|service| service["Service"] == name);
        let service = service.unwrap_or_else(|| panic!("no {name} in {services:?}"));
        assert_eq!(service["Health"], "healthy", "{service}");
    }
}

/// Nothing to write to, no capability and no way to gain one, limits, and no root but where the image's data are root's.
fn assert_all_are_confined(shop: &Project) {
    let template = "{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.SecurityOpt}} \
                    {{and .HostConfig.Memory .HostConfig.NanoCpus .HostConfig.PidsLimit | not | not}} \
                    {{.Config.User}}";
    for (name, _) in SERVICES {
        let said = shop.container(name).inspect(template);
        let user = said.strip_prefix("true [ALL] [no-new-privileges:true] true ").or_else(|| {
            said.strip_suffix("true [ALL] [no-new-privileges:true] true")
                .filter(|_| name == "search")
        });
        assert!(user.is_some_and(|user| !user.starts_with('0')), "{name}: {said}");
    }
}

/// An order goes through Postgres, the cache, RabbitMQ and the worker into Meilisearch.
fn sells(front: u16) {
    let body = r#"{"item":"green tea"}"#;
    let order = format!(
        "POST /orders HTTP/1.1\r\nHost: shop\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = http::exchange(front, order.as_bytes()).expect("an answer");
    assert_eq!(answer.status, 201, "{answer:?}");
    let order = answer.json();
    assert_eq!(order["item"], "green tea");

    for from in ["database", "cache"] {
        let listed = get(front, "/orders").json();
        assert_eq!((&listed["orders"][0], &listed["from"]), (&order, &json!(from)), "{listed}");
    }
    let mut found = Value::Null;
    let is_found = || {
        found = get(front, "/search?q=green").json();
        found["found"].as_array().is_some_and(|orders| orders.contains(&order))
    };
    assert!(until(LIMIT, is_found), "the worker has put {order} where {found} is found");
}

/// What it can do without makes it degraded; without its database it is not ready, and it is not restarted.
fn the_page_says_what_is_down(shop: &Project, front: u16, app: u16) {
    shop.must(&["stop", "search", "cache"]);
    shop.container("app").wait_for_answer(ENDPOINTS, "/readyz", NOTICED, |answer| {
        let report = answer.json();
        let down = |name: &str| report["checks"][name]["status"] == "down";
        answer.status == 200
            && report["status"] == "degraded"
            && down("redis")
            && down("meilisearch")
    });
    assert_eq!(get(front, "/orders").json()["from"], "database");
    assert_eq!(get(front, "/search?q=tea").status, 503);
    let page = get(app, "/");
    assert!(page.status == 200 && page.body.contains("degraded"), "{}", page.body);

    shop.must(&["stop", "database"]);
    let container = shop.container("app");
    container.wait_for_answer(ENDPOINTS, "/readyz", NOTICED, |answer| answer.status == 503);
    assert_eq!(get(app, "/livez").status, 200);
    assert_eq!(get(front, "/").status, 200, "what needs no database is served on");
    container.wait_for_health("unhealthy", LIMIT);
    let said = container.health_output();
    assert!(said.starts_with("ready: unavailable: ") && said.contains("database down"), "{said}");
    assert_eq!(container.inspect("{{.RestartCount}}"), "0");
    let page = get(app, "/").body;
    for text in ["unavailable", "database", "redis", "meilisearch"] {
        assert!(page.contains(text), "no {text} on the page: {page}");
    }
    for secret in ["database-password", "queue-password", "a-master-key"] {
        assert!(!page.contains(secret), "{secret} is on the page");
    }
}

/// `init: true` puts the engine's own PID 1 before stead, which says nothing of it.
fn runs_behind_the_engines_init_too(shop: &mut Project) {
    shop.add("init.yaml", "services: {app: {init: true}}\n");
    shop.must(&["up", "--detach", "--no-deps", "--wait", "--wait-timeout", UP, "app"]);
    let app = shop.container("app");
    assert_eq!(app.event("starting")["pid1"], false);
    assert_eq!(app.event("hook ended")["hook"], "pre_start");
    for event in app.events() {
        let is_loud = ["warn", "error"].contains(&event["level"].as_str().unwrap_or_default());
        // An app that is slow to start is said to be down meanwhile.
        assert!(!is_loud || event["message"] == "check changed", "{event}");
    }
    sells(shop.container("nginx").port(8080));
}

/// Each ends by itself, before the engine's KILL (137), and nothing is left of it.
fn stops_in_its_grace(shop: &Project) {
    let graces = SERVICES.map(|(name, _)| {
        let seconds = shop.container(name).inspect("{{.Config.StopTimeout}}");
        (name, seconds.parse::<u64>().expect("a number"))
    });
    assert_eq!(graces, SERVICES);
    shop.must(&["stop"]);
    for service in shop.services() {
        assert_eq!(
            (&service["State"], &service["ExitCode"]),
            (&json!("exited"), &json!(0)),
            "{service}"
        );
    }
    for name in ["nginx", "app", "worker", "search"] {
        let container = shop.container(name);
        // What it says that the engine must give it is what the file gives it.
        assert_eq!(container.event("starting")["stop_timeout_s"], 35.0, "of {name}");
        assert_eq!(container.event("drain ended")["killed"], 0, "of {name}");
        assert_eq!(container.event("finished")["code"], 0, "of {name}");
    }
}
