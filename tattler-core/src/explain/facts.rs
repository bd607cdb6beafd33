//! The facts about a remote from which the sentences are made.

use std::collections::{BTreeMap, HashMap};
use std::net::Ipv6Addr;

use super::{LagBin, Together};
use crate::attribution::Verdict;
use crate::attribution::figures::CandidateFigures;
use crate::attribution::finding::Finding;
use crate::attribution::lag;
use crate::ledger::AddrId;
use crate::report::Candidate;
use crate::report::findings::Findings;

/// The most remotes listed as contacted by the same locals.
const MAX_TOGETHER: usize = 5;

/// A finding with its figures.
pub(super) struct Facts<'a> {
    pub(super) findings: &'a Findings<'a>,
    pub(super) finding: &'a Finding,
    pub(super) figures: CandidateFigures,
    /// The candidate. `None` if no local contacted the remote before an exact hit.
    pub(super) candidate: Option<Candidate>,
    /// Number of locals under test.
    pub(super) tested: u64,
}

impl<'a> Facts<'a> {
    pub(super) fn new(findings: &'a Findings<'a>, finding: &'a Finding, rank: Option<usize>) -> Facts<'a> {
        let figures = findings.figures(finding);
        let candidate = rank.map(|rank| findings.candidate(rank, finding));
        let tested = findings.attribution.tested.iter().filter(|&&tested| tested).count() as u64;
        Facts { findings, finding, figures, candidate, tested }
    }

    /// Number of locals that contacted the remote in time to be evidence.
    pub(super) fn contacted(&self) -> u64 {
        self.figures.table.contacted_probed + self.figures.table.contacted_spared
    }

    /// The remotes of the finding.
    pub(super) fn addresses(&self) -> Vec<Ipv6Addr> {
        self.findings.addresses(&self.figures.members)
    }

    /// The lags, by bin, of probes that may come from a leak. Empty without such probes.
    pub(super) fn lags(&self) -> Vec<LagBin> {
        let bins: Vec<usize> = self.figures.lags.iter().filter_map(|&lag| lag::bin(lag)).collect();
        if bins.is_empty() || self.finding.verdict == Verdict::ProbesBack {
            return Vec::new();
        }
        let count = |bin: usize| bins.iter().filter(|&&b| b == bin).count() as u64;
        (0..lag::BINS).map(|bin| LagBin { up_to_seconds: lag::end(bin), locals: count(bin) }).collect()
    }

    /// Other remotes that most probed visitors had contacted before the probe, the most common first.
    pub(super) fn together(&self) -> Vec<Together> {
        let frame = &self.findings.frame;
        let explained = &self.figures.explained_locals;
        let mut counts: HashMap<AddrId, u64> = HashMap::new();
        for case in &self.findings.attribution.pooled.list {
            if explained.contains(&case.local) {
                for first in &frame.firsts(case.local as usize)[..case.contacts as usize] {
                    *counts.entry(first.remote).or_default() += 1;
                }
            }
        }
        self.figures.members.iter().for_each(|member| _ = counts.remove(member));
        let most = |&(_, locals): &(AddrId, u64)| explained.len() >= 2 && locals * 2 > explained.len() as u64;
        let mut list: Vec<Together> = counts
            .into_iter()
            .filter(most)
            .map(|(remote, locals)| Together { remote: frame.ledger.address(remote), locals })
            .collect();
        list.sort_unstable_by(|a, b| b.locals.cmp(&a.locals).then(a.remote.cmp(&b.remote)));
        list.truncate(MAX_TOGETHER);
        list
    }

    /// The device with the most probed addresses: the number of these addresses, the number of probed addresses of all
    /// devices, and the number of the device's addresses. `None` unless the devices of all probed addresses are known.
    pub(super) fn most_hit_device(&self) -> Option<(u64, u64, u64)> {
        let device = |local: usize| self.findings.frame.local(local).device;
        let cases = &self.findings.attribution.pooled.list;
        let mut hits: BTreeMap<u32, u64> = BTreeMap::new();
        for case in cases {
            *hits.entry(device(case.local as usize)?).or_default() += 1;
        }
        let (most, count) = hits.into_iter().max_by_key(|&(_, hits)| hits)?;
        let tested = self.findings.attribution.tested.iter().enumerate().filter(|(_, tested)| **tested);
        let addresses = tested.filter(|&(local, _)| device(local) == Some(most)).count() as u64;
        Some((count, cases.len() as u64, addresses))
    }

    /// The other accused candidate that shares the most probed visitors: its rank, the candidate, and their number.
    pub(super) fn better(&self) -> Option<(usize, Candidate, u64)> {
        let accused = self.findings.attribution.findings.iter().enumerate();
        let others = accused.filter(|(_, f)| f.verdict.accuses() && f.groups != self.finding.groups);
        let shared = others.map(|(rank, finding)| {
            let figures = self.findings.figures(finding);
            let same = figures.campaigns.iter().any(|campaign| self.figures.campaigns.contains(campaign));
            let both = figures.explained_locals.intersection(&self.figures.explained_locals).count() as u64;
            (rank, finding, if same { both } else { 0 })
        });
        let (rank, finding, both) = shared.max_by_key(|&(rank, _, both)| (both, std::cmp::Reverse(rank)))?;
        (both > 0).then(|| (rank + 1, self.findings.candidate(rank, finding), both))
    }
}
