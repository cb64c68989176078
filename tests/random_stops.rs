//! A hundred containers that are started and ended in random order, with faults at random moments: each ends within its
//! grace with the right code, and nothing of it is left.
//!
//! What is random follows from a number, which a failure tells; `STEAD_TEST_SEED` repeats it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use fastrand::Rng;

use crate::harness::engine::{Container, Owned, docker, images};
use crate::harness::{LIMIT, processes, unique, until};

/// How many containers there are, and how many at a time.
const CONTAINERS: usize = 100;
const AT_ONCE: usize = 6;

const GRACE: Duration = Duration::from_secs(2);
const LINGER: Duration = Duration::from_secs(1);
/// What stead asks the platform for beyond both.
const KILL_PATIENCE: Duration = Duration::from_secs(5);

/// The variable by which what is left of a container would be found.
const MARKER: &str = "STEADS_RANDOM_STOP";

/// What runs in the container.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum App {
    /// Ends with 0 when it is asked to.
    Polite,
    /// Hears nothing.
    Deaf,
    /// Ends with 9, and leaves daemons of all manners.
    Daemons,
    /// Ends with 9, and makes orphans all the time.
    Forking,
}

/// What happens to it before its end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fault {
    None,
    /// The container stands still for a while.
    Paused,
    /// The child stands still, and stays so.
    Stopped,
    /// The engine puts a process in that does not hear.
    Intruder,
    /// A crowd asks for the endpoints.
    Asked,
}

/// What ends it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum End {
    Term,
    Int,
    /// A second one, at once.
    TwoTerms,
    TwoInts,
    /// `docker stop`, with the time that stead has asked for.
    Stop,
    /// Of the child alone.
    Killed,
}

/// One container.
#[derive(Clone, Copy, Debug)]
struct Case {
    app: App,
    fault: Fault,
    end: End,
    /// It is ended before it is known to run.
    is_early: bool,
    /// The engine's own init is PID 1, and stead is behind it.
    has_init: bool,
    /// Before the fault, and between that and the end.
    pauses: [Duration; 2],
}

const POLITE: &str = "exec /hello";
const DEAF: &str = "trap '' TERM INT; echo listening; while :; do sleep 0.1; done";
const DAEMONS: &str = "setsid sh -c 'while :; do sleep 0.1; done' & \
     setsid sh -c 'trap \"\" TERM INT; while :; do sleep 0.1; done' & \
     (sh -c 'trap \"\" TERM; sleep 300' &); trap 'exit 9' TERM INT; echo listening; while :; do sleep 0.1; done";
const FORKING: &str =
    "trap 'exit 9' TERM INT; echo listening; while :; do (sleep 0.02 &); sleep 0.02; done";

impl Case {
    fn random(random: &mut Rng) -> Self {
        let pick = |random: &mut Rng| Duration::from_millis(random.u64(..800));
        Self {
            app: random.choice([App::Polite, App::Deaf, App::Daemons, App::Forking]).unwrap(),
            fault: random
                .choice([Fault::None, Fault::Paused, Fault::Stopped, Fault::Intruder, Fault::Asked])
                .unwrap(),
            end: random
                .choice([End::Term, End::Int, End::TwoTerms, End::TwoInts, End::Stop, End::Killed])
                .unwrap(),
            is_early: random.u8(..5) == 0,
            has_init: random.u8(..4) == 0,
            pauses: [pick(random), pick(random)],
        }
    }

    /// The codes that are right: where the end came before the app could take it in, it is that of the signal.
    fn codes(&self) -> Vec<i32> {
        let signal = if matches!(self.end, End::Int | End::TwoInts) { 130 } else { 143 };
        let mut codes = vec![match (self.end, self.app) {
            (End::Killed, _) | (_, App::Deaf) => 137,
            (_, App::Polite) => 0,
            (_, App::Daemons | App::Forking) => 9,
        }];
        // The second INT kills, and the app may be faster.
        codes.extend((self.end == End::TwoInts).then_some(137));
        codes.extend((self.is_early && self.end != End::Killed).then_some(signal));
        codes
    }

    fn run(&self, dependencies: &[String]) {
        let mark = unique("random");
        let script = match self.app {
            App::Polite => POLITE,
            App::Deaf => DEAF,
            App::Daemons => DAEMONS,
            App::Forking => FORKING,
        };
        let mut options = dependencies.to_vec();
        options.extend([
            format!("--env={MARKER}={mark}"),
            format!("--env=STEAD_GRACE={}s", GRACE.as_secs()),
            format!("--env=STEAD_LINGER={}s", LINGER.as_secs()),
        ]);
        options.extend(self.has_init.then(|| "--init".to_owned()));
        let container = Container::run(images::busybox(), &options, &["sh", "-c", script]);
        // Before that, what gets a signal is the engine's own program, which is yet to become stead.
        container.wait_for_output("\"starting\"");
        if !self.is_early {
            container.wait_for_output("listening");
            thread::sleep(self.pauses[0]);
            self.strike(&container);
            thread::sleep(self.pauses[1]);
        }
        self.end(&container);
        let code = container.wait_exit(GRACE + LINGER + KILL_PATIENCE + LIMIT);
        assert!(self.codes().contains(&code), "{code} is none of {:?}", self.codes());
        self.check_times(&container, code);
        let is_gone = || processes::with_variable(MARKER, &mark).is_empty();
        assert!(until(LIMIT, is_gone), "left: {:?}", processes::with_variable(MARKER, &mark));
    }

