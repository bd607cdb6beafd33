//! Who told the scanners: which earlier contact explains the probes.
//!
//! A matched comparison decides who is accused, a model of the rate at which a scanner comes says how
//! sure, how much and how late, and rivals are weighed; docs/attribution.md has the reasons and figures.
//! A pure function of the ledger.
//!
//! # Layout
//! - [`groups`]: remotes as suspects: addresses, prefixes, operators
//! - [`cases`]: who was probed, by whom, when first
//! - [`matched`]: the comparison of cases with controls that were as far; [`devices`] weighs them
//! - [`select`]: accuse, set aside, ask again; [`tail`]: how likely a coincidence is
//! - [`lag`], [`risk`], `rates`, [`hazard`], [`leak`]: the model, from bins of time over what it is fitted
//!   to, to what it says
//! - [`plain`]: the 2x2 tables of readers
//! - [`rank`]: from the tests of all scanners to one list
//! - [`verdict`], [`probability`]: what may be said
//! - [`basis`], [`figures`]: the numbers shown beside a candidate, and what they are counted from
//! - [`memo`]: what one attribution leaves to the next

pub mod basis;
pub mod cases;
pub mod devices;
pub mod figures;
pub mod groups;
pub mod hazard;
pub mod lag;
pub mod leak;
pub mod matched;
pub mod memo;
pub mod plain;
pub mod probability;
pub mod rank;
mod rates;
pub mod risk;
pub mod select;
pub mod tail;
#[cfg(test)]
pub(crate) mod tests;
pub mod verdict;

use self::cases::{Cases, under_test};
use self::groups::Groups;
use self::hazard::Hazard;
use self::matched::{Explains, Matched};
use self::memo::Memo;
use self::rank::{Finding, Round};
use self::risk::{Counting, Exposure, Risk};
use crate::campaign::Campaigns;
use crate::view::frame::Frame;

pub use self::verdict::{Rival, Verdict};

/// Campaigns that are compared one by one: those with the most cases. The rest counts in the pool.
const MAX_VIEWS: usize = 64;
/// Only the first contact of a local with a remote counts, unless the model in which each counts is so
/// much better (natural logarithm of the likelihood).
const PREFER_FIRST: f64 = 3.0;

/// What attribution found.
pub struct Attribution {
    /// Locals under test, by number in the frame.
    pub tested: Vec<bool>,
    /// Their remotes.
    pub groups: Groups,
    /// Cases of every campaign that has any.
    pub cases: Vec<Cases>,
    /// All campaigns as one.
    pub pooled: Cases,
    /// The candidates in rank order.
    pub findings: Vec<Finding>,
    /// Different hypotheses that were tested; p is corrected for them.
    pub hypotheses: usize,
}

impl Attribution {
    /// Attributes the exact hits of the ledger.
    #[must_use]
    pub fn new(frame: &Frame, campaigns: &Campaigns) -> Attribution {
        Attribution::with(frame, campaigns, &Memo::default())
    }

    /// The same with what is left from before; it makes no difference to what is found.
    #[must_use]
    pub fn with(frame: &Frame, campaigns: &Campaigns, memo: &Memo) -> Attribution {
        let tested = under_test(frame);
        let groups = Groups::new(frame, &tested);
        let cases = Cases::of_campaigns(frame, campaigns, &tested);
        let pooled = Cases::pooled(frame, &cases);
        let views = Cases::of_views(frame, campaigns, &tested);
        let (rounds, hypotheses) = rounds(frame, &groups, &tested, &views, &pooled, memo);
        let plain = plain::tables(frame, &groups, &pooled);
        let findings = rank::rank(frame, campaigns, &groups, &cases, &pooled, &plain, rounds);
        Attribution { tested, groups, cases, pooled, findings, hypotheses }
    }
}

/// A round for each campaign that can carry evidence, then one for the pool, which gets what the
/// campaigns leave.
fn rounds(
    frame: &Frame,
    groups: &Groups,
    tested: &[bool],
    cases: &[Cases],
    pooled: &Cases,
    memo: &Memo,
) -> (Vec<Round>, usize) {
    memo.begin(frame, tested);
    let mut single: Vec<&Cases> = cases.iter().filter(|cases| cases.list.len() >= 2).collect();
    single.sort_by_key(|cases| std::cmp::Reverse(cases.list.len()));
    single.truncate(MAX_VIEWS);
    let pool_differs = single.iter().all(|cases| cases.list.len() < pooled.list.len());
    let exposures = [Counting::First, Counting::Every].map(|counting| Exposure::new(frame, groups, tested, counting));
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
    let in_campaigns: usize = first_passes.iter().map(|tests| select::hypotheses(tests)).sum();
    let in_pool = pool_pass.as_ref().map_or(0, |tests| select::hypotheses(tests));
    // The pool and the campaigns share the permitted error between them, half and half.
    let halves = if pool.is_some() && !single.is_empty() { 2.0 } else { 1.0 };
    let correction = |hypotheses: usize| (hypotheses.max(1) as f64 * halves).ln();

    let mut rounds = Vec::new();
    let mut explained: Vec<Explains> = Vec::new();
    for (matched, first) in single.iter().zip(first_passes) {
        let ln_correction = correction(in_campaigns);
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
    (rounds, in_campaigns + in_pool)
}
