//! The same with real servers behind TLS, where a login fails at the certificate or at the password, or is refused with
//! the right one.

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::{PASSWORDS, encoded, nothing_tells, tells_none};
use crate::app::{Serve, idle};
use crate::harness::certificates::{Authority, Pair};
use crate::harness::servers::postgres::Postgres;
use crate::harness::servers::rabbitmq::{RabbitMq, alone};
use crate::harness::servers::redis::Redis;
use crate::harness::servers::web::Web;
use crate::harness::{LIMIT, Running, Scratch, free_port, stead, until};

/// A name of this machine that none of the certificates is for.
const OTHER_NAME: &str = "other.internal";

/// A server of each kind that is not RabbitMQ, all with one certificate. Each password has a Postgres user `u<n>` and a
/// Redis user of that name.
struct Servers {
    postgres: Postgres,
    redis: Redis,
    web: u16,
    _web: Web,
}

impl Servers {
    fn with(pair: &Pair, scratch: &Scratch) -> Self {
        let postgres = Postgres::start("");
        postgres.give(pair);
        postgres.configure(&postgres.tls());
        postgres
            .admit("hostssl all all 127.0.0.1/32 scram-sha-256\nhost all app all scram-sha-256\n");
        postgres.stop();
        postgres.resume();
        let redis = Redis::over_tls(&[
            &format!("tls-cert-file {}", pair.certificate.display()),
            &format!("tls-key-file {}", pair.key.display()),
            &format!("tls-ca-cert-file {}", pair.certificate.display()),
            "tls-auth-clients no",
            "requirepass another",
        ]);
        for (number, password) in PASSWORDS.iter().enumerate() {
            let quoted = password.replace('\'', "''");
            postgres.query(&format!("CREATE ROLE u{number} LOGIN PASSWORD '{quoted}'"));
            let user =
                ["ACL", "SETUSER", &format!("u{number}"), "on", &format!(">{password}"), "+@all"];
            redis.order(&[&["-a", "another"], &user[..]].concat());
        }
        let web = free_port();
        let users = scratch.file("users", "app:{PLAIN}another\n", 0o644);
        let lines = format!(
            "server {{ listen 127.0.0.1:{web} ssl; ssl_certificate {}; ssl_certificate_key {};\n\
             location / {{ auth_basic x; auth_basic_user_file {}; try_files /none =200; }} }}",
            pair.certificate.display(),
            pair.key.display(),
            users.display(),
        );
        Self { postgres, redis, web, _web: Web::nginx(&lines, web) }
    }

