//! What the app's own environment says of its dependencies: the variables that are looked for, and how each becomes a
//! URL. What stead does not understand is the app's affair, and no mistake.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;

use super::environment::Environment;
use super::libpq;
use super::source::{Source, Texts, found};
use super::value;
use crate::check::options::Options;
use crate::check::secret::Secret;
use crate::check::url::{Host, Url};
use crate::value::Wrong;

/// One dependency by the name of its check, with all that the environment may say of it.
pub(super) struct Dependency {
    pub(super) name: &'static str,
    /// The port that its URLs need not name.
    pub(super) port: u16,
    /// What was found, the strongest first.
    pub(super) found: Vec<Found>,
}

/// A variable that names a dependency.
pub(super) struct Found {
    pub(super) variable: String,
    pub(super) source: Source,
}

/// All dependencies, found or not.
pub(super) fn look(env: &Environment) -> Vec<Dependency> {
    let urls =
        |names: &[&str], url: fn(&Texts, &mut Options) -> Result<Url, Wrong>| -> Vec<Found> {
            names.iter().filter_map(|name| of_variable(env, name, url)).collect()
        };
    let mut database = urls(&["DATABASE_URL", "POSTGRES_URL"], postgres);
    database.extend(libpq::look(env));
    let mut redis = urls(&["REDIS_URL", "CACHE_URL", "DRAGONFLY_URL", "VALKEY_URL"], redis);
    redis.extend(["REDIS", "DRAGONFLY"].iter().filter_map(|prefix| redis_by_host(env, prefix)));
    let rabbitmq = urls(&["RABBITMQ_URL", "AMQP_URL", "CLOUDAMQP_URL"], rabbitmq);
    let meilisearch = ["MEILI_HOST", "MEILISEARCH_URL"].iter();
    let meilisearch = meilisearch.filter_map(|name| meilisearch_with_key(env, name)).collect();
    let mongodb = urls(&["MONGODB_URI", "MONGO_URL"], mongodb);
    vec![
        Dependency { name: "database", port: 5432, found: database },
        Dependency { name: "redis", port: 6379, found: redis },
        Dependency { name: "rabbitmq", port: 5672, found: rabbitmq },
        Dependency { name: "meilisearch", port: 7700, found: meilisearch },
        Dependency { name: "mongodb", port: 27017, found: mongodb },
    ]
}

/// Under which the text of the variable that was found is kept.
const MAIN: &str = "url";

fn of_variable(
    env: &Environment,
    name: &str,
    url: fn(&Texts, &mut Options) -> Result<Url, Wrong>,
) -> Option<Found> {
    let (variable, text) = env.text(name)?;
    Some(Found { variable, source: Source::of(BTreeMap::from([(MAIN, text)]), url) })
}

/// A whole URL, of one of these kinds: `file:./dev.db` is Prisma's, and no file that stead should look at.
fn of_kind(texts: &Texts, options: &mut Options, kinds: &[&str]) -> Result<Url, Wrong> {
    let url = Url::parse(found(texts, MAIN), options)?;
    match url.kind() {
        kind if kinds.contains(&kind) => Ok(url),
        "mongodb" => Err("MongoDB is not checked yet".to_owned()),
        _ => Err("a scheme that stead does not check here".to_owned()),
    }
}

fn postgres(texts: &Texts, options: &mut Options) -> Result<Url, Wrong> {
    of_kind(texts, options, &["postgres", "postgresql", "postgis"])
}

fn redis(texts: &Texts, options: &mut Options) -> Result<Url, Wrong> {
    const KINDS: [&str; 6] = ["redis", "rediss", "valkey", "valkeys", "dragonfly", "unix"];
    let url = of_kind(texts, options, &KINDS)?;
    let scheme = if url.kind() == "unix" { "redis+unix".to_owned() } else { url.scheme.clone() };
    Ok(Url { scheme, ..url })
}

fn rabbitmq(texts: &Texts, options: &mut Options) -> Result<Url, Wrong> {
    of_kind(texts, options, &["amqp", "amqps"])
}

fn mongodb(texts: &Texts, options: &mut Options) -> Result<Url, Wrong> {
    of_kind(texts, options, &[])
}

