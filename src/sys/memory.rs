//! What stead asks of the system about its own memory, so that it costs each container little.

/// What is as large as a buffer of the output or larger, in bytes.
#[cfg(target_env = "gnu")]
const LARGE: libc::c_int = 64 * 1024;

/// Keeps glibc to one heap: its arena for each further thread costs memory, and stead's threads hardly allocate at once.
/// What is large has pages of its own, which are not there before they are used and no longer than that: left alone, glibc
/// would keep the room of a megabyte for good once one was freed (mallopt(3), `M_MMAP_THRESHOLD`).
pub fn keep_one_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: mallopt(3) takes numbers; no thread but this one runs yet.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE);
    }
}

/// Unmaps the program's code and constants. The pages stay in the page cache, where the kernel may now drop them first
/// (a mapped page it takes for one that is used); what is needed again is mapped again when it is touched, from which
/// stead's working set is left, without all that only its start needed or lay beside it (madvise(2), `MADV_DONTNEED`).
pub fn unmap_idle_code() {
    unsafe extern "C" {
        static __executable_start: u8;
        static etext: u8;
    }
    // SAFETY: sysconf takes a number.
    let Ok(page) = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }) else { return };
    let start = (&raw const __executable_start).addr().next_multiple_of(page);
    let end = (&raw const etext).addr() / page * page;
    // SAFETY: only whole pages of the file between the two symbols, which the linker puts around what is never written.
    unsafe {
        libc::madvise(
            std::ptr::without_provenance_mut(start),
            end.saturating_sub(start),
            libc::MADV_DONTNEED,
        )
    };
}
