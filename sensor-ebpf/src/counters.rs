//! Counters of events and of parser failures. Each CPU has its own set, so increments need no lock.

use aya_ebpf::macros::map;
use aya_ebpf::maps::PerCpuArray;
use sensor_common::GiveUp;
use sensor_common::counters::{self, COUNTERS as LENGTH, Direction, Fate};
use sensor_common::wire::What;

#[map]
static COUNTERS: PerCpuArray<u64> = PerCpuArray::with_max_entries(LENGTH, 0);

/// Counts one contact, probe or answer.
#[inline(always)]
pub fn add(what: What, fate: Fate) {
    increment(counters::fate(what, fate));
}

/// Counts a packet that the parser could not read.
#[inline(always)]
pub fn gave_up(direction: Direction, reason: GiveUp) {
    if let Some(index) = counters::give_up(direction, reason) {
        increment(index);
    }
}

#[inline(always)]
fn increment(index: u32) {
    if let Some(counter) = COUNTERS.get_ptr_mut(index) {
        // SAFETY: this CPU's own counter, aligned to 8 bytes. Softirqs do not nest; with PREEMPT_RT, a
        // program that preempts this one may cause a lost increment.
        unsafe { *counter += 1 };
    }
}
