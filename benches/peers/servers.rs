//! Private servers of the kinds that stead checks, on ports of 127.0.0.1 and in the bench's own folder; each is stopped
//! when its value is dropped.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::sys;
use crate::wrapper::{Running, Wrappers, bare, find, free_port};

/// Where Debian keeps the programs of its one PostgreSQL.
pub const POSTGRES: &str = "/usr/lib/postgresql/15/bin";
const PASSWORD: &str = "secret";

/// A server, its URL as an app would have it, and its main process.
pub struct Server {
    pub url: String,
    pub port: u16,
    /// What was started; for what changes its user that is runuser(1).
    running: Running,
    pid: u32,
}

impl Server {
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// A redis-server with a password that saves nothing.
    pub fn redis(wrappers: &Wrappers) -> io::Result<Server> {
        let port = free_port()?;
        let folder = folder(wrappers, "redis")?;
        let mut command = bare(find("redis-server")?);
        command.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", ""]);
        command.args(["--requirepass", PASSWORD]).arg("--dir").arg(folder);
        let running = Running(command.spawn()?);
        wait_until_open(port)?;
        let pid = running.pid();
        Ok(Server { url: format!("redis://:{PASSWORD}@127.0.0.1:{port}"), port, running, pid })
    }

    /// A PostgreSQL with one user and SCRAM, for so many connections.
    pub fn postgres(wrappers: &Wrappers, connections: usize) -> io::Result<Server> {
        let port = free_port()?;
        let folder = folder(wrappers, &format!("postgres-{port}"))?;
        let (data, password) = (folder.join("data"), folder.join("password"));
        fs::write(&password, PASSWORD)?;
        give_to("postgres", &folder)?;
        let mut command = as_user("postgres", &Path::new(POSTGRES).join("initdb"))?;
        command.arg("-D").arg(&data).args(["-U", "app", "-A", "scram-sha-256", "--no-sync"]);
        command.args(["-E", "UTF8", "--locale=C"]).arg("--pwfile").arg(&password);
        if !command.status()?.success() {
            return Err(io::Error::other("initdb failed"));
        }
        let mut command = as_user("postgres", &Path::new(POSTGRES).join("postgres"))?;
        command.arg("-D").arg(&data).args(["-p", &port.to_string(), "-h", "127.0.0.1", "-k"]);
        command.arg(&folder).args(["-c", "fsync=off", "-c"]);
        command.arg(format!("max_connections={connections}"));
        let running = Running(command.spawn()?);
        wait_until_open(port)?;
        let lines = wait_for_file(&data.join("postmaster.pid"), |text| text.lines().count() > 7)?;
        let pid = lines.lines().next().and_then(|line| line.parse().ok());
        let pid = pid.ok_or_else(|| io::Error::other("no pid in postmaster.pid"))?;
        let url = format!("postgres://app:{PASSWORD}@127.0.0.1:{port}/postgres");
        Ok(Server { url, port, running, pid })
    }

