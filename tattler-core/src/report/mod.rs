//! The result of attribution, as the JSON contract `tattler.report/1`, as CSV and as tables.

use std::net::Ipv6Addr;

use ipnet::Ipv6Net;
use serde::{Deserialize, Serialize};

use self::findings::Findings;
use crate::ack::{self, Ack, Acked};
use crate::attribution::figures::unexplained;
use crate::attribution::finding::Finding;
use crate::attribution::{Rival, Verdict};
use crate::campaign::{Campaign, Campaigns};
use crate::ledger::Ledger;
use crate::names::Names;
use crate::time::Time;

pub mod csv;
pub mod exposed;
pub(crate) mod findings;
pub(crate) mod layout;
pub mod table;
#[cfg(test)]
pub(crate) mod tests;

pub use csv::suspects_csv;
pub use exposed::{Exposed, exposed, open_locals, shows_open_port, split_pings};
pub use table::{all_suspects_table, suspects_table};

/// The name of the JSON contract.
pub const SCHEMA: &str = "tattler.report/1";
/// The most campaigns listed (the campaigns with the most exact hits), and the most sources, prefixes and ports
/// listed for each campaign. Outsiders control these numbers.
const MAX_LISTED: usize = 1_000;

/// Options of a report.
#[derive(Clone, Copy, Debug)]
pub struct ReportOptions {
    /// The most candidates listed. 0: all candidates.
    pub top: usize,
}

impl Default for ReportOptions {
    fn default() -> ReportOptions {
        ReportOptions { top: 20 }
    }
}

/// A report on a ledger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The name of the JSON contract: [`SCHEMA`].
    pub schema: String,
    /// The time that the report covers.
    pub window: Window,
    /// Number of locals seen in use.
    pub locals: u64,
    /// Number of locals that were exact hits.
    pub probed_locals: u64,
    /// Number of probes, repeats included.
    pub probes: u64,
    /// The share of exact hits that no accused remote explains; null without exact hits.
    pub unexplained_share: Option<f64>,
    /// The scanners, in order of their first probe.
    pub campaigns: Vec<CampaignReport>,
    /// Remotes that may have leaked addresses, in rank order.
    pub candidates: Vec<Candidate>,
    /// Reasons that verdicts may be too weak, a sentence for each reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub caveats: Vec<String>,
}

/// The time that a report covers: from the first to the last observation. Null if there are no observations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Time of the first observation.
    pub from: Option<Time>,
    /// Time of the last observation.
    pub to: Option<Time>,
}

/// A scanner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CampaignReport {
    /// The identifier. `c1` is the campaign seen first. Identifiers are valid within one report.
    pub id: String,
    /// The scanner's probes and their origin, in words.
    pub label: String,
    /// The first thousand sources of the scanner.
    pub sources: Vec<Ipv6Addr>,
    /// The prefixes of the sources.
    pub prefixes: Vec<Ipv6Net>,
    /// Kinds of the probes: echo, syn, udp, tcp-other.
    pub kinds: Vec<String>,
    /// The first thousand probed ports.
    pub ports: Vec<u16>,
    /// Number of probes, repeats included.
    pub probes: u64,
    /// Number of distinct targets.
    pub targets: u64,
    /// Time of the first probe.
    pub first: Time,
    /// Time of the last probe.
    pub last: Time,
    /// The scanner's operator according to the catalogue; null if unknown.
    #[serde(default)]
    pub operator: Option<String>,
    /// The rhythm: one-off, periodic, returning or steady.
    #[serde(default)]
    pub rhythm: String,
    /// Properties: path-probe, sweep, slow-and-spread-out, known-operator, remainder, and the rhythm.
    #[serde(default)]
    pub labels: Vec<String>,
}

/// A remote that a local contacted before an exact hit, or several such remotes that can't be told apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// The rank. The first candidate has rank 1.
    pub rank: u64,
    /// The verdict.
    pub verdict: Verdict,
    /// The remotes.
    pub members: Vec<Ipv6Addr>,
    /// The accused prefix. For members that can't be told apart: the common prefix if it is /48 or longer, else the
    /// prefix of the first member. With a shorter prefix a firewall would block too much.
    pub prefix: Ipv6Net,
    /// Decimal logarithm of 1 / p. The p comes from the matched comparison and is corrected for all hypotheses
    /// tested. An accusation needs 2. Below 0, chance easily explains the evidence. The score is capped at 1.7 if a
    /// comparison with only the controls nearest in time does not confirm it.
    pub score: Option<f64>,
    /// The probability that the candidate leaks at all; null if the data can't decide.
    pub probability: Option<f64>,
    /// For an accused candidate: the probability that one contact leads to a probe.
    pub leak_probability: Option<f64>,
    /// The interval of `leak_probability`: Clopper-Pearson, widened by the model's uncertainty.
    pub leak_interval_95: Option<[f64; 2]>,
    /// Number of probes from the candidate's campaigns that hit its visitors within the time window of the evidence.
    pub explained_probes: u64,
    /// Number of visitors hit by these probes.
    pub explained_locals: u64,
    /// Number of devices of these visitors; null if unknown.
    pub devices: Option<u64>,
    /// Number of temporary locals that contacted the candidate in time to be evidence.
    pub contacted: u64,
    /// Number of these locals that the candidate's campaigns probed afterwards.
    pub contacted_probed: u64,
    /// Fisher's p of the 2x2 table, uncorrected. It serves for comparison.
    pub fisher_p: Option<f64>,
    /// Number of probed locals that had contacted the candidate before. This is the count of 2015.
    pub distinct_count: u64,
    /// Median time in seconds from the last new contact with the candidate to the first probe.
    pub median_lag_seconds: Option<f64>,
    /// Campaigns that the candidate explains. If it is not accused: campaigns that hit its visitors.
    pub campaigns: Vec<String>,
    /// Natural logarithm of the likelihood ratio of the model with and without the candidate's leak, less the value
    /// that the best of so many remotes reaches by chance.
    #[serde(default)]
    pub evidence: Option<f64>,
    /// Other explanations that are not ruled out: few-locals, one-device, device-itself, on-path,
    /// timing-alone, many-sites, one-of-several.
    #[serde(default)]
    pub rivals: Vec<Rival>,
    /// The operator according to the catalogue, if the accusation is against an operator. The members are then in
    /// several prefixes, and `prefix` is the prefix of the first member.
    #[serde(default)]
    pub operator: Option<String>,
    /// The user's label for the prefix; null if there is no label or if the members have different labels.
    #[serde(default)]
    pub label: Option<String>,
    /// The user's acknowledgement; null if there is no acknowledgement, and in offline reports.
    #[serde(default)]
    pub acked: Option<Acked>,
}

