//! How long after a contact the probe comes: bins, from seconds to days, and what they mean.

use crate::time::Span;

/// Bins of the lag.
pub const BINS: usize = 7;
/// Where they end, in seconds; the first begins at 0. The last is as long as an address is valid.
const ENDS: [f64; BINS] = [10.0, 60.0, 600.0, 3_600.0, 21_600.0, 86_400.0, 604_800.0];

/// Where a bin begins, in seconds.
fn begin(bin: usize) -> f64 {
    if bin == 0 { 0.0 } else { ENDS[bin - 1] }
}

/// Where a bin ends, in seconds.
#[must_use]
pub fn end(bin: usize) -> f64 {
    ENDS[bin]
}

/// How long a bin is, in seconds.
#[must_use]
pub fn width(bin: usize) -> f64 {
    ENDS[bin] - begin(bin)
}

/// The bin of a lag; `None` if it is negative or longer than all.
#[must_use]
pub fn bin(lag: Span) -> Option<usize> {
    let seconds = lag.seconds();
    if seconds < 0.0 { None } else { ENDS.iter().position(|&end| seconds <= end) }
}

/// Which share of each bin lies within `span` after a contact.
#[must_use]
pub fn at_risk(span: Span) -> [f32; BINS] {
    let seconds = span.seconds();
    std::array::from_fn(|bin| ((seconds - begin(bin)) / width(bin)).clamp(0.0, 1.0) as f32)
}

/// How much of a bin lies between two lags; all in seconds.
#[must_use]
pub fn overlap(bin: usize, shortest: f64, longest: f64) -> f64 {
    (ENDS[bin].min(longest) - begin(bin).max(shortest)).max(0.0)
}

/// The share of the leaks that come in each bin. Sums to 1.
pub type Shares = [f64; BINS];

/// What is believed before any data: nothing much, a little more for the short ones.
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
    fn a_bin_is_at_risk_as_far_as_the_time_went() {
        let risk = at_risk(Span::from_seconds(330));
        assert_eq!(risk[..2], [1.0, 1.0]);
        assert!((risk[2] - 0.5).abs() < 1e-6 && risk[3..] == [0.0; 4]);
        assert_eq!(at_risk(Span(-5)), [0.0; BINS]);
    }
}
