//! How the scheduler treats a thread; sched(7).

use std::time::Duration;

/// `struct sched_attr` of sched_setattr(2), as it was first.
#[repr(C)]
#[derive(Default)]
struct Attributes {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    /// Nanoseconds; for a normal thread the length of its slice, from Linux 6.12 on.
    runtime: u64,
    deadline: u64,
    period: u64,
}

/// Asks that this thread get the processor soon and for short: among those that have the same right to it, the one
/// whose slice would be over first comes first. The slice is two thirds of what it would be, which depends on the number
/// of processors (0.7 ms with one, 1.4 ms with two), and at most so long. It gets no larger share of the time, for which
/// it needs no privilege, and threads that it starts inherit it. Kernels before 6.12 know no slices; threads that are not
/// scheduled normally stay as they are.
pub fn ask_for_short_slices(longest: Duration) {
    let Some(mut attributes) = Attributes::own() else { return };
    let is_normal = [libc::SCHED_OTHER, libc::SCHED_BATCH].map(|policy| policy as u32);
    if !is_normal.contains(&attributes.policy) || attributes.runtime == 0 {
        return;
    }
    let longest = u64::try_from(longest.as_nanos()).unwrap_or(u64::MAX);
    attributes.runtime = (attributes.runtime / 3 * 2).min(longest);
    // SAFETY: the structure is initialised and says its own size. Refused, all stays as it is.
    unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
}

impl Attributes {
    /// Those of this thread.
    fn own() -> Option<Self> {
        let mut own = Self::default();
        let size = std::mem::size_of::<Self>() as libc::c_uint;
        // SAFETY: the structure has the size that is given along.
        let read = unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut own, size, 0) };
        (read == 0).then_some(Self { size, ..own })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether this kernel is one that has slices to ask for.
    fn has_slices() -> bool {
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
        let mut numbers = release.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
        (numbers.next(), numbers.next()) >= (Some(6), Some(12))
    }

    #[test]
    fn the_slice_is_shorter_for_this_thread_and_nothing_else_changes() {
        let with = |longest| {
            let asking = std::thread::spawn(move || {
                ask_for_short_slices(longest);
                Attributes::own().unwrap()
            });
            asking.join().unwrap()
        };
        let before = Attributes::own().unwrap();
        let (short, shorter) = (with(Duration::from_secs(1)), with(Duration::from_micros(150)));
        if has_slices() {
            assert_eq!((short.runtime, shorter.runtime), (before.runtime / 3 * 2, 150_000));
        }
        let others = |it: &Attributes| (it.policy, it.flags, it.nice, it.priority);
        assert_eq!([&short, &shorter].map(others), [others(&before); 2]);
        assert_eq!(Attributes::own().unwrap().runtime, before.runtime);
    }
}
