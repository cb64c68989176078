//! How large the programs are on disk, which is what an image grows by.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::Rounds;
use crate::report::{Goal, Section, Table};
use crate::samples::{decimals, times};
use crate::wrapper::Wrappers;

pub fn measure(wrappers: &Wrappers, _: &Rounds) -> io::Result<Section> {
    let mut table = Table::new(
        "Size of the file",
        "A dynamic program needs the image's C library beside it, a static one nothing.",
        &["program", "linking", "bytes", "of tini-static"],
    );
    let of = fs::metadata(wrappers.tini_static.file()?)?.len() as f64;
    let mut programs = Vec::new();
    for wrapper in wrappers.peers().into_iter().chain([&wrappers.stead]) {
        programs.push((wrapper.name.split(' ').next().unwrap_or(wrapper.name), wrapper.file()?));
    }
    let musl = PathBuf::from(std::env::var_os("STEAD_MUSL_BIN").unwrap_or_default());
    programs.push(("stead with musl", musl));
    for (name, file) in &programs {
        let size = fs::metadata(file)?.len();
        let linking = if names_an_interpreter(&headers(file)?) { "dynamic" } else { "static" };
        table.row(name, [linking.to_owned(), size.to_string(), times(size as f64, of)]);
    }
    let mib = |file: &PathBuf| {
        Ok::<_, io::Error>(decimals(fs::metadata(file)?.len() as f64 / 1024.0 / 1024.0))
    };
    let [.., (_, own), (_, musl)] = programs.as_slice() else { unreachable!("two are stead's") };
    let goal = Goal {
        what: "size of the static file, all drivers in it",
        to_reach: "at most 4.0 MiB",
        measured: format!("{} MiB with musl, {} MiB as it is measured here", mib(musl)?, mib(own)?),
    };
    Ok(Section { tables: vec![table], goals: vec![goal] })
}

/// The beginning of the file, where linkers put the headers. Not all of it: the most memory that the bench ever held
/// is carried over to the processes that it starts.
fn headers(file: &Path) -> io::Result<Vec<u8>> {
    let mut start = Vec::new();
    File::open(file)?.take(4096).read_to_end(&mut start)?;
    Ok(start)
}

/// Whether one of the program headers is PT_INTERP, in a little-endian 64-bit ELF file (elf(5)).
fn names_an_interpreter(elf: &[u8]) -> bool {
    const PT_INTERP: u32 = 3;
    let number = |at: usize, length: usize| {
        elf.get(at..at + length)
            .map(|bytes| bytes.iter().rev().fold(0, |sum, &byte| sum << 8 | usize::from(byte)))
    };
    let (Some(start), Some(size), Some(count)) = (number(32, 8), number(54, 2), number(56, 2))
    else {
        return false;
    };
    (0..count).any(|header| number(start + header * size, 4) == Some(PT_INTERP as usize))
}
