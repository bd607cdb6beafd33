//! The time that events and maps carry.

use sensor_common::wire::BootTime;

/// Nanoseconds since boot, suspend included (kernel 5.8).
#[inline(always)]
pub fn now() -> BootTime {
    // SAFETY: a helper without arguments.
    unsafe { aya_ebpf::helpers::bpf_ktime_get_boot_ns() }
}
