//! A pod: its own address and volumes, init containers in their order, sidecars before the apps, and the end of all.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::super::engine::{Container, Owned, images};
use super::super::http;
use super::super::{LIMIT, unique, until};
use super::Cluster;
use super::container::{End, Event, Keeper, State, Turns};
use super::spec::{Identity, Line, line, list, seconds, text};

/// What the API server fills in.
const GRACE: Duration = Duration::from_secs(30);

/// What a sidecar is given to start in: its startup probe is more patient.
const START: Duration = Duration::from_secs(60);

/// What a pod's member is known by: its events, and what it is in.
struct Member {
    name: String,
    events: Sender<Event>,
    state: Arc<Mutex<State>>,
    keeper: Option<JoinHandle<Option<End>>>,
}

/// A pod that runs.
pub struct Pod {
    identity: Identity,
    grace: Duration,
    members: Vec<Member>,
    turns: Arc<Turns>,
    begun: Instant,
    journal: Arc<Mutex<Vec<String>>>,
    init: Vec<Container>,
    // Holds the address, and in a shared pid namespace is PID 1; the last to go but for the volumes.
    infra: Container,
    _volumes: Vec<Owned>,
}

impl Pod {
    /// Starts a pod of the cluster's Deployment; it is there when all of its containers are started.
    pub fn start(cluster: &Cluster) -> Self {
        let deployment = cluster.object("Deployment");
        let mut pod = Self::empty(cluster, deployment["spec"]["template"].clone());
        let spec = pod.identity.spec().clone();
        for (rank, container) in list(&spec["initContainers"]).enumerate() {
            if container["restartPolicy"] == "Always" {
                pod.keep(cluster, container, rank);
                pod.wait_started();
            } else {
                pod.init(cluster, container);
            }
        }
        for container in list(&spec["containers"]) {
            pod.keep(cluster, container, usize::MAX);
        }
        pod
    }

    fn empty(cluster: &Cluster, template: Value) -> Self {
        let spec = &template["spec"];
        let grace = seconds(&spec["terminationGracePeriodSeconds"]).unwrap_or(GRACE);
        let mut volumes = Vec::new();
        let names = list(&spec["volumes"]).map(|volume| {
            assert!(volume["emptyDir"].is_object(), "here is no such volume: {volume}");
            let made = Owned::volume();
            let name = made.name().to_owned();
            volumes.push(made);
            (text(&volume["name"]), name)
        });
        let names: BTreeMap<_, _> = names.collect();
        let (infra, address) = infra(cluster, names.values());
        let name = unique(&text(&cluster.object("Deployment")["metadata"]["name"]));
        Self {
            identity: Identity { name, address, template, volumes: names },
            grace,
            members: Vec::new(),
            turns: Arc::default(),
            begun: Instant::now(),
            journal: Arc::default(),
            init: Vec::new(),
            infra,
            _volumes: volumes,
        }
    }

    /// A container's line with the namespaces that it shares.
    fn line(&self, cluster: &Cluster, container: &Value) -> Line {
        let mut line = line(cluster, &self.identity, container);
        line.options.push(format!("--network=container:{}", self.infra.name()));
        line.options.push(format!("--ipc=container:{}", self.infra.name()));
        if self.identity.spec()["shareProcessNamespace"] == true {
            line.options.push(format!("--pid=container:{}", self.infra.name()));
        }
        line
    }

    fn init(&mut self, cluster: &Cluster, container: &Value) {
        let Line { image, options, command } = self.line(cluster, container);
        let command: Vec<_> = command.iter().map(String::as_str).collect();
        let run = Container::run(&image, &options, &command);
        assert_eq!(run.wait_exit(LIMIT), 0, "{:?}", run.logs());
        self.init.push(run);
    }

    fn keep(&mut self, cluster: &Cluster, container: &Value, rank: usize) {
        let (events, inbox) = channel();
        let (state, name) = (Arc::default(), text(&container["name"]));
        let (journal, begun) = (self.journal.clone(), self.begun);
        self.turns.add(rank);
        let keeper = Keeper {
            name: name.clone(),
            rank,
            line: self.line(cluster, container),
            manifest: container.clone(),
            address: self.identity.address.clone(),
            grace: self.grace,
            state: Arc::clone(&state),
            turns: self.turns.clone(),
            inbox,
            events: events.clone(),
            say: Arc::new(move |line| {
                journal
                    .lock()
                    .unwrap()
                    .push(format!("{:8.3} {line}", begun.elapsed().as_secs_f64()));
            }),
        };
        let keeper = Some(thread::spawn(|| keeper.keep()));
        self.members.push(Member { name, events, state, keeper });
    }

