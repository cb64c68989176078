//! The guides of examples/deployments: each Dockerfile "after" is built, on a stand-in for its base; what stead understands of
//! each service's environment in it is what the guide shows; and the platform waits for longer than the grace.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::Value;

use crate::harness::Scratch;
use crate::harness::engine::compose::Project;
use crate::harness::engine::files::Files;
use crate::harness::engine::{Finished, docker_line, images, run_to_end};
use crate::harness::kubelet::{documents, python};

/// What stead wants beside its grace.
const MARGIN: Duration = Duration::from_secs(5);

/// A fenced block of a guide.
struct Block {
    language: String,
    /// What follows the language: `after`, and whose it is.
    words: Vec<String>,
    text: String,
}

/// A guide's blocks.
fn blocks(guide: &str) -> Vec<Block> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples/deployments");
    let text = fs::read_to_string(folder.join(guide)).expect("the guide");
    let fenced = text.split("\n```").skip(1).step_by(2);
    fenced
        .map(|block| {
            let (info, text) = block.split_once('\n').expect("a block");
            let mut words = info.split_whitespace().map(str::to_owned);
            let language = words.next().unwrap_or_default();
            Block { language, words: words.collect(), text: format!("{text}\n") }
        })
        .collect()
}

fn after<'a>(blocks: &'a [Block], language: &'a str) -> impl Iterator<Item = &'a Block> {
    let is_after = |block: &&Block| block.words.first().is_some_and(|word| word == "after");
    blocks.iter().filter(move |block| block.language == language).filter(is_after)
}

/// An app's image before stead: a program or two, and nothing set.
fn base() -> &'static str {
    static IMAGE: OnceLock<String> = OnceLock::new();
    let files = || Files::new().static_program("/bin/busybox", "/bin/busybox");
    IMAGE.get_or_init(|| images::tag(&files().change("ENTRYPOINT []").import()))
}

/// The images of a guide's Dockerfiles, by the names that the guide gives them.
fn images_of(blocks: &[Block]) -> BTreeMap<String, String> {
    let build = |block: &Block| {
        let context = Scratch::new();
        let lines = block.text.lines().map(|line| match line.strip_prefix("FROM ") {
            Some(_) => format!("FROM {}\n", base()),
            None => line.replace("--from=stead ", &format!("--from={} ", images::stead())) + "\n",
        });
        let file = context.file("Dockerfile", lines.collect::<String>(), 0o644);
        images::build(&file, context.path(), &[])
    };
    let name = |block: &Block| block.words.get(1).cloned().unwrap_or_default();
    after(blocks, "dockerfile").map(|block| (name(block), build(block))).collect()
}

/// A container of a guide: its image, its variables, and how long its platform waits for its end.
struct Service {
    image: String,
    variables: BTreeMap<String, String>,
    patience: Duration,
}

