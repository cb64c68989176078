//! What stead asks of the system about its own memory, so that it costs each container little.

use std::ptr::without_provenance_mut;

/// Bytes of a buffer that is large: lapin's are, and those of a TLS connection are not.
#[cfg(target_env = "gnu")]
const LARGE: libc::c_int = 64 * 1024;

/// Keeps glibc's memory small: one heap, because its arena for each further thread costs memory and stead's threads hardly
/// allocate at once; and large buffers in mappings of their own, of which only the pages count that were written to and
/// which are gone when they are freed. By itself glibc moves them into the heap, zeroed and kept, once the first was freed
/// (mallopt(3), `M_MMAP_THRESHOLD`). musl does both.
pub fn keep_heap_small() {
    #[cfg(target_env = "gnu")]
    // SAFETY: mallopt(3) takes numbers; no thread but this one runs yet.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE);
    }
}

/// Gives back what is not needed while stead waits: what the heap has free, in whole pages (musl does so by itself), and
/// the program's own pages.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim(3) takes a number, and may be called beside other threads.
    unsafe {
        libc::malloc_trim(0);
    }
    unmap_idle_code();
}

/// Unmaps the program's code and constants. The pages stay in the page cache, where the kernel may now drop them first
/// (a mapped page it takes for one that is used); what is needed again is mapped again when it is touched, from which
/// stead's working set is left, without all that only its start needed or lay beside it (madvise(2), `MADV_DONTNEED`).
pub fn unmap_idle_code() {
    // SAFETY: the function is called before the call returns, with what it is declared with.
    unsafe { libc::dl_iterate_phdr(Some(unmap_constant_segments), std::ptr::null_mut()) };
}

/// For each segment of the file that nothing is ever written to. A static program is one object, the first that
/// dl_iterate_phdr(3) tells of; 1 ends the list.
unsafe extern "C" fn unmap_constant_segments(
    object: *mut libc::dl_phdr_info,
    _size: usize,
    _data: *mut libc::c_void,
) -> libc::c_int {
    // SAFETY: the C library made both structures, and they outlive this call.
    let (base, segments) = unsafe {
        let object = &*object;
        let count = usize::from(object.dlpi_phnum);
        (object.dlpi_addr, std::slice::from_raw_parts(object.dlpi_phdr, count))
    };
    // They are listed in a page that is unmapped with them: all are read before.
    let is_constant = |segment: &&libc::Elf64_Phdr| {
        segment.p_type == libc::PT_LOAD && segment.p_flags & libc::PF_W == 0
    };
    let constant = segments.iter().filter(is_constant);
    let pages: Vec<_> =
        constant.filter_map(|it| whole_pages(base + it.p_vaddr, it.p_memsz)).collect();
    for (start, size) in pages {
        // SAFETY: the pages are mapped from the file, which they come back from, and nothing is ever written to them.
        unsafe { libc::madvise(without_provenance_mut(start), size, libc::MADV_DONTNEED) };
    }
    1
}

/// The address and the size of the whole pages within a segment.
fn whole_pages(start: u64, size: u64) -> Option<(usize, usize)> {
    // SAFETY: sysconf takes a number.
    let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).ok()?;
    let (start, size) = (usize::try_from(start).ok()?, usize::try_from(size).ok()?);
    let end = (start + size) / page * page;
    let start = start.next_multiple_of(page);
    Some((start, end.saturating_sub(start)))
}
