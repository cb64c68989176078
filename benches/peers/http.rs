//! /livez under load beside nginx's `return 200`, both on one processor with wrk on another; and the
//! prober that asks again and again while something else is measured.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::Rounds;
use crate::report::{Goal, Section, Table, value_of};
use crate::samples::{Samples, there_and_back, times, us};
use crate::sys;
use crate::wrapper::{Running, Wrappers, bare, find, free_port, wait_until_answering};

/// nginx with `return 200` for everything, as one process.
pub struct Nginx {
    running: Running,
    pub port: u16,
}

impl Nginx {
    pub fn start(wrappers: &Wrappers) -> io::Result<Nginx> {
        let port = free_port()?;
        let folder = wrappers.scratch("nginx");
        std::fs::create_dir_all(&folder)?;
        let file = folder.join("nginx.conf");
        std::fs::write(&file, configuration(port))?;
        let mut command = bare(find("nginx")?);
        command.arg("-p").arg(&folder).arg("-c").arg(&file).args(["-e", "/dev/null"]);
        let running = Running(command.spawn()?);
        wait_until_answering(port)?;
        Ok(Nginx { running, port })
    }
}

/// Nothing is logged and no connection is closed after its thousandth request, which is nginx's default.
fn configuration(port: u16) -> String {
    format!(
        "daemon off; master_process off; pid nginx.pid; error_log /dev/null crit;\n\
         events {{ worker_connections 1024; }}\n\
         http {{ access_log off; keepalive_requests 1000000000;\n\
           server {{ listen 127.0.0.1:{port}; location / {{ return 200; }} }} }}\n"
    )
}

/// A server under load, and what came of it.
pub struct Load {
    name: &'static str,
    url: String,
    pid: u32,
    pub per_second: Samples,
    p50: Samples,
    pub p99: Samples,
    /// The server's processor time for each request, in nanoseconds.
    cpu: Samples,
}

pub fn measure(wrappers: &Wrappers, rounds: &Rounds) -> io::Result<Section> {
    let cpus = sys::processors()?;
    let (nginx, stead) =
        sys::pinned(&cpus[..1], || Ok((Nginx::start(wrappers)?, wrappers.stead.around_sleep()?)))?;
    let stead_port = wrappers.stead.port.unwrap_or(0);
    let mut section = Section::default();
    let mut reached = Vec::new();
    for (kind, header) in [
        ("kept-alive connections", None),
        ("a connection for each request", Some("Connection: close")),
    ] {
        let mut loads = [
            Load::of("nginx `return 200`", nginx.port, "/livez", nginx.running.pid()),
            Load::of("stead `/livez`", stead_port, "/livez", stead.pid()),
        ];
        sys::pinned(&cpus[cpus.len() - 1..], || {
            there_and_back(rounds.loads, loads.len())
                .try_for_each(|at| loads[at].run(rounds.load_seconds, header, false))
        })?;
        let [of_nginx, of_stead] = &loads;
        let ratio = times(of_stead.per_second.median(), of_nginx.per_second.median());
        reached.push(format!("{ratio} with {kind}"));
        section.tables.push(load_table(&format!("/livez under load, {kind}"), &loads, rounds));
    }
    section.goals.push(Goal {
        what: "/livez requests per second, of nginx's",
        to_reach: "at least 0.5x",
        measured: reached.join(", "),
    });
    Ok(section)
}

/// Two loads side by side, the second of the first.
pub fn load_table(title: &str, loads: &[Load; 2], rounds: &Rounds) -> Table {
    let [first, _] = loads;
    let base = format!("of {}'s", first.name.trim_end_matches(" `return 200`"));
    let mut table = Table::new(
        title,
        &format!(
            "`wrk -t1 -c16` on one CPU, the server on another, medians of {} loads of {} s each, taking \
             turns; CPU is the server's.",
            rounds.loads, rounds.load_seconds
        ),
        &["server", "requests/s", &base, "p50 µs", "p99 µs", "CPU µs a request", &base],
    );
    for load in loads {
        table.row(
            load.name,
            [
                format!("{:.0}", load.per_second.median()),
                times(load.per_second.median(), first.per_second.median()),
                us(load.p50.median()),
                us(load.p99.median()),
                us(load.cpu.median()),
                times(load.cpu.median(), first.cpu.median()),
            ],
        );
    }
    table
}

