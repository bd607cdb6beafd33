//! What was seen, kept, held back and lost; one set for each CPU, so that adding needs no lock.

use aya_ebpf::macros::map;
use aya_ebpf::maps::PerCpuArray;
use sensor_common::GiveUp;
use sensor_common::counters::{self, COUNTERS as LENGTH, Direction, Fate};
use sensor_common::wire::What;

#[map]
static COUNTERS: PerCpuArray<u64> = PerCpuArray::with_max_entries(LENGTH, 0);

/// Counts what became of a contact, a probe or an answer.
#[inline(always)]
pub fn add(what: What, fate: Fate) {
    increment(counters::fate(what, fate));
}

/// Counts a packet that the parser gave up on.
#[inline(always)]
pub fn gave_up(direction: Direction, reason: GiveUp) {
    if let Some(index) = counters::give_up(direction, reason) {
        increment(index);
    }
}

#[inline(always)]
fn increment(index: u32) {
    if let Some(counter) = COUNTERS.get_ptr_mut(index) {
        // SAFETY: this CPU's own counter; an 8-byte aligned add that nothing on this CPU interrupts.
        unsafe { *counter += 1 };
    }
}
