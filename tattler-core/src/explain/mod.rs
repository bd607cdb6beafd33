//! The evidence about one remote, in sentences: its visitors and the probes that followed, the counts, rival
//! explanations and their weight, and steps that would settle the question.

use std::net::Ipv6Addr;

use ipnet::Ipv6Net;
use serde::{Deserialize, Serialize};

mod csv;
mod facts;
pub mod rivals;
mod says;
mod settle;
mod story;
#[cfg(test)]
mod tests;
pub mod visits;

pub use self::csv::explanation_csv;
pub use self::story::explanation_text;

use self::facts::Facts;
use self::rivals::Weighed;
use self::visits::{Visit, visits};
use crate::attribution::Verdict;
use crate::attribution::figures::TwoByTwo;
use crate::attribution::finding::Finding;
use crate::attribution::group_test::WINDOWS;
use crate::ledger::Ledger;
use crate::names::Names;
use crate::report::findings::Findings;
use crate::report::{Candidate, Window};

/// Normal quantile of a two-sided interval of 95 %.
const Z_95: f64 = 1.959_964;

/// The evidence for and against a remote.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// The requested address or prefix.
    pub remote: Ipv6Net,
    /// The meaning of the remote's verdict, in one sentence.
    #[serde(default)]
    pub headline: String,
    /// The remote's entry in the report; null if no temporary local contacted the remote before an exact hit.
    pub candidate: Option<Candidate>,
    /// Number of candidates in the ranked list.
    pub candidates: u64,
    /// The time that the report covers.
    #[serde(default)]
    pub window: Window,
    /// The 2x2 table of temporary locals: contacted the remote or not, then probed by its campaigns or not.
    pub table: Option<TwoByTwo>,
    /// The odds ratio of the table; null if all locals contacted the remote, or no local did.
    #[serde(default)]
    pub odds: Option<Odds>,
    /// Number of hypotheses tested; `score` is corrected for this number.
    #[serde(default)]
    pub hypotheses: u64,
    /// The counts, one sentence each.
    pub says: Vec<String>,
    /// Number of probed visitors by lag, from the last contact with the remote to the first probe.
    #[serde(default)]
    pub lags: Vec<LagBin>,
    /// Rival explanations, each with its weight and the reason.
    #[serde(default)]
    pub rivals: Vec<Weighed>,
    /// Other remotes that most probed visitors had contacted before the probe.
    #[serde(default)]
    pub together: Vec<Together>,
    /// Steps that would settle the question.
    #[serde(default)]
    pub settle: Vec<String>,
    /// Locals that contacted the remote, in order of time.
    pub visits: Vec<Visit>,
    /// Number of later visits not listed.
    pub visits_left_out: u64,
    /// The scanners in the visits.
    #[serde(default)]
    pub scanners: Vec<ScannerLabel>,
    /// Number of probes from the remote itself, repeats included.
    pub own_probes: u64,
}

/// The ratio of two odds of being probed: with and without contact.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Odds {
    /// The odds ratio. If a cell is 0, 0.5 is added to each cell (Haldane-Anscombe correction).
    pub ratio: f64,
    /// Woolf's interval, with 0.5 added to each cell.
    pub interval_95: [f64; 2],
    /// Whether a cell was 0.
    pub corrected: bool,
}

impl Odds {
    pub(super) fn of(table: &TwoByTwo) -> Option<Odds> {
        let cells = [table.contacted_probed, table.contacted_spared, table.others_probed, table.others_spared];
        if cells[0] + cells[1] == 0 || cells[2] + cells[3] == 0 {
            return None;
        }
        let corrected = cells.contains(&0);
        let ratio = |[a, b, c, d]: [f64; 4]| a * d / (b * c);
        let plain = cells.map(|n| n as f64);
        let more = plain.map(|n| n + 0.5);
        let spread = Z_95 * more.iter().map(|n| 1.0 / n).sum::<f64>().sqrt();
        let middle = ratio(more).ln();
        let ratio = ratio(if corrected { more } else { plain });
        Some(Odds { ratio, interval_95: [(middle - spread).exp(), (middle + spread).exp()], corrected })
    }
}

/// A bin of the histogram of lags.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LagBin {
    /// The end of the bin. The bin begins at the end of the previous bin; the first bin begins at 0.
    pub up_to_seconds: f64,
    /// Number of probed visitors with a lag in the bin.
    pub locals: u64,
}

/// Another remote that the same locals contacted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Together {
    /// The other remote.
    pub remote: Ipv6Addr,
    /// Number of probed visitors that had contacted the other remote before the probe.
    pub locals: u64,
}