    /// A RabbitMQ with a user of its own. Its node's name is for `rabbitmq-diagnostics`.
    pub fn rabbitmq(wrappers: &Wrappers) -> io::Result<(Server, Node)> {
        let [port, distribution, names] = [free_port()?, free_port()?, free_port()?];
        let folder = folder(wrappers, "rabbitmq")?;
        let configuration = format!(
            "listeners.tcp.default = 127.0.0.1:{port}\ndefault_user = app\ndefault_pass = {PASSWORD}\n\
             loopback_users = none\ndisk_free_limit.absolute = 1MB\n"
        );
        fs::write(folder.join("rabbitmq.conf"), configuration)?;
        fs::write(folder.join("plugins"), "[].")?;
        give_to("rabbitmq", &folder)?;
        let node = Node { folder, port, distribution, names };
        let mut command = as_user("rabbitmq", Path::new("/usr/lib/rabbitmq/bin/rabbitmq-server"))?;
        node.name(&mut command);
        let running = Running(command.spawn()?);
        let pid = wait_for_file(&node.folder.join("pid"), |text| !text.trim().is_empty())?;
        let pid = pid.trim().parse().map_err(io::Error::other)?;
        wait_until_open(port)?;
        let url = format!("amqp://app:{PASSWORD}@127.0.0.1:{port}");
        Ok((Server { url, port, running, pid }, node))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may be gone already. Frozen servers must run to end.
        drop(sys::send_signal(self.pid, libc::SIGCONT));
        drop(sys::send_signal(self.pid, libc::SIGTERM));
        for _ in 0..500 {
            if !matches!(self.running.0.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// A RabbitMQ node: what its own commands need to know to find it.
pub struct Node {
    folder: PathBuf,
    port: u16,
    distribution: u16,
    names: u16,
}

impl Node {
    /// Sets the variables by which RabbitMQ's programs find this node.
    pub fn name(&self, command: &mut Command) {
        let path = |name: &str| self.folder.join(name);
        command.env("HOME", &self.folder);
        command.env("RABBITMQ_NODENAME", format!("bench{}@localhost", self.port));
        command.env("RABBITMQ_CONFIG_FILE", path("rabbitmq.conf"));
        command.env("RABBITMQ_ENABLED_PLUGINS_FILE", path("plugins"));
        command.env("RABBITMQ_MNESIA_BASE", path("data")).env("RABBITMQ_LOG_BASE", path("log"));
        command.env("RABBITMQ_PID_FILE", path("pid"));
        command.env("RABBITMQ_DIST_PORT", self.distribution.to_string());
        command.env("ERL_EPMD_PORT", self.names.to_string()).env("ERL_EPMD_ADDRESS", "127.0.0.1");
        command.env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "+S 1:1 +sbwt none");
    }

    /// `rabbitmq-diagnostics -q ping`.
    pub fn ping(&self) -> io::Result<Command> {
        let mut command =
            as_user("rabbitmq", Path::new("/usr/lib/rabbitmq/bin/rabbitmq-diagnostics"))?;
        self.name(&mut command);
        command.args(["-q", "ping"]);
        Ok(command)
    }
}

impl Drop for Node {
    /// Ends the node's own name server, which outlives it: the only one that names this port.
    fn drop(&mut self) {
        let port = format!("ERL_EPMD_PORT={}", self.names).into_bytes();
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok())
            else {
                continue;
            };
            let is_epmd =
                fs::read(entry.path().join("comm")).is_ok_and(|name| name.starts_with(b"epmd"));
            let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
            if is_epmd && environment.split(|byte| *byte == 0).any(|variable| variable == port) {
                drop(sys::send_signal(pid, libc::SIGTERM));
            }
        }
    }
}

/// A stand-in for Meilisearch, for which there is no package: it says `available` to everything.
pub fn meilisearch() -> io::Result<String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut head = [0; 4096];
            let _ = stream.read(&mut head);
            let _ = stream.write_all(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 22\r\nConnection: close\r\n\r\n\
                  {\"status\":\"available\"}",
            );
        }
    });
    Ok(format!("http://127.0.0.1:{port}"))
}

fn folder(wrappers: &Wrappers, name: &str) -> io::Result<PathBuf> {
    let folder = wrappers.scratch(name);
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// The program as that user where the bench is root, whom these servers refuse.
fn as_user(user: &str, program: &Path) -> io::Result<Command> {
    if !is_root()? {
        return Ok(bare(program));
    }
    let mut command = bare(find("setpriv")?);
    command.args([&format!("--reuid={user}"), &format!("--regid={user}"), "--init-groups", "--"]);
    command.arg(program);
    Ok(command)
}

fn give_to(user: &str, folder: &Path) -> io::Result<()> {
    if is_root()? {
        bare(find("chown")?).args(["-R", &format!("{user}:{user}")]).arg(folder).status()?;
    }
    Ok(())
}

fn is_root() -> io::Result<bool> {
    use std::os::linux::fs::MetadataExt;
    Ok(fs::metadata("/proc/self")?.st_uid() == 0)
}

fn wait_until_open(port: u16) -> io::Result<()> {
    wait(|| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok().then_some(()))
        .ok_or_else(|| io::Error::other(format!("nothing listens on port {port} after 60 s")))
}

fn wait_for_file(path: &Path, is_whole: impl Fn(&str) -> bool) -> io::Result<String> {
    wait(|| fs::read_to_string(path).ok().filter(|text| is_whole(text)))
        .ok_or_else(|| io::Error::other(format!("{} is not there after 60 s", path.display())))
}

fn wait<T>(condition: impl Fn() -> Option<T>) -> Option<T> {
    (0..6000).find_map(|_| {
        let found = condition();
        if found.is_none() {
            std::thread::sleep(Duration::from_millis(10));
        }
        found
    })
}

/// The output of a command, as text.
pub fn output_of(command: &mut Command) -> io::Result<String> {
    let output = command.stdout(Stdio::piped()).output()?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
