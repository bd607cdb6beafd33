//! The lag: the time from a contact to its probe, in bins from seconds to days.

use crate::time::Span;

/// Number of bins.
pub const BINS: usize = 7;
/// The ends of the bins in seconds. The first bin begins at 0. The last bin ends where addresses become invalid.
const ENDS: [f64; BINS] = [10.0, 60.0, 600.0, 3_600.0, 21_600.0, 86_400.0, 604_800.0];

/// The begin of a bin, in seconds.
fn begin(bin: usize) -> f64 {
    if bin == 0 { 0.0 } else { ENDS[bin - 1] }
}

/// The end of a bin, in seconds.
#[must_use]
pub fn end(bin: usize) -> f64 {
    ENDS[bin]
}

/// The width of a bin, in seconds.
#[must_use]
pub fn width(bin: usize) -> f64 {
    ENDS[bin] - begin(bin)
}

/// The bin of a lag; `None` if the lag is negative or longer than a week.
#[must_use]
pub fn bin(lag: Span) -> Option<usize> {
    let seconds = lag.seconds();
    if seconds < 0.0 { None } else { ENDS.iter().position(|&end| seconds <= end) }
}

/// The share of each bin that lies within `span` after a contact.
#[must_use]
pub fn at_risk(span: Span) -> [f32; BINS] {
    let seconds = span.seconds();
    std::array::from_fn(|bin| ((seconds - begin(bin)) / width(bin)).clamp(0.0, 1.0) as f32)
}

/// The part of a bin between two lags, all in seconds.
#[must_use]
pub fn overlap(bin: usize, shortest: f64, longest: f64) -> f64 {
    (ENDS[bin].min(longest) - begin(bin).max(shortest)).max(0.0)
}

/// The share of the leaks with a lag in each bin. The sum is 1.
pub type Shares = [f64; BINS];

/// The prior: nearly even, with slightly larger shares for short lags.
pub const PRIOR: Shares = [0.16, 0.15, 0.15, 0.14, 0.14, 0.14, 0.12];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_lag_up_to_a_week_has_its_bin() {
        let bin = |seconds: i64| bin(Span::from_seconds(seconds));
        assert_eq!([0, 10, 11, 600, 3_601, 86_400, 604_800].map(bin), [0, 0, 1, 2, 4, 5, 6].map(Some));
        assert_eq!([-1, 604_801].map(bin), [None, None]);
        assert!((PRIOR.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_bin_is_at_risk_up_to_the_time_that_has_passed() {
        let risk = at_risk(Span::from_seconds(330));
        assert_eq!(risk[..2], [1.0, 1.0]);
        assert!((risk[2] - 0.5).abs() < 1e-6 && risk[3..] == [0.0; 4]);
        assert_eq!(at_risk(Span(-5)), [0.0; BINS]);
    }
}
