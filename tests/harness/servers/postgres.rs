//! PostgreSQL, and PgBouncer in front of it. Neither runs as root: the user `postgres` of Debian's package has them.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use crate::harness::certificates::Pair;
use crate::harness::{LIMIT, Scratch, free_port, processes, sys, until};

/// Where Debian has the server's programs.
const PROGRAMS: &str = "/usr/lib/postgresql/15/bin";

/// The password of the superuser, which is called `app`.
pub const PASSWORD: &str = "pw1";

/// Everybody who comes over TCP or the socket, by SCRAM.
const HBA: &str = "local all all scram-sha-256\nhost all all 127.0.0.1/32 scram-sha-256\n\
                   host replication all 127.0.0.1/32 scram-sha-256\n";

/// A PostgreSQL server with the superuser `app`, whose database is `postgres`.
pub struct Postgres {
    folder: Scratch,
    /// Its port on 127.0.0.1; its socket is in [`Postgres::sockets`].
    pub port: u16,
}

impl Postgres {
    /// One that runs with these lines in its configuration.
    pub fn start(settings: &str) -> Self {
        let this = Self::prepared();
        let words = this.folder.file("password", PASSWORD, 0o644);
        let line = ["-U", "app", "-A", "scram-sha-256", "--no-sync", "-E", "UTF8", "--locale=C"];
        let mut initdb = as_postgres(format!("{PROGRAMS}/initdb"));
        initdb.args(line).arg("--pwfile").arg(words).arg("-D").arg(this.data());
        done(&mut initdb);
        this.configured(settings)
    }

    /// A streaming standby of this one.
    pub fn standby(&self) -> Self {
        let this = Self::prepared();
        let mut copy = as_postgres(format!("{PROGRAMS}/pg_basebackup"));
        copy.args(["--write-recovery-conf", "--no-sync", "--checkpoint=fast", "--pgdata"]);
        copy.arg(this.data()).arg("--dbname").arg(self.url("postgres"));
        done(&mut copy);
        this.configured("")
    }

    fn prepared() -> Self {
        let this = Self { folder: Scratch::new(), port: free_port() };
        fs::create_dir(this.home()).expect("a directory");
        give_away(&this.home());
        this
    }

    fn configured(self, settings: &str) -> Self {
        let own = format!(
            "listen_addresses = '127.0.0.1'\nport = {}\nunix_socket_directories = '{}'\n\
             fsync = off\n{settings}\n",
            self.port,
            self.home().display()
        );
        self.configure(&own);
        self.admit(HBA);
        self.resume();
        self
    }

    /// Puts these lines at the end of its configuration; they count from its next start, or [`Postgres::reload`].
    pub fn configure(&self, lines: &str) {
        let path = self.data().join("postgresql.conf");
        let known = fs::read_to_string(&path).expect("the server's configuration");
        fs::write(path, known + lines + "\n").expect("the server's configuration");
    }

    /// Makes these the lines of pg_hba.conf; as [`Postgres::configure`].
    pub fn admit(&self, lines: &str) {
        fs::write(self.data().join("pg_hba.conf"), lines).expect("pg_hba.conf");
    }

    /// Has it read its files again.
    pub fn reload(&self) {
        self.control(&["reload"]);
    }

    /// Gives it a certificate, in the place of the one that it has; it counts from the next start or reload.
    pub fn give(&self, pair: &Pair) {
        for (from, name) in [(&pair.certificate, "server.pem"), (&pair.key, "server.key")] {
            let path = self.home().join(name);
            fs::copy(from, &path).expect("a copy of a certificate");
            give_away(&path);
        }
    }

    /// The configuration that makes it use [`Postgres::give`]'s.
    pub fn tls(&self) -> String {
        let home = self.home().display().to_string();
        format!("ssl = on\nssl_cert_file = '{home}/server.pem'\nssl_key_file = '{home}/server.key'")
    }

    /// Starts it, after a stop.
    pub fn resume(&self) {
        let log = self.home().join("log").display().to_string();
        self.control(&["-w", "-l", &log, "start"]);
    }

    /// Starts it, and waits until it answers, though it may refuse to serve.
    pub fn resume_without_waiting(&self) {
        let log = self.home().join("log").display().to_string();
        self.control(&["-W", "-l", &log, "start"]);
        let answers = || TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok();
        assert!(until(LIMIT, answers), "nothing listens on {}", self.port);
    }

    /// Stops it; its clients are told.
    pub fn stop(&self) {
        self.control(&["-w", "-m", "fast", "stop"]);
    }

    /// Makes a standby a primary.
    pub fn promote(&self) {
        self.control(&["-w", "promote"]);
    }

    fn control(&self, words: &[&str]) {
        done(as_postgres(format!("{PROGRAMS}/pg_ctl")).arg("-D").arg(self.data()).args(words));
    }

    /// Stops all of its processes where they are.
    pub fn freeze(&self) {
        self.signal(libc::SIGSTOP);
    }

    /// Has them go on.
    pub fn thaw(&self) {
        self.signal(libc::SIGCONT);
    }

    fn signal(&self, signal: i32) {
        let Some(first) = self.pid() else { return };
        for pid in [vec![first], processes::children_of(first)].concat() {
            // One of its backends may have ended by itself.
            let _ = sys::kill(pid, signal);
        }
    }

    fn pid(&self) -> Option<i32> {
        let text = fs::read_to_string(self.data().join("postmaster.pid")).ok()?;
        text.lines().next()?.trim().parse().ok()
    }

