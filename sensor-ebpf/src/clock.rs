//! The time in events and maps.

use sensor_common::wire::BootTime;

/// Nanoseconds since boot, suspend included (kernel 5.8).
#[inline(always)]
pub fn now() -> BootTime {
    // SAFETY: the helper takes no arguments.
    unsafe { aya_ebpf::helpers::bpf_ktime_get_boot_ns() }
}