impl Report {
    /// Marks the candidates that are acknowledged now.
    pub fn mark_acked(&mut self, acks: &[Ack], now: Time) {
        for candidate in &mut self.candidates {
            candidate.acked = ack::acked(acks, &candidate.members, candidate.prefix, now);
        }
    }
}

impl Candidate {
    /// Sets the candidate's label from the configured names.
    pub fn name(&mut self, names: &Names) {
        let label = self.members.first().and_then(|&member| names.label(member));
        let is_common = self.members.iter().all(|&member| names.label(member) == label);
        self.label = label.filter(|_| is_common).map(str::to_owned);
    }
}

/// Computes the report of a ledger.
#[must_use]
pub fn report(ledger: &Ledger, options: &ReportOptions) -> Report {
    report_of(&Findings::new(ledger), options)
}

/// As [`report`], but from existing findings.
pub(crate) fn report_of(findings: &Findings, options: &ReportOptions) -> Report {
    let ledger = findings.frame.ledger;
    let (exact, open) = unexplained(&findings.frame, &findings.attribution, &findings.basis);
    let span = ledger.span();
    Report {
        schema: SCHEMA.to_owned(),
        window: Window { from: span.map(|span| span.0), to: span.map(|span| span.1) },
        locals: findings.frame.len() as u64,
        probed_locals: findings.attribution.pooled.list.len() as u64,
        probes: ledger.probes().iter().map(|row| u64::from(row.count)).sum(),
        unexplained_share: (exact > 0).then(|| open as f64 / exact as f64),
        campaigns: listed(&findings.campaigns).map(|campaign| campaign_report(findings, campaign)).collect(),
        candidates: top(&findings.attribution.findings, options.top)
            .enumerate()
            .map(|(rank, finding)| findings.candidate(rank, finding))
            .collect(),
        caveats: ledger.counts().caveat().into_iter().collect(),
    }
}

/// The listed candidates. Remotes that probe back rank last and would never appear in a short list. So up to a quarter
/// of the list is reserved for these remotes, unless the accused need the room.
fn top(findings: &[Finding], top: usize) -> impl Iterator<Item = &Finding> {
    let leaks = findings.partition_point(|finding| finding.verdict != Verdict::ProbesBack);
    let accused = findings.iter().filter(|finding| finding.verdict.accuses()).count();
    let top = if top == 0 { findings.len() } else { top };
    let back = (findings.len() - leaks).min((top / 4).max(top.saturating_sub(leaks))).min(top.saturating_sub(accused));
    findings[..leaks].iter().take(top - back).chain(findings[leaks..].iter().take(back))
}

pub(crate) fn listed(campaigns: &Campaigns) -> impl Iterator<Item = &Campaign> {
    let mut order: Vec<usize> = (0..campaigns.list.len()).collect();
    // Of equal campaigns (thousands may have sent one probe each) the list keeps the campaigns seen first.
    order.sort_by_key(|&i| std::cmp::Reverse((campaigns.list[i].exact_targets, campaigns.list[i].probes)));
    order.truncate(MAX_LISTED);
    order.sort_unstable();
    order.into_iter().map(|i| &campaigns.list[i])
}

fn campaign_report(findings: &Findings, campaign: &Campaign) -> CampaignReport {
    CampaignReport {
        id: campaign.id.clone(),
        label: campaign.label.clone(),
        sources: findings.addresses(&campaign.sources[..campaign.sources.len().min(MAX_LISTED)]),
        prefixes: campaign.prefixes.iter().take(MAX_LISTED).copied().collect(),
        kinds: campaign.kinds.iter().map(|kind| kind.as_str().to_owned()).collect(),
        ports: campaign.ports.iter().take(MAX_LISTED).copied().collect(),
        probes: campaign.probes,
        targets: campaign.targets as u64,
        first: campaign.first,
        last: campaign.last,
        operator: campaign.operator_named(),
        rhythm: campaign.rhythm.as_str().to_owned(),
        labels: campaign.labels.iter().map(|label| label.as_str().to_owned()).collect(),
    }
}
