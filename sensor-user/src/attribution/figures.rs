//! The numbers shown beside a candidate: the 2x2 table, the counts, the lags.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::Attribution;
use super::evidence::Evidence;
use super::frame::Frame;
use super::matched::WINDOWS;
use super::rank::Finding;
use super::tail;
use crate::campaign::Campaigns;
use crate::ledger::AddrId;
use crate::time::{Span, Time};

/// For each remote the locals under test that contacted it, and when first.
pub struct Visitors {
    starts: Vec<u32>,
    visits: Vec<(u32, Time)>,
}

impl Visitors {
    /// Turns the frame round.
    #[must_use]
    pub fn new(frame: &Frame, tested: &[bool]) -> Visitors {
        let mut all: Vec<(AddrId, u32, Time)> = Vec::new();
        for local in (0..frame.len()).filter(|&local| tested[local]) {
            all.extend(frame.firsts(local).iter().map(|first| (first.remote, local as u32, first.at)));
        }
        all.sort_unstable();
        let mut starts = vec![0; frame.ledger.addresses() + 1];
        for (remote, ..) in &all {
            starts[remote.0 as usize + 1] += 1;
        }
        for i in 1..starts.len() {
            starts[i] += starts[i - 1];
        }
        Visitors { starts, visits: all.into_iter().map(|(_, local, at)| (local, at)).collect() }
    }

    /// The locals that contacted any of `remotes`, with their contacts in order.
    #[must_use]
    pub fn of(&self, remotes: &[AddrId]) -> BTreeMap<u32, Vec<Time>> {
        let mut visitors: BTreeMap<u32, Vec<Time>> = BTreeMap::new();
        for remote in remotes {
            let range = self.starts[remote.0 as usize] as usize..self.starts[remote.0 as usize + 1] as usize;
            for &(local, at) in &self.visits[range] {
                visitors.entry(local).or_default().push(at);
            }
        }
        visitors.values_mut().for_each(|times| times.sort_unstable());
        visitors
    }
}

/// Probed or not by a candidate's campaigns, contacted it before or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TwoByTwo {
    /// Contacted it, then probed.
    pub contacted_probed: u64,
    /// Contacted it, not probed.
    pub contacted_spared: u64,
    /// Probed without having contacted it.
    pub others_probed: u64,
    /// Neither.
    pub others_spared: u64,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Figures {
    /// Remotes, in order of address.
    pub members: Vec<AddrId>,
    /// The table, over locals under test.
    pub table: TwoByTwo,
    /// Fisher's p of the table, uncorrected.
    pub fisher_p: f64,
    /// The count of 2015: locals probed by anybody that had contacted it before.
    pub distinct_count: u64,
    /// Probes that it explains, repeats included.
    pub explained_probes: u64,
    /// Locals that those probes hit: numbers in the frame.
    pub explained_locals: BTreeSet<u32>,
    /// Devices of those locals; `None` unless all are known.
    pub devices: Option<u64>,
    /// From the last contact with it to the first probe, the median over locals.
    pub median_lag: Option<Span>,
    /// The lags of which that is the median, the shortest first.
    pub lags: Vec<Span>,
    /// Campaigns of the finding, or those that hit its visitors. Positions in the list.
    pub campaigns: Vec<usize>,
}

/// Times of the first hit by one of the finding's campaigns, by local.
fn first_hits(attribution: &Attribution, campaigns: &[usize]) -> BTreeMap<u32, Time> {
    // Outsiders decide how many campaigns there are: to search a list for each would be quadratic.
    let campaigns: HashSet<usize> = campaigns.iter().copied().collect();
    let mut hits = BTreeMap::new();
    for cases in &attribution.cases {
        if cases.campaigns.iter().flatten().any(|campaign| campaigns.contains(campaign)) {
            for case in &cases.list {
                let at = hits.entry(case.local).or_insert(case.at);
                *at = case.at.min(*at);
            }
        }
    }
    hits
}

