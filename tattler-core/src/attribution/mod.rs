//! Finds the remotes that passed addresses to scanners: the earlier contacts that explain the probes.
//!
//! A matched comparison decides which remotes are accused. A model of the rate at which a scanner probes a local gives
//! the certainty of that accusation, and the probability and lag of a leak. The last step weighs other explanations.
//! docs/attribution.md has the reasons and figures. Attribution is a pure function of the ledger.
//!
//! # Terms
//! - local under test: a temporary local with contacts
//! - case: a local under test and the first probe of it by a scanner; control: a local that a case is compared with
//! - pool: the cases of all campaigns as one scanner
//! - visitor: a local that contacted the remote in question
//! - twins: groups that the data cannot tell apart
//!
//! # Layout
//! - [`cases`]: the probed locals of each scanner, with the time of the first probe
//! - [`groups`]: the tested groups: addresses, prefixes, operators
//! - [`matched`], `tally`, [`memo`]: the comparison of cases with controls; [`devices`]: the weights of these locals
//! - [`group_test`], [`tail`]: the result for one group, and the probability of a coincidence
//! - [`select`]: accusation of the best group, removal of its cases, repeated comparison
//! - [`lag`], [`risk`], `rates`, [`hazard`], [`leak`]: the model, from lags in bins to its results
//! - [`plain`]: the 2x2 tables
//! - [`round`], [`accuse`], [`rank`]: from the results of all scanners to one list of [`finding`]s
//! - [`verdict`], [`judge`]: the statements of the report about a finding
//! - [`basis`], [`figures`]: the numbers shown next to a finding, and the tables for these numbers

pub mod accuse;
pub mod basis;
pub mod cases;
pub mod devices;
pub mod figures;
pub mod finding;
pub mod group_test;
pub mod groups;
pub mod hazard;
pub mod judge;
pub mod lag;
pub mod leak;
mod lists;
pub mod matched;
pub mod memo;
pub mod plain;
pub mod rank;
mod rates;
pub mod risk;
pub mod round;
pub mod select;
pub mod tail;
mod tally;
#[cfg(test)]
pub(crate) mod tests;
pub mod verdict;

use self::cases::{Cases, under_test};
use self::finding::Finding;
use self::groups::Groups;
use self::memo::Memo;
use crate::campaign::Campaigns;
use crate::view::frame::Frame;

pub use self::verdict::{Rival, Verdict};

/// The result of attribution.
pub struct Attribution {
    /// For each local, by number in the frame: whether the local is under test.
    pub tested: Vec<bool>,
    /// The remotes that locals under test contacted.
    pub groups: Groups,
    /// The cases of every campaign that has cases.
    pub cases: Vec<Cases>,
    /// The cases of all campaigns as one scanner.
    pub pooled: Cases,
    /// The findings in rank order.
    pub findings: Vec<Finding>,
    /// Number of different hypotheses tested. Each p is corrected for this number.
    pub hypotheses: usize,
}

impl Attribution {
    /// Attributes the exact hits of the ledger. The memo saves time and does not change the result.
    #[must_use]
    pub fn new(frame: &Frame, campaigns: &Campaigns, memo: &Memo) -> Attribution {
        let tested = under_test(frame);
        let groups = Groups::new(frame, &tested);
        let cases = Cases::of_campaigns(frame, campaigns, &tested);
        let pooled = Cases::pooled(frame, &cases);
        let groupings = Cases::of_groupings(frame, campaigns, &tested);
        let (rounds, hypotheses) = round::rounds(frame, &groups, &tested, &groupings, &pooled, memo);
        let plain = plain::tables(frame, &groups, &pooled);
        let findings = rank::rank(frame, campaigns, &groups, &cases, &pooled, &plain, &rounds);
        Attribution { tested, groups, cases, pooled, findings, hypotheses }
    }
}
