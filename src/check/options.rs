//! The options of a check: query keys that begin with `stead_` in its URL, or keys of its table in the file. Whoever
//! understands an option takes it; what is left over at the end is a mistake.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::value::{self, Wrong};

/// Options by name, without the `stead_`. Their `Debug` shows the names alone.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Options(BTreeMap<String, String>);

impl Options {
    /// Adds an option; one that was there already stays.
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<String>) {
        self.0.entry(name.into()).or_insert(text.into());
    }

    /// Takes an option's text.
    pub fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    /// Takes an option in the form that `parse` understands.
    pub fn take_as<T>(
        &mut self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, Wrong>,
    ) -> Result<Option<T>, Wrong> {
        self.take(name)
            .map(|text| parse(&text).map_err(|wrong| format!("stead_{name}: {wrong}")))
            .transpose()
    }

    /// Takes a duration.
    pub fn take_duration(&mut self, name: &str) -> Result<Option<Duration>, Wrong> {
        self.take_as(name, value::duration)
    }

    /// Takes a switch.
    pub fn take_switch(&mut self, name: &str) -> Result<Option<bool>, Wrong> {
        self.take_as(name, value::switch)
    }

    /// Takes a whole number from 0 on.
    pub fn take_number(&mut self, name: &str) -> Result<Option<u64>, Wrong> {
        let parse = |text: &str| text.trim().parse().map_err(|_| "not a whole number".to_owned());
        self.take_as(name, parse)
    }

    /// All that nobody has taken.
    pub fn into_pairs(self) -> Vec<(String, String)> {
        self.0.into_iter().collect()
    }

    /// The name of an option that nobody has taken.
    pub fn left(&self) -> Option<&str> {
        self.0.keys().next().map(String::as_str)
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
