//! URLs on the command line as checks, each with a name by which it can be spoken of.

use std::ffi::OsString;

use super::plan::{Counting, Origin, Plan};
use super::source::{Source, Text};
use super::{Mistake, ReadFile, text};
use crate::check::options::Options;
use crate::check::registry::{Check, Need};
use crate::check::secret;
use crate::check::url::Url;

/// Understands every URL, or says the first mistake by the URL's place behind `command`, never by its text. Whoever names
/// a target wants it to be up: each is required.
pub fn checks_of_urls(
    command: &str,
    urls: Vec<OsString>,
    read: ReadFile,
) -> Result<Vec<Check>, Mistake> {
    let made = urls.into_iter().zip(1..).map(|(url, number)| {
        let place = format!("{command}: URL {number}");
        let url = text(&place, url)?;
        let parsed = Url::parse(&url, &mut Options::default());
        let name = name(&parsed.map_err(|wrong| Mistake::at(&place, wrong))?);
        let plan = Plan::new(name, place, Origin::Source(Source::url(Text::Given(url))));
        let (check, _) = plan.make(Counting::default(), read)?;
        Ok(Check { startup: Need::Required, runtime: Need::Required, ..check })
    });
    let mut checks: Vec<Check> = made.collect::<Result<_, _>>()?;
    tell_apart(&mut checks);
    Ok(checks)
}

/// Scheme, hosts and ports; where there is no host, the path up to its first space, behind which arguments stand.
fn name(url: &Url) -> String {
    let hosts: Vec<String> = url.hosts.iter().map(ToString::to_string).collect();
    let place = match hosts.as_slice() {
        [] => url.path.split([' ', '%']).next().unwrap_or_default().to_owned(),
        hosts => hosts.join(","),
    };
    secret::scrub(&format!("{}://{place}", url.scheme))
}

/// Adds its number to each name that several have: two databases of one server, say.
fn tell_apart(checks: &mut [Check]) {
    let names: Vec<String> = checks.iter().map(|check| check.name.clone()).collect();
    for (check, number) in checks.iter_mut().zip(1..) {
        if names.iter().filter(|name| **name == check.name).count() > 1 {
            check.name.push_str(&format!(" (URL {number})"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(urls: &[&str]) -> Vec<String> {
        let urls = urls.iter().map(OsString::from).collect();
        let checks = checks_of_urls("check", urls, &|_| Err(std::io::ErrorKind::NotFound.into()));
        checks.unwrap().into_iter().map(|check| check.name).collect()
    }

    #[test]
    fn a_name_is_the_scheme_the_hosts_and_the_ports() {
        assert_eq!(
            names(&[
                "postgresql+asyncpg://app:hunter2@a:1,b/orders?sslmode=disable",
                "redis://:hunter2@[::1]:6379/3?stead_timeout=1s",
                "unix:///run/app.sock",
                "HTTP://host/hunter2",
            ]),
            [
                "postgresql+asyncpg://a:1,b",
                "redis://[::1]:6379",
                "unix:///run/app.sock",
                "http://host"
            ]
        );
    }

    #[test]
    fn equal_names_are_told_apart_by_their_places() {
        assert_eq!(
            names(&["postgres://db/a", "tcp://db:1", "postgres://db/b"]),
            ["postgres://db (URL 1)", "tcp://db:1", "postgres://db (URL 3)"]
        );
    }
}
