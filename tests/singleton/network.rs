//! Two hosts and a database between them: whichever of them the holder is on is cut off, again and again.

use std::process::{Child, Command};

use super::journal::Journal;
use crate::harness::servers::postgres::{PASSWORD, Postgres};
use crate::harness::{LIMIT, Running, Stead, until};
use crate::network::in_own_network;

/// How many services there are, each with a replica on either host.
const SERVICES: usize = 10;
/// How often a holder must have been cut off.
const ROUNDS: usize = 200;

/// A host: a network namespace with a cable to the database's, which is the caller's.
struct Host {
    name: &'static str,
    /// The other end of its cable.
    port: String,
    /// Its number in the addresses.
    number: u8,
    inhabitant: Child,
}

impl Host {
    fn new(name: &'static str, number: u8) -> Self {
        let inhabitant =
            in_own_network(|| Command::new("sleep").arg("1000").spawn().expect("a process"));
        let host = Self { name, port: format!("port{number}"), number, inhabitant };
        let pid = host.inhabitant.id().to_string();
        let (near, far) = (format!("10.214.{number}.1/30"), format!("10.214.{number}.2/30"));
        run(&[
            "ip", "link", "add", &host.port, "type", "veth", "peer", "name", "cable", "netns", &pid,
        ]);
        run(&["ip", "addr", "add", &near, "dev", &host.port]);
        host.mend();
        for args in
            [["addr", "add", &far, "dev", "cable"].as_slice(), &["link", "set", "cable", "up"]]
        {
            run(&[&["nsenter", "--net", "--target", &pid, "ip"], args].concat());
        }
        host
    }

    fn cut(&self) {
        run(&["ip", "link", "set", &self.port, "down"]);
    }

    fn mend(&self) {
        run(&["ip", "link", "set", &self.port, "up"]);
    }

    /// A replica of a service on this host; every other one's command does not hear TERM.
    fn start(&self, service: usize, journal: &Journal, server: &Postgres) -> Running {
        let address = format!("10.214.{}.1:{}", self.number, server.port);
        let url = format!("postgres://app:{PASSWORD}@{address}/postgres");
        let command = match service % 2 {
            0 => journal.command(self.name),
            _ => journal.deaf_command(self.name),
        };
        let pid = self.inhabitant.id().to_string();
        Stead::run(command)
            .options(["--singleton", &url, "--singleton-grace", "1s"])
            .env("SERVICE_NAME", format!("service{service}"))
            .under(["nsenter", "--net", "--target", &pid, "--"])
            .start()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.inhabitant.kill();
        let _ = self.inhabitant.wait();
    }
}

fn run(line: &[&str]) {
    let status = Command::new(line[0]).args(&line[1..]).status();
    assert!(status.as_ref().is_ok_and(|status| status.success()), "{line:?}: {status:?}");
}

/// A service: its journal, and its replica on each host.
struct Service {
    journal: Journal,
    replicas: [Running; 2],
}

#[test]
fn no_two_hosts_run_it_at_once_however_often_the_network_of_the_holder_is_cut() {
    in_own_network(|| {
        let server = Postgres::start("listen_addresses = '*'\nmax_connections = 200");
        server.admit("local all all scram-sha-256\nhost all all all scram-sha-256\n");
        server.reload();
        let hosts = [Host::new("left", 0), Host::new("right", 1)];
        let mut services: Vec<Service> = (0..SERVICES)
            .map(|number| {
                let journal = Journal::new();
                let replicas = hosts.each_ref().map(|host| host.start(number, &journal, &server));
                Service { journal, replicas }
            })
            .collect();
        let mut rounds = 0;
        for turn in 0.. {
            if rounds >= ROUNDS {
                break;
            }
            assert!(turn < ROUNDS, "{rounds} rounds in {turn} cuts");
            let (from, to) = (turn % 2, 1 - turn % 2);
            rounds += cut_off(&hosts, &mut services, (from, to), &server);
        }
        for Service { journal, .. } in &services {
            assert!(journal.holders().len() > ROUNDS / SERVICES / 2, "{:?}", journal.holders());
        }
    });
}

/// Cuts off one host, waits until everything runs on the other one, and mends it. Gives how many have moved.
fn cut_off(
    hosts: &[Host; 2],
    services: &mut [Service],
    (from, to): (usize, usize),
    server: &Postgres,
) -> usize {
    for (number, service) in services.iter_mut().enumerate() {
        // A machine that is too busy may have made one give up.
        for (host, replica) in hosts.iter().zip(&mut service.replicas) {
            if !replica.is_running() {
                *replica = host.start(number, &service.journal, server);
            }
        }
        let reached = until(LIMIT, || {
            let events = service.replicas[to].events();
            events
                .iter()
                .any(|event| event["message"] == "standby" || event["message"] == "lock taken")
        });
        assert!(reached, "{:?}", service.replicas[to].stderr());
        service.journal.wait_for_more();
    }
    let runs_at =
        |service: &Service, at: usize| service.journal.last().as_deref() == Some(hosts[at].name);
    let moving: Vec<bool> = services.iter().map(|service| runs_at(service, from)).collect();
    hosts[from].cut();
    for (service, _) in services.iter_mut().zip(&moving).filter(|(_, moves)| **moves) {
        assert_ne!(service.replicas[from].wait_exit(LIMIT), 0);
        let moved = until(2 * LIMIT, || runs_at(service, to) || !service.replicas[to].is_running());
        assert!(moved, "{:?}", service.replicas[to].stderr());
        service.journal.holders();
    }
    hosts[from].mend();
    moving.into_iter().filter(|moves| *moves).count()
}
