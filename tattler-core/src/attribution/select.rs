//! Forward selection: the remote that explains best is accused, its cases are set aside, and the
//! rest is asked again, until nothing that is left could not be chance.
//!
//! So a third party that is loaded together with a harvester loses its evidence to the harvester,
//! and a second harvester behind the same scanner is found among the cases that the first leaves.

use std::collections::HashSet;

use super::groups::Groups;
use super::matched::{Explains, Matched, Test, WINDOWS};

/// Family-wise error: the corrected p up to which somebody is named.
pub const ALPHA: f64 = 0.01;
/// Accused at most by one campaign: a bound, far above what data can carry.
const MAX_ACCUSED: usize = 64;
/// An address is preferred to its prefix unless it does not convince by itself and the prefix is this
/// many times more convincing.
const LN_PREFER_SPECIFIC: f64 = std::f64::consts::LN_10;
/// Remotes that the same cases contacted, in the same windows, can't be told apart if their
/// likelihoods differ by less (natural logarithm).
const LN_SAME: f64 = 2.0;

/// How convincing a test is.
#[derive(Clone, Copy, Debug)]
pub struct Strength {
    /// Natural logarithm of p, before correction.
    pub ln_p: f64,
    /// The window in which it is so, a position in [`super::matched::WINDOWS`].
    pub window: usize,
    /// Cases that had contacted it within the window.
    pub cases: u32,
}

/// The strongest window of a test.
#[must_use]
pub fn strength(test: &Test) -> Strength {
    let mut best = Strength { ln_p: 0.0, window: test.windows.len() - 1, cases: 0 };
    // The longest first, so that a shorter one has to be better to be told.
    for (window, trials) in test.windows.iter().enumerate().rev() {
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

/// The p up to which the comparison with the nearest in time confirms, by window; not corrected, since
/// it only confirms. Sites have their days, and so have scanners: what all of a life or hours have in
/// common needs more than what follows a contact within minutes.
const CONFIRM: [f64; WINDOWS.len()] = [0.01, 0.01, 0.001, 0.001];

/// The strongest windows of all tests, held just below naming where the comparison with the nearest
/// in time does not confirm: then it is the days that have something in common, not the remote.
fn strengths(matched: &Matched, tests: &[Test], explained: &[Explains], ln_correction: f64) -> Vec<Strength> {
    let hold = (2.0 * ALPHA).ln() - ln_correction;
    let found: Vec<Strength> = tests.iter().map(strength).collect();
    if found.iter().all(|found| found.ln_p >= hold) {
        return found;
    }
    let near = matched.pass_near(explained);
    let confirmed =
        |strength: &Strength, near: &Test| near.windows[strength.window].ln_tail() <= CONFIRM[strength.window].ln();
    let pairs = found.into_iter().zip(near);
    pairs
        .map(|(found, near)| match found.ln_p < hold && !confirmed(&found, &near) {
            true => Strength { ln_p: hold, ..found },
            false => found,
        })
        .collect()
}

/// A group that is accused, with those that can't be told from it.
#[derive(Clone, Debug)]
pub struct Accused {
    /// What it explains.
    pub explains: Explains,
    /// How convincing, on the cases that the ones before it left.
    pub strength: Strength,
    /// It and its twins, by number of group.
    pub groups: Vec<usize>,
}

/// How many different hypotheses a first pass tests. Those that could not have become convincing,
/// whatever the cases had contacted, test nothing (Tarone 1990).
#[must_use]
pub fn hypotheses(tests: &[Test]) -> usize {
    let mut distinct = HashSet::new();
    for test in tests {
        for trials in &test.windows {
            if trials.ln_least() <= ALPHA.ln() {
                // Equal sums in two windows of one group, or in two groups that no trial tells
                // apart, are one hypothesis.
                distinct.insert((test.signature, trials.ln_least().to_bits(), trials.successes()));
            }
        }
    }
    distinct.len()
}

/// Accuses one group after another. `ln_correction` is added to the logarithm of each p. Returns the
/// accused in order, and how convincing the rest is.
#[must_use]
pub fn forward(
    matched: &Matched,
    groups: &Groups,
    mut tests: Vec<Test>,
    mut explained: Vec<Explains>,
    ln_correction: f64,
) -> (Vec<Accused>, Vec<Strength>) {
    let mut accused = Vec::new();
    loop {
        let strengths = strengths(matched, &tests, &explained, ln_correction);
        let best = most_convincing(matched, groups, &strengths, ALPHA.ln() - ln_correction);
        let convincing = |&best: &usize| {
            strengths[best].ln_p + ln_correction <= ALPHA.ln()
                && strengths[best].cases >= 2
                && accused.len() < MAX_ACCUSED
        };
        let Some(best) = best.filter(convincing) else { return (fold(groups, accused), strengths) };
        let found = strengths[best];
        // Twins are told by the comparison itself; which of them the nearest confirm is chance.
        let plain = strength(&tests[best]).ln_p;
        let twins = (0..tests.len()).filter(|&other| {
            let level = |test: usize| groups.list[matched.candidates[test]].level;
            let same_level = level(other) == level(best);
            other == best
                || same_level
                    && tests[other].exposure == tests[best].exposure
                    && (strength(&tests[other]).ln_p - plain).abs() <= LN_SAME
        });
        let explains = Explains { group: matched.candidates[best], window: found.window };
        let groups = twins.map(|twin| matched.candidates[twin]).collect();
        accused.push(Accused { explains, strength: found, groups });
        explained.push(explains);
        tests = matched.pass(&explained);
    }
}

/// A prefix that still convinces when addresses in it are accused has more to it than these: it
/// stands for them.
fn fold(groups: &Groups, accused: Vec<Accused>) -> Vec<Accused> {
    let mut folded: Vec<Accused> = Vec::new();
    for mut outer in accused {
        folded.retain(|inner| {
            let inside = groups.is_inside(inner.explains.group, outer.explains.group);
            if inside {
                outer.explains.window = outer.explains.window.max(inner.explains.window);
                if inner.strength.ln_p < outer.strength.ln_p {
                    outer.strength = inner.strength;
                }
            }
            !inside
        });
        folded.push(outer);
    }
    folded
}

/// The position of the most convincing test; of nested groups the most specific that carries the
/// evidence.
fn most_convincing(matched: &Matched, groups: &Groups, strengths: &[Strength], enough: f64) -> Option<usize> {
    let smallest = |a: &usize, b: &usize| strengths[*a].ln_p.total_cmp(&strengths[*b].ln_p);
    let best = (0..strengths.len()).min_by(smallest)?;
    let outer = matched.candidates[best];
    let inner = (0..strengths.len())
        .filter(|&other| groups.is_inside(matched.candidates[other], outer))
        .filter(|&other| strengths[other].ln_p <= enough.max(strengths[best].ln_p + LN_PREFER_SPECIFIC))
        .filter(|&other| strengths[other].cases >= 2)
        .min_by(smallest);
    Some(inner.unwrap_or(best))
}
