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
/// whose slice would be over first comes first. It gets no larger share of the time, for which it needs no privilege.
/// Kernels before 6.12 do not know of it, and threads that are not scheduled normally stay as they are.
pub fn ask_for_short_slices(slice: Duration) {
    let Some(mut attributes) = Attributes::own() else { return };
    let is_normal = [libc::SCHED_OTHER, libc::SCHED_BATCH].map(|policy| policy as u32);
    if !is_normal.contains(&attributes.policy) {
        return;
    }
    attributes.runtime = u64::try_from(slice.as_nanos()).unwrap_or(u64::MAX);
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
    fn the_slice_is_the_threads_own_and_nothing_else_changes() {
        let before = Attributes::own().unwrap();
        let there = std::thread::spawn(|| {
            ask_for_short_slices(Duration::from_micros(300));
            Attributes::own().unwrap()
        });
        let there = there.join().unwrap();
        if has_slices() {
            assert_eq!(there.runtime, 300_000);
        }
        let others = |it: &Attributes| (it.policy, it.flags, it.nice, it.priority);
        assert_eq!(others(&there), others(&before));
        assert_eq!(Attributes::own().unwrap().runtime, before.runtime);
    }
}
