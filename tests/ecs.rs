//! examples/ecs: what AWS' own model of its API says of it, the arithmetic of its times, and its container run as the
//! agent would run it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::engine::{Container, ENDPOINTS, Finished, images, publish};
use crate::harness::{LIMIT, http, stead, until};

/// The files, and the operations that they are requests for.
const REQUESTS: [(&str, &str, &str); 4] = [
    ("task-definition.json", "ecs", "RegisterTaskDefinition"),
    ("service.json", "ecs", "CreateService"),
    ("target-group.json", "elbv2", "CreateTargetGroup"),
    ("target-group-attributes.json", "elbv2", "ModifyTargetGroupAttributes"),
];

fn read(file: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/ecs");
    let text = std::fs::read_to_string(folder.join(file)).expect(file);
    serde_json::from_str(&text).expect(file)
}

fn app() -> Value {
    read("task-definition.json")["containerDefinitions"][0].clone()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("no number: {value}"))
}

/// What the model of the API finds wrong with a request; nothing where it is content.
fn mistakes(request: &Value, service: &str, operation: &str) -> String {
    let tools = std::env::var_os("AWS_TOOLS").map(PathBuf::from).unwrap_or_default();
    assert!(tools.is_dir(), "botocore is missing (AWS_TOOLS): `make test` fetches it");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ecs/validate.py");
    let mut python = Command::new("/usr/bin/python3")
        .arg(script)
        .args([service, operation])
        .env("PYTHONPATH", tools)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("python3");
    let mut stdin = python.stdin.take().expect("a pipe");
    stdin.write_all(request.to_string().as_bytes()).expect("the request");
    drop(stdin);
    let finished = Finished::from(python.wait_with_output().expect("python3"));
    let said = finished.stdout.trim().to_owned();
    assert_eq!(finished.code == 0, said.is_empty(), "{finished:?}");
    said
}

#[test]
fn the_examples_are_requests_that_aws_model_of_its_api_accepts() {
    for (file, service, operation) in REQUESTS {
        let said = mistakes(&read(file), service, operation);
        assert!(said.is_empty(), "{file}: {said}");
    }
    let mut wrong = read("task-definition.json");
    wrong["containerDefinitions"][0]["healthCheck"]["retires"] = json!(3);
    let said = mistakes(&wrong, "ecs", "RegisterTaskDefinition");
    assert!(said.contains("retires"), "a mistake is not noticed: {said:?}");
}

/// A setting as stead understands it in the task's environment.
fn setting(key: &str) -> Duration {
    let mut config = stead(["config", "--json"]);
    for variable in app()["environment"].as_array().expect("an environment") {
        let text = |name: &str| variable[name].as_str().expect("text").to_owned();
        config.env(text("name"), text("value"));
    }
    for secret in app()["secrets"].as_array().expect("secrets") {
        config.env(secret["name"].as_str().expect("a name"), "postgres://app:pw@db/app");
    }
    let finished = Finished::from(config.output().expect("stead config"));
    assert_eq!(finished.code, 0, "{finished:?}");
    assert!(!finished.stdout.contains("ignored"), "{}", finished.stdout);
    let rows: Value = serde_json::from_str(&finished.stdout).expect("JSON");
    let row = rows.as_array().expect("rows").iter().find(|row| row["key"] == key).expect(key);
    humantime::parse_duration(row["value"].as_str().expect("text")).expect(key)
}

