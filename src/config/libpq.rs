//! libpq's own variables, as `psql` reads them: `PGHOST` or `PGSERVICE` with the others, and the service file.
//! PostgreSQL's documentation, chapters "Environment Variables" and "The Connection Service File".

use std::collections::BTreeMap;
use std::path::PathBuf;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::discovery::{Found, host};
use super::environment::Environment;
use super::source::{Source, Text, Texts};
use super::value;
use crate::check::options::Options;
use crate::check::secret::Secret;
use crate::check::url::{Host, Url};
use crate::value::Wrong;

/// Each variable, and the keyword of a connection string that it stands for.
const VARIABLES: [(&str, &str); 16] = [
    ("PGHOST", "host"),
    ("PGHOSTADDR", "hostaddr"),
    ("PGPORT", "port"),
    ("PGDATABASE", "dbname"),
    ("PGUSER", "user"),
    ("PGPASSWORD", "password"),
    ("PGPASSFILE", "passfile"),
    ("PGSSLMODE", "sslmode"),
    ("PGSSLROOTCERT", "sslrootcert"),
    ("PGSSLCERT", "sslcert"),
    ("PGSSLKEY", "sslkey"),
    ("PGSSLNEGOTIATION", "sslnegotiation"),
    ("PGCHANNELBINDING", "channel_binding"),
    ("PGTARGETSESSIONATTRS", "target_session_attrs"),
    ("PGCONNECT_TIMEOUT", "connect_timeout"),
    ("PGSERVICE", "service"),
];

/// The service files that there may be, the strongest first.
const SERVICE_FILES: [&str; 2] = ["service file", "system's service file"];

/// What the variables say, where they name a server.
pub(super) fn look(env: &Environment) -> Option<Found> {
    // As to libpq, an empty variable is not set.
    let set = |name| env.text(name).filter(|(_, text)| !text.is_empty());
    let (variable, _) = set("PGSERVICE").or_else(|| set("PGHOST"))?;
    let given =
        VARIABLES.iter().filter_map(|(variable, keyword)| Some((*keyword, env.text(variable)?.1)));
    let mut texts: BTreeMap<&str, Text> = given.collect();
    let in_home = |name| Some(PathBuf::from(env.found("HOME")?).join(name));
    if let Some(path) = in_home(".pgpass") {
        texts.entry("passfile").or_insert(Text::Given(path.display().to_string()));
    }
    if texts.contains_key("service") {
        let own = env.found("PGSERVICEFILE").map(PathBuf::from).or(in_home(".pg_service.conf"));
        let folder =
            env.found("PGSYSCONFDIR").unwrap_or_else(|| "/etc/postgresql-common".to_owned());
        let system = PathBuf::from(folder).join("pg_service.conf");
        let files = own.into_iter().chain([system]).zip(SERVICE_FILES);
        texts.extend(files.map(|(path, name)| (name, Text::FileIfThere(path))));
    }
    Some(Found { variable, source: Source::of(texts, url) })
}

/// The URL that the keywords make; those of the service are stronger than the variables.
fn url(texts: &Texts, _: &mut Options) -> Result<Url, Wrong> {
    let mut words: BTreeMap<String, String> =
        texts.iter().map(|(name, text)| ((*name).to_owned(), text.clone())).collect();
    let files: Vec<String> = SERVICE_FILES.iter().filter_map(|name| words.remove(*name)).collect();
    if let Some(name) = words.remove("service") {
        let service = files.iter().find_map(|file| service(file, &name));
        words.extend(service.ok_or("no service of that name in a service file")?);
    }
    words.retain(|_, text| !text.is_empty());
    let mut take = |name: &str| words.remove(name);
    let hosts = hosts(&take("host").unwrap_or_default(), &take("port").unwrap_or_default())?;
    let (user, password) = (take("user"), take("password").map(Secret::new));
    let database = take("dbname").unwrap_or_default();
    Ok(Url {
        scheme: "postgres".to_owned(),
        user,
        password,
        hosts,
        path: format!("/{}", utf8_percent_encode(&database, NON_ALPHANUMERIC)),
        query: words.into_iter().collect(),
        raw_query: String::new(),
    })
}

/// Hosts and ports are lists side by side; one port does for all hosts. A host may be the folder of a Unix socket.
fn hosts(hosts: &str, ports: &str) -> Result<Vec<Host>, Wrong> {
    let ports: Vec<&str> = ports.split(',').map(str::trim).collect();
    let hosts: Vec<&str> =
        hosts.split(',').map(str::trim).filter(|host| !host.is_empty()).collect();
    if ports.len() > 1 && ports.len() != hosts.len() {
        return Err("more ports than hosts, or fewer".to_owned());
    }
    let with_port = |(index, name): (usize, &&str)| {
        let port = ports.get(index).or(ports.first()).filter(|port| !port.is_empty());
        let port = port.map(|port| value::port(port)).transpose()?;
        if name.starts_with('/') {
            return Ok(Host { name: (*name).to_owned(), port });
        }
        host(name).map(|host| Host { port: host.port.or(port), ..host })
    };
    hosts.iter().enumerate().map(with_port).collect()
}

/// The keywords of a service: `keyword=value` lines behind `[name]`.
fn service(file: &str, name: &str) -> Option<BTreeMap<String, String>> {
    let header = format!("[{name}]");
    let mut lines = file.lines().map(str::trim).skip_while(|line| *line != header);
    lines.next()?;
    let own = lines.take_while(|line| !line.starts_with('[')).filter(|line| !line.starts_with('#'));
    let words = own.filter_map(|line| line.split_once('='));
    Some(words.map(|(word, text)| (word.trim().to_owned(), text.trim().to_owned())).collect())
}
