//! The thin binary: from C's `main` to the library, because Rust's own start-up would ignore SIGPIPE before anything
//! could see how stead was started.
#![no_main]

use std::ffi::{CStr, OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// The entry point that the C library calls.
#[unsafe(no_mangle)]
extern "C" fn main(argc: libc::c_int, argv: *const *const libc::c_char) -> ! {
    // Before anything else: PID 1 loses every signal that comes while it is neither blocked nor handled.
    let inherited = stead::sys::signals::block_all();
    let count = usize::try_from(argc).unwrap_or_default();
    let args: Vec<OsString> = (0..count)
        .map(|index| {
            // SAFETY: argv holds argc pointers to C strings that live as long as the process (C11, 5.1.2.2.1).
            let arg = unsafe { CStr::from_ptr(*argv.add(index)) };
            OsStr::from_bytes(arg.to_bytes()).to_owned()
        })
        .collect();
    // Not by returning: exit handlers would run beside threads that may be stuck.
    stead::sys::process::exit_now(stead::app::main(&args, inherited))
}
