//! Replicas of one app behind haproxy and nginx, all in containers of one network, under a load from outside: what is
//! replaced, or taken away, while the load goes on, and what the load has lost by it.

mod load;
mod proxies;

use std::time::Duration;

pub use load::{Load, Tally};
pub use proxies::Proxies;

use super::engine::{Container, ENDPOINTS, Owned, images, publish, services};

/// The replicas' port.
const APP: u16 = 8080;

/// How many replicas there are.
pub const REPLICAS: u8 = 3;

/// What is PID 1 of a replica, and how it is told to stop.
#[derive(Clone, Copy)]
pub struct Front {
    /// As a report calls it.
    pub name: &'static str,
    /// What starts the app; the app's own arguments come behind it.
    pub line: &'static [&'static str],
    /// What `docker stop` gives it.
    pub patience: Duration,
    /// Whether there is a readiness to ask for; without one, haproxy asks the app itself.
    pub has_readiness: bool,
}

/// What `docker stop` gives by itself.
pub const USUAL: Duration = Duration::from_secs(10);
/// stead's grace, and 5 s more.
const GRACE: Duration = Duration::from_secs(35);

/// tini, as `docker run --init` puts it there.
pub const TINI: Front = Front {
    name: "tini",
    line: &["/tini", "--", "/replica"],
    patience: USUAL,
    has_readiness: false,
};
/// stead, with a delay in which haproxy's checks notice that the replica leaves.
pub const STEAD: Front = Front {
    name: "stead",
    line: &["/stead", "run", "--drain-delay", "3s", "--", "/replica"],
    patience: GRACE,
    has_readiness: true,
};

/// A running fleet.
pub struct Fleet {
    front: Front,
    options: Vec<String>,
    arguments: Vec<&'static str>,
    replicas: Vec<Container>,
    /// The two proxies in front of them.
    pub proxies: Proxies,
    database: Option<Container>,
    network: Subnet,
}

/// A network whose addresses are ours to give: what takes another's place has its address.
pub struct Subnet {
    network: Owned,
    prefix: String,
}

impl Subnet {
    fn new() -> Self {
        let (network, prefix) = Owned::network_with_addresses();
        Self { network, prefix }
    }

    fn address(&self, replica: u8) -> String {
        format!("{}.{}", self.prefix, 10 + replica)
    }

    fn options(&self) -> Vec<String> {
        vec![format!("--network={}", self.network.name())]
    }
}

/// How the app behaves at TERM.
#[derive(Clone, Copy, Eq, PartialEq)]
pub enum Manners {
    /// It finishes what is open.
    Graceful,
    /// It does not know of TERM.
    Abrupt,
}

impl Fleet {
    /// All replicas behind both proxies, which know them to be up.
    pub fn start(front: Front, manners: Manners) -> Self {
        Self::started(front, manners, Vec::new(), None, Subnet::new())
    }

    /// The same with a Postgres, and with these further options for the replicas.
    pub fn with_database(front: Front, options: &[&str]) -> Self {
        let network = Subnet::new();
        let settings = ["USER=app", "PASSWORD=secret", "DB=orders"];
        let mut line: Vec<String> =
            settings.iter().map(|setting| format!("--env=POSTGRES_{setting}")).collect();
        line.extend(["--network-alias=database".into(), "--user=999".into()]);
        line.extend(network.options());
        let database = Container::run(services::postgres(), &line, &["postgres"]);
        let url = "--env=DATABASE_URL=postgres://app:secret@database/orders";
        let options = options.iter().map(|option| (*option).to_owned()).chain([url.into()]);
        Self::started(front, Manners::Graceful, options.collect(), Some(database), network)
    }

    fn started(
        front: Front,
        manners: Manners,
        options: Vec<String>,
        database: Option<Container>,
        network: Subnet,
    ) -> Self {
        let arguments = if manners == Manners::Abrupt { vec!["abrupt"] } else { Vec::new() };
        let proxies = Proxies::start(&network, front.has_readiness);
        let replicas = Vec::new();
        let mut fleet = Self { front, options, arguments, replicas, proxies, database, network };
        for number in 0..REPLICAS {
            let replica = fleet.run(number);
            fleet.replicas.push(replica);
        }
        for number in 0..REPLICAS {
            fleet.proxies.wait_until_up(number);
        }
        fleet
    }

    fn run(&self, number: u8) -> Container {
        let mut options = self.network.options();
        options.push(format!("--ip={}", self.network.address(number)));
        options.push(format!("--hostname=replica-{number}"));
        options.push(publish(ENDPOINTS));
        options.extend(self.options.iter().cloned());
        let mut line = self.front.line.iter().copied();
        options.push(format!("--entrypoint={}", line.next().unwrap_or_default()));
        let command: Vec<&str> = line.chain(self.arguments.iter().copied()).collect();
        Container::run(images::replica(), &options, &command)
    }

    /// Replaces each replica by a new one, once haproxy has the one before.
    pub fn roll(&mut self) {
        for number in 0..REPLICAS {
            self.replace(number);
        }
    }

    /// Stops one replica, and starts another in its place.
    pub fn replace(&mut self, number: u8) {
        let place = usize::from(number);
        self.replicas[place].stop(self.front.patience);
        // Its address is given again only once it is gone.
        self.replicas[place].remove();
        self.replicas[place] = self.run(number);
        self.proxies.wait_until_up(number);
    }

    /// The replicas' containers.
    pub fn replicas(&self) -> &[Container] {
        &self.replicas
    }

    /// The Postgres of a fleet that has one.
    pub fn database(&self) -> &Container {
        self.database.as_ref().expect("a fleet with a database")
    }
}
