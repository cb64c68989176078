//! A URL on the command line, as something to be checked: its target, the time for an attempt, and the name by which it
//! is spoken of.

use std::ffi::OsString;
use std::time::Duration;

use crate::check::options::Options;
use crate::check::url::{Host, Url};
use crate::check::{Target, secret};
use crate::config::{Mistake, text};
use crate::value::Wrong;

/// For an attempt, unless the URL's `stead_timeout` says otherwise.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Options that are about a check which goes on, and mean nothing to one attempt.
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
    "reuse",
];

/// What one URL asks for.
#[derive(Debug)]
pub(super) struct Argument {
    /// `scheme://host:port`; never what may be secret.
    pub(super) name: String,
    /// What is asked.
    pub(super) target: Target,
    /// For the whole attempt.
    pub(super) timeout: Duration,
}

impl Argument {
    /// Understands every URL, or says the first mistake by the URL's place, never by its text.
    pub(super) fn all(command: &str, urls: Vec<OsString>) -> Result<Vec<Self>, Mistake> {
        let place = |number: usize| format!("{command}: URL {number}");
        let parsed = urls.into_iter().zip(1..).map(|(url, number)| {
            let url = text(&place(number), url)?;
            Self::parse(&url).map_err(|wrong| Mistake::at(place(number), wrong))
        });
        let mut arguments: Vec<Self> = parsed.collect::<Result<_, _>>()?;
        tell_apart(&mut arguments);
        Ok(arguments)
    }

    fn parse(text: &str) -> Result<Self, Wrong> {
        let mut options = Options::default();
        let url = Url::parse(text, &mut options)?;
        let timeout = options.take_duration("timeout")?.unwrap_or(TIMEOUT);
        let target = Target::parse(&url, &mut options)?;
        for name in OF_A_SCHEDULE {
            options.take(name);
        }
        match options.left() {
            Some(name) => Err(format!("stead_{name}: no such option")),
            None => Ok(Self { name: name(&url), target, timeout }),
        }
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
fn tell_apart(arguments: &mut [Argument]) {
    let names: Vec<String> = arguments.iter().map(|argument| argument.name.clone()).collect();
    for (argument, number) in arguments.iter_mut().zip(1..) {
        if names.iter().filter(|name| **name == argument.name).count() > 1 {
            argument.name.push_str(&format!(" (URL {number})"));
        }
    }
}
