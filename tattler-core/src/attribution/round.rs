//! A round compares the cases of one grouping, or of all campaigns together, and fits the model to them.

use super::cases::Cases;
use super::group_test::{Explains, GroupTest, Strength};
use super::groups::Groups;
use super::hazard::Hazard;
use super::leak::LeakEstimate;
use super::matched::Matched;
use super::memo::Memo;
use super::risk::{CountedContacts, Exposure, Risk};
use super::select::{self, Accused};
use crate::view::frame::Frame;

/// The most groupings with a round of their own (those with the most cases). The pool has the cases of the others.
const MAX_SINGLE: usize = 64;
/// The model counts only the first contact of a local with a remote, unless the model that counts every contact is
/// better by this value (natural logarithm of the likelihood).
const PREFER_FIRST: f64 = 3.0;

/// The result of one round.
pub struct Round {
    /// The campaigns of the round's cases. `None`: all campaigns.
    pub(super) campaigns: Option<Vec<usize>>,
    pub(super) accused: Vec<Accused>,
    ln_correction: f64,
    pub(super) tests: Vec<Tested>,
    model: Hazard,
    /// The evidence that the best of so many groups gets by chance: natural logarithm.
    by_chance: f64,
}

/// The tests of one candidate group.
pub(super) struct Tested {
    pub(super) group: usize,
    /// Natural logarithm of p over all cases.
    pub(super) ln_p_first: f64,
    /// Natural logarithm of p over the cases that no accused group explains.
    pub(super) ln_p_left: f64,
    pub(super) signature: u64,
}

impl Round {
    fn new(
        matched: &Matched,
        accused: Vec<Accused>,
        first: &[GroupTest],
        left: &[Strength],
        ln_correction: f64,
        model: Hazard,
    ) -> Round {
        let tests = matched.candidates.iter().zip(first.iter().zip(left));
        let tests = tests.map(|(&group, (first, left))| Tested {
            group,
            ln_p_first: first.strength().ln_p,
            ln_p_left: left.ln_p,
            signature: first.signature,
        });
        let (groups, cases) = (model.candidates().len() as f64, matched.cases.list.len() as f64);
        let by_chance = groups.max(1.0).ln() + 0.5 * cases.max(1.0).ln();
        let campaigns = matched.cases.campaigns.clone();
        Round { campaigns, accused, ln_correction, tests: tests.collect(), model, by_chance }
    }

    /// Decimal logarithm of 1 / p, after correction.
    pub(super) fn score(&self, ln_p: f64) -> f64 {
        -(ln_p + self.ln_correction) / std::f64::consts::LN_10
    }

    /// The evidence for each candidate group of the model, less chance.
    pub(super) fn evidence(&self) -> impl Iterator<Item = (usize, f64)> {
        let candidates = self.model.candidates().iter().enumerate();
        candidates.map(|(slot, &group)| (group as usize, self.model.evidence(slot) - self.by_chance))
    }

    /// The evidence of the model for an accused group, and the group's leak. The model leaves out the group's twins,
    /// the groups that contain the group, and the groups inside it.
    fn evidence_alone(&self, groups: &Groups, accused: &Accused) -> Option<(f64, LeakEstimate)> {
        let group = accused.explains.group;
        let slots = self.model.candidates().iter().map(|&candidate| candidate as usize).enumerate();
        let is_related = |other: usize| {
            accused.groups.contains(&other) || groups.is_inside(other, group) || groups.is_inside(group, other)
        };
        let related: Vec<usize> = slots
            .clone()
            .filter(|&(slot, other)| self.model.is_active(slot) && is_related(other))
            .map(|s| s.0)
            .collect();
        let (slot, _) = slots.clone().find(|&(_, other)| other == group)?;
        let (evidence, leak) = self.model.alone(slot, &related);
        Some((evidence - self.by_chance, leak))
    }
}

/// The largest evidence of any round's model for an accused group, and the leak by that model. There is no leak
/// without evidence.
pub(super) fn modelled(rounds: &[Round], groups: &Groups, accused: &Accused) -> (f64, Option<LeakEstimate>) {
    let all = rounds.iter().filter_map(|round| round.evidence_alone(groups, accused));
    let most = all.max_by(|a, b| a.0.total_cmp(&b.0));
    most.map_or((f64::NEG_INFINITY, None), |(evidence, leak)| (evidence, Some(leak).filter(|_| evidence > 0.0)))
}

/// Makes a round for each grouping that can carry evidence, then a round for the pool of all campaigns. The pool
/// compares the cases that the groupings do not explain. Returns the rounds and the number of hypotheses.
pub(super) fn rounds(
    frame: &Frame,
    groups: &Groups,
    tested: &[bool],
    groupings: &[Cases],
    pooled: &Cases,
    memo: &Memo,
) -> (Vec<Round>, usize) {
    memo.begin(frame, tested);
    let mut single: Vec<&Cases> = groupings.iter().filter(|cases| cases.list.len() >= 2).collect();
    single.sort_by_key(|cases| std::cmp::Reverse(cases.list.len()));
    single.truncate(MAX_SINGLE);
    let pool_differs = single.iter().all(|cases| cases.list.len() < pooled.list.len());
    let exposures =
        [CountedContacts::First, CountedContacts::Every].map(|counted| Exposure::new(frame, groups, tested, counted));
    let model = |cases: &Cases| {
        let [first, every] =
            exposures.each_ref().map(|exposure| Hazard::fit(Risk::new(frame, groups, tested, exposure, cases)));
        if every.log_likelihood() > first.log_likelihood() + PREFER_FIRST { every } else { first }
    };
    let matched = |cases| Matched::new(frame, groups, tested, cases).with(memo);
    let single: Vec<Matched> = single.into_iter().map(matched).collect();
    let pool = pool_differs.then(|| matched(pooled));

    let first_passes: Vec<_> = single.iter().map(|matched| matched.pass(&[])).collect();
    let pool_pass = pool.as_ref().map(|matched| matched.pass(&[]));
    let in_groupings: usize = first_passes.iter().map(|tests| select::hypotheses(tests)).sum();
    let in_pool = pool_pass.as_ref().map_or(0, |tests| select::hypotheses(tests));
    // The pool and the groupings each get half of the permitted error.
    let halves = if pool.is_some() && !single.is_empty() { 2.0 } else { 1.0 };
    let correction = |hypotheses: usize| (hypotheses.max(1) as f64 * halves).ln();

    let mut rounds = Vec::new();
    let mut explained: Vec<Explains> = Vec::new();
    for (matched, first) in single.iter().zip(first_passes) {
        let ln_correction = correction(in_groupings);
        let (accused, left) = select::forward(matched, groups, first.clone(), Vec::new(), ln_correction);
        explained.extend(accused.iter().map(|accused| accused.explains));
        rounds.push(Round::new(matched, accused, &first, &left, ln_correction, model(matched.cases)));
    }
    if let Some((matched, first)) = pool.as_ref().zip(pool_pass) {
        let ln_correction = correction(in_pool);
        let start = if explained.is_empty() { first.clone() } else { matched.pass(&explained) };
        let (accused, left) = select::forward(matched, groups, start, explained, ln_correction);
        rounds.push(Round::new(matched, accused, &first, &left, ln_correction, model(matched.cases)));
    }
    memo.end();
    (rounds, in_groupings + in_pool)
}
