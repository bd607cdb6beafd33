//! Forward selection: accuses the group that explains the cases best, removes its cases and compares the other cases
//! again, until chance explains all cases that are left.
//!
//! So a third party that is loaded together with a harvester loses its evidence to the harvester. A second harvester
//! that feeds the same scanner is found among the cases that the first harvester does not explain.

use std::collections::HashSet;

use super::group_test::{Explains, GroupTest, Strength, WINDOWS};
use super::groups::Groups;
use super::matched::Matched;

/// Family-wise error: the corrected p up to which a group is accused.
pub const ALPHA: f64 = 0.01;
/// The most groups that one scanner's cases accuse: a bound, far above the number that data can support.
const MAX_ACCUSED: usize = 64;
/// An address is preferred to its prefix, except when the address does not convince by itself and the prefix is this
/// many times more convincing.
const LN_PREFER_SPECIFIC: f64 = std::f64::consts::LN_10;
/// Remotes that the same cases contacted in the same windows are twins if their likelihoods differ by less
/// than this (natural logarithm).
const LN_SAME: f64 = 2.0;
/// The p up to which the comparison with the controls nearest in time confirms, by window. It is not corrected, since
/// it only confirms. Sites and scanners are active on certain days. So contacts over hours or a whole lifetime need
/// more evidence than contacts that a probe follows within minutes.
const CONFIRM: [f64; WINDOWS.len()] = [0.01, 0.01, 0.001, 0.001];

/// An accused group.
#[derive(Clone, Debug)]
pub struct Accused {
    /// The group and its window.
    pub explains: Explains,
    /// The strength on the cases that the previously accused groups do not explain.
    pub strength: Strength,
    /// The group and its twins, which the data cannot tell apart.
    pub groups: Vec<usize>,
}

/// The strengths of all tests. If the comparison with the controls nearest in time does not confirm a strength, the
/// group and the scanner were only active on the same days: the strength is then held just below the limit.
fn strengths(matched: &Matched, tests: &[GroupTest], explained: &[Explains], ln_correction: f64) -> Vec<Strength> {
    let hold = (2.0 * ALPHA).ln() - ln_correction;
    let found: Vec<Strength> = tests.iter().map(GroupTest::strength).collect();
    if found.iter().all(|found| found.ln_p >= hold) {
        return found;
    }
    let near = matched.pass_near(explained);
    let confirmed = |strength: &Strength, near: &GroupTest| {
        near.windows[strength.window].ln_tail() <= CONFIRM[strength.window].ln()
    };
    let pairs = found.into_iter().zip(near);
    pairs
        .map(|(found, near)| match found.ln_p < hold && !confirmed(&found, &near) {
            true => Strength { ln_p: hold, ..found },
            false => found,
        })
        .collect()
}

/// Number of different hypotheses in a first pass. A test that could not have become convincing, whatever the cases
/// had contacted, does not count as a hypothesis (Tarone 1990).
#[must_use]
pub fn hypotheses(tests: &[GroupTest]) -> usize {
    let mut distinct = HashSet::new();
    for test in tests {
        for trials in &test.windows {
            if trials.ln_least() <= ALPHA.ln() {
                // Equal sums count as one hypothesis in two windows of one group, and in two groups that every trial
                // treats alike.
                distinct.insert((test.signature, trials.ln_least().to_bits(), trials.successes()));
            }
        }
    }
    distinct.len()
}

/// Accuses one group after another. `ln_correction` is added to the logarithm of each p. Returns the accused groups
/// in order, and the strengths of all tests of the last pass.
#[must_use]
pub fn forward(
    matched: &Matched,
    groups: &Groups,
    mut tests: Vec<GroupTest>,
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
        // The comparison itself decides which groups are twins: which twins the nearest controls confirm is chance.
        let plain = tests[best].strength().ln_p;
        let twins = (0..tests.len()).filter(|&other| {
            let level = |test: usize| groups.list[matched.candidates[test]].level;
            let same_level = level(other) == level(best);
            other == best
                || same_level
                    && tests[other].exposure == tests[best].exposure
                    && (tests[other].strength().ln_p - plain).abs() <= LN_SAME
        });
        let explains = Explains { group: matched.candidates[best], window: found.window };
        let groups = twins.map(|twin| matched.candidates[twin]).collect();
        accused.push(Accused { explains, strength: found, groups });
        explained.push(explains);
        tests = matched.pass(&explained);
    }
}

/// Replaces accused addresses by their prefix, if the prefix still convinces after these addresses were accused. More
/// of the prefix than these addresses then leaks.
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

/// The position of the most convincing test. Of nested groups, the most specific group that carries the evidence.
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
