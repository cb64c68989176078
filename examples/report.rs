//! Prints what it was started with (signal mask and dispositions, descriptors, directory, group,
//! arguments, environment), a line each, so that two ways of starting it can be compared.

use std::os::unix::ffi::{OsStrExt, OsStringExt};

fn main() {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    for line in status
        .lines()
        .filter(|line| line.starts_with("Sig") && !line.starts_with("SigQ"))
    {
        println!("{}", line.split_whitespace().collect::<Vec<_>>().join(" "));
    }
}
