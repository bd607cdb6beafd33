//! The results of attribution. Reports and explanations are made from these results.

use std::net::Ipv6Addr;

use ipnet::Ipv6Net;

use super::Candidate;
use crate::attribution::basis::Basis;
use crate::attribution::figures::CandidateFigures;
use crate::attribution::finding::Finding;
use crate::attribution::memo::Memo;
use crate::attribution::{Attribution, judge};
use crate::campaign::Campaigns;
use crate::ledger::{AddrId, Ledger};
use crate::time::Span;
use crate::view::frame::Frame;

/// All results computed from a ledger.
pub(crate) struct Findings<'l> {
    pub(crate) frame: Frame<'l>,
    pub(crate) campaigns: Campaigns,
    pub(crate) attribution: Attribution,
    pub(crate) basis: Basis,
}

impl<'l> Findings<'l> {
    pub(crate) fn new(ledger: &'l Ledger) -> Findings<'l> {
        Findings::with(ledger, &Memo::default())
    }

    pub(crate) fn with(ledger: &'l Ledger, memo: &Memo) -> Findings<'l> {
        let frame = Frame::new(ledger);
        let campaigns = Campaigns::new(&frame);
        let mut attribution = Attribution::new(&frame, &campaigns, memo);
        let basis = Basis::new(&frame, &campaigns, &attribution);
        judge::judge(&frame, &mut attribution, &basis);
        Findings { frame, campaigns, attribution, basis }
    }

    pub(crate) fn figures(&self, finding: &Finding) -> CandidateFigures {
        CandidateFigures::new(&self.frame, &self.attribution, &self.basis, finding)
    }

    pub(crate) fn addresses(&self, ids: &[AddrId]) -> Vec<Ipv6Addr> {
        ids.iter().map(|&id| self.frame.ledger.address(id)).collect()
    }

    /// The remotes of a finding, sorted.
    pub(crate) fn members(&self, finding: &Finding) -> Vec<Ipv6Addr> {
        let groups = finding.groups.iter().flat_map(|&group| self.attribution.groups.members(group));
        let mut members: Vec<Ipv6Addr> = groups.map(|&member| self.frame.ledger.address(member)).collect();
        members.sort_unstable();
        members
    }

    /// The accused prefix of a finding with these members.
    pub(crate) fn prefix_of(&self, finding: &Finding, members: &[Ipv6Addr]) -> Ipv6Net {
        match common_prefix(members) {
            common if finding.groups.len() > 1 && common.prefix_len() >= 48 => common,
            _ => self.attribution.groups.list[finding.groups[0]].net,
        }
    }

    pub(crate) fn candidate(&self, rank: usize, finding: &Finding) -> Candidate {
        let figures = self.figures(finding);
        let members = self.addresses(&figures.members);
        let table = figures.table;
        let contacted = table.contacted_probed + table.contacted_spared;
        let accused = finding.verdict.accuses() && contacted > 0;
        let leak = finding.leak.filter(|_| accused);
        // Adding 0 changes -0 to 0.
        let finite = |x: f64| x.is_finite().then_some(x + 0.0);
        Candidate {
            rank: rank as u64 + 1,
            verdict: finding.verdict,
            prefix: self.prefix_of(finding, &members),
            members,
            score: finite(finding.score),
            probability: finding.probability(),
            evidence: finite(finding.evidence),
            leak_probability: leak.and_then(|leak| leak.probability()),
            leak_interval_95: leak.and_then(|leak| leak.interval()),
            rivals: finding.rivals.clone(),
            explained_probes: figures.explained_probes,
            explained_locals: figures.explained_locals.len() as u64,
            devices: figures.devices,
            contacted,
            contacted_probed: table.contacted_probed,
            fisher_p: finite(figures.fisher_p),
            distinct_count: figures.distinct_count,
            median_lag_seconds: figures.median_lag.map(Span::seconds),
            campaigns: figures.campaigns.iter().map(|&c| self.campaigns.list[c].id.clone()).collect(),
            operator: self.attribution.groups.list[finding.groups[0]].operator.map(str::to_owned),
            label: None,
            acked: None,
        }
    }
}

/// The longest prefix that contains all members.
fn common_prefix(members: &[Ipv6Addr]) -> Ipv6Net {
    let bits = members.iter().map(|&member| u128::from(member));
    let differ = bits.clone().zip(bits.skip(1)).fold(0, |acc, (a, b)| acc | (a ^ b));
    let first = members.first().copied().unwrap_or(Ipv6Addr::UNSPECIFIED);
    Ipv6Net::new(first, differ.leading_zeros() as u8).unwrap_or_default().trunc()
}