#[test]
fn each_time_leaves_room_for_what_it_has_to_hold() {
    let (app, group, service) = (app(), read("target-group.json"), read("service.json"));
    let (grace, delay) = (setting("grace").as_secs(), setting("drain_delay").as_secs());
    let stop = number(&app["stopTimeout"]);
    assert!(stop >= grace + 5, "KILL comes before stead's own");
    assert!(stop <= 120, "Fargate's limit");
    assert!(delay < grace);

    let check = &app["healthCheck"];
    for (name, limits) in
        [("interval", 5..=300), ("timeout", 2..=60), ("retries", 1..=10), ("startPeriod", 0..=300)]
    {
        assert!(limits.contains(&number(&check[name])), "{name}: {check}");
    }
    assert!(number(&check["timeout"]) <= number(&check["interval"]));

    for (name, limits) in [
        ("HealthCheckIntervalSeconds", 5..=300),
        ("HealthCheckTimeoutSeconds", 2..=120),
        ("HealthyThresholdCount", 2..=10),
        ("UnhealthyThresholdCount", 2..=10),
    ] {
        assert!(limits.contains(&number(&group[name])), "{name}: {group}");
    }
    let interval = number(&group["HealthCheckIntervalSeconds"]);
    assert!(number(&group["HealthCheckTimeoutSeconds"]) < interval);
    let noticed = interval * number(&group["UnhealthyThresholdCount"]);
    assert!(delay >= noticed, "the app is told to stop before the ALB has noticed");

    let attributes = read("target-group-attributes.json");
    let attributes = attributes["Attributes"].as_array().expect("attributes");
    let deregistration = attributes
        .iter()
        .find(|attribute| attribute["Key"] == "deregistration_delay.timeout_seconds")
        .and_then(|attribute| attribute["Value"].as_str()?.parse::<u64>().ok())
        .expect("a deregistration delay");
    assert!(deregistration >= grace - delay, "an answer is cut off that the app would finish");
    let start = number(&service["healthCheckGracePeriodSeconds"]);
    assert!(start >= number(&check["startPeriod"]));
}

#[test]
fn the_ports_the_names_and_the_paths_fit_together() {
    let (app, group, service) = (app(), read("target-group.json"), read("service.json"));
    let ports: Vec<u64> = app["portMappings"]
        .as_array()
        .expect("ports")
        .iter()
        .map(|port| number(&port["containerPort"]))
        .collect();
    let endpoints: u64 = group["HealthCheckPort"].as_str().unwrap().parse().unwrap();
    assert!(ports.contains(&endpoints) && ports.contains(&number(&group["Port"])));
    assert_eq!(endpoints, u64::from(ENDPOINTS));
    assert_eq!(group["HealthCheckPath"], "/readyz");
    assert_eq!(group["Matcher"]["HttpCode"], "200");
    let balanced = &service["loadBalancers"][0];
    assert_eq!(
        (&balanced["containerName"], &balanced["containerPort"]),
        (&app["name"], &group["Port"])
    );
    assert_eq!(app["essential"], true);
    assert_eq!(app["linuxParameters"]["initProcessEnabled"], false);
}

#[test]
fn the_container_runs_is_checked_and_ends_as_the_agent_would_have_it() {
    let app = app();
    let mut options = vec![publish(ENDPOINTS)];
    for variable in app["environment"].as_array().unwrap() {
        let text = |name: &str| variable[name].as_str().unwrap();
        options.push(format!("--env={}={}", text("name"), text("value")));
    }
    // The database is away from the start: that alone must end nothing.
    options.push("--env=DATABASE_URL=postgres://app:pw@127.0.0.1:1/app".to_owned());
    options.push(format!("--user={}", app["user"].as_str().unwrap()));
    options.push(format!("--read-only={}", app["readonlyRootFilesystem"]));
    options.push(format!("--init={}", app["linuxParameters"]["initProcessEnabled"]));
    let container = Container::run(images::hello(), &options, &[]);
    container.wait_for_status(ENDPOINTS, "/livez", 200);

    let command: Vec<&str> = app["healthCheck"]["command"]
        .as_array()
        .unwrap()
        .iter()
        .map(|w| w.as_str().unwrap())
        .collect();
    let (how, command) = command.split_first().unwrap();
    assert_eq!(*how, "CMD");
    let port = container.port(ENDPOINTS);
    let ready = || http::request(port, "GET", "/readyz", &[]).json();
    assert!(until(LIMIT, || ready()["checks"]["database"]["class"].is_string()));
    assert_eq!(ready()["status"], "starting", "it was never there");
    assert_eq!(container.exec(command).code, 0);

    container.stop(Duration::from_secs(number(&app["stopTimeout"])));
    assert_eq!(container.wait_exit(LIMIT), 0);
    assert_eq!(container.event("drain started")["drain_delay_s"], 10.0);
}
