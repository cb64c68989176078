//! The clocks that the child's lines, the lock's lease and the looks for ended children go by.

use std::time::{Duration, SystemTime};

/// Microseconds since the Unix epoch.
pub fn wall_micros() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    micros(since.unwrap_or_default())
}

/// Microseconds since some moment before stead's start, which no change of the wall clock moves; clock_gettime(2).
pub fn monotonic_micros() -> u64 {
    read(libc::CLOCK_MONOTONIC)
}

/// The same, which goes on while the machine is suspended.
pub fn boot_micros() -> u64 {
    read(libc::CLOCK_BOOTTIME)
}

fn read(clock: libc::clockid_t) -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the structure is ours to write. Every Linux has these clocks.
    unsafe { libc::clock_gettime(clock, &mut now) };
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    let nanos = u32::try_from(now.tv_nsec).unwrap_or_default();
    micros(Duration::from_secs(seconds) + Duration::from_nanos(nanos.into()))
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
