//! Campaigns: sources that act as one scanner.
//!
//! # Words
//! Three steps join probes:
//! - strand: the rows with the same source, kind and port
//! - unit: the strands of one scanner within one customer's prefix
//! - campaign: the units of one scanner, the result
//!
//! Two more words are needed:
//! - tool: the program that sent a probe, identified by its fingerprint; a tool has many users
//! - grouping: a set of probes that one scanner may have sent: a campaign, or all probes from one prefix or by one
//!   tool. Groupings overlap, and attribution tests each grouping.
//!
//! # Layout
//! - `path`: path probes. They count hops, which means that their hop limits ascend step by step
//! - `fingerprint`, `syn_options`: the marks of a tool
//! - `partition`, `step`, `spread`, `union`: joins within a prefix and across prefixes
//! - [`rhythm`], [`label`]: the properties of a campaign
//! - [`grouping`]: the groupings for attribution
//! - [`catalogue`], [`hosters`]: the operators of prefixes, and how far strangers share a prefix

pub mod catalogue;
mod fingerprint;
pub mod grouping;
pub mod hosters;
pub mod label;
mod partition;
mod path;
pub mod rhythm;
mod spread;
mod step;
mod syn_options;
#[cfg(test)]
pub(crate) mod tests;
mod union;

use std::net::Ipv6Addr;

use ipnet::Ipv6Net;
use sensor_common::Kind;

pub use self::grouping::Grouping;
pub use self::label::Label;
pub use self::rhythm::Rhythm;

use self::catalogue::{CatalogueEntry, PrefixUse};
use self::partition::Partition;
use crate::ledger::AddrId;
use crate::time::Time;
use crate::view::evidence::Evidence;
use crate::view::frame::Frame;

/// The minimum number of unused targets of a campaign that sweeps.
const SWEEP: usize = 8;
/// The maximum number of campaigns. Outsiders control the number of campaigns, so the last campaign holds the probes
/// of all excess campaigns: the campaigns with the fewest exact hits and probes.
const MAX_CAMPAIGNS: usize = 20_000;

/// Sources that act as one scanner.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// The identifier. `c1` is the campaign seen first. The identifier is valid within one report: when old probes
    /// are forgotten or late probes arrive, other campaigns get the identifier.
    pub id: String,
    /// The activity and the origin of the campaign, as text.
    pub label: String,
    /// The labels of the campaign, in order.
    pub labels: Vec<Label>,
    /// The operator of all sources, if the catalogue knows the operator.
    pub operator: Option<&'static CatalogueEntry>,
    /// The rhythm of the campaign.
    pub rhythm: Rhythm,
    /// The sources, in order of address.
    pub sources: Vec<AddrId>,
    /// The customers' prefixes of the sources.
    pub prefixes: Vec<Ipv6Net>,
    /// The kinds of the probes.
    pub kinds: Vec<Kind>,
    /// The ports that the campaign tries, TCP and UDP together.
    pub ports: Vec<u16>,
    /// Number of probes.
    pub probes: u64,
    /// Number of different targets.
    pub targets: usize,
    /// Number of targets that were not in use.
    pub unused_targets: usize,
    /// Number of targets that were exact hits.
    pub exact_targets: usize,
    /// Time of the first probe.
    pub first: Time,
    /// Time of the last probe.
    pub last: Time,
    /// Whether the campaign probes many unused targets.
    pub sweeps: bool,
    /// Whether all probes count hops.
    pub is_path_probe: bool,
    /// The probes of the campaign: positions in [`crate::ledger::Ledger::probes`].
    pub rows: Vec<u32>,
}

/// All campaigns, and the properties of each probe.
pub struct Campaigns {
    /// The campaigns, in order of their first probe.
    pub list: Vec<Campaign>,
    /// For each probe of the ledger, its campaign: a position in `list`.
    pub of_row: Vec<u32>,
    /// For each probe of the ledger, its evidence class.
    pub evidence: Vec<Evidence>,
    /// For each probe of the ledger, whether the probe counts hops, alone or together with other probes of its
    /// source.
    pub is_path: Vec<bool>,
    /// Sets of probes that one scanner may have sent, the groupings with the most exact targets first. Campaigns are
    /// among the groupings.
    pub groupings: Vec<Grouping>,
    /// Number of campaigns that were combined into one campaign, since there are too many campaigns.
    pub lumped: u64,
}

impl Campaigns {
    /// Divides the probes of the ledger among campaigns.
    #[must_use]
    pub fn new(frame: &Frame) -> Campaigns {
        let probes = frame.ledger.probes();
        let evidence: Vec<Evidence> = probes.iter().map(|row| Evidence::of(frame, row)).collect();
        let is_path = path::path_rows(probes);
        let partition = Partition::new(frame, &is_path);
        let (rows, lumped) = rows_of_campaigns(frame, &partition, &evidence);
        let remainder = if lumped > 0 { rows.len() - 1 } else { usize::MAX };
        let campaign = |(i, rows)| describe(frame, &evidence, &is_path, rows, i == remainder);
        let mut list: Vec<Campaign> = rows.into_iter().enumerate().map(campaign).collect();
        list.sort_by_cached_key(|campaign| {
            (campaign.first, campaign.sources.first().map(|&source| frame.ledger.address(source)))
        });
        let mut of_row = vec![0; probes.len()];
        for (i, campaign) in list.iter_mut().enumerate() {
            campaign.id = format!("c{}", i + 1);
            for &row in &campaign.rows {
                of_row[row as usize] = i as u32;
            }
        }
        label::mark_common_lists(frame, &mut list);
        let mut campaigns = Campaigns { list, of_row, evidence, is_path, groupings: Vec::new(), lumped };
        campaigns.groupings = grouping::groupings(frame, &partition, &campaigns);
        campaigns
    }
}

