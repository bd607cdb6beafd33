//! The test of one group: whether cases contacted the group more often than their controls did.

use super::tail::Trials;
use crate::time::Span;

/// The longest time from a contact to the probe, for each window. The last window is all of the time before.
pub const WINDOWS: [Span; 4] =
    [Span::from_seconds(10), Span::from_seconds(600), Span::from_seconds(21_600), Span(i64::MAX)];

/// The result for one group in one pass of the comparison.
#[derive(Clone, Debug, Default)]
pub struct GroupTest {
    /// The trials, for each of [`WINDOWS`].
    pub windows: [Trials; WINDOWS.len()],
    /// A hash that is equal for groups that every trial treats alike, controls included.
    pub signature: u64,
    /// A hash that is equal for groups that the same cases had contacted in the same windows.
    pub exposure: u64,
}

/// A group that explains the cases that contacted it within a window before the probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Explains {
    /// The group.
    pub group: usize,
    /// The window: a position in [`WINDOWS`].
    pub window: usize,
}

/// The strength of a test's result.
#[derive(Clone, Copy, Debug)]
pub struct Strength {
    /// Natural logarithm of p, before correction.
    pub ln_p: f64,
    /// The window with that p, a position in [`WINDOWS`].
    pub window: usize,
    /// Number of cases that had contacted the group within the window.
    pub cases: u32,
}

impl GroupTest {
    /// The result of the strongest window.
    #[must_use]
    pub fn strength(&self) -> Strength {
        let mut best = Strength { ln_p: 0.0, window: WINDOWS.len() - 1, cases: 0 };
        // Start with the longest window, so that a shorter window wins only if its result is better.
        for (window, trials) in self.windows.iter().enumerate().rev() {
            let cases = trials.successes();
            if cases == 0 || f64::from(cases) <= trials.expected() {
                continue;
            }
            let ln_p = trials.ln_tail();
            if ln_p < best.ln_p {
                best = Strength { ln_p, window, cases };
            }
        }
        best
    }
}
