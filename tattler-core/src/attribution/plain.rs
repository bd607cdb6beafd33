//! The plain table of each group, all scanners together: contacted or not before the probe, probed or
//! not. It knows nothing of time, and long lives mislead it; but it uses every address, and where few
//! lived as long as the probed ones, it knows most.

use super::cases::Cases;
use super::groups::Groups;
use super::tail;
use crate::view::frame::Frame;

const NONE: u32 = u32::MAX;

/// Decimal logarithm of 1 / p by Fisher's exact test, by group; 0 for those that no case had contacted.
#[must_use]
pub fn tables(frame: &Frame, groups: &Groups, pooled: &Cases) -> Vec<f64> {
    let tested = groups.locals;
    let mut hits = vec![0u64; groups.list.len()];
    let mut seen = vec![NONE; groups.list.len()];
    for case in &pooled.list {
        for first in &frame.firsts(case.local as usize)[..case.contacts as usize] {
            for group in groups.of(first.remote).into_iter().flatten() {
                if std::mem::replace(&mut seen[group], case.local) != case.local {
                    hits[group] += 1;
                }
            }
        }
    }
    let cases = pooled.list.len() as u64;
    let p = |(&a, locals): (&u64, u64)| {
        let (b, c) = (locals.saturating_sub(a), cases - a);
        let d = tested.saturating_sub(a + b + c);
        // What is no more frequent than chance has it is not worth the sum.
        let expected = cases as f64 * locals as f64 / tested.max(1) as f64;
        if (a as f64) <= expected { 0.0 } else { -tail::fisher(a, b, c, d).max(f64::MIN_POSITIVE).log10() }
    };
    hits.iter().zip(groups.list.iter().map(|group| u64::from(group.locals))).map(p).collect()
}
