//! getopt_long(3) as tini and dumb-init use it: options end at the first argument that is none.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// The options that a program has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Options {
    /// The program's name, for its mistakes.
    pub program: &'static str,
    /// Letters without a value.
    pub flags: &'static [u8],
    /// Letters with a value.
    pub valued: &'static [u8],
    /// Long names and the letter that each stands for.
    pub long: &'static [(&'static str, u8)],
}

/// The arguments, read from the left.
#[derive(Debug)]
pub(super) struct Getopt<'a> {
    options: Options,
    args: &'a [OsString],
    /// What is left of `-abc`.
    cluster: &'a [u8],
    /// Whether `--` was read.
    dashes_read: bool,
}

/// An option and its value, which is empty where the option has none; or the line about a mistake.
pub(super) type Found<'a> = Result<(u8, &'a OsStr), String>;

impl<'a> Getopt<'a> {
    pub(super) fn new(options: Options, args: &'a [OsString]) -> Self {
        Self { options, args, cluster: &[], dashes_read: false }
    }

    /// What follows the options.
    pub(super) fn rest(&self) -> &'a [OsString] {
        self.args
    }

    /// Whether it was `--` that ended the options.
    pub(super) fn dashes_read(&self) -> bool {
        self.dashes_read
    }

    /// The next option, or `None` where the options end.
    pub(super) fn next(&mut self) -> Option<Found<'a>> {
        if let [letter, rest @ ..] = self.cluster {
            self.cluster = rest;
            return Some(self.short(*letter));
        }
        let (first, rest) = self.args.split_first()?;
        match first.as_bytes() {
            b"--" => {
                self.args = rest;
                self.dashes_read = true;
                None
            }
            [b'-', b'-', long @ ..] if !self.options.long.is_empty() => {
                self.args = rest;
                Some(self.long(long))
            }
            [b'-', letter, cluster @ ..] => {
                self.args = rest;
                self.cluster = cluster;
                Some(self.short(*letter))
            }
            _ => None,
        }
    }

    fn short(&mut self, letter: u8) -> Found<'a> {
        if self.options.flags.contains(&letter) {
            return Ok((letter, OsStr::new("")));
        }
        let shown = String::from_utf8_lossy(&[letter]).into_owned();
        if !self.options.valued.contains(&letter) {
            return self.mistake(format!("invalid option -- '{shown}'"));
        }
        let attached = std::mem::take(&mut self.cluster);
        if !attached.is_empty() {
            return Ok((letter, OsStr::from_bytes(attached)));
        }
        match self.take_argument() {
            Some(value) => Ok((letter, value)),
            None => self.mistake(format!("option requires an argument -- '{shown}'")),
        }
    }

    /// `text` is what follows `--`: a name or the beginning of just one name, perhaps with `=VALUE`.
    fn long(&mut self, text: &'a [u8]) -> Found<'a> {
        let mut parts = text.splitn(2, |b| *b == b'=');
        let given = parts.next().unwrap_or_default();
        let attached = parts.next().map(OsStr::from_bytes);
        let shown = String::from_utf8_lossy(given);
        let (name, letter) = match self.long_named(given).as_slice() {
            [one] => *one,
            [] => return self.mistake(format!("unrecognized option '--{shown}'")),
            several => {
                let names: String =
                    several.iter().map(|(name, _)| format!(" '--{name}'")).collect();
                let text = format!("option '--{shown}' is ambiguous; possibilities:{names}");
                return self.mistake(text);
            }
        };
        let valued = self.options.valued.contains(&letter);
        match attached {
            Some(value) if valued => Ok((letter, value)),
            Some(_) => self.mistake(format!("option '--{name}' doesn't allow an argument")),
            None if !valued => Ok((letter, OsStr::new(""))),
            None => match self.take_argument() {
                Some(value) => Ok((letter, value)),
                None => self.mistake(format!("option '--{name}' requires an argument")),
            },
        }
    }

    fn long_named(&self, given: &[u8]) -> Vec<(&'static str, u8)> {
        let long = self.options.long.iter();
        match long.clone().find(|(name, _)| name.as_bytes() == given) {
            Some(exact) => vec![*exact],
            None => long.filter(|(name, _)| name.as_bytes().starts_with(given)).copied().collect(),
        }
    }

    fn take_argument(&mut self) -> Option<&'a OsStr> {
        let (first, rest) = self.args.split_first()?;
        self.args = rest;
        Some(first)
    }

    fn mistake(&self, text: String) -> Found<'a> {
        Err(format!("{}: {text}\n", self.options.program))
    }
}
