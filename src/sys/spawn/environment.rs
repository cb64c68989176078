//! The environment that programs are started with, and what in it must name the child.

use std::ffi::{CStr, CString};
use std::sync::OnceLock;

use crate::sys::process::Pid;

/// What every program gets beside this process's own environment.
static ADDED: OnceLock<Vec<CString>> = OnceLock::new();

/// Gives these variables, `NAME=value` each, to every program that is started from now on. To be called once.
pub fn add_to_environment(variables: Vec<CString>) {
    // A second call could only be a test's.
    let _ = ADDED.set(variables);
}

/// The environment that programs are started with: this process's own entry by entry, also what std::env passes over
/// (entries without `=`), and what was added to it.
pub fn environment() -> Vec<CString> {
    unsafe extern "C" {
        static environ: *const *const libc::c_char;
    }
    let mut entries = Vec::new();
    // SAFETY: environ(7) is an array of C strings that ends with a null pointer; nothing in stead changes it.
    unsafe {
        let mut next = environ;
        while let Some(entry) = next.as_ref().filter(|entry| !entry.is_null()) {
            entries.push(CStr::from_ptr(*entry).to_owned());
            next = next.add(1);
        }
    }
    entries.extend(ADDED.get().into_iter().flatten().cloned());
    entries
}

/// Variables of systemd's that tell by a pid whom the rest is for (sd_listen_fds(3), sd_watchdog_enabled(3)): where one
/// names stead, it must name the child, whose pid is known in the child only.
pub(super) struct Addressed {
    variables: [OwnPid; 2],
}

impl Addressed {
    pub(super) fn in_env(env: &[CString]) -> Self {
        Self { variables: ["LISTEN_PID=", "WATCHDOG_PID="].map(|name| OwnPid::in_env(name, env)) }
    }

    /// In the child: puts its own pid into the environment. Async-signal-safe.
    pub(super) fn write_own(&mut self, env: &mut [*const libc::c_char]) {
        for variable in &mut self.variables {
            variable.write(env);
        }
    }
}

/// One of these variables, where it names stead.
struct OwnPid {
    name: &'static str,
    place: Option<usize>,
    text: [u8; 32],
}

impl OwnPid {
    fn in_env(name: &'static str, env: &[CString]) -> Self {
        let own = format!("{name}{}", Pid::own());
        let place = env.iter().position(|entry| CStr::to_bytes(entry) == own.as_bytes());
        Self { name, place, text: [0; 32] }
    }

    fn write(&mut self, env: &mut [*const libc::c_char]) {
        let Some(slot) = self.place.and_then(|place| env.get_mut(place)) else {
            return;
        };
        let (mut number, mut digits) = (Pid::own().number(), 0);
        let mut reversed = [0; 10];
        for (digit, place) in reversed.iter_mut().zip(1..) {
            *digit = b'0' + (number % 10) as u8;
            number /= 10;
            digits = place;
            if number == 0 {
                break;
            }
        }
        let text = self.name.as_bytes().iter().chain(reversed.iter().take(digits).rev());
        // The zeroes behind it end it: the longest name and ten digits leave some.
        for (to, from) in self.text.iter_mut().zip(text) {
            *to = *from;
        }
        *slot = self.text.as_ptr().cast();
    }
}
