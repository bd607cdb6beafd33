//! The budget for probes of targets that are not in use: a sweep of the prefix must not push out
//! the probe of an address that somebody gave away.

use aya_ebpf::macros::map;
use aya_ebpf::maps::PerCpuArray;
use sensor_common::rules::SECOND;
use sensor_common::wire::{BootTime, Budget};

/// Events a second, on each CPU.
const RATE: u64 = 100;
/// Events at once, on each CPU.
const BURST: u64 = 1_000;

#[map]
static BUDGETS: PerCpuArray<Budget> = PerCpuArray::with_max_entries(1, 0);

/// Takes one event out of this CPU's budget. `false` if nothing is left.
#[inline(always)]
pub fn take(now: BootTime) -> bool {
    let Some(budget) = BUDGETS.get_ptr_mut(0) else { return false };
    // SAFETY: this CPU's own entry, and programs on one CPU don't interrupt each other here.
    let budget = unsafe { &mut *budget };
    let due = now.saturating_sub(budget.refilled) / (SECOND / RATE);
    if due > 0 {
        budget.left = if due > BURST { BURST } else { core::cmp::min(budget.left + due, BURST) };
        budget.refilled = now;
    }
    if budget.left == 0 {
        return false;
    }
    budget.left -= 1;
    true
}
