//! What checking Postgres, Redis, RabbitMQ and Meilisearch costs: stead while it holds its connections, its answers
//! when all of them are up and when all hang, and one direct check beside the servers' own clients.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::Rounds;
use crate::cost::{Cost, run_all};
use crate::http::{Load, load_table};
use crate::report::{Goal, Section, Table, value_of};
use crate::samples::{decimals, there_and_back, times, us};
use crate::servers::{self, Node, POSTGRES, Server, output_of};
use crate::sys;
use crate::wrapper::{Running, Wrapper, Wrappers, bare, find, wait_until_answering};

/// One server of each kind.
struct Servers {
    postgres: Server,
    redis: Server,
    rabbitmq: Server,
    meilisearch: String,
    node: Node,
}

impl Servers {
    fn start(wrappers: &Wrappers) -> io::Result<Servers> {
        let (rabbitmq, node) = Server::rabbitmq(wrappers)?;
        Ok(Servers {
            postgres: Server::postgres(wrappers, 100)?,
            redis: Server::redis(wrappers)?,
            rabbitmq,
            meilisearch: servers::meilisearch()?,
            node,
        })
    }

    fn all(&self) -> [&Server; 3] {
        [&self.postgres, &self.redis, &self.rabbitmq]
    }

    /// `stead run` in front of `sleep`, with the variables of an app that uses all of them.
    fn watched_by(&self, stead: &Wrapper) -> io::Result<Running> {
        let mut command = stead.around(&[find("sleep")?.into(), "infinity".into()]);
        command.env("DATABASE_URL", &self.postgres.url).env("REDIS_URL", &self.redis.url);
        command.env("RABBITMQ_URL", &self.rabbitmq.url).env("MEILI_HOST", &self.meilisearch);
        let running = Running(command.spawn()?);
        wait_until_answering(stead.port.unwrap_or(0))?;
        wait_until_ready(stead)?;
        Ok(running)
    }
}

/// Asks `stead check ready` until it says yes.
fn wait_until_ready(stead: &Wrapper) -> io::Result<()> {
    let mut said = String::new();
    for _ in 0..300 {
        let mut check = bare(stead.file()?);
        check.args(["check", "ready"]);
        check.env("STEAD_LISTEN", format!(":{}", stead.port.unwrap_or(0)));
        said = output_of(&mut check)?;
        if said.starts_with("ready: ok") || said.starts_with("ready: degraded") {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Err(io::Error::other(format!("not ready after 30 s: {said}")))
}

pub fn measure(wrappers: &Wrappers, rounds: &Rounds) -> io::Result<Section> {
    let servers = Servers::start(wrappers)?;
    let mut section = Section::default();
    direct(wrappers, &servers, rounds, &mut section)?;
    held(wrappers, &servers, rounds, &mut section)?;
    under_load(wrappers, &servers, rounds, &mut section)?;
    Ok(section)
}

/// One kind's direct check beside the client that comes with its server.
struct Pair {
    ours: Cost,
    theirs: Cost,
    server: u32,
    rounds: usize,
    goal: (&'static str, &'static str),
}

fn direct(
    wrappers: &Wrappers,
    servers: &Servers,
    rounds: &Rounds,
    section: &mut Section,
) -> io::Result<()> {
    let stead = |name: &str, url: &str| {
        let mut command = bare(wrappers.stead.file()?);
        command.args(["check", url]);
        Ok::<_, io::Error>(Cost::of(name, command))
    };
    let mut pg_isready = bare(Path::new(POSTGRES).join("pg_isready"));
    pg_isready.args(["-h", "127.0.0.1", "-p", &servers.postgres.port.to_string()]);
    let mut redis_cli = bare(find("redis-cli")?);
    redis_cli.args(["-p", &servers.redis.port.to_string(), "ping"]).env("REDISCLI_AUTH", "secret");
    let pairs = [
        Pair {
            ours: stead("`stead check postgres://…` (logs in)", &servers.postgres.url)?,
            theirs: Cost::of("`pg_isready` (does not)", pg_isready),
            server: servers.postgres.pid(),
            rounds: rounds.runs,
            goal: ("CPU time of a direct check of Postgres", "at most pg_isready's"),
        },
        Pair {
            ours: stead("`stead check redis://…`", &servers.redis.url)?,
            theirs: Cost::of("`redis-cli ping`", redis_cli),
            server: servers.redis.pid(),
            rounds: rounds.runs,
            goal: ("CPU time of a direct check of Redis", "at most 1/3 of redis-cli's"),
        },
        Pair {
            ours: stead("`stead check amqp://…`", &servers.rabbitmq.url)?,
            theirs: Cost::of("`rabbitmq-diagnostics -q ping`", servers.node.ping()?),
            server: servers.rabbitmq.pid(),
            rounds: rounds.pings,
            goal: (
                "CPU time of a direct check of RabbitMQ",
                "at most 1/100 of rabbitmq-diagnostics'",
            ),
        },
    ];
    let mut table = Table::new(
        "A direct check",
        &format!(
            "Whole processes on one CPU, taking turns: {} runs each, {} for RabbitMQ. The server's CPU is what it and its \
             children used meanwhile, for each check.",
            rounds.runs, rounds.pings
        ),
        &["command", "wall µs: median", "min", "p99", "CPU µs: median", "server's CPU µs"],
    );
    for pair in pairs {
        let Pair { ours, theirs, server, rounds, goal: (what, to_reach) } = pair;
        let mut medians = Vec::new();
        for cost in [ours, theirs] {
            let mut costs = [cost];
            let before = tree_cpu(server)?;
            run_all(&mut costs, rounds)?;
            // A backend that has just ended is counted once its parent has waited for it.
            std::thread::sleep(Duration::from_millis(100));
            let used = (tree_cpu(server)? - before) / rounds as u64;
            let [cost] = costs;
            medians.push(cost.cpu.median());
            table.row(&cost.name, cost.microseconds().into_iter().chain([us(used as f64)]));
        }
        let measured = format!("1/{} of it", decimals(medians[1] / medians[0]));
        section.goals.push(Goal { what, to_reach, measured });
    }
    section.tables.push(table);
    Ok(())
}

/// Nanoseconds of processor time of a process and of all children that it has waited for, in the kernel's ticks of
/// 10 ms; proc(5).
fn tree_cpu(pid: u32) -> io::Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, rest) = stat.rsplit_once(") ").ok_or(io::ErrorKind::InvalidData)?;
    let ticks: u64 = rest.split(' ').skip(11).take(4).filter_map(|n| n.parse::<u64>().ok()).sum();
    Ok(ticks * 10_000_000)
}

