//! A RabbitMQ of Debian's package on ports of its own, with TLS and its management API. It takes five seconds to start,
//! so that all tests share one; who disturbs it has it alone.

use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{OnceLock, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::harness::certificates::{Authority, Pair};
use crate::harness::{LIMIT, Scratch, free_port, http, sys, until};

/// On a machine with nothing else to do it needs five seconds.
const START: Duration = Duration::from_secs(180);

/// The user of everything.
const USER: &str = "app";
/// Its password.
pub const PASSWORD: &str = "pass@word/with:#?%";
/// The same as a URL has it.
pub const ENCODED: &str = "pass%40word%2Fwith%3A%23%3F%25";

/// A user with the password `stranger` and no rights at all.
pub const STRANGER: &str = "stranger:stranger";

/// A broker.
pub struct RabbitMq {
    scratch: Scratch,
    guard: Option<Child>,
    ports: Ports,
    authority: Authority,
    certificate: PathBuf,
    /// Its own certificate, which may be replaced.
    pair: Pair,
}

struct Ports {
    amqp: u16,
    amqps: u16,
    management: u16,
    management_tls: u16,
    distribution: u16,
    epmd: u16,
}

/// Both guards give the broker; the second one alone.
static SHARED: OnceLock<RwLock<RabbitMq>> = OnceLock::new();

/// The broker of all tests, for one that only connects to it.
pub fn shared() -> RwLockReadGuard<'static, RabbitMq> {
    let broker = SHARED.get_or_init(|| RwLock::new(RabbitMq::start()));
    broker.read().expect("no test broke the broker")
}

/// The broker of all tests, for one that disturbs it.
pub fn alone() -> RwLockWriteGuard<'static, RabbitMq> {
    let broker = SHARED.get_or_init(|| RwLock::new(RabbitMq::start()));
    broker.write().expect("no test broke the broker")
}

/// Starts what the broker consists of, and ends it when it reads the name of a signal, or when the test program is no
/// more: a broker that is shared is never dropped. Without an epmd of its own, Erlang would leave one as a daemon.
const GUARD: &str = r#"
epmd -address 127.0.0.1 -port "$ERL_EPMD_PORT" >/dev/null 2>&1 &
/usr/lib/rabbitmq/bin/rabbitmq-server >>"$BROKER/out" 2>&1 </dev/null &
server=$!
if read -r signal; then
    kill "-$signal" "$(cat "$BROKER/pid")" && wait $server
else
    kill -KILL "$(cat "$BROKER/pid")" && wait $server
    rm -rf "$BROKER"
fi
kill -KILL 0
"#;

impl RabbitMq {
    fn start() -> Self {
        let scratch = Scratch::new();
        let authority = Authority::new(&scratch, "rabbitmq");
        let pair = authority.server("broker");
        let ports = Ports {
            amqp: free_port(),
            amqps: free_port(),
            management: free_port(),
            management_tls: free_port(),
            distribution: free_port(),
            epmd: free_port(),
        };
        let certificate = authority.certificate();
        let mut this = Self { scratch, guard: None, ports, authority, certificate, pair };
        this.configure();
        this.up();
        this
    }

    fn configure(&self) {
        let Ports { amqp, amqps, management, management_tls, .. } = self.ports;
        let folder = self.scratch.path();
        let (certificate, key) = (self.pair.certificate.display(), self.pair.key.display());
        let config = format!(
            "listeners.tcp.default = 127.0.0.1:{amqp}\n\
             listeners.ssl.default = 127.0.0.1:{amqps}\n\
             ssl_options.cacertfile = {0}\n\
             ssl_options.certfile = {certificate}\n\
             ssl_options.keyfile = {key}\n\
             ssl_options.verify = verify_none\n\
             management.tcp.ip = 127.0.0.1\n\
             management.tcp.port = {management}\n\
             management.ssl.ip = 127.0.0.1\n\
             management.ssl.port = {management_tls}\n\
             management.ssl.cacertfile = {0}\n\
             management.ssl.certfile = {certificate}\n\
             management.ssl.keyfile = {key}\n\
             loopback_users = none\n\
             disk_free_limit.absolute = 1MB\n\
             log.console = true\n\
             log.console.level = info\n\
             load_definitions = {1}\n",
            self.certificate.display(),
            folder.join("definitions.json").display(),
        );
        self.scratch.file("rabbitmq.conf", config, 0o644);
        self.scratch.file("definitions.json", definitions().to_string(), 0o644);
        self.scratch.file("plugins", "[rabbitmq_management].", 0o644);
        self.own_everything();
    }

    /// RabbitMQ refuses to be root's, and has to read and write all of its folder.
    fn own_everything(&self) {
        if is_root() {
            let mut chown = Command::new("chown");
            let status = chown.args(["-R", "rabbitmq"]).arg(self.scratch.path()).status();
            assert!(status.is_ok_and(|status| status.success()), "no user rabbitmq");
        }
    }

    /// Starts it, or starts it again with all that it knew.
    pub fn up(&mut self) {
        let mut command = self.command();
        command.args(["sh", "-c", GUARD]).current_dir(self.scratch.path()).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        self.guard = Some(command.spawn().expect("runuser(1) or env(1)"));
        let listens = || {
            self.api("GET", "overview", None).is_some() && http::connect(self.ports.amqp).is_ok()
        };
        assert!(until(START, listens), "no broker: {}", self.log());
    }

