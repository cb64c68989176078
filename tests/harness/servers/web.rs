//! nginx and haproxy.

use std::fs::File;
use std::process::{Child, Command, Stdio};

use crate::harness::certificates::Pair;
use crate::harness::{LIMIT, Scratch, http, processes, sys, until};

/// A web server with its files.
pub struct Web {
    child: Child,
    scratch: Scratch,
}

impl Web {
    /// nginx with these `server` blocks, once it listens on `port`.
    pub fn nginx(servers: &str, port: u16) -> Self {
        let scratch = Scratch::new();
        let folder = scratch.path().display();
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {folder}/{name};\n"))
            .concat();
        let user = if is_root() { "user root;" } else { "" };
        let config = format!(
            "{user} daemon off; worker_processes 1; pid {folder}/pid; error_log stderr;\n\
             events {{}}\nhttp {{ access_log off; {temporary} {servers} }}\n"
        );
        let config = scratch.file("nginx.conf", config, 0o600);
        let mut command = Command::new("nginx");
        command.args(["-e", "stderr", "-c"]).arg(config);
        Self::start(command, scratch, port)
    }

    /// haproxy that ends TLS on `port` with this certificate, `options` to its `bind`, and answers 200.
    pub fn haproxy(port: u16, certificate: &Pair, options: &str) -> Self {
        let scratch = Scratch::new();
        let crt = certificate.both.display();
        let config = format!(
            "defaults\n mode http\n timeout client 10s\n timeout server 10s\n timeout connect 5s\n\
             frontend f\n bind 127.0.0.1:{port} ssl crt {crt} {options}\n http-request return status 200\n"
        );
        let config = scratch.file("haproxy.cfg", config, 0o600);
        let mut command = Command::new("haproxy");
        command.args(["-db", "-f"]).arg(config);
        Self::start(command, scratch, port)
    }

    fn start(mut command: Command, scratch: Scratch, port: u16) -> Self {
        let log = File::create(scratch.path().join("log")).expect("a log");
        let error = log.try_clone().expect("the log once more");
        command.stdin(Stdio::null()).stdout(log).stderr(error);
        // nginx and haproxy are in /usr/sbin, which is not on everybody's PATH.
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{path}:/usr/sbin"));
        let child = command.spawn().unwrap_or_else(|e| panic!("cannot start {command:?}: {e}"));
        let server = Self { child, scratch };
        let listens = until(LIMIT, || http::connect(port).is_ok());
        let log = std::fs::read_to_string(server.scratch.path().join("log")).unwrap_or_default();
        assert!(listens, "{command:?} does not listen: {log}");
        server
    }

    /// Reads its configuration and its certificates again.
    pub fn reload(&self) {
        sys::kill(self.pid(), libc::SIGHUP).expect("a signal to a server of the test's own");
    }

    /// Stops all of it, as a machine that hangs.
    pub fn freeze(&self) {
        self.signal_all(libc::SIGSTOP);
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal_all(libc::SIGCONT);
    }

    fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    fn signal_all(&self, signal: i32) {
        for pid in processes::children_of(self.pid()).into_iter().chain([self.pid()]) {
            // A worker that has just ended gets no signal.
            let _ = sys::kill(pid, signal);
        }
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.thaw();
        let _ = sys::kill(self.pid(), libc::SIGTERM);
        if !until(LIMIT, || !matches!(self.child.try_wait(), Ok(None))) {
            self.signal_all(libc::SIGKILL);
            let _ = self.child.wait();
        }
    }
}

fn is_root() -> bool {
    processes::status(std::process::id() as i32, "Uid").is_some_and(|ids| ids.starts_with("0\t"))
}