    /// The answer to a query of the superuser's.
    pub fn query(&self, query: &str) -> String {
        ask(&self.url("postgres"), query)
    }

    /// A session of the superuser's that has run this, with or without success, and stays until it is dropped.
    pub fn session(&self, query: &str) -> Session {
        let mut session = Session::begin(&self.url("postgres"));
        session.run(query);
        session
    }

    /// How many connections stead has to it.
    pub fn connections_of_stead(&self) -> usize {
        let count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'stead'";
        self.query(count).parse().expect("a count")
    }

    /// The superuser's URL of a database.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://app:{PASSWORD}@127.0.0.1:{}/{database}", self.port)
    }

    /// The directory of its socket.
    pub fn sockets(&self) -> PathBuf {
        self.home()
    }

    /// All that it has logged.
    pub fn log(&self) -> String {
        let log = fs::read(self.home().join("log")).expect("the server's log");
        String::from_utf8_lossy(&log).into_owned()
    }

    /// The server's own directory, which its user must be able to write to.
    fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    fn data(&self) -> PathBuf {
        self.home().join("data")
    }
}

/// A session that is open.
pub struct Session(Child);

impl Session {
    fn begin(url: &str) -> Self {
        let mut psql = Command::new("psql");
        psql.args(["-X", "-q", "-o", "/dev/null"]).arg(url);
        psql.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        Self(psql.spawn().expect("psql, of the Debian package postgresql-client-15"))
    }

    /// Waits for its end, good or bad.
    pub fn run(&mut self, query: &str) {
        self.say(&format!("{query};\n\\echo done"));
        let mut said = String::new();
        let output = self.0.stdout.as_mut().expect("its output");
        BufReader::new(output).read_line(&mut said).expect("the query's end");
        assert_eq!(said, "done\n", "{query}");
    }

    fn say(&mut self, lines: &str) {
        writeln!(self.0.stdin.as_mut().expect("its input"), "{lines}").expect("lines");
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let Some(pid) = self.pid() else { return };
        self.thaw();
        // To a postmaster, QUIT is the end at once.
        let _ = sys::kill(pid, libc::SIGQUIT);
        let _ = until(LIMIT, || !processes::is_alive(pid));
    }
}

/// PgBouncer with one database, `shop`, which is the `postgres` of a server.
pub struct PgBouncer {
    folder: Scratch,
    /// Its port on 127.0.0.1.
    pub port: u16,
}

impl PgBouncer {
    /// In transaction mode, with these further settings.
    pub fn in_front_of(server: &Postgres, settings: &str) -> Self {
        let this = Self { folder: Scratch::new(), port: free_port() };
        let home = this.home();
        fs::create_dir(&home).expect("a directory");
        let (path, port) = (home.display(), this.port);
        let text = format!(
            "[databases]\nshop = host=127.0.0.1 port={} dbname=postgres\n[pgbouncer]\n\
             listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
             pool_mode = transaction\nauth_type = scram-sha-256\nauth_file = {path}/users\n\
             pidfile = {path}/pid\nlogfile = {path}/log\n{settings}\n",
            server.port
        );
        fs::write(home.join("users"), format!("\"app\" \"{PASSWORD}\"\n")).expect("users");
        fs::write(home.join("settings"), text).expect("settings");
        give_away(&home);
        done(as_postgres("/usr/sbin/pgbouncer").args(["-q", "-d"]).arg(home.join("settings")));
        assert!(until(LIMIT, || this.pid().is_some()), "pgbouncer has not started");
        this
    }

    /// The URL of its database.
    pub fn url(&self) -> String {
        format!("postgres://app:{PASSWORD}@127.0.0.1:{}/shop", self.port)
    }

    /// The answer to a query through it.
    pub fn query(&self, query: &str) -> String {
        ask(&self.url(), query)
    }

    /// A client of it, until it is dropped.
    pub fn client(&self) -> Session {
        Session::begin(&self.url())
    }

    /// A client that has one short transaction after the other.
    pub fn busy_client(&self) -> Session {
        let mut client = self.client();
        client.say("SELECT pg_sleep(0.002) \\watch 0.001");
        client
    }

    fn pid(&self) -> Option<i32> {
        fs::read_to_string(self.home().join("pid")).ok()?.trim().parse().ok()
    }

    fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let Some(pid) = self.pid() else { return };
        let _ = sys::kill(pid, libc::SIGTERM);
        let _ = until(LIMIT, || !processes::is_alive(pid));
    }
}

fn ask(url: &str, query: &str) -> String {
    let mut psql = Command::new("psql");
    psql.args(["-X", "-qAt", "-v", "ON_ERROR_STOP=1", "-c", query]).arg(url);
    done(&mut psql).trim().to_owned()
}

/// A program that runs as the user `postgres`.
fn as_postgres(program: impl AsRef<Path>) -> Command {
    let mut command = Command::new("runuser");
    command.args(["-u", "postgres", "--"]).arg(program.as_ref()).current_dir("/");
    command
}

/// Makes a file, or a directory with what is in it, one of `postgres` that others cannot read.
fn give_away(path: &Path) {
    done(Command::new("chown").args(["-R", "postgres"]).arg(path));
    done(Command::new("chmod").args(["-R", "u=rwX,go="]).arg(path));
}

/// Runs a command that must succeed; its standard output.
fn done(command: &mut Command) -> String {
    let Output { status, stdout, stderr } =
        command.output().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    let (said, complained) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{command:?}: {status}\n{said}{complained}");
    said.into_owned()
}