    /// Ends it as an operator does, and waits for its end.
    pub fn down(&mut self) {
        let mut guard = self.guard.take().expect("a broker that runs");
        let mut pipe = guard.stdin.take().expect("its pipe");
        pipe.write_all(b"TERM\n").expect("the guard reads");
        let ended = until(START, || matches!(guard.try_wait(), Ok(Some(_))));
        assert!(ended, "it does not end: {}", self.log());
        assert!(until(LIMIT, || http::connect(self.ports.amqp).is_err()), "it still listens");
    }

    /// Stops every one of its threads, or lets them go on.
    pub fn freeze(&self, frozen: bool) {
        let pid = fs::read_to_string(self.scratch.path().join("pid")).expect("its pid");
        let signal = if frozen { libc::SIGSTOP } else { libc::SIGCONT };
        sys::kill(pid.trim().parse().expect("a number"), signal).expect("its process");
    }

    /// Runs `rabbitmqctl`, which takes a second.
    pub fn ctl(&self, args: &[&str]) {
        let output = self.command().arg("/usr/lib/rabbitmq/bin/rabbitmqctl").args(args).output();
        let output = output.expect("rabbitmqctl");
        assert!(output.status.success(), "{args:?}: {output:?}");
    }

    /// Puts messages into a queue.
    pub fn publish(&self, queue: &str, count: usize) {
        let message = json!({"properties": {}, "routing_key": queue, "payload": "x", "payload_encoding": "string"});
        for _ in 0..count {
            let answer = self.api("POST", "exchanges/%2F/amq.default/publish", Some(&message));
            assert_eq!(answer.expect("an answer")["routed"], true);
        }
    }

    /// An exchange with the management API, as [`USER`].
    fn api(&self, method: &str, path: &str, body: Option<&Value>) -> Option<Value> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let text = format!(
            "{method} /api/{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\
             Authorization: Basic {}\r\n\r\n{body}",
            body.len(),
            STANDARD.encode(format!("{USER}:{PASSWORD}")),
        );
        let answer = http::exchange(self.ports.management, text.as_bytes())?;
        (answer.status == 200).then(|| answer.json())
    }

    /// All that it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.scratch.path().join("out")).unwrap_or_default()
    }

    /// `amqp://...@127.0.0.1:port` for [`USER`], to which a virtual host and a query may be appended.
    pub fn url(&self) -> String {
        self.url_as(&format!("{USER}:{ENCODED}"))
    }

    /// The same for another user, with the password.
    pub fn url_as(&self, user: &str) -> String {
        format!("amqp://{user}@127.0.0.1:{}", self.ports.amqp)
    }

    /// The same over TLS, by the name that its certificate has.
    pub fn tls_url(&self) -> String {
        format!("amqps://{USER}:{ENCODED}@localhost:{}", self.ports.amqps)
    }

    /// The URL of its management API without a user.
    pub fn management(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.management)
    }

    /// The same over TLS.
    pub fn management_over_tls(&self) -> String {
        format!("https://localhost:{}", self.ports.management_tls)
    }

    /// The certificate of the authority that its own is from.
    pub fn authority(&self) -> &Path {
        &self.certificate
    }

    /// Shows another certificate of its authority from now on.
    pub fn show(&self, made: impl FnOnce(&Authority) -> Pair) {
        made(&self.authority).replace(&self.pair);
        self.own_everything();
        self.ctl(&["eval", "ssl:clear_pem_cache()."]);
    }

    /// A program as the broker's user, in its environment.
    fn command(&self) -> Command {
        let mut command = Command::new(if is_root() { "runuser" } else { "env" });
        if is_root() {
            command.args(["-u", "rabbitmq", "--", "env"]);
        }
        command.args(self.variables());
        command
    }

    fn variables(&self) -> Vec<String> {
        let folder = self.scratch.path().display();
        let Ports { distribution, epmd, .. } = self.ports;
        [
            format!("BROKER={folder}"),
            format!("RABBITMQ_NODENAME=t{}@localhost", self.ports.amqp),
            format!("HOME={folder}"),
            format!("RABBITMQ_CONFIG_FILE={folder}/rabbitmq.conf"),
            format!("RABBITMQ_ENABLED_PLUGINS_FILE={folder}/plugins"),
            format!("RABBITMQ_MNESIA_BASE={folder}/mnesia"),
            format!("RABBITMQ_LOG_BASE={folder}/log"),
            format!("RABBITMQ_PID_FILE={folder}/pid"),
            format!("RABBITMQ_DIST_PORT={distribution}"),
            format!("ERL_EPMD_PORT={epmd}"),
            "ERL_EPMD_ADDRESS=127.0.0.1".to_owned(),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=+S 1:1 +sbwt none".to_owned(),
        ]
        .into()
    }
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// Users, virtual hosts and queues.
fn definitions() -> Value {
    let all = |vhost: &str| json!({"user": USER, "vhost": vhost, "configure": ".*", "write": ".*", "read": ".*"});
    let queue = |name: &str| json!({"name": name, "vhost": "/", "durable": true, "auto_delete": false, "arguments": {}});
    json!({
        "users": [
            {"name": USER, "password": PASSWORD, "tags": "administrator"},
            {"name": "stranger", "password": "stranger", "tags": ""},
        ],
        "vhosts": [{"name": "/"}, {"name": "codecave"}, {"name": "a/b"}, {"name": "full"}],
        "permissions": [all("/"), all("codecave"), all("a/b"), all("full")],
        "queues": [queue("jobs"), queue("idle")],
        "parameters": [
            {"component": "vhost-limits", "name": "limits", "vhost": "full", "value": {"max-connections": 0}},
        ],
    })
}