impl Service {
    /// What stead says of it, in it.
    fn config(&self) -> Finished {
        let entry =
            docker_line(["inspect", "--format", "{{json .Config.Entrypoint}}", &self.image]);
        let entry: Vec<String> = serde_json::from_str(&entry).expect("an entry point");
        assert_eq!(entry[..2], ["/stead", "run"], "{entry:?}");
        let own: Vec<_> = entry[2..].iter().take_while(|word| *word != "--").collect();
        let line: Vec<_> = ["config"].into_iter().chain(own.iter().map(|w| w.as_str())).collect();
        let variables = self.variables.iter().map(|(name, value)| format!("--env={name}={value}"));
        let options: Vec<_> = variables.chain(["--entrypoint=/stead".into()]).collect();
        run_to_end(&self.image, &options, &line)
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn seconds(value: &Value) -> Duration {
    Duration::from_secs(value.as_u64().expect("seconds"))
}

/// The services of a Compose file that have stead in them.
fn of_compose(file: &Value, images: &BTreeMap<String, String>) -> Vec<(String, Service)> {
    let services = file["services"].as_object().expect("services");
    let built = services.iter().filter(|(_, service)| !service["build"].is_null());
    built
        .map(|(name, service)| {
            let image = images[service["build"]["dockerfile"].as_str().unwrap_or_default()].clone();
            let variables = service["environment"].as_object().expect("variables");
            let variables = variables.iter().map(|(name, value)| (name.clone(), text(value)));
            let patience = service["stop_grace_period"].as_str().expect("a grace");
            let patience = humantime::parse_duration(patience).expect("a duration");
            (name.clone(), Service { image, variables: variables.collect(), patience })
        })
        .collect()
}

/// The value of a variable of a container that Kubernetes or ECS starts.
fn value(variable: &Value, secrets: &BTreeMap<&str, &str>) -> (String, String) {
    let name = variable["name"].as_str().expect("a name");
    let secret = || secrets.get(name).copied().unwrap_or("pod-1").to_owned();
    (name.to_owned(), variable["value"].as_str().map_or_else(secret, str::to_owned))
}

fn variables(lists: [&Value; 2], secrets: &BTreeMap<&str, &str>) -> BTreeMap<String, String> {
    let all = lists.into_iter().filter_map(Value::as_array).flatten();
    all.map(|variable| value(variable, secrets)).collect()
}

/// Holds what a guide shows of its services against what they say.
fn holds(blocks: &[Block], services: &BTreeMap<String, Service>) {
    for (name, service) in services {
        let said = service.config();
        assert_eq!(said.code, 0, "{name}: {said:?}");
        let grace =
            said.stdout.lines().find_map(|line| line.strip_prefix("grace ")).expect("grace");
        let grace = grace.split_whitespace().next().expect("a value");
        let grace = humantime::parse_duration(grace).expect("a duration");
        assert!(grace + MARGIN <= service.patience, "{name}: {grace:?} of {:?}", service.patience);

        let lines = said.stdout.lines().chain(said.stderr.lines());
        let lines = lines.filter(|l| l.starts_with("check.") || l.contains(" is ignored"));
        let lines: Vec<Vec<_>> = lines.map(|line| line.split_whitespace().collect()).collect();
        let shown = blocks.iter().find(|b| b.language == "console" && b.words == [name.as_str()]);
        let Some(shown) = shown else { continue };
        let shown = shown.text.lines().filter(|line| !line.starts_with('$'));
        let shown: Vec<Vec<_>> = shown.map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines, shown, "{name}");
    }
    let shown = blocks.iter().filter(|block| block.language == "console");
    let shown: Vec<_> = shown.map(|block| &block.words[0]).collect();
    assert!(!shown.is_empty());
    for name in shown {
        assert!(services.contains_key(name), "{name} is shown, and is none of the services");
    }
}

/// Checks what all guides with Compose have; gives the blocks, the images and the services.
fn composed(guide: &str) -> (Vec<Block>, BTreeMap<String, String>, BTreeMap<String, Service>) {
    let blocks = blocks(guide);
    let images = images_of(&blocks);
    for image in images.values() {
        let check =
            docker_line(["inspect", "--format", "{{index .Config.Healthcheck.Test 1}}", image]);
        assert_eq!(check, "/stead", "{guide}");
    }
    let yaml = &after(&blocks, "yaml").next().expect("a Compose file").text;
    let passwords = ["DB_PASSWORD", "REDIS_PASSWORD", "MQ_PASSWORD", "MEILI_MASTER_KEY"];
    let folder = Scratch::new();
    let project = Project::new(folder.file("compose.yaml", yaml, 0o644));
    let project = passwords.iter().fold(project, |project, name| project.set(name, "s"));
    project.must(&["config", "--quiet"]);
    let yaml = passwords
        .iter()
        .fold(yaml.clone(), |yaml, name| yaml.replace(&format!("${{{name}}}"), "s"));
    assert!(!yaml.contains('$'), "{guide} has a variable that nobody sets");
    let services = of_compose(&documents(&yaml)[0], &images).into_iter().collect();
    (blocks, images, services)
}

#[test]
fn the_healthcare_backend() {
    let (blocks, _, services) = composed("healthcare.md");
    holds(&blocks, &services);
}

#[test]
fn the_healthcare_backend_on_kubernetes() {
    let (_, images, _) = composed("healthcare.md");
    let blocks = blocks("healthcare-kubernetes.md");
    let yaml = &after(&blocks, "yaml").next().expect("a Deployment").text;
    let folder = Scratch::new();
    let mut validate = python();
    validate.args(["-m", "kubernetes_validate", "--strict", "-k", "1.30"]);
    let said = validate.arg(folder.file("deployment.yaml", yaml, 0o644)).output().expect("python3");
    let said = Finished::from(said);
    assert!(said.code == 0 && said.stdout.contains(" passed for "), "{said:?}");

    let pod = documents(yaml)[0]["spec"]["template"]["spec"].clone();
    let container = &pod["containers"][0];
    let database = "postgresql://healthcare:s@postgres:5432/healthcare?schema=public";
    let secrets = BTreeMap::from([
        ("DATABASE_URL", database),
        ("DIRECT_URL", database),
        ("REDIS_URL", "redis://:s@redis-cluster:6379"),
    ]);
    let service = Service {
        image: images[""].clone(),
        variables: variables([&container["env"], &Value::Null], &secrets),
        patience: seconds(&pod["terminationGracePeriodSeconds"]),
    };
    holds(&blocks, &BTreeMap::from([("api".to_owned(), service)]));
}

#[test]
fn fruitpak_with_compose_and_on_ecs() {
    let (blocks, images, mut services) = composed("fruitpak.md");
    let json = &after(&blocks, "json").next().expect("a container definition").text;
    let container: Value = serde_json::from_str(json).expect("JSON");
    let host = "fruitpak.example.rds.amazonaws.com";
    let database = format!("postgresql+asyncpg://fruitpak:s@{host}:5432/fruitpak?ssl=require");
    let secrets = BTreeMap::from([
        ("DATABASE_URL", database.as_str()),
        ("REDIS_URL", "rediss://master.fruitpak.example.cache.amazonaws.com:6379/0"),
    ]);
    let on_ecs = Service {
        image: images[""].clone(),
        variables: variables([&container["environment"], &container["secrets"]], &secrets),
        patience: seconds(&container["stopTimeout"]),
    };
    assert!(on_ecs.patience <= Duration::from_secs(120), "more than Fargate has");
    assert_eq!(container["healthCheck"]["command"], serde_json::json!(["CMD", "/stead", "check"]));
    services.insert("api".into(), on_ecs);
    holds(&blocks, &services);
}

#[test]
fn codecave() {
    let (blocks, _, services) = composed("codecave.md");
    holds(&blocks, &services);
}

#[test]
fn collabry_has_the_time_that_its_streams_take() {
    let (blocks, _, services) = composed("collabry.md");
    holds(&blocks, &services);
    for name in ["api", "ai"] {
        assert_eq!(services[name].patience, Duration::from_secs(155), "{name}");
    }
}
