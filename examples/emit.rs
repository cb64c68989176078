//! Writes what two files hold to standard output and standard error at once, in pieces whose lengths a number decides:
//! `emit OUT ERR SEED`.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a program of the tests, which fails by panicking"
)]

use std::fs::File;
use std::io::Write;
use std::mem::ManuallyDrop;
use std::os::fd::{FromRawFd, RawFd};
use std::thread;

/// The longest piece: more than a pipe holds.
const LONGEST: usize = 100_000;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let [_, out, err, seed] = args.as_slice() else { panic!("emit OUT ERR SEED") };
    let seed: u64 = seed.parse().expect("a number");
    let [out, err] = [out, err].map(|path| std::fs::read(path).expect("a file"));
    thread::scope(|scope| {
        scope.spawn(|| emit(1, &out, seed));
        scope.spawn(|| emit(2, &err, !seed));
    });
}

fn emit(fd: RawFd, mut bytes: &[u8], seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    // SAFETY: the standard streams are open, and are left so. Rust's own would keep what has no newline.
    let mut to = ManuallyDrop::new(unsafe { File::from_raw_fd(fd) });
    while !bytes.is_empty() {
        let longest = [1, 10, 1000, LONGEST][random.usize(..4)];
        let (piece, rest) = bytes.split_at(random.usize(1..=longest).min(bytes.len()));
        to.write_all(piece).expect("a stream that is read");
        bytes = rest;
    }
}
