//! haproxy, which asks each replica whether it is ready, and nginx, which learns of a failure from a request; both with
//! the examples' own files.

use std::time::Duration;

use super::{APP, REPLICAS, Subnet};
use crate::harness::engine::{Container, ENDPOINTS, in_time, publish, services};
use crate::harness::{Scratch, http};

/// haproxy's statistics.
const STATISTICS: u16 = 8404;

/// Longest until a replica that was started is up, on a busy machine.
const UP: Duration = Duration::from_secs(60);

/// Both, in front of the same replicas.
pub struct Proxies {
    haproxy: Container,
    nginx: Container,
    _files: Scratch,
}

/// The example's file. Where there is no readiness to ask for, haproxy asks the app itself.
fn haproxy_configuration(has_readiness: bool) -> String {
    let text = include_str!("../../../examples/haproxy/haproxy.cfg");
    if has_readiness { text.to_owned() } else { text.replace("/readyz", "/") }
}

/// What the file takes from the environment.
fn haproxy_variables(network: &Subnet, has_readiness: bool) -> Vec<String> {
    let port = if has_readiness { ENDPOINTS } else { APP };
    let addresses = (0..REPLICAS)
        .map(|number| format!("--env=API_{}={}:{APP}", number + 1, network.address(number)));
    addresses.chain([format!("--env=STEAD_PORT={port}")]).collect()
}

/// The example's file with its variables, as nginx's image writes them, in what that image has around it.
fn nginx_configuration(network: &Subnet) -> String {
    let template = include_str!("../../../examples/nginx/default.conf.template");
    let server =
        (0..REPLICAS).fold(template.replace("${PORT}", &APP.to_string()), |text, number| {
            let address = format!("{}:{APP}", network.address(number));
            text.replace(&format!("${{API_{}}}", number + 1), &address)
        });
    assert!(!server.contains("${"), "a variable is left: {server}");
    format!(
        "daemon off;\npid /tmp/nginx.pid;\nerror_log stderr error;\nevents {{}}\n\
         http {{\n    access_log off;\n    client_body_temp_path /tmp/body;\n    proxy_temp_path /tmp/proxy;\n\
         \x20   fastcgi_temp_path /tmp/fastcgi;\n    uwsgi_temp_path /tmp/uwsgi;\n    scgi_temp_path /tmp/scgi;\n\
         {server}}}\n"
    )
}

impl Proxies {
    /// Both, in the network of replicas that need not be there yet.
    pub fn start(network: &Subnet, has_readiness: bool) -> Self {
        let files = Scratch::new();
        let haproxy = haproxy_configuration(has_readiness);
        let haproxy = files.file("haproxy.cfg", haproxy, 0o644);
        let nginx = files.file("nginx.conf", nginx_configuration(network), 0o644);
        let options = |file: &std::path::Path| {
            let mount = format!("--volume={}:/configuration:ro", file.display());
            [network.options(), vec![publish(APP), publish(STATISTICS), mount]].concat()
        };
        let line = ["haproxy", "-db", "-f", "/configuration"];
        let variables = haproxy_variables(network, has_readiness);
        let options_of_haproxy = [options(&haproxy), variables].concat();
        let haproxy = Container::run(services::haproxy(), &options_of_haproxy, &line);
        let line = ["nginx", "-e", "stderr", "-c", "/configuration"];
        let nginx = Container::run(services::nginx(), &options(&nginx), &line);
        Self { haproxy, nginx, _files: files }
    }

    /// haproxy's port of 127.0.0.1.
    pub fn haproxy(&self) -> u16 {
        self.haproxy.port(APP)
    }

    /// nginx's.
    pub fn nginx(&self) -> u16 {
        self.nginx.port(APP)
    }

    /// Waits until haproxy gives requests to this replica.
    pub fn wait_until_up(&self, number: u8) {
        let name = format!("api-{}", number + 1);
        let is_up = || self.servers_up().contains(&name);
        assert!(in_time(UP, is_up), "haproxy does not find {name}: {:?}", self.servers_up());
    }

    /// Waits until haproxy gives requests to so many.
    pub fn wait_until_up_are(&self, count: usize, limit: Duration) {
        let are_up = || self.servers_up().len() == count;
        assert!(in_time(limit, are_up), "haproxy has {:?}, not {count}", self.servers_up());
    }

    /// The replicas that haproxy gives requests to.
    pub fn servers_up(&self) -> Vec<String> {
        let port = self.haproxy.port(STATISTICS);
        let Some(answer) = http::try_request(port, "GET", "/;csv", &[]) else { return Vec::new() };
        // The answer's pieces have their lengths in lines of their own.
        let mut lines = answer.body.lines().skip_while(|line| !line.starts_with("# pxname,"));
        let head: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
        let status = head.iter().position(|name| *name == "status").unwrap_or(usize::MAX);
        let rows = lines.map(|line| line.split(',').collect::<Vec<_>>());
        rows.filter(|row| row.len() > status && row[1].starts_with("api-"))
            .filter(|row| row[status].starts_with("UP"))
            .map(|row| row[1].to_owned())
            .collect()
    }
}
