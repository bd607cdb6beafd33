//! Exchanges begun inside, written by egress alone.

use aya_ebpf::macros::map;
use aya_ebpf::maps::LruHashMap;
use sensor_common::wire::{BootTime, Flow, FlowKey};

#[map]
static FLOWS: LruHashMap<FlowKey, Flow> = LruHashMap::with_max_entries(65_536, 0);

/// What is known of an exchange.
#[inline(always)]
pub fn get(key: &FlowKey) -> Option<Flow> {
    // SAFETY: an entry that is replaced meanwhile yields a torn time at worst.
    unsafe { FLOWS.get(key) }.copied()
}

/// Notes a packet of an exchange, and that its local, port and pair have been refreshed.
#[inline(always)]
pub fn refreshed(key: &FlowKey, now: BootTime) {
    let _ = FLOWS.insert(key, Flow { last: now, refreshed: now }, 0);
}

/// Notes a packet of a known exchange.
#[inline(always)]
pub fn seen(key: &FlowKey, now: BootTime) {
    if let Some(flow) = FLOWS.get_ptr_mut(key) {
        // SAFETY: map memory stays valid while the program runs.
        unsafe { (*flow).last = now };
    }
}