    fn strike(&self, container: &Container) {
        match self.fault {
            Fault::None => {}
            Fault::Paused => {
                docker(["pause", container.name()]);
                thread::sleep(self.pauses[1]);
                docker(["unpause", container.name()]);
            }
            Fault::Stopped => drop(container.exec(&["kill", "-STOP", &child(container)])),
            Fault::Intruder => {
                container.exec_detached(&["sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"]);
            }
            Fault::Asked => {
                let ask = "n=0; while [ $n -lt 200 ]; do wget -q -O /dev/null http://127.0.0.1:9321/readyz & n=$((n+1)); done";
                container.exec_detached(&["sh", "-c", ask]);
            }
        }
    }

    fn end(&self, container: &Container) {
        let again = |name| drop(docker(["kill", "--signal", name, container.name()]));
        match self.end {
            End::Term => container.signal("TERM"),
            End::Int => container.signal("INT"),
            End::TwoTerms | End::TwoInts => {
                let name = if self.end == End::TwoInts { "INT" } else { "TERM" };
                container.signal(name);
                // It may be gone by now.
                again(name);
            }
            End::Stop => container.stop(GRACE + LINGER + KILL_PATIENCE),
            End::Killed => {
                let child = child(container);
                let mut said = None;
                let is_killed = until(LIMIT, || {
                    let kill = container.exec(&["kill", "-KILL", &child]);
                    let is_killed =
                        kill.code == 0 || container.inspect("{{.State.Status}}") == "exited";
                    said = Some(kill);
                    is_killed
                });
                assert!(is_killed, "the child is not killed: {said:?}");
            }
        }
    }

    /// stead ended it by itself, in the time that it has, with the code that the container ended with.
    fn check_times(&self, container: &Container, code: i32) {
        let events = container.events();
        let of = |message: &str| events.iter().find(|event| event["message"] == message);
        if of("child started").is_none() {
            assert!(self.is_early, "no child: {events:?}");
            return;
        }
        let finished = of("finished").expect("stead's last word");
        assert_eq!(finished["code"], code, "{events:?}");
        let at = |event: &serde_json::Value| -> SystemTime {
            humantime::parse_rfc3339(event["timestamp"].as_str().expect("a time")).expect("a time")
        };
        let (begin, limit) = match of("drain started") {
            Some(drain) => (at(drain), GRACE + KILL_PATIENCE),
            None => (at(of("child ended").expect("its end")), LINGER + KILL_PATIENCE),
        };
        let took = at(finished).duration_since(begin).unwrap_or_default();
        assert!(took <= limit, "the end took {took:?}: {events:?}");
    }
}

/// The child's pid, inside.
fn child(container: &Container) -> String {
    container.wait_for_output("child started");
    container.event("child started")["pid"].to_string()
}

/// What the containers depend on, which is away every now and then until this is dropped.
struct Outages<'a> {
    server: &'a Container,
    is_over: AtomicBool,
}

impl Outages<'_> {
    fn happen(&self, mut random: Rng) {
        while !self.is_over.load(Ordering::Relaxed) {
            for what in ["pause", "unpause"] {
                docker([what, self.server.name()]);
                let length = Duration::from_millis(200 + random.u64(..2000));
                let _ = until(length, || self.is_over.load(Ordering::Relaxed));
            }
        }
    }
}

fn seed() -> u64 {
    static SEED: OnceLock<u64> = OnceLock::new();
    *SEED.get_or_init(|| {
        let given = std::env::var("STEAD_TEST_SEED").ok();
        given.map_or_else(
            || fastrand::u64(..),
            |text| text.parse().expect("STEAD_TEST_SEED: a number"),
        )
    })
}

#[test]
fn a_hundred_containers_end_in_their_grace_with_the_right_code_whatever_happens_to_them() {
    let network = Owned::network();
    let alias = unique("dependency");
    let in_network = format!("--network={}", network.name());
    let server = [in_network.clone(), format!("--network-alias={alias}")];
    let server = Container::run(images::hello(), &server, &[]);
    // One that is needed, and one that never answers as it should.
    let dependencies = [
        in_network,
        format!("--env=STEAD_CHECK_DEPENDENCY=http://{alias}:8080/?stead_interval=1s"),
        format!("--env=DATABASE_URL=postgres://user:secret@{alias}:8080/none?stead_required=false"),
        "--env=STEAD_APP_PORT=off".to_owned(),
    ];
    let outages = Outages { server: &server, is_over: AtomicBool::new(false) };
    let next = AtomicUsize::new(0);
    let seed = seed();
    eprintln!("STEAD_TEST_SEED={seed}");
    let work = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= CONTAINERS {
                return;
            }
            // Its own, so that it does not matter who was faster.
            let case = Case::random(&mut Rng::with_seed(seed.wrapping_add(number as u64)));
            eprintln!("container {number}: {case:?}");
            case.run(&dependencies);
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| outages.happen(Rng::with_seed(seed)));
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        let failed: Vec<_> = workers.into_iter().filter_map(|worker| worker.join().err()).collect();
        outages.is_over.store(true, Ordering::Relaxed);
        assert!(failed.is_empty(), "{} failed: STEAD_TEST_SEED={seed} repeats it", failed.len());
    });
    docker(["unpause", server.name()]);
}
