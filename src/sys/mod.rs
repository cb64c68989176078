//! All of stead's unsafe code: the system calls behind signals, processes, descriptors, the terminal and names; beside it
//! what /proc says of processes.
//! Each function is safe to call and says what it does to the process; policy is for the callers.

pub mod bell;
pub mod clock;
pub mod descriptors;
pub mod memory;
pub mod named;
pub mod names;
pub mod notify_socket;
pub mod pipe;
mod poll;
pub mod process;
pub mod signals;
pub mod sockets;
pub mod spawn;
pub mod tcp;
pub mod terminal;
pub mod threads;
pub mod tree;

#[cfg(test)]
pub mod allocations;

use std::io;

/// The result of a system call that answers -1 for an error.
fn checked(result: libc::c_int) -> io::Result<libc::c_int> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
