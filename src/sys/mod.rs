//! All of stead's unsafe code: the system calls behind signals, processes, descriptors, the terminal and names.
//! Each function is safe to call and says what it does to the process; policy is for the callers.

pub mod descriptors;
pub mod names;
pub mod process;
pub mod signals;
pub mod spawn;
pub mod terminal;

use std::io;

/// The result of a system call that answers -1 for an error.
fn checked(result: libc::c_int) -> io::Result<libc::c_int> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Keeps glibc to one heap: its arena for each further thread costs memory, and stead's threads hardly allocate at once.
pub fn keep_one_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: mallopt(3) takes numbers; no thread but this one runs yet.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}