/// stead at rest with its four checks.
fn held(
    wrappers: &Wrappers,
    servers: &Servers,
    rounds: &Rounds,
    section: &mut Section,
) -> io::Result<()> {
    let running = servers.watched_by(&wrappers.stead)?;
    std::thread::sleep(Duration::from_secs(4));
    let opened_before = connections_opened(servers)?;
    let cpu_before = sys::cpu_time(running.pid())?;
    std::thread::sleep(Duration::from_secs(rounds.held_seconds));
    let cpu = (sys::cpu_time(running.pid())? - cpu_before) as f64;
    let opened = connections_opened(servers)?;
    let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", running.pid()))?;
    let status = fs::read_to_string(format!("/proc/{}/status", running.pid()))?;
    let kib = |name| {
        let value = value_of(&rollup, name).and_then(|value| value.split(' ').next());
        value.and_then(|value| value.parse::<f64>().ok()).unwrap_or(0.0)
    };
    let share = cpu / (rounds.held_seconds as f64 * 1e9) * 100.0;
    let mut table = Table::new(
        "Four dependencies, checked every 10 s",
        &format!(
            "`stead run` in front of `sleep` with Postgres, Redis, RabbitMQ and a stand-in for Meilisearch, {} s. New \
             connections are what the servers have counted meanwhile, beside the measurement's own.",
            rounds.held_seconds
        ),
        &["figure", "measured"],
    );
    let [postgres, redis] = [0, 1].map(|at| opened[at].saturating_sub(opened_before[at] + 1));
    let threads = value_of(&status, "Threads").unwrap_or("?").to_owned();
    for (name, value) in [
        ("PSS, KiB", format!("{:.0}", kib("Pss"))),
        ("RSS, KiB", format!("{:.0}", kib("Rss"))),
        ("anonymous, KiB", format!("{:.0}", kib("Anonymous"))),
        ("threads", threads),
        ("CPU of one core", format!("{} %", decimals(share))),
        ("new connections to Postgres", postgres.to_string()),
        ("new connections to Redis", redis.to_string()),
    ] {
        table.row(name, [value]);
    }
    section.tables.push(table);
    section.goals.push(Goal {
        what: "idle memory with four dependencies (PSS)",
        to_reach: "at most 3.5 MiB",
        measured: format!("{} MiB", decimals(kib("Pss") / 1024.0)),
    });
    section.goals.push(Goal {
        what: "CPU with four dependencies every 10 s",
        to_reach: "at most 0.1 % of a core",
        measured: format!("{} % over {} s", decimals(share), rounds.held_seconds),
    });
    Ok(())
}

/// The connections that Postgres and Redis have taken since they started, with the one that asks.
fn connections_opened(servers: &Servers) -> io::Result<[u64; 2]> {
    let mut psql = bare(Path::new(POSTGRES).join("psql"));
    psql.args([&servers.postgres.url, "-Atc", "select sum(sessions) from pg_stat_database"]);
    let sessions = output_of(&mut psql)?.parse().map_err(io::Error::other)?;
    let mut redis_cli = bare(find("redis-cli")?);
    redis_cli.args(["-p", &servers.redis.port.to_string(), "info", "stats"]);
    let stats = output_of(redis_cli.env("REDISCLI_AUTH", "secret"))?;
    let received = value_of(&stats, "total_connections_received").unwrap_or_default();
    Ok([sessions, received.parse().map_err(io::Error::other)?])
}

