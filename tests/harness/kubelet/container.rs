//! One container of a pod for as long as the pod lives: it is started, probed, restarted when it ends or its liveness
//! fails, and ended as a kubelet does: preStop, its turn, TERM, and KILL when the grace is over.

use std::process::Command;
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::super::engine::{Container, docker, docker_line};
use super::probe::{News, Probes, Stop};
use super::spec::{Line, list, only, seconds, text};

/// What a container is given to end in at least, whatever its preStop has used up
/// (kubelet's minimumGracePeriodInSeconds).
const LEAST_GRACE: Duration = Duration::from_secs(2);

/// How long a kubelet waits before the second restart (it doubles with each further one).
const BACK_OFF: Duration = Duration::from_secs(10);

/// What happens to a container. Runs are counted, so that what comes late from an old one does not count.
pub enum Event {
    /// The run has ended with this code.
    Exited(usize, i32),
    /// Its startup or liveness probe has failed for good; it is to end within this time.
    Unhealthy(usize, Duration),
    /// The pod is deleted.
    Deleted,
    /// The test is over.
    Abandoned,
}

/// What a pod asks about its container.
#[derive(Default)]
pub struct State {
    /// Its startup probe, if it has one, has passed.
    pub started: bool,
    /// Its readiness probe, if it has one, passes.
    pub ready: bool,
    /// Attempts of its liveness probe that failed.
    pub failed_liveness: usize,
    /// The code of the command of its preStop.
    pub hook: Option<i32>,
    /// Its runs, the first one first.
    pub runs: Vec<Arc<Container>>,
}

/// How a container's last run ended.
#[derive(Clone, Debug)]
pub struct End {
    /// Its exit code.
    pub code: i32,
    /// It had to be killed when its grace was over.
    pub killed: bool,
    /// From the pod's deletion on.
    pub after: Duration,
}

/// Who of a deleted pod is still to end: app containers first, then the sidecars, the last one first.
#[derive(Default)]
pub struct Turns {
    left: Mutex<Vec<usize>>,
    bell: Condvar,
}

impl Turns {
    /// One more, to end before all of a lower rank.
    pub fn add(&self, rank: usize) {
        self.left.lock().unwrap().push(rank);
    }

    fn remove(&self, rank: usize) {
        let mut left = self.left.lock().unwrap();
        let at = left.iter().position(|known| *known == rank).expect("a rank");
        left.remove(at);
        self.bell.notify_all();
    }

    fn wait(&self, rank: usize, limit: Duration) {
        let left = self.left.lock().unwrap();
        let is_early = |left: &mut Vec<usize>| left.iter().any(|other| *other > rank);
        drop(self.bell.wait_timeout_while(left, limit, is_early).unwrap());
    }
}

/// All that is needed to run a container again and again.
pub struct Keeper {
    pub name: String,
    /// Higher ones end first.
    pub rank: usize,
    pub line: Line,
    pub manifest: Value,
    pub address: String,
    /// terminationGracePeriodSeconds.
    pub grace: Duration,
    pub state: Arc<Mutex<State>>,
    pub turns: Arc<Turns>,
    pub inbox: Receiver<Event>,
    pub events: Sender<Event>,
    pub say: Arc<dyn Fn(String) + Send + Sync>,
}

/// A run's switches: liveness is asked no more once it is to end, readiness until it has ended.
#[derive(Clone, Default)]
struct Switches {
    ending: Arc<Stop>,
    ended: Arc<Stop>,
}

impl Keeper {
    /// Runs it until the pod has ended.
    pub fn keep(self) -> Option<End> {
        let mut run = 0;
        loop {
            let (container, switches) = self.start(run);
            let end = self.watch(run, &container, &switches);
            switches.ending.turn();
            switches.ended.turn();
            let mut state = self.state.lock().unwrap();
            (state.started, state.ready) = (false, false);
            drop(state);
            match end {
                Outcome::Over(end) => {
                    self.turns.remove(self.rank);
                    return end;
                }
                Outcome::Again => run += 1,
            }
            if run > 1 {
                thread::sleep(BACK_OFF);
            }
        }
    }

    fn start(&self, run: usize) -> (Arc<Container>, Switches) {
        let command: Vec<_> = self.line.command.iter().map(String::as_str).collect();
        let container = Container::run(&self.line.image, &self.line.options, &command);
        let container = Arc::new(container);
        (self.say)(format!("{} started, run {run}", self.name));
        self.state.lock().unwrap().runs.push(container.clone());
        let (events, name) = (self.events.clone(), container.name().to_owned());
        thread::spawn(move || {
            let code = docker(["wait", &name]).stdout.trim().parse().unwrap_or(-1);
            // Nobody waits for it once the test is over.
            let _ = events.send(Event::Exited(run, code));
        });
        let switches = Switches::default();
        self.probe(run, &switches);
        (container, switches)
    }

