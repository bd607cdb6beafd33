//! The numbers shown next to a candidate: the 2x2 table, the counts and the lags.

use std::collections::{BTreeSet, HashSet};

use serde::{Deserialize, Serialize};

use super::Attribution;
use super::basis::{Basis, Sent};
use super::finding::Finding;
use super::group_test::WINDOWS;
use super::tail;
use crate::campaign::distinct;
use crate::ledger::AddrId;
use crate::time::{Span, Time};
use crate::view::frame::Frame;

/// Numbers of locals under test, by contact with the candidate and by probes from the candidate's campaigns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TwoByTwo {
    /// Locals that contacted the candidate and were probed afterwards.
    pub contacted_probed: u64,
    /// Locals that contacted the candidate and were not probed.
    pub contacted_spared: u64,
    /// Locals that were probed without an earlier contact with the candidate.
    pub others_probed: u64,
    /// Locals that neither contacted the candidate nor were probed.
    pub others_spared: u64,
}

/// The figures of one candidate.
#[derive(Clone, Debug)]
pub struct CandidateFigures {
    /// The candidate's remotes, in order of address.
    pub members: Vec<AddrId>,
    /// The 2x2 table of the locals under test.
    pub table: TwoByTwo,
    /// The p of Fisher's exact test of the table, uncorrected.
    pub fisher_p: f64,
    /// Number of probed locals that had contacted the candidate before the probe. This is the count of 2015.
    pub distinct_count: u64,
    /// Number of probes that the candidate explains, repeats included.
    pub explained_probes: u64,
    /// The locals that the explained probes hit: numbers in the frame.
    pub explained_locals: BTreeSet<u32>,
    /// Number of devices that have the explained locals. `None` unless all these devices are known.
    pub devices: Option<u64>,
    /// The median of `lags`.
    pub median_lag: Option<Span>,
    /// For each explained local: the time from its last contact to its first probe. Shortest first.
    pub lags: Vec<Span>,
    /// The campaigns of the finding, or else the campaigns that hit its visitors: positions in the list.
    pub campaigns: Vec<usize>,
}

impl CandidateFigures {
    /// Computes the figures of a finding.
    #[must_use]
    pub fn new(frame: &Frame, attribution: &Attribution, basis: &Basis, finding: &Finding) -> CandidateFigures {
        let mut members: Vec<AddrId> =
            finding.groups.iter().flat_map(|&group| attribution.groups.members(group)).copied().collect();
        if members.len() > 1 {
            members.sort_by_cached_key(|&member| frame.ledger.address(member));
        }
        let visits = basis.visits(&members);
        let visitors = || visits.chunk_by(|a, b| a.0 == b.0);
        let (scanners, campaigns) = if finding.campaigns.is_empty() {
            let scanners = scanners_of(basis, visitors());
            let cases = scanners.iter().map(|&at| &attribution.cases[at as usize]);
            let campaigns = cases.filter_map(|cases| cases.campaigns.as_deref()).flatten().copied().collect();
            (scanners, campaigns)
        } else {
            (basis.cases_of(&finding.campaigns), finding.campaigns.clone())
        };
        let mut table = TwoByTwo::default();
        let mut distinct_count = 0;
        let mut lags = Vec::new();
        let mut explained_locals = BTreeSet::new();
        for visits in visitors() {
            let (local, first) = visits[0];
            let hits = basis.hits(local);
            distinct_count += u64::from(hits.first().is_some_and(|hit| first < hit.at));
            let Some(hit) = hits.iter().find(|hit| scanners.binary_search(&hit.cases).is_ok()) else {
                table.contacted_spared += 1;
                continue;
            };
            let Some(&(_, contact)) = visits[..visits.partition_point(|visit| visit.1 < hit.at)].last() else {
                continue;
            };
            table.contacted_probed += 1;
            if hit.at - contact <= WINDOWS[finding.window] {
                explained_locals.insert(local);
                lags.push(hit.at - contact);
            }
        }
        table.others_probed = basis.locals_hit(&attribution.cases, &scanners) - table.contacted_probed;
        table.others_spared = basis.tested - table.contacted_probed - table.contacted_spared - table.others_probed;
        lags.sort_unstable();
        let explained = explained_locals.iter().flat_map(|&local| basis.sent(local));
        let explained_probes = explained.filter(|(_, sent)| is_in(&campaigns, sent)).map(|(_, sent)| sent.probes).sum();
        let devices: Option<HashSet<u32>> =
            explained_locals.iter().map(|&local| frame.local(local as usize).device).collect();
        let TwoByTwo { contacted_probed: a, contacted_spared: b, others_probed: c, others_spared: d } = table;
        CandidateFigures {
            members,
            table,
            fisher_p: tail::fisher(a, b, c, d),
            distinct_count,
            explained_probes,
            devices: devices.map(|devices| devices.len() as u64).filter(|_| !explained_locals.is_empty()),
            explained_locals,
            median_lag: lags.get(lags.len() / 2).copied(),
            lags,
            campaigns,
        }
    }
}

/// The positions of the cases that follow the first visit of a visitor, in order.
fn scanners_of<'v>(basis: &Basis, visitors: impl Iterator<Item = &'v [(u32, Time)]>) -> Vec<u32> {
    let mut scanners = Vec::new();
    for visits in visitors {
        let (local, first) = visits[0];
        let hits = basis.hits(local);
        scanners.extend(hits[hits.partition_point(|hit| hit.at <= first)..].iter().map(|hit| hit.cases));
    }
    distinct(scanners)
}

/// Whether one of these campaigns sent the probes. `campaigns` must be in order.
fn is_in(campaigns: &[usize], sent: &Sent) -> bool {
    campaigns.binary_search(&(sent.campaign as usize)).is_ok()
}

/// Two numbers of probes, repeats included: the exact hits that are evidence, and the part of these hits that no
/// accused finding explains.
#[must_use]
pub fn unexplained(frame: &Frame, attribution: &Attribution, basis: &Basis) -> (u64, u64) {
    let mut open = basis.evidence;
    let mut is_explained = vec![false; basis.all_sent()];
    for finding in attribution.findings.iter().filter(|finding| finding.verdict.accuses()) {
        let figures = CandidateFigures::new(frame, attribution, basis, finding);
        for (at, sent) in figures.explained_locals.iter().flat_map(|&local| basis.sent(local)) {
            if is_in(&figures.campaigns, sent) && !std::mem::replace(&mut is_explained[at], true) {
                open -= sent.probes;
            }
        }
    }
    (basis.evidence, open)
}
