//! A URL on the command line as a check, and the name by which it is spoken of.

use std::ffi::OsString;

use crate::check::monitor::Schedule;
use crate::check::options::Options;
use crate::check::recipe::Recipe;
use crate::check::registry::{Check, Groups, Need};
use crate::check::url::{Host, Url};
use crate::check::{Target, secret};
use crate::config::{Mistake, text};
use crate::value::Wrong;

/// Options that are about a check which goes on, and mean nothing here.
const OF_A_SCHEDULE: [&str; 10] = [
    "required",
    "interval",
    "fail_after",
    "pass_after",
    "max_age",
    "group",
    "startup",
    "runtime",
    "slow",
    "force",
];

/// Understands every URL, or says the first mistake by the URL's place, never by its text.
pub(super) fn checks(command: &str, urls: Vec<OsString>) -> Result<Vec<Check>, Mistake> {
    let place = |number: usize| format!("{command}: URL {number}");
    let parsed = urls.into_iter().zip(1..).map(|(url, number)| {
        let url = text(&place(number), url)?;
        check(&url).map_err(|wrong| Mistake::at(place(number), wrong))
    });
    let mut checks: Vec<Check> = parsed.collect::<Result<_, _>>()?;
    tell_apart(&mut checks);
    Ok(checks)
}

fn check(text: &str) -> Result<Check, Wrong> {
    let mut options = Options::default();
    let url = Url::parse(text, &mut options)?;
    let usual = Schedule::default();
    let timeout = options.take_duration("timeout")?.unwrap_or(usual.timeout);
    let target = Target::parse(&url, &mut options)?;
    for name in OF_A_SCHEDULE {
        options.take(name);
    }
    match options.left() {
        Some(name) => Err(format!("stead_{name}: no such option of this kind of check")),
        None => Ok(Check {
            name: name(&url),
            recipe: Recipe::fixed(target),
            schedule: Schedule { timeout, ..usual },
            startup: Need::Required,
            runtime: Need::Required,
            groups: Groups::default(),
        }),
    }
}

/// Scheme, hosts and ports; where there is no host, the path up to its first space, behind which arguments stand.
fn name(url: &Url) -> String {
    let hosts: Vec<String> = url.hosts.iter().map(host).collect();
    let place = match hosts.as_slice() {
        [] => url.path.split([' ', '%']).next().unwrap_or_default().to_owned(),
        hosts => hosts.join(","),
    };
    secret::scrub(&format!("{}://{place}", url.scheme)).replace(char::is_control, "?")
}

fn host(host: &Host) -> String {
    let name = if host.name.contains(':') { format!("[{}]", host.name) } else { host.name.clone() };
    host.port.map_or(name.clone(), |port| format!("{name}:{port}"))
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
