//! The plain 2x2 table of each group, all scanners together: contacted before the probe or not, probed or not.
//!
//! The table ignores time, and locals with a long lifetime mislead it. But the table uses every address. Where few
//! addresses had as long a lifetime as the probed addresses, the table has the most data.

use super::cases::Cases;
use super::groups::Groups;
use super::tail;
use crate::view::frame::Frame;

const NONE: u32 = u32::MAX;

/// Decimal logarithm of 1 / p by Fisher's exact test, by group. It is 0 if no case had contacted the group.
#[must_use]
pub fn tables(frame: &Frame, groups: &Groups, pooled: &Cases) -> Vec<f64> {
    let tested = groups.locals;
    let mut hits = vec![0u64; groups.list.len()];
    let mut seen = vec![NONE; groups.list.len()];
    for case in &pooled.list {
        for group in case.contacted(frame).iter().flat_map(|first| groups.of(first.remote)) {
            if std::mem::replace(&mut seen[group], case.local) != case.local {
                hits[group] += 1;
            }
        }
    }
    let cases = pooled.list.len() as u64;
    let p = |(&a, locals): (&u64, u64)| {
        let (b, c) = (locals.saturating_sub(a), cases - a);
        let d = tested.saturating_sub(a + b + c);
        // The cases are no more frequent than by chance: skip the sum.
        let expected = cases as f64 * locals as f64 / tested.max(1) as f64;
        if (a as f64) <= expected { 0.0 } else { -tail::fisher(a, b, c, d).max(f64::MIN_POSITIVE).log10() }
    };
    hits.iter().zip(groups.list.iter().map(|group| u64::from(group.locals))).map(p).collect()
}
