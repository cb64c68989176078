//! How the scheduler treats a thread; sched(7).

use std::ptr;
use std::time::Duration;

/// `struct sched_attr` of sched_setattr(2), as it was first.
#[repr(C)]
#[derive(Clone, Copy, Default)]
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

/// How soon a thread gets a processor. Threads that it starts inherit it, and may have a copy of this.
#[derive(Clone, Copy)]
pub struct Rank {
    /// `None`: a thread that stays as it is, since it is not scheduled normally or may not be raised.
    usual: Option<Attributes>,
    is_first: bool,
}

impl Rank {
    /// Asks that this thread get a processor soon and for short: among those that have the same right to it, the one
    /// whose slice would be over first comes first. The slice is two thirds of what it would be, which depends on the number
    /// of processors (0.7 ms with one, 1.4 ms with two), and at most so long. It gets no larger share of the time, for which
    /// it needs no privilege. Kernels before 6.12 know no slices.
    pub fn with_slices_of(longest: Duration) -> Self {
        let is_normal = [libc::SCHED_OTHER, libc::SCHED_BATCH].map(|policy| policy as u32);
        let mut usual = Attributes::own().filter(|own| is_normal.contains(&own.policy));
        if let Some(usual) = usual.as_mut().filter(|usual| usual.runtime != 0) {
            let longest = u64::try_from(longest.as_nanos()).unwrap_or(u64::MAX);
            usual.runtime = (usual.runtime / 3 * 2).min(longest);
            usual.take();
        }
        Self { usual, is_first: false }
    }

    /// Lets this thread come before all that is scheduled normally, where that is allowed (`CAP_SYS_NICE`, or
    /// `RLIMIT_RTPRIO`). Refused, it is not asked for again: where refusals are logged (SELinux), once is enough.
    pub fn raise(&mut self) {
        if let Some(usual) = self.usual.filter(|_| !self.is_first) {
            let (policy, priority) = (libc::SCHED_RR as u32, 1);
            self.is_first = Attributes { policy, priority, nice: 0, runtime: 0, ..usual }.take();
            self.usual = self.is_first.then_some(usual);
        }
    }

    /// Lets it be one of all again.
    pub fn lower(&mut self) {
        if let Some(usual) = self.usual.filter(|_| self.is_first) {
            self.is_first = !usual.take();
        }
    }
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

    /// Gives this thread these; says whether that is allowed. Refused, all stays as it is.
    fn take(&self) -> bool {
        // SAFETY: the structure is initialised and says its own size.
        unsafe { libc::syscall(libc::SYS_sched_setattr, 0, ptr::from_ref(self), 0) == 0 }
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
                Rank::with_slices_of(longest);
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

    #[test]
    fn who_comes_first_for_a_while_is_afterwards_what_it_was() {
        let asking = std::thread::spawn(|| {
            let mut rank = Rank::with_slices_of(Duration::from_micros(150));
            let usual = Attributes::own().unwrap();
            rank.raise();
            let raised = Attributes::own().unwrap();
            rank.lower();
            (usual, raised, Attributes::own().unwrap(), rank)
        });
        let (usual, raised, lowered, rank) = asking.join().unwrap();
        let all = |it: &Attributes| (it.policy, it.flags, it.nice, it.priority, it.runtime);
        assert_eq!(all(&lowered), all(&usual));
        assert!(!rank.is_first);
        // Who may not is not asked again.
        let expected =
            if rank.usual.is_some() { (libc::SCHED_RR as u32, 1) } else { (usual.policy, 0) };
        assert_eq!((raised.policy, raised.priority), expected);
    }
}
