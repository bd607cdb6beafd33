//! What the system's allocator is told.

/// Blocks from this size on are returned to the system when they are freed. Bytes.
#[cfg(target_env = "gnu")]
const LARGE: libc::c_int = 256 << 10;

/// Has large blocks returned to the system as soon as they are freed.
///
/// The GNU allocator does so at first, but takes each that is freed for a sign that such sizes will be
/// wanted again, and from then on keeps blocks of up to 32 MiB. The tables of ledger, suspects and
/// queries are made anew now and then, each a little larger than its place: after a month of a busy
/// home nearly half of the memory was such places (docs/soak.md). Others have no such habit.
pub fn return_large_blocks() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it sets a number of the allocator's, under its lock; memory that is in use stays as it is.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE);
    }
}