/// A scanner of the report, as `tattler scanners` labels it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScannerLabel {
    /// The identifier of a campaign in this report.
    pub id: String,
    /// The campaign's probes and their origin, in words.
    pub label: String,
}

impl Explanation {
    /// Sets labels and device names from the configured names.
    pub fn name(&mut self, names: &Names) {
        self.candidate.iter_mut().for_each(|candidate| candidate.name(names));
        for visit in &mut self.visits {
            visit.device_name = visit.device.as_deref().and_then(|id| names.device(id)).map(str::to_owned);
        }
    }
}

/// Explains a remote, an address or a prefix.
#[must_use]
pub fn explain(ledger: &Ledger, remote: impl Into<Ipv6Net>) -> Explanation {
    explain_by(&Findings::new(ledger), remote.into())
}

/// As [`explain`], but from existing findings.
pub(crate) fn explain_by(findings: &Findings, remote: Ipv6Net) -> Explanation {
    let (remote, ledger) = (remote.trunc(), findings.frame.ledger);
    let (rank, finding) = find(findings, remote).unzip();
    let ranked = rank.flatten();
    let facts = finding.as_ref().map(|finding| Facts::new(findings, finding, ranked));
    let against = facts.as_ref().map_or(&[][..], |facts| &facts.figures.campaigns);
    let (visits, visits_left_out) = visits(findings, remote, against);
    let own = ledger.probes().iter().filter(|row| remote.contains(&ledger.address(row.source)));
    let own_probes = own.map(|row| u64::from(row.count)).sum();
    let span = ledger.span();
    let table = facts.as_ref().map(|facts| facts.figures.table);
    let mut explanation = Explanation {
        remote,
        headline: String::new(),
        // A remote without a contact before an exact hit has figures but is not a candidate.
        candidate: facts.as_ref().and_then(|facts| facts.candidate.clone()),
        candidates: findings.attribution.findings.len() as u64,
        window: Window { from: span.map(|span| span.0), to: span.map(|span| span.1) },
        odds: table.as_ref().and_then(Odds::of),
        table,
        hypotheses: findings.attribution.hypotheses as u64,
        says: Vec::new(),
        lags: facts.as_ref().map(Facts::lags).unwrap_or_default(),
        rivals: facts.as_ref().map(rivals::weigh).unwrap_or_default(),
        together: facts.as_ref().map(Facts::together).unwrap_or_default(),
        settle: Vec::new(),
        scanners: scanners(findings, &visits),
        visits,
        visits_left_out,
        own_probes,
    };
    let within = facts.as_ref().map(|facts| WINDOWS[facts.finding.window]);
    explanation.headline = says::headline(&explanation);
    explanation.says = says::counted(&explanation, within);
    explanation.says.extend(ledger.counts().caveat());
    explanation.settle = settle::settle(&explanation);
    explanation
}

/// The campaigns of the listed probes.
fn scanners(findings: &Findings, visits: &[Visit]) -> Vec<ScannerLabel> {
    let occur: std::collections::HashSet<&str> =
        visits.iter().flat_map(|visit| &visit.probes).map(|probe| probe.campaign.as_str()).collect();
    let list = findings.campaigns.list.iter().filter(|campaign| occur.contains(campaign.id.as_str()));
    list.map(|campaign| ScannerLabel { id: campaign.id.clone(), label: campaign.label.clone() }).collect()
}

/// The finding that contains the remote, and its position if the finding is ranked.
fn find(findings: &Findings, remote: Ipv6Net) -> Option<(Option<usize>, Finding)> {
    let groups = &findings.attribution.groups;
    let ledger = findings.frame.ledger;
    let inside = |group: usize| groups.members(group).iter().all(|&member| remote.contains(&ledger.address(member)));
    let holds = |group: usize| groups.list[group].net.contains(&remote) || inside(group);
    let listed = &findings.attribution.findings;
    // The candidate may be wider or narrower than the request.
    if let Some(at) = listed.iter().position(|finding| finding.groups.iter().any(|&group| holds(group))) {
        return Some((Some(at), listed[at].clone()));
    }
    let group =
        (0..groups.list.len()).filter(|&group| inside(group)).max_by_key(|&group| groups.members(group).len())?;
    let window = WINDOWS.len() - 1;
    let campaigns = Vec::new();
    let none = f64::NEG_INFINITY;
    let finding = Finding {
        verdict: Verdict::Weak,
        groups: vec![group],
        score: none,
        window,
        campaigns,
        evidence: none,
        leak: None,
        rivals: Vec::new(),
    };
    Some((None, finding))
}
