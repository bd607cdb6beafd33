//! Sources that act as one scanner.
//!
//! First form: sources of one prefix (a customer's: /64, or /124 at dense hosters) that share a kind
//! and port, directly or through others. Only features of the source side count: to cluster by common
//! targets would put the outcome into the evidence.

pub mod hosters;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use ipnet::Ipv6Net;
use sensor_common::Kind;

use crate::attribution::evidence::Evidence;
use crate::attribution::frame::Frame;
use crate::ledger::AddrId;
use crate::time::Time;

/// Unused targets from which on a campaign sweeps.
const SWEEP: usize = 8;

/// Sources that act as one scanner.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// `c1` is the one seen first.
    pub id: String,
    /// What it does and from where.
    pub label: String,
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
}

impl Campaigns {
    /// Groups the probes of the ledger.
    #[must_use]
    pub fn new(frame: &Frame) -> Campaigns {
        let probes = frame.ledger.probes();
        let evidence: Vec<Evidence> = probes.iter().map(|row| Evidence::of(frame, row)).collect();
        let mut list: Vec<Campaign> = cluster(frame).into_iter().map(|rows| describe(frame, &evidence, rows)).collect();
        list.sort_by_cached_key(|campaign| {
            (
                campaign.first,
                campaign.sources.first().map(|&source| frame.ledger.address(source)),
                campaign.ports.clone(),
            )
        });
        let mut of_row = vec![0; probes.len()];
        for (i, campaign) in list.iter_mut().enumerate() {
            campaign.id = format!("c{}", i + 1);
            for &row in &campaign.rows {
                of_row[row as usize] = i as u32;
            }
        }
        Campaigns { list, of_row, evidence }
    }
}

/// Joins sources of one prefix that share a kind and port; in linear time, whatever outsiders send.
fn cluster(frame: &Frame) -> Vec<Vec<u32>> {
    let mut parents: HashMap<AddrId, AddrId> = HashMap::new();
    fn root(parents: &mut HashMap<AddrId, AddrId>, mut id: AddrId) -> AddrId {
        loop {
            let parent = *parents.entry(id).or_insert(id);
            if parent == id {
                return id;
            }
            let above = parents[&parent];
            parents.insert(id, above);
            id = parent;
        }
    }
    let mut first_with: HashMap<(Ipv6Net, Kind, u16), AddrId> = HashMap::new();
    for row in frame.ledger.probes() {
        let key = (prefix_of(frame, row.source), row.kind, row.port);
        let other = *first_with.entry(key).or_insert(row.source);
        let (a, b) = (root(&mut parents, row.source), root(&mut parents, other));
        parents.insert(a, b);
    }
    let mut clusters: HashMap<AddrId, Vec<u32>> = HashMap::new();
    for (i, row) in frame.ledger.probes().iter().enumerate() {
        clusters.entry(root(&mut parents, row.source)).or_default().push(i as u32);
    }
    clusters.into_values().collect()
}

fn prefix_of(frame: &Frame, source: AddrId) -> Ipv6Net {
    let address = frame.ledger.address(source);
    Ipv6Net::new(address, hosters::customer_prefix(address)).unwrap_or_default().trunc()
}

fn describe(frame: &Frame, evidence: &[Evidence], rows: Vec<u32>) -> Campaign {
    let (mut sources, mut kinds, mut ports) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
    let (mut targets, mut unused, mut exact) = (HashSet::new(), HashSet::new(), HashSet::new());
    let (mut first, mut last, mut probes) = (Time(i64::MAX), Time(i64::MIN), 0);
    let mut is_path_probe = true;
    for &i in &rows {
        let row = &frame.ledger.probes()[i as usize];
        sources.insert(frame.ledger.address(row.source), row.source);
        kinds.insert(row.kind);
        if row.kind != Kind::Echo {
            ports.insert(row.port);
        }
        targets.insert(row.target);
        match evidence[i as usize] {
            class if class.is_unused() => _ = unused.insert(row.target),
            Evidence::Exact => _ = exact.insert(row.target),
            _ => {}
        }
        first = first.min(row.first);
        last = last.max(row.last);
        probes += u64::from(row.count);
        is_path_probe &= row.is_path_probe();
    }
    let prefixes: BTreeSet<Ipv6Net> = sources.values().map(|&source| prefix_of(frame, source)).collect();
    let sweeps = unused.len() >= SWEEP;
    let mut campaign = Campaign {
        id: String::new(),
        label: String::new(),
        sources: sources.into_values().collect(),
        prefixes: prefixes.into_iter().collect(),
        kinds: kinds.into_iter().collect(),
        ports: ports.into_iter().collect(),
        probes,
        targets: targets.len(),
        unused_targets: unused.len(),
        exact_targets: exact.len(),
        first,
        last,
        sweeps,
        is_path_probe,
        rows,
    };
    campaign.label = label(&campaign);
    campaign
}

/// As in `sweep: echo, syn 22 80 443 from 2001:db8::/64`.
fn label(campaign: &Campaign) -> String {
    let what = if campaign.is_path_probe {
        "path probe: "
    } else if campaign.sweeps {
        "sweep: "
    } else {
        ""
    };
    let kinds: Vec<&str> = campaign.kinds.iter().map(|kind| kind.as_str()).collect();
    let ports = match campaign.ports.as_slice() {
        [] => String::new(),
        few if few.len() <= 4 => few.iter().map(|port| format!(" {port}")).collect(),
        many => format!(" {} ports", many.len()),
    };
    let from = campaign.prefixes.first().map_or_else(String::new, |prefix| format!(" from {prefix}"));
    format!("{what}{}{ports}{from}", kinds.join(", "))
}