/// /readyz while all is up, and while every server is frozen.
fn under_load(
    wrappers: &Wrappers,
    servers: &Servers,
    rounds: &Rounds,
    section: &mut Section,
) -> io::Result<()> {
    let cpus = sys::processors()?;
    let running = sys::pinned(&cpus[..1], || servers.watched_by(&wrappers.stead))?;
    let port = wrappers.stead.port.unwrap_or(0);
    let mut loads = [("all up", false), ("all hung", true)]
        .map(|(name, _)| Load::of(name, port, "/readyz", running.pid()));
    for at in there_and_back(rounds.loads, loads.len()) {
        let hung = at == 1;
        let signal = if hung { libc::SIGSTOP } else { libc::SIGCONT };
        for server in servers.all() {
            sys::send_signal(server.pid(), signal)?;
        }
        // Long enough for the verdict to be down, or up again.
        std::thread::sleep(Duration::from_secs(if hung { 20 } else { 35 }));
        sys::pinned(&cpus[cpus.len() - 1..], || loads[at].run(rounds.load_seconds, None, hung))?;
    }
    for server in servers.all() {
        sys::send_signal(server.pid(), libc::SIGCONT)?;
    }
    section.tables.push(load_table("/readyz with four dependencies", &loads, rounds));
    let [up, hung] = &loads;
    section.goals.push(Goal {
        what: "/readyz with all dependencies hung, of all up",
        to_reach: "the same within noise",
        measured: format!(
            "{} requests/s, p99 {}",
            times(hung.per_second.median(), up.per_second.median()),
            times(hung.p99.median(), up.p99.median())
        ),
    });
    Ok(())
}

/// Many replicas, each with a stead, and one Postgres that goes away and comes back.
pub fn stampede(wrappers: &Wrappers, rounds: &Rounds) -> io::Result<Section> {
    let server = Server::postgres(wrappers, rounds.replicas + 50)?;
    let mut replicas = Vec::new();
    for _ in 0..rounds.replicas {
        let port = crate::wrapper::free_port()?;
        let mut command: Command = bare(wrappers.stead.file()?);
        command.args(["run", "--", "sleep", "infinity"].map(OsString::from));
        command.env("STEAD_LISTEN", format!("127.0.0.1:{port}")).env("DATABASE_URL", &server.url);
        replicas.push(Running(command.spawn()?));
    }
    let settle = Duration::from_secs(rounds.replica_seconds);
    std::thread::sleep(settle);
    let mut table = Table::new(
        &format!("{} replicas and one Postgres", rounds.replicas),
        &format!(
            "{} `stead run` of their own, each with the same DATABASE_URL, {} s each; the outage is the server stopped for so \
             long. Server CPU is that of the postmaster and all backends.",
            rounds.replicas, rounds.replica_seconds
        ),
        &["while", "server connections", "new connections, most in 1 s", "server CPU, % of a core"],
    );
    table.row("steady", observe(&server, settle)?);
    let backends = descendants(server.pid())?;
    let all = backends.iter().copied().chain([server.pid()]);
    for pid in all.clone() {
        drop(sys::send_signal(pid, libc::SIGSTOP));
    }
    std::thread::sleep(settle);
    for pid in all {
        drop(sys::send_signal(pid, libc::SIGCONT));
    }
    table.row("after an outage", observe(&server, settle)?);
    Ok(Section { tables: vec![table], goals: Vec::new() })
}

/// Looks at the server once a second: its connections, the most that came within a second, and its processor time.
fn observe(server: &Server, time: Duration) -> io::Result<[String; 3]> {
    let cpu = |pids: &[u32]| pids.iter().filter_map(|pid| tree_cpu(*pid).ok()).sum::<u64>();
    let mut before = descendants(server.pid())?;
    let used_before = cpu(&before) + tree_cpu(server.pid())?;
    let (mut most_new, mut connections) = (0, 0);
    for _ in 0..time.as_secs() {
        std::thread::sleep(Duration::from_secs(1));
        let now = descendants(server.pid())?;
        most_new = most_new.max(now.iter().filter(|pid| !before.contains(pid)).count());
        connections = connections.max(now.len());
        before = now;
    }
    let used = (cpu(&before) + tree_cpu(server.pid())?).saturating_sub(used_before) as f64;
    let share = used / time.as_nanos() as f64 * 100.0;
    Ok([connections.to_string(), most_new.to_string(), decimals(share)])
}

/// The children of the postmaster: its backends and its few workers.
fn descendants(pid: u32) -> io::Result<Vec<u32>> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    Ok(children.split_whitespace().filter_map(|pid| pid.parse().ok()).collect())
}