    /// URLs with this user and password, by the kind.
    fn urls(&self, host: &str, login: &str, ca: &str) -> [(&'static str, String); 3] {
        let (postgres, redis) = (self.postgres.port, self.redis.port());
        let root = ca.replace("stead_ca", "sslrootcert");
        [
            (
                "postgres",
                format!("postgres://{login}@{host}:{postgres}/postgres?sslmode=verify-full&{root}"),
            ),
            ("redis", format!("rediss://{login}@{host}:{redis}/0?{ca}")),
            ("https", format!("https://{login}@{host}:{}/?{ca}", self.web)),
        ]
    }
}

fn rabbitmq(broker: &RabbitMq, host: &str, login: &str, ca: &str) -> (&'static str, String) {
    let own = broker.tls_url();
    let port = own.rsplit(':').next().unwrap();
    ("amqp", format!("amqps://{login}@{host}:{port}/?{ca}"))
}

/// Checks by their names, each with its URL and how it is to fail: `class stage`.
#[derive(Default)]
struct Checks(BTreeMap<String, (String, &'static str)>);

impl Checks {
    /// Adds these URLs; the further text is `(what they are for, how they fail)`.
    fn add<'a>(
        &mut self,
        urls: impl IntoIterator<Item = (&'a str, String)>,
        (what, failure): (&str, &'static str),
    ) {
        for (kind, url) in urls {
            let name = format!("{kind}-{what}-{}", self.0.len());
            self.0.insert(name, (format!("{url}&stead_fail_after=1&stead_timeout=20s"), failure));
        }
    }

    fn variables(&self) -> impl Iterator<Item = (String, &str)> {
        self.0.iter().map(|(name, (url, _))| {
            (format!("STEAD_CHECK_{}", name.to_uppercase().replace('-', "_")), url.as_str())
        })
    }

    /// Runs stead with them, sees that each fails as it is to, and looks through all that is said.
    fn tell_nothing(&self, scratch: &Scratch) {
        let hosts = format!("127.0.0.1 localhost {OTHER_NAME}\n");
        let hosts = scratch.file("hosts", hosts, 0o644);
        // A file system of its own, in which names are what the test says.
        let script = "mount --bind \"$0\" /etc/hosts && exec \"$@\"";
        let own = ["unshare", "--mount", "--", "/bin/sh", "-c", script].map(OsString::from);
        let mut run = idle().under(own.into_iter().chain([hosts.into_os_string()]));
        for (name, url) in self.variables() {
            run = run.env(name, url);
        }
        let mut stead = run.env("STEAD_LOG_LEVEL", "debug").serve();
        self.each_fails(&stead);
        nothing_tells(&mut stead, self.0.len());
        for form in [&["config"][..], &["config", "--json"], &["check", "--all"]] {
            let output = stead_of(form, self);
            tells_none(&form.join(" "), &output);
        }
    }

    fn each_fails(&self, stead: &Running) {
        let wrong = || {
            let checks = stead.get("/readyz").json()["checks"].take();
            let fails = |name: &str| {
                let check = &checks[name];
                format!(
                    "{} {}",
                    check["class"].as_str().unwrap_or("-"),
                    check["stage"].as_str().unwrap_or("-")
                )
            };
            let all =
                self.0.iter().map(|(name, (_, failure))| (name.clone(), fails(name), *failure));
            all.filter(|(_, found, wanted)| found != wanted).collect::<Vec<_>>()
        };
        assert!(until(3 * LIMIT, || wrong().is_empty()), "{:?}", wrong());
    }
}

fn stead_of(form: &[&str], checks: &Checks) -> String {
    let output = stead(form).envs(checks.variables()).output().expect("stead");
    String::from_utf8([output.stdout, output.stderr].concat()).expect("text")
}

/// A few of the passwords with a login for each, others every time.
fn some_logins(from: usize) -> Vec<String> {
    let passwords = PASSWORDS.iter().cycle().skip(from).take(4);
    passwords.map(|password| format!("app:{}", encoded(password))).collect()
}

#[test]
fn no_password_is_told_when_a_certificate_or_a_login_fails() {
    let scratch = Scratch::new();
    let authority = Authority::new(&scratch, "ours");
    let broker = alone();
    let ours = format!("stead_ca={}", authority.certificate().display());
    let brokers = format!("stead_ca={}", broker.authority().display());
    let servers = Servers::with(&authority.server("good"), &scratch);
    let mut checks = Checks::default();
    for login in some_logins(0) {
        let foreign = (("unknown"), "tls_untrusted tls");
        checks.add(servers.urls("localhost", &login, &brokers), foreign);
        checks.add([rabbitmq(&broker, "localhost", &login, &ours)], foreign);
    }
    for login in some_logins(4) {
        let elsewhere = ("host", "tls_wrong_name tls");
        checks.add(servers.urls(OTHER_NAME, &login, &ours), elsewhere);
        checks.add([rabbitmq(&broker, OTHER_NAME, &login, &brokers)], elsewhere);
    }
    for password in PASSWORDS {
        let wrong = ("wrong", "auth_failed authenticate");
        let login = format!("app:{}", encoded(password));
        let [postgres, redis, https] = servers.urls("localhost", &login, &ours);
        checks.add([postgres, redis, rabbitmq(&broker, "localhost", &login, &brokers)], wrong);
        checks.add([https], ("wrong", "http_status state"));
    }
    // The right one, for a database that is not there.
    for (number, password) in PASSWORDS.iter().enumerate() {
        let login = format!("u{number}:{}", encoded(password));
        let [(_, postgres), (_, redis), _] = servers.urls("localhost", &login, &ours);
        let missing = ("missing", "not_found authenticate");
        checks.add([("postgres", postgres.replace("/postgres?", "/nowhere?"))], missing);
        checks.add([("redis", redis.replace("/0?", "/99?"))], missing);
    }
    checks.tell_nothing(&scratch);
}

#[test]
fn no_password_is_told_when_a_certificate_is_over() {
    let scratch = Scratch::new();
    let authority = Authority::new(&scratch, "ours");
    let broker = alone();
    let ours = format!("stead_ca={}", authority.certificate().display());
    let brokers = format!("stead_ca={}", broker.authority().display());
    let servers = Servers::with(&authority.server_until("over", -1), &scratch);
    broker.show(|authority| authority.server_until("over", -1));
    let mut checks = Checks::default();
    for login in some_logins(8) {
        let over = ("over", "tls_expired tls");
        checks.add(servers.urls("localhost", &login, &ours), over);
        checks.add([rabbitmq(&broker, "localhost", &login, &brokers)], over);
    }
    checks.tell_nothing(&scratch);
    broker.show(|authority| authority.server("good"));
}
