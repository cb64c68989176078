//! A pseudo-terminal with a person in front of it: what is typed, and what has appeared.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::{sys, until};

/// The terminal; all that appears on it is kept.
pub struct Terminal {
    person: File,
    programs: OwnedFd,
    seen: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    /// Opens one.
    pub fn open() -> Self {
        let (person, programs) = sys::open_terminal().expect("a pseudo-terminal");
        let person = File::from(person);
        let seen = Arc::<Mutex<Vec<u8>>>::default();
        let (mut reader, into) = (person.try_clone().expect("a second handle"), seen.clone());
        thread::spawn(move || {
            let mut chunk = [0; 4096];
            // Ends with EIO when the last program has closed its side: pty(7).
            while let Ok(n @ 1..) = reader.read(&mut chunk) {
                into.lock().unwrap().extend_from_slice(&chunk[..n]);
            }
        });
        Self { person, programs, seen }
    }

    /// The programs' side, for a standard stream.
    pub fn stream(&self) -> OwnedFd {
        self.programs.try_clone().expect("the terminal once more")
    }

    /// The programs' side, to ask it something.
    pub fn programs(&self) -> &OwnedFd {
        &self.programs
    }

    /// Types this.
    pub fn type_text(&self, text: &str) {
        (&self.person).write_all(text.as_bytes()).expect("typing");
    }

    /// All that has appeared.
    pub fn seen(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock().unwrap()).into_owned()
    }

    /// Waits until this has appeared; fails with what has when it does not.
    pub fn wait_for(&self, text: &str, limit: Duration) {
        let came = until(limit, || self.seen().contains(text));
        assert!(came, "{text:?} did not appear; this did:\n{}", self.seen());
    }

    /// The foreground process group.
    pub fn foreground(&self) -> i32 {
        sys::foreground(&self.person).expect("the foreground group")
    }
}