/// Computes the figures of a finding.
#[must_use]
pub fn figures(
    frame: &Frame,
    campaigns: &Campaigns,
    attribution: &Attribution,
    visitors: &Visitors,
    finding: &Finding,
) -> Figures {
    let mut members: Vec<AddrId> =
        finding.groups.iter().flat_map(|&group| attribution.groups.members(group)).copied().collect();
    members.sort_by_cached_key(|&member| frame.ledger.address(member));
    let visits = visitors.of(&members);
    let before = |local: u32, at: Time| {
        visits.get(&local).and_then(|times| times[..times.partition_point(|&t| t < at)].last().copied())
    };
    let supporting: Vec<usize> = if finding.campaigns.is_empty() {
        let hit = attribution.cases.iter().filter(|c| c.list.iter().any(|c| before(c.local, c.at).is_some()));
        hit.filter_map(|cases| cases.campaigns.as_deref()).flatten().copied().collect()
    } else {
        finding.campaigns.clone()
    };
    let hits = first_hits(attribution, &supporting);
    let mut table = TwoByTwo::default();
    let mut lags = Vec::new();
    let mut explained_locals = BTreeSet::new();
    for (&local, &at) in &hits {
        let Some(contact) = before(local, at) else {
            table.others_probed += 1;
            continue;
        };
        table.contacted_probed += 1;
        if at - contact <= WINDOWS[finding.window] {
            explained_locals.insert(local);
            lags.push(at - contact);
        }
    }
    table.contacted_spared = visits.keys().filter(|local| !hits.contains_key(local)).count() as u64;
    let tested = attribution.tested.iter().filter(|&&tested| tested).count() as u64;
    table.others_spared = tested - table.contacted_probed - table.contacted_spared - table.others_probed;
    lags.sort_unstable();
    let rows = supporting.iter().flat_map(|&campaign| &campaigns.list[campaign].rows);
    let explained_probes = rows
        .filter(|&&row| campaigns.evidence[row as usize] == Evidence::Exact && !campaigns.is_path[row as usize])
        .map(|&row| &frame.ledger.probes()[row as usize])
        .filter(|row| frame.number(row.target).is_some_and(|local| explained_locals.contains(&(local as u32))))
        .filter(|row| !frame.is_answer_to_contact(row))
        .map(|row| u64::from(row.count))
        .sum();
    let devices: Option<HashSet<u32>> =
        explained_locals.iter().map(|&local| frame.local(local as usize).device).collect();
    let TwoByTwo { contacted_probed: a, contacted_spared: b, others_probed: c, others_spared: d } = table;
    Figures {
        members,
        table,
        fisher_p: tail::fisher(a, b, c, d),
        distinct_count: attribution.pooled.list.iter().filter(|c| before(c.local, c.at).is_some()).count() as u64,
        explained_probes,
        devices: devices.map(|devices| devices.len() as u64).filter(|_| !explained_locals.is_empty()),
        explained_locals,
        median_lag: lags.get(lags.len() / 2).copied(),
        lags,
        campaigns: supporting,
    }
}

/// Exact hits that are evidence, and those of them that no accused one explains; in probes, repeats
/// included.
#[must_use]
pub fn unexplained(frame: &Frame, campaigns: &Campaigns, attribution: &Attribution, visitors: &Visitors) -> (u64, u64) {
    let mut explained: HashMap<usize, BTreeSet<u32>> = HashMap::new();
    for finding in attribution.findings.iter().filter(|finding| finding.verdict.accuses()) {
        let figures = figures(frame, campaigns, attribution, visitors, finding);
        for campaign in figures.campaigns {
            explained.entry(campaign).or_default().extend(&figures.explained_locals);
        }
    }
    let (mut all, mut open) = (0, 0);
    for (i, row) in frame.ledger.probes().iter().enumerate() {
        if campaigns.evidence[i] != Evidence::Exact || campaigns.is_path[i] || frame.is_answer_to_contact(row) {
            continue;
        }
        let campaign = campaigns.of_row[i] as usize;
        let known = frame.number(row.target).zip(explained.get(&campaign));
        all += u64::from(row.count);
        if !known.is_some_and(|(local, locals)| locals.contains(&(local as u32))) {
            open += u64::from(row.count);
        }
    }
    (all, open)
}