/// The rows of each campaign, and the number of campaigns that were combined into the last campaign because there are
/// too many.
fn rows_of_campaigns(frame: &Frame, partition: &Partition, evidence: &[Evidence]) -> (Vec<Vec<u32>>, u64) {
    let probes = frame.ledger.probes();
    let mut campaigns: Vec<Vec<u32>> = vec![Vec::new(); partition.len];
    for (i, &campaign) in partition.of_row.iter().enumerate() {
        campaigns[campaign as usize].push(i as u32);
    }
    if campaigns.len() <= MAX_CAMPAIGNS {
        return (campaigns, 0);
    }
    campaigns.sort_by_cached_key(|rows| {
        let exact = rows.iter().filter(|&&i| evidence[i as usize] == Evidence::Exact).count();
        let sent: u64 = rows.iter().map(|&i| u64::from(probes[i as usize].count)).sum();
        let first = rows.iter().map(|&i| (probes[i as usize].first, frame.ledger.address(probes[i as usize].source)));
        (std::cmp::Reverse((exact, sent)), first.min())
    });
    let lumped = campaigns.len() - (MAX_CAMPAIGNS - 1);
    let rest: Vec<u32> = campaigns.drain(MAX_CAMPAIGNS - 1..).flatten().collect();
    campaigns.push(rest);
    (campaigns, lumped as u64)
}

/// The campaign that consists of these rows.
fn describe(
    frame: &Frame,
    evidence: &[Evidence],
    is_path: &[bool],
    mut rows: Vec<u32>,
    is_remainder: bool,
) -> Campaign {
    let ledger = frame.ledger;
    rows.sort_unstable();
    let (mut sources, mut kinds, mut ports, mut times) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut targets, mut unused, mut exact) = (Vec::new(), Vec::new(), Vec::new());
    let (mut probes, mut counting_hops) = (0, 0);
    for &i in &rows {
        let row = &ledger.probes()[i as usize];
        sources.push((ledger.address(row.source), row.source));
        kinds.push(row.kind);
        if row.kind != Kind::Echo {
            ports.push(row.port);
        }
        targets.push(row.target);
        match evidence[i as usize] {
            class if class.is_unused() => unused.push(row.target),
            Evidence::Exact => exact.push(row.target),
            _ => {}
        }
        times.extend([row.first, row.last]);
        probes += u64::from(row.count);
        counting_hops += usize::from(is_path[i as usize]);
    }
    let sources = distinct(sources);
    let prefixes = distinct(sources.iter().map(|&(address, _)| hosters::customer(address)).collect());
    let (unused_targets, exact_targets) = (distinct(unused).len(), distinct(exact).len());
    let mut campaign = Campaign {
        id: String::new(),
        label: String::new(),
        labels: Vec::new(),
        operator: (!is_remainder).then(|| operator(&sources)).flatten(),
        rhythm: Rhythm::OneOff,
        sources: sources.into_iter().map(|(_, source)| source).collect(),
        prefixes,
        kinds: distinct(kinds),
        ports: distinct(ports),
        probes,
        targets: distinct(targets).len(),
        unused_targets,
        exact_targets,
        first: times.iter().copied().min().unwrap_or_default(),
        last: times.iter().copied().max().unwrap_or_default(),
        sweeps: unused_targets >= SWEEP,
        is_path_probe: counting_hops == rows.len(),
        rows,
    };
    campaign.rhythm = Rhythm::of(times);
    let is = [
        (counting_hops * 2 > campaign.rows.len(), Label::PathProbe),
        (campaign.sweeps, Label::Sweep),
        (label::is_slow_and_spread_out(&campaign) && !is_remainder, Label::SlowAndSpreadOut),
        (campaign.operator.is_some(), Label::KnownOperator),
        (true, Label::Rhythm(campaign.rhythm)),
        (is_remainder, Label::Remainder),
    ];
    campaign.labels = is.into_iter().filter_map(|(is, label)| is.then_some(label)).collect();
    campaign.label = label::text(&campaign);
    campaign
}

impl Campaign {
    /// The name of the operator: `Censys`, or `Shodan in 2016` if the entry is out of date.
    #[must_use]
    pub fn operator_named(&self) -> Option<String> {
        self.operator.map(CatalogueEntry::named)
    }
}

/// Sorts a list and removes repeats.
pub(crate) fn distinct<T: Ord>(mut list: Vec<T>) -> Vec<T> {
    list.sort_unstable();
    list.dedup();
    list
}

/// The operator of all the sources, unless the operator only rents out machines.
fn operator(sources: &[(Ipv6Addr, AddrId)]) -> Option<&'static CatalogueEntry> {
    let mut entries = sources.iter().map(|&(source, _)| catalogue::operator(source));
    let first = entries.next()??;
    let is_one = entries.all(|entry| entry.is_some_and(|entry| entry.operator == first.operator));
    (is_one && first.usage != PrefixUse::HosterDense).then_some(first)
}
