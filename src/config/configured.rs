//! What stead's own sources say of checks by name: `--check NAME=URL`, `STEAD_CHECK_<NAME>`, `[check.<name>]`.

use std::ffi::OsStr;

use super::checks::normal;
use super::file::Table;
use super::source::{Source, Text};
use super::{Environment, Flag, Mistake};
use crate::check::options::Options;
use crate::check::url::Url;
use crate::value::Wrong;

/// What one source says of one check.
pub(super) struct Configured {
    pub(super) name: String,
    pub(super) place: String,
    pub(super) what: What,
    /// Options that stand beside the URL.
    pub(super) options: Vec<(String, String)>,
    /// Where each of them stands, if each has a place of its own.
    pub(super) keys: Vec<(String, String)>,
}

/// What a check is to be.
pub(super) enum What {
    /// Not there.
    Off,
    /// What it is anyway, with other options.
    Options,
    /// Asked at this URL.
    Source(Source),
}

/// The longest name of a check: it stands in paths, in metrics and on lines.
const LONGEST_NAME: usize = 63;

/// `NAME=URL` of a flag.
pub(super) fn of_flags(flags: &[Flag]) -> Result<Vec<Configured>, Mistake> {
    let checks = flags.iter().filter(|(key, _)| *key == "check");
    let checks = checks.map(|(_, text)| {
        let place = "--check";
        let (name, value) =
            text.split_once('=').ok_or_else(|| Mistake::at(place, "not NAME=URL"))?;
        let name = self::name(name).map_err(|wrong| Mistake::at(place, wrong))?;
        of_text(name.clone(), format!("{place} {name}"), value)
    });
    checks.collect()
}

/// `STEAD_CHECK_<NAME>=URL`, or `STEAD_CHECK_<NAME>_FILE=/path`.
pub(super) fn of_variables(env: &Environment) -> Result<Vec<Configured>, Mistake> {
    let checks = env.checks().map(|(place, name, value)| {
        let named = |name| self::name(name).map_err(|wrong| Mistake::at(&*place, wrong));
        let text = value.to_str().ok_or_else(|| Mistake::at(&*place, "not valid UTF-8"))?;
        // No URL begins with a slash, so that a check may well be named heartbeat-file.
        match name.strip_suffix("_FILE").filter(|_| text.starts_with('/')) {
            Some(name) => Ok(of_file(named(name)?, &place, value)),
            None => of_text(named(name)?, place.clone(), text),
        }
    });
    checks.collect()
}

/// `[check.<name>]` with `url` or `url_file`, or with neither.
pub(super) fn of_tables(tables: Vec<Table>) -> Result<Vec<Configured>, Mistake> {
    tables.into_iter().map(of_table).collect()
}

fn of_table(table: Table) -> Result<Configured, Mistake> {
    let name = name(&table.name).map_err(|wrong| Mistake::at(&*table.place, wrong))?;
    let (mut url, mut file, mut options, mut keys) = (None, None, Vec::new(), Vec::new());
    for key in table.keys {
        match key.name.as_str() {
            "url" => url = Some(key),
            "url_file" => file = Some(key),
            _ => {
                keys.push((key.name.clone(), key.place));
                options.push((key.name, key.value));
            }
        }
    }
    let mut configured = match (url, file) {
        (Some(url), None) => {
            let configured = of_text(name, url.place, &url.value)?;
            Configured { place: table.place, ..configured }
        }
        (None, Some(file)) => of_file(name, &table.place, file.value.as_ref()),
        (None, None) => Configured::new(name, table.place, What::Options),
        (Some(_), Some(_)) => {
            return Err(Mistake::at(table.place, "url and url_file: one will do"));
        }
    };
    // Keys of the table are stronger than those in the URL: options keep what is added first.
    options.append(&mut configured.options);
    Ok(Configured { options, keys, ..configured })
}

impl Configured {
    fn new(name: String, place: String, what: What) -> Self {
        Self { name, place, what, options: Vec::new(), keys: Vec::new() }
    }
}

fn of_file(name: String, place: &str, path: &OsStr) -> Configured {
    let source = Source::url(Text::File(path.into()));
    Configured::new(name, place.to_owned(), What::Source(source))
}

/// A URL, `off`, or `?` with options alone.
fn of_text(name: String, place: String, text: &str) -> Result<Configured, Mistake> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("off") {
        return Ok(Configured::new(name, place, What::Off));
    }
    if text.starts_with('?') {
        let options = options(text).map_err(|wrong| Mistake::at(&*place, wrong))?;
        return Ok(Configured { options, ..Configured::new(name, place, What::Options) });
    }
    let source = Source::url(Text::Given(text.to_owned()));
    Ok(Configured::new(name, place, What::Source(source)))
}

/// `?stead_required=off&stead_interval=1m`.
fn options(text: &str) -> Result<Vec<(String, String)>, Wrong> {
    let mut options = Options::default();
    let url = Url::parse(&format!("options:{text}"), &mut options)?;
    match url.query.first() {
        Some(_) => Err("options begin with stead_".to_owned()),
        None => Ok(options.into_pairs()),
    }
}

fn name(text: &str) -> Result<String, Wrong> {
    let name = normal(text);
    let known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let fits = (1..=LONGEST_NAME).contains(&name.len()) && name.chars().all(known);
    if fits && !name.starts_with('-') && !name.ends_with('-') {
        Ok(name)
    } else {
        Err(format!("not the name of a check (up to {LONGEST_NAME} letters, digits, - and _)"))
    }
}