/// `REDIS_HOST`, which many apps have in the place of a URL, with its port, user and password.
fn redis_by_host(env: &Environment, prefix: &str) -> Option<Found> {
    let (variable, host) = env.text(&format!("{prefix}_HOST"))?;
    let mut texts = BTreeMap::from([(MAIN, host)]);
    for (name, endings) in [
        ("port", &["PORT"][..]),
        ("user", &["USERNAME", "USER"]),
        ("password", &["PASSWORD"]),
        ("tls", &["TLS", "SSL"]),
    ] {
        let given = endings.iter().find_map(|ending| env.text(&format!("{prefix}_{ending}")));
        texts.extend(given.map(|(_, text)| (name, text)));
    }
    Some(Found { variable, source: Source::of(texts, redis_of_parts) })
}

fn redis_of_parts(texts: &Texts, options: &mut Options) -> Result<Url, Wrong> {
    let text = found(texts, MAIN);
    if text.contains("://") {
        return redis(texts, options);
    }
    let host = host(text)?;
    // Where a Service is named redis, Kubernetes puts a URL there (tcp://10.0.0.1:6379).
    let port = found(texts, "port").rsplit(':').next().unwrap_or_default();
    let port = if port.is_empty() { None } else { Some(value::port(port)?) };
    let given = |name| Some(found(texts, name).to_owned()).filter(|text| !text.is_empty());
    // To Laravel, null is none.
    let password = given("password").filter(|password| password != "null").map(Secret::new);
    let secure = given("tls").is_some_and(|text| value::switch(&text).unwrap_or(false));
    Ok(Url {
        scheme: if secure { "rediss" } else { "redis" }.to_owned(),
        user: given("user").filter(|user| user != "null"),
        password,
        hosts: vec![Host { port: host.port.or(port), ..host }],
        path: String::new(),
        query: Vec::new(),
        raw_query: String::new(),
    })
}

/// A host as a variable has it: also an IPv6 address without brackets.
pub(super) fn host(text: &str) -> Result<Host, Wrong> {
    let text = text.trim();
    if text.parse::<Ipv6Addr>().is_ok() {
        return Ok(Host { name: text.to_owned(), port: None });
    }
    Host::parse(text).ok_or_else(|| "not a host and a port from 1 to 65535".to_owned())
}

fn meilisearch_with_key(env: &Environment, name: &str) -> Option<Found> {
    let (variable, text) = env.text(name)?;
    let mut texts = BTreeMap::from([(MAIN, text)]);
    // The key with less rights first: it is the app's, the master key the server's.
    let key = ["MEILISEARCH_API_KEY", "MEILI_MASTER_KEY"].iter().find_map(|name| env.text(name));
    texts.extend(key.map(|(_, text)| ("key", text)));
    Some(Found { variable, source: Source::of(texts, meilisearch) })
}

fn meilisearch(texts: &Texts, options: &mut Options) -> Result<Url, Wrong> {
    let text = found(texts, MAIN).trim();
    let url = if text.contains("://") || text.is_empty() {
        of_kind(texts, options, &["http", "https", "meilisearch"])?
    } else {
        Url::parse(&format!("meilisearch://{text}"), options)?
    };
    // A URL of the web has the web's port, unless it says otherwise.
    let (scheme, port) = match url.scheme.as_str() {
        "http" => ("meilisearch", Some(80)),
        "https" => ("meilisearch+https", Some(443)),
        other => (other, None),
    };
    let scheme = scheme.to_owned();
    let hosts = url.hosts.iter().map(|host| Host { port: host.port.or(port), ..host.clone() });
    let key = Some(found(texts, "key")).filter(|key| !key.is_empty()).map(Secret::new);
    Ok(Url { scheme, hosts: hosts.collect(), password: url.password.clone().or(key), ..url })
}

/// Whether two URLs lead to the same place by the same right, whatever driver and options they name.
pub(super) fn same(a: &Url, b: &Url, port: u16) -> bool {
    let hosts = |url: &Url| -> Vec<(String, u16)> {
        url.hosts.iter().map(|host| (host.name.clone(), host.port.unwrap_or(port))).collect()
    };
    let user = |url: &Url| url.user.clone().unwrap_or_default();
    hosts(a) == hosts(b)
        && user(a) == user(b)
        && a.password == b.password
        && a.path.trim_end_matches('/') == b.path.trim_end_matches('/')
}