    /// Sends the probes of a run, and keeps what they tell.
    fn probe(&self, run: usize, switches: &Switches) {
        let probes = Probes::of(&self.manifest, &self.address);
        let (events, grace) = (self.events.clone(), self.grace);
        let (state, say, name) = (self.state.clone(), self.say.clone(), self.name.clone());
        let tell = move |news| {
            let mut state = state.lock().unwrap();
            match news {
                News::Started => {
                    say(format!("{name}: started"));
                    state.started = true;
                }
                News::Ready(ready) if ready != state.ready => {
                    say(format!("{name}: ready {ready}"));
                    state.ready = ready;
                }
                News::Ready(_) => {}
                News::LivenessFailed => {
                    say(format!("{name}: liveness failed"));
                    state.failed_liveness += 1;
                }
                News::Unhealthy(own) => {
                    // Nobody waits for it once the test is over.
                    let _ = events.send(Event::Unhealthy(run, own.unwrap_or(grace)));
                }
            }
        };
        let Switches { ending, ended } = switches.clone();
        thread::spawn(move || probes.run(&ending, &ended, &tell));
    }

    /// Waits for what ends this run.
    fn watch(&self, run: usize, container: &Container, switches: &Switches) -> Outcome {
        loop {
            match self.inbox.recv().expect("the keeper's own sender") {
                Event::Exited(of, code) if of == run => {
                    (self.say)(format!("{} ended with {code}", self.name));
                    return Outcome::Again;
                }
                Event::Unhealthy(of, grace) if of == run => {
                    (self.say)(format!("{} is restarted, within {grace:?}", self.name));
                    switches.ending.turn();
                    self.end(run, container, grace, false);
                    return Outcome::Again;
                }
                Event::Deleted => {
                    switches.ending.turn();
                    return Outcome::Over(Some(self.end(run, container, self.grace, true)));
                }
                Event::Abandoned => return Outcome::Over(None),
                Event::Exited(..) | Event::Unhealthy(..) => {}
            }
        }
    }

    /// The order of kubelet's killContainer: the hook, then, where the whole pod ends, the container's
    /// turn, then TERM with what is left of the grace, and KILL.
    fn end(&self, run: usize, container: &Container, grace: Duration, in_turn: bool) -> End {
        let begun = Instant::now();
        self.pre_stop(container, grace);
        if in_turn {
            self.turns.wait(self.rank, grace.saturating_sub(begun.elapsed()));
        }
        let left = grace.saturating_sub(begun.elapsed()).max(LEAST_GRACE);
        (self.say)(format!("{} gets TERM, with {left:?} left", self.name));
        // It may have ended by itself by now.
        docker(["kill", "--signal", "TERM", container.name()]);
        let ended = self.exited(run, left);
        let code = ended.unwrap_or_else(|| {
            docker_line(["kill", container.name()]);
            self.exited(run, Duration::from_secs(20)).expect("the end of what was killed")
        });
        let end = End { code, killed: ended.is_none(), after: begun.elapsed() };
        (self.say)(format!("{} {end:?}", self.name));
        end
    }

    fn exited(&self, run: usize, limit: Duration) -> Option<i32> {
        let deadline = Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.inbox.recv_timeout(left).ok()? {
                Event::Exited(of, code) if of == run => return Some(code),
                _ => {}
            }
        }
    }

    /// A hook that fails or does not end changes nothing but the time that is left.
    fn pre_stop(&self, container: &Container, limit: Duration) {
        let hook = &self.manifest["lifecycle"]["preStop"];
        only(&self.manifest["lifecycle"], &["preStop"]);
        only(hook, &["sleep", "exec"]);
        if let Some(time) = seconds(&hook["sleep"]["seconds"]) {
            thread::sleep(time.min(limit));
        }
        let command: Vec<_> = list(&hook["exec"]["command"]).map(text).collect();
        if command.is_empty() {
            return;
        }
        let mut exec = Command::new("timeout");
        exec.arg(limit.as_secs_f64().to_string()).args(["docker", "exec", container.name()]);
        let output = exec.args(command).output().expect("timeout(1)");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (self.say)(format!("{}: preStop {} {said}", self.name, output.status));
        self.state.lock().unwrap().hook = output.status.code();
    }
}

enum Outcome {
    Over(Option<End>),
    Again,
}
