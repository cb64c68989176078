//! The file into which whoever runs writes that it does.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use crate::harness::{LIMIT, Scratch, example, until};

/// A journal, and its directory.
pub struct Journal(Scratch);

impl Journal {
    pub fn new() -> Self {
        Self(Scratch::new())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("journal")
    }

    /// The command that writes into it, and ends with 0 at TERM.
    pub fn command(&self, name: &str) -> Vec<OsString> {
        vec![example("journal").into(), self.path().into(), name.into()]
    }

    /// The command that only KILL ends.
    pub fn deaf_command(&self, name: &str) -> Vec<OsString> {
        [self.command(name), vec!["deaf".into()]].concat()
    }

    /// All lines by now: the fence, and the name.
    fn lines(&self) -> Vec<(u64, String)> {
        let text = fs::read_to_string(self.path()).unwrap_or_default();
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let line = |line: &str| {
            let (fence, name) = line.split_once(' ').expect("a fence and a name");
            (fence.parse().expect("a number"), name.to_owned())
        };
        whole.lines().map(line).collect()
    }

    /// Who wrote last.
    pub fn last(&self) -> Option<String> {
        self.lines().pop().map(|(_, name)| name)
    }

    /// Waits until somebody has written since now.
    pub fn wait_for_more(&self) {
        let before = self.lines().len();
        assert!(until(2 * LIMIT, || self.lines().len() > before), "nobody runs");
    }

    /// Waits until the one of this name writes.
    pub fn wait_for(&self, name: &str) {
        let writes = until(2 * LIMIT, || self.last().as_deref() == Some(name));
        assert!(writes, "{name} does not run: {:?} did last", self.last());
    }

    /// Those that ran, in their order. No two of them ran at once, and the fence of each is greater than the last one's.
    pub fn holders(&self) -> Vec<String> {
        let mut holders: Vec<(u64, String)> = Vec::new();
        for line in self.lines() {
            match holders.last() {
                Some(last) if *last == line => {}
                Some((fence, _)) => {
                    assert!(line.0 > *fence, "{line:?} runs beside one behind {holders:?}");
                    holders.push(line);
                }
                None => holders.push(line),
            }
        }
        holders.into_iter().map(|(_, name)| name).collect()
    }
}
