//! Sources that act as one scanner, and what to call them.
//!
//! # Layout
//! - `path`: probes that count hops
//! - `fingerprint`, `options`: what a probe looks like
//! - `cluster`, `step`, `spread`, `union`: who is one, within a prefix and across them
//! - [`rhythm`], [`label`]: what can be said of a campaign
//! - [`view`]: other ideas of who is one, for attribution
//! - [`catalogue`], [`hosters`]: who owns a prefix, and how far strangers share it

pub mod catalogue;
mod cluster;
mod fingerprint;
pub mod hosters;
pub mod label;
mod options;
mod path;
pub mod rhythm;
mod spread;
mod step;
#[cfg(test)]
pub(crate) mod tests;
mod union;
pub mod view;

use std::net::Ipv6Addr;

use ipnet::Ipv6Net;
use sensor_common::Kind;

pub use self::label::Label;
pub use self::rhythm::Rhythm;
pub use self::view::View;

use self::catalogue::{Entry, What};
use self::cluster::Clusters;
use crate::ledger::AddrId;
use crate::time::Time;
use crate::view::evidence::Evidence;
use crate::view::frame::Frame;

/// Unused targets from which on a campaign sweeps.
const SWEEP: usize = 8;
/// Campaigns kept apart. Outsiders decide how many there are: the rest, those with the fewest exact
/// hits and probes, is put together.
const MAX_CAMPAIGNS: usize = 20_000;

/// Sources that act as one scanner.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// `c1` is the one seen first. A number within one report: when older probes are forgotten, or
    /// late ones come in, others get it.
    pub id: String,
    /// What it does and from where.
    pub label: String,
    /// What else can be said of it, in order.
    pub labels: Vec<Label>,
    /// Whose it is, if all its sources are one operator's by the catalogue.
    pub operator: Option<&'static Entry>,
    /// How it is active.
    pub rhythm: Rhythm,
    /// Its sources, in order of address.
    pub sources: Vec<AddrId>,
    /// Their prefixes.
    pub prefixes: Vec<Ipv6Net>,
    /// What its probes are made of.
    pub kinds: Vec<Kind>,
    /// The ports it tries, TCP and UDP together.
    pub ports: Vec<u16>,
    /// Probes.
    pub probes: u64,
    /// Different targets.
    pub targets: usize,
    /// Targets that were not in use.
    pub unused_targets: usize,
    /// Targets that were exact hits.
    pub exact_targets: usize,
    /// First probe.
    pub first: Time,
    /// Last probe.
    pub last: Time,
    /// It hits unused targets in numbers.
    pub sweeps: bool,
    /// All its probes count hops.
    pub is_path_probe: bool,
    /// Its probes: positions in [`crate::ledger::Ledger::probes`].
    pub rows: Vec<u32>,
}

/// All campaigns and what each probe is.
pub struct Campaigns {
    /// In order of their first probe.
    pub list: Vec<Campaign>,
    /// For each probe of the ledger its campaign, a position in `list`.
    pub of_row: Vec<u32>,
    /// For each probe of the ledger what it proves.
    pub evidence: Vec<Evidence>,
    /// For each probe of the ledger whether it counts hops: by itself, or together with others of its
    /// source.
    pub is_path: Vec<bool>,
    /// Ideas of who is one scanner, those with the most exact targets first. The campaigns are among
    /// them.
    pub views: Vec<View>,
    /// Campaigns that were put together since there are too many.
    pub lumped: u64,
    /// Views that were left out since there are too many.
    pub views_left_out: u64,
}

impl Campaigns {
    /// Groups the probes of the ledger.
    #[must_use]
    pub fn new(frame: &Frame) -> Campaigns {
        let probes = frame.ledger.probes();
        let evidence: Vec<Evidence> = probes.iter().map(|row| Evidence::of(frame, row)).collect();
        let is_path = path::path_rows(probes);
        let clusters = Clusters::new(frame, &is_path);
        let (groups, lumped) = groups(frame, &clusters, &evidence);
        let all = Described { frame, evidence: &evidence, is_path: &is_path };
        let is_remainder = |i: usize| lumped > 0 && i + 1 == groups.len();
        let mut list: Vec<Campaign> =
            groups.iter().enumerate().map(|(i, rows)| all.campaign(rows.clone(), is_remainder(i))).collect();
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
        let mut campaigns = Campaigns { list, of_row, evidence, is_path, views: Vec::new(), lumped, views_left_out: 0 };
        (campaigns.views, campaigns.views_left_out) = view::views(frame, &clusters, &campaigns);
        campaigns
    }
}

/// The rows of each campaign, and how many were put into the last one because there are too many.
fn groups(frame: &Frame, clusters: &Clusters, evidence: &[Evidence]) -> (Vec<Vec<u32>>, u64) {
    let probes = frame.ledger.probes();
    let mut groups: Vec<Vec<u32>> = vec![Vec::new(); clusters.len];
    for (i, &cluster) in clusters.of_row.iter().enumerate() {
        groups[cluster as usize].push(i as u32);
    }
    if groups.len() <= MAX_CAMPAIGNS {
        return (groups, 0);
    }
    groups.sort_by_cached_key(|rows| {
        let exact = rows.iter().filter(|&&i| evidence[i as usize] == Evidence::Exact).count();
        let sent: u64 = rows.iter().map(|&i| u64::from(probes[i as usize].count)).sum();
        let first = rows.iter().map(|&i| (probes[i as usize].first, frame.ledger.address(probes[i as usize].source)));
        (std::cmp::Reverse((exact, sent)), first.min())
    });
    let lumped = groups.len() - (MAX_CAMPAIGNS - 1);
    let rest: Vec<u32> = groups.drain(MAX_CAMPAIGNS - 1..).flatten().collect();
    groups.push(rest);
    (groups, lumped as u64)
}

/// What campaigns are described from.
struct Described<'a, 'l> {
    frame: &'a Frame<'l>,
    evidence: &'a [Evidence],
    is_path: &'a [bool],
}

impl Described<'_, '_> {
    fn campaign(&self, mut rows: Vec<u32>, is_remainder: bool) -> Campaign {
        let ledger = self.frame.ledger;
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
            match self.evidence[i as usize] {
                class if class.is_unused() => unused.push(row.target),
                Evidence::Exact => exact.push(row.target),
                _ => {}
            }
            times.extend([row.first, row.last]);
            probes += u64::from(row.count);
            counting_hops += usize::from(self.is_path[i as usize]);
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
}

impl Campaign {
    /// The operator as a label says it: `Censys`, or `Shodan in 2016` where that is long ago.
    #[must_use]
    pub fn operator_named(&self) -> Option<String> {
        self.operator.map(Entry::named)
    }
}

fn distinct<T: Ord>(mut list: Vec<T>) -> Vec<T> {
    list.sort_unstable();
    list.dedup();
    list
}

/// The operator that has all the sources, if there is one that does more than to rent machines.
fn operator(sources: &[(Ipv6Addr, AddrId)]) -> Option<&'static Entry> {
    let mut entries = sources.iter().map(|&(source, _)| catalogue::operator(source));
    let first = entries.next()??;
    let is_one = entries.all(|entry| entry.is_some_and(|entry| entry.operator == first.operator));
    (is_one && first.what != What::HosterDense).then_some(first)
}
