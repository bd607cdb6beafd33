//! Exchanges begun outside. A map of their own: outsiders can't evict what we began.

use aya_ebpf::macros::map;
use aya_ebpf::maps::LruHashMap;
use sensor_common::wire::{BootTime, Flow, FlowKey};

#[map]
static INBOUND: LruHashMap<FlowKey, Flow> = LruHashMap::with_max_entries(65_536, 0);

/// What is known of an exchange.
#[inline(always)]
pub fn get(key: &FlowKey) -> Option<Flow> {
    // SAFETY: an entry that is replaced meanwhile yields a torn time at worst.
    unsafe { INBOUND.get(key) }.copied()
}

/// Notes a packet of an exchange.
#[inline(always)]
pub fn seen(key: &FlowKey, now: BootTime) {
    match INBOUND.get_ptr_mut(key) {
        // SAFETY: map memory stays valid while the program runs.
        Some(flow) => unsafe { (*flow).last = now },
        None => {
            let _ = INBOUND.insert(key, Flow { last: now, refreshed: 0 }, 0);
        }
    }
}

/// Notes a packet of an exchange, and that its port has been refreshed.
#[inline(always)]
pub fn refreshed(key: &FlowKey, now: BootTime) {
    let _ = INBOUND.insert(key, Flow { last: now, refreshed: now }, 0);
}