    /// The next container waits for the startup probe of the sidecar before it.
    fn wait_started(&self) {
        let sidecar = self.members.last().expect("a sidecar");
        let started = || sidecar.state.lock().unwrap().started;
        assert!(until(START, started), "{} has not started", sidecar.name);
    }

    fn member(&self, name: &str) -> &Member {
        let member = self.members.iter().find(|member| member.name == name);
        member.unwrap_or_else(|| panic!("no container {name}"))
    }

    /// The pod's condition Ready.
    pub fn is_ready(&self) -> bool {
        self.members.iter().all(|member| member.state.lock().unwrap().ready)
    }

    /// Waits until the condition Ready is this.
    pub fn wait_ready(&self, ready: bool, limit: Duration) {
        assert!(until(limit, || self.is_ready() == ready), "not ready={ready} within {limit:?}");
    }

    /// Whether it is Ready all the time; for at least this long.
    pub fn stays_ready(&self, time: Duration) -> bool {
        !until(time, || !self.is_ready())
    }

    /// An address of the pod.
    pub fn at(&self, port: u16) -> SocketAddr {
        format!("{}:{port}", self.identity.address).parse().expect("an address")
    }

    /// The status of a GET.
    pub fn status(&self, port: u16, path: &str) -> Option<u16> {
        http::get(self.at(port), path, LIMIT).map(|response| response.status)
    }

    /// The run of a container that is on, or was last.
    pub fn container(&self, name: &str) -> Arc<Container> {
        let last = || self.member(name).state.lock().unwrap().runs.last().cloned();
        assert!(until(LIMIT, || last().is_some()), "{name} has not been started");
        last().expect("a run")
    }

    /// How often a container was started again.
    pub fn restarts(&self, name: &str) -> usize {
        self.member(name).state.lock().unwrap().runs.len().saturating_sub(1)
    }

    /// The attempts of a container's liveness probe that failed.
    pub fn failed_liveness(&self, name: &str) -> usize {
        self.member(name).state.lock().unwrap().failed_liveness
    }

    /// The code of the command of a container's preStop, where it has one and that is over.
    pub fn hook(&self, name: &str) -> Option<i32> {
        self.member(name).state.lock().unwrap().hook
    }

    /// terminationGracePeriodSeconds.
    pub fn grace(&self) -> Duration {
        self.grace
    }

    /// Deletes it; returns at once.
    pub fn delete(&self) {
        let after = self.begun.elapsed().as_secs_f64();
        self.journal.lock().unwrap().push(format!("{after:8.3} the pod is deleted"));
        for member in &self.members {
            member.events.send(Event::Deleted).expect("a keeper");
        }
    }

    /// Waits until it is gone; how each container ended, by name.
    pub fn wait_gone(&mut self) -> BTreeMap<String, End> {
        let ends = self.members.iter_mut().map(|member| {
            let keeper = member.keeper.take().expect("a keeper");
            let end = keeper.join().expect("a keeper").expect("the end of a deleted container");
            (member.name.clone(), end)
        });
        ends.collect()
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        if thread::panicking() {
            let journal = self.journal.lock().unwrap();
            eprintln!("--- pod {}\n{}", self.identity.name, journal.join("\n"));
        }
        for member in &mut self.members {
            let _ = member.events.send(Event::Abandoned);
            if let Some(keeper) = member.keeper.take() {
                let _ = keeper.join();
            }
        }
    }
}

/// The container that holds the pod's namespaces, and its address. As a kubelet does, it lets everybody write to the
/// volumes. Its init reaps what is left to it in a shared pid namespace.
fn infra<'a>(cluster: &Cluster, volumes: impl Iterator<Item = &'a String>) -> (Container, String) {
    let mut options: Vec<_> = volumes
        .enumerate()
        .map(|(number, volume)| format!("--volume={volume}:/volumes/{number}"))
        .collect();
    options.push(format!("--network={}", cluster.network.name()));
    options.extend(["--init", "--ipc=shareable", "--entrypoint=/bin/sh"].map(String::from));
    let script = "chmod 777 /volumes/* 2>/dev/null; echo made; exec sleep 100000";
    let infra = Container::run(images::busybox(), &options, &["-c", script]);
    infra.wait_for_output("made");
    let address = infra.inspect("{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}");
    (infra, address)
}
