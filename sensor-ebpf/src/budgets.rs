//! The budget for probes of unused targets, one for each CPU.

use aya_ebpf::macros::map;
use aya_ebpf::maps::PerCpuArray;
use sensor_common::wire::{BootTime, Budget};

#[map]
static BUDGETS: PerCpuArray<Budget> = PerCpuArray::with_max_entries(1, 0);

/// Takes one event out of this CPU's budget. `false` if nothing is left.
#[inline(always)]
pub fn take(now: BootTime) -> bool {
    // SAFETY: this CPU's own entry. Programs at ingress run in softirq context, which does not nest;
    // with PREEMPT_RT another one may preempt this one, and the budget is then off by one event.
    BUDGETS.get_ptr_mut(0).is_some_and(|budget| unsafe { (*budget).take(now) })
}
