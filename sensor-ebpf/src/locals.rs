//! Locals in use, written by egress alone.

use aya_ebpf::macros::map;
use aya_ebpf::maps::LruHashMap;
use sensor_common::parse::Address;
use sensor_common::wire::BootTime;

#[map]
static LOCALS: LruHashMap<Address, BootTime> = LruHashMap::with_max_entries(65_536, 0);

/// Whether a local was seen in use.
#[inline(always)]
pub fn in_use(local: &Address) -> bool {
    LOCALS.get_ptr(local).is_some()
}

/// Notes that a local is in use.
#[inline(always)]
pub fn refresh(local: &Address, now: BootTime) {
    let _ = LOCALS.insert(local, now, 0);
}
