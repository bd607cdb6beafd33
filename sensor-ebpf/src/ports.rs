//! Local UDP ports in use, written by egress alone.

use aya_ebpf::macros::map;
use aya_ebpf::maps::LruHashMap;
use sensor_common::wire::{BootTime, PortKey};

#[map]
static PORTS: LruHashMap<PortKey, BootTime> = LruHashMap::with_max_entries(65_536, 0);

/// When a local last sent from a port; up to a minute behind.
#[inline(always)]
pub fn get(key: &PortKey) -> Option<BootTime> {
    // SAFETY: an entry that is replaced meanwhile yields another port's time at worst.
    unsafe { PORTS.get(key) }.copied()
}

/// Notes that a local sends from a port.
#[inline(always)]
pub fn refresh(key: &PortKey, now: BootTime) {
    let _ = PORTS.insert(key, now, 0);
}
