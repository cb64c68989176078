//! Writes its number into a file again and again, so that two that run at once are seen: `journal FILE NAME [deaf]`.
//! Each line is `STEAD_FENCE NAME`, appended as one. A deaf one does not hear TERM; another one ends with 0.

use std::fs::OpenOptions;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Duration;

static OVER: AtomicBool = AtomicBool::new(false);

extern "C" fn end(_: libc::c_int) {
    OVER.store(true, Ordering::SeqCst);
}

fn main() -> std::io::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [file, name, further @ ..] = args.as_slice() else {
        return Err(std::io::Error::other("journal FILE NAME [deaf]"));
    };
    let is_deaf = further.first().is_some_and(|word| word == "deaf");
    let end = end as extern "C" fn(libc::c_int) as libc::sighandler_t;
    // SAFETY: the handler only stores to an atomic.
    unsafe { libc::signal(libc::SIGTERM, if is_deaf { libc::SIG_IGN } else { end }) };
    let fence = std::env::var("STEAD_FENCE").unwrap_or_else(|_| "none".to_owned());
    let line = format!("{fence} {name}\n");
    let mut file = OpenOptions::new().append(true).create(true).open(file)?;
    while !OVER.load(Ordering::SeqCst) {
        file.write_all(line.as_bytes())?;
        sleep(Duration::from_millis(5));
    }
    Ok(())
}
