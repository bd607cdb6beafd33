//! A setting of the system's allocator.

/// Blocks from this size on are returned to the system when they are freed. Bytes.
#[cfg(target_env = "gnu")]
const LARGE: libc::c_int = 256 << 10;

/// Makes the allocator return large blocks to the system as soon as they are freed.
///
/// The GNU allocator raises its threshold with each large block that is freed, and from then on keeps blocks of up
/// to 32 MiB. The tables of ledger, suspects and queries are rebuilt now and then, each a little larger than
/// before: after a month of a busy home nearly half of the memory was such blocks (docs/soak.md). Other
/// allocators don't do so.
pub fn return_large_blocks() {
    #[cfg(target_env = "gnu")]
    // SAFETY: mallopt sets one number of the allocator under its lock, and touches no block in use.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE);
    }
}