impl Load {
    pub fn of(name: &'static str, port: u16, path: &str, pid: u32) -> Load {
        let [per_second, p50, p99, cpu] = std::array::from_fn(|_| Samples::default());
        Load { name, url: format!("http://127.0.0.1:{port}{path}"), pid, per_second, p50, p99, cpu }
    }

    /// Loads it for so long. `may_refuse`: answers other than 2xx are as they should be.
    pub fn run(&mut self, seconds: u64, header: Option<&str>, may_refuse: bool) -> io::Result<()> {
        let mut wrk = bare("wrk");
        wrk.args(["-t1", "-c16", "--latency", &format!("-d{seconds}s")]);
        wrk.args(header.iter().flat_map(|header| ["-H", header])).arg(&self.url);
        let before = sys::cpu_time(self.pid)?;
        let output = wrk.stdout(Stdio::piped()).output()?;
        let used = sys::cpu_time(self.pid)? - before;
        let told = Told::by_wrk(&String::from_utf8_lossy(&output.stdout))
            .ok_or_else(|| io::Error::other("wrk's output is not understood"))?;
        if told.failed || (told.refused && !may_refuse) {
            return Err(io::Error::other(format!("{}: wrk had errors", self.name)));
        }
        self.per_second.add(told.per_second.round() as u64);
        self.p50.add(told.p50);
        self.p99.add(told.p99);
        self.cpu.add(used / told.requests.max(1));
        Ok(())
    }
}

/// What wrk has printed.
struct Told {
    requests: u64,
    per_second: f64,
    p50: u64,
    p99: u64,
    /// Some answers were not 2xx or 3xx.
    refused: bool,
    /// Some sockets failed.
    failed: bool,
}

impl Told {
    fn by_wrk(text: &str) -> Option<Told> {
        let after = |name: &str| {
            text.lines().find_map(|line| line.trim().strip_prefix(name)).map(str::trim)
        };
        let requests = text.lines().find_map(|line| line.trim().split_once(" requests in "))?.0;
        Some(Told {
            requests: requests.parse().ok()?,
            per_second: value_of(text, "Requests/sec")?.parse().ok()?,
            p50: nanoseconds(after("50%")?)?,
            p99: nanoseconds(after("99%")?)?,
            refused: text.contains("Non-2xx"),
            failed: text.contains("Socket errors"),
        })
    }
}

/// wrk's "95.00us", "2.90ms" or "1.10s".
fn nanoseconds(text: &str) -> Option<u64> {
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(unit_at);
    let scale = match unit {
        "us" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        _ => return None,
    };
    number.parse().ok().map(|number: f64| (number * scale).round() as u64)
}

/// Asks the server every millisecond over one connection until told to stop: how long each answer took.
pub fn probe_until(stop: &AtomicBool, port: u16) -> io::Result<Samples> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_nodelay(true)?;
    let mut answers = BufReader::new(stream.try_clone()?);
    let mut samples = Samples::default();
    while !stop.load(Ordering::Relaxed) {
        let before = sys::now();
        stream.write_all(b"GET /livez HTTP/1.1\r\nHost: bench\r\n\r\n")?;
        read_answer(&mut answers)?;
        samples.add(sys::now() - before);
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(samples)
}

/// Asks the server for so long as nobody says stop, with a pause before each question and a connection for each: how long
/// each answer took, from its connection on. The one who asks comes before all that is scheduled normally.
pub fn probe_apart(stop: &AtomicBool, port: u16, pause: Duration) -> io::Result<Samples> {
    sys::come_first()?;
    let mut samples = Samples::default();
    while !stop.load(Ordering::Relaxed) {
        std::thread::sleep(pause);
        let before = sys::now();
        ask(port)?;
        samples.add(sys::now() - before);
    }
    Ok(samples)
}

/// Asks the server once, with a connection for that, and waits for the whole answer.
pub fn ask(port: u16) -> io::Result<()> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.write_all(b"GET /livez HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")?;
    read_answer(&mut BufReader::new(stream))
}

fn read_answer(answers: &mut impl BufRead) -> io::Result<()> {
    let mut length = 0;
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        if answers.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
    }
    io::copy(&mut answers.take(length), &mut io::sink()).map(drop)
}
