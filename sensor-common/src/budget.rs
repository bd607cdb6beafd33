//! The budget for probes of unused targets: a sweep of the prefix must not crowd out probes of
//! addresses that somebody leaked.

use crate::rules::SECOND;
use crate::wire::{BootTime, Budget};

/// Events a second, on each CPU.
pub const RATE: u64 = 100;
/// Events at once, on each CPU.
pub const BURST: u64 = 1_000;

impl Budget {
    /// Takes one event out of the budget. `false` if nothing is left.
    #[inline(always)]
    pub fn take(&mut self, now: BootTime) -> bool {
        let due = now.saturating_sub(self.refilled) / (SECOND / RATE);
        if due > 0 {
            self.left = if due > BURST { BURST } else { core::cmp::min(self.left + due, BURST) };
            self.refilled = now;
        }
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_lets_a_burst_through_and_then_its_rate() {
        let (mut budget, start) = (Budget::default(), 1_000 * SECOND);
        let taken = |budget: &mut Budget, now| (0..2 * BURST).filter(|_| budget.take(now)).count() as u64;
        assert_eq!(taken(&mut budget, start), BURST);
        assert_eq!(taken(&mut budget, start + SECOND / RATE - 1), 0);
        assert_eq!(taken(&mut budget, start + SECOND), RATE);
        assert_eq!(taken(&mut budget, start + 1_000 * SECOND), BURST);
    }
}
