//! haproxy, which asks each replica whether it is ready, and nginx, which learns of a failure from a request.

use std::fmt::Write as _;
use std::time::Duration;

use super::{APP, REPLICAS, Subnet};
use crate::harness::engine::{Container, ENDPOINTS, in_time, publish, services};
use crate::harness::{LIMIT, Scratch, http};

/// haproxy's statistics.
const STATISTICS: u16 = 8404;

/// Both, in front of the same replicas.
pub struct Proxies {
    haproxy: Container,
    nginx: Container,
    _files: Scratch,
}

/// haproxy takes out what was not ready twice, within a second, and hands a request on where it cannot connect.
fn haproxy_configuration(network: &Subnet, has_readiness: bool) -> String {
    let (path, port) = if has_readiness { ("/readyz", ENDPOINTS) } else { ("/", APP) };
    let mut text = format!(
        "global\n    log stdout format raw local0 notice\n\
         defaults\n    mode http\n    log global\n    timeout connect 1s\n    timeout client 60s\n    timeout server 60s\n\
         \x20   timeout tunnel 1h\n    timeout check 1s\n    option redispatch\n\
         frontend app\n    bind :{APP}\n    default_backend replicas\n\
         frontend statistics\n    bind :{STATISTICS}\n    stats enable\n    stats uri /\n\
         backend replicas\n    option httpchk GET {path}\n    http-check expect status 200\n\
         \x20   default-server check port {port} inter 500ms fall 2 rise 2\n"
    );
    for number in 0..REPLICAS {
        let address = network.address(number);
        let _ = writeln!(text, "    server replica-{number} {address}:{APP}");
    }
    text
}

fn nginx_configuration(network: &Subnet) -> String {
    let servers = (0..REPLICAS).fold(String::new(), |mut text, number| {
        let address = network.address(number);
        let _ = writeln!(text, "        server {address}:{APP} max_fails=1 fail_timeout=2s;");
        text
    });
    format!(
        "daemon off;\npid /tmp/nginx.pid;\nerror_log stderr error;\nevents {{}}\n\
         http {{\n    access_log off;\n    client_body_temp_path /tmp/body;\n    proxy_temp_path /tmp/proxy;\n\
         \x20   fastcgi_temp_path /tmp/fastcgi;\n    uwsgi_temp_path /tmp/uwsgi;\n    scgi_temp_path /tmp/scgi;\n\
         \x20   map $http_upgrade $connection_wanted {{\n        default upgrade;\n        '' close;\n    }}\n\
         \x20   upstream replicas {{\n{servers}    }}\n\
         \x20   server {{\n        listen {APP};\n        location / {{\n            proxy_pass http://replicas;\n\
         \x20           proxy_http_version 1.1;\n            proxy_set_header Upgrade $http_upgrade;\n\
         \x20           proxy_set_header Connection $connection_wanted;\n            proxy_buffering off;\n\
         \x20           proxy_connect_timeout 1s;\n            proxy_next_upstream error timeout http_502 http_503;\n\
         \x20       }}\n    }}\n}}\n"
    )
}

impl Proxies {
    /// Both, in the network of replicas that need not be there yet.
    pub fn start(network: &Subnet, has_readiness: bool) -> Self {
        let files = Scratch::new();
        let haproxy = haproxy_configuration(network, has_readiness);
        let haproxy = files.file("haproxy.cfg", haproxy, 0o644);
        let nginx = files.file("nginx.conf", nginx_configuration(network), 0o644);
        let options = |file: &std::path::Path| {
            let mount = format!("--volume={}:/configuration:ro", file.display());
            [network.options(), vec![publish(APP), publish(STATISTICS), mount]].concat()
        };
        let line = ["haproxy", "-db", "-f", "/configuration"];
        let haproxy = Container::run(services::haproxy(), &options(&haproxy), &line);
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
        let name = format!("replica-{number}");
        let is_up = || self.servers_up().contains(&name);
        assert!(in_time(LIMIT, is_up), "haproxy does not find {name}: {:?}", self.servers_up());
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
        rows.filter(|row| row.len() > status && row[1].starts_with("replica-"))
            .filter(|row| row[status].starts_with("UP"))
            .map(|row| row[1].to_owned())
            .collect()
    }
}
