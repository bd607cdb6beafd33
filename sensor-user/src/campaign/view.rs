//! Ideas of who is one scanner, side by side.
//!
//! Whether a /64 or a /48 is one scanner's, or all that look alike, can't be known beforehand: a
//! harvester that feeds one scanner stands out under the right idea. Attribution tests them in
//! parallel, and pays for each, so there are few: ideas that come to the same hits are one.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use super::cluster::Clusters;
use super::{Campaigns, hosters};
use crate::attribution::evidence::Evidence;
use crate::attribution::frame::Frame;
use crate::ledger::AddrId;

/// Views at most.
const MAX_VIEWS: usize = 128;
/// Of those, campaigns that stay whatever else there is.
const CAMPAIGNS: usize = 96;
/// Exact targets from which on anything but a campaign is worth a view.
const TARGETS: usize = 2;

/// Probes that may be one scanner's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Positions in [`crate::ledger::Ledger::probes`], in order: all its probes, path probes too.
    pub rows: Vec<u32>,
    /// The campaigns that they belong to, positions in [`Campaigns::list`], in order.
    pub campaigns: Vec<u32>,
}

/// Levels, the most natural first: of the same hits the first stays.
const LEVELS: usize = 7;

/// What the key of a row is at a level; `None`: it has none.
fn keys(frame: &Frame, clusters: &Clusters, of_row: &[u32]) -> [Vec<Option<u128>>; LEVELS] {
    let rows = frame.ledger.probes();
    let net = |length: Option<u8>| -> Vec<Option<u128>> {
        let key = |source| {
            let address = frame.ledger.address(source);
            let length = length.unwrap_or_else(|| hosters::customer_prefix(address));
            // Lengths differ within a level only where prefixes do.
            u128::from(hosters::prefix(address, length).network())
        };
        rows.iter().map(|row| Some(key(row.source))).collect()
    };
    [
        of_row.iter().map(|&campaign| Some(campaign.into())).collect(),
        net(None),
        net(Some(64)),
        net(Some(48)),
        net(Some(32)),
        clusters.tool_of.iter().map(|tool| tool.map(u128::from)).collect(),
        net(Some(128)),
    ]
}

/// What is known of a view before its rows are put together.
#[derive(Default)]
struct Sketch {
    targets: HashSet<AddrId>,
    hits: DefaultHasher,
    count: usize,
}

pub(super) fn views(frame: &Frame, clusters: &Clusters, campaigns: &Campaigns) -> (Vec<View>, u64) {
    let rows = frame.ledger.probes();
    let exact: Vec<u32> = (0..rows.len() as u32)
        .filter(|&i| campaigns.evidence[i as usize] == Evidence::Exact && !campaigns.is_path[i as usize])
        .collect();
    let keys = keys(frame, clusters, &campaigns.of_row);
    // (exact targets, level, key), the same hits once.
    let mut found: Vec<(usize, usize, u128)> = Vec::new();
    let mut known = HashSet::new();
    for (level, keys) in keys.iter().enumerate() {
        let mut sketches: HashMap<u128, Sketch> = HashMap::new();
        for &i in &exact {
            if let Some(key) = keys[i as usize] {
                let sketch = sketches.entry(key).or_default();
                sketch.targets.insert(rows[i as usize].target);
                i.hash(&mut sketch.hits);
                sketch.count += 1;
            }
        }
        for (key, sketch) in sketches {
            let is_new = known.insert((sketch.hits.finish(), sketch.count));
            if is_new && (level == 0 || sketch.targets.len() >= TARGETS) {
                found.push((sketch.targets.len(), level, key));
            }
        }
    }
    let order = |&(targets, level, key): &(usize, usize, u128)| (std::cmp::Reverse(targets), level, key);
    found.sort_unstable_by_key(|view| (view.1 > 0, order(view)));
    let first = found.partition_point(|view| view.1 == 0).min(CAMPAIGNS);
    found[first..].sort_unstable_by_key(order);
    let dropped = found.len().saturating_sub(MAX_VIEWS) as u64;
    found.truncate(MAX_VIEWS);
    found.sort_unstable_by_key(order);
    (found.iter().map(|&(_, level, key)| assemble(&keys[level], key, campaigns)).collect(), dropped)
}

fn assemble(keys: &[Option<u128>], key: u128, campaigns: &Campaigns) -> View {
    let rows: Vec<u32> = (0..keys.len() as u32).filter(|&i| keys[i as usize] == Some(key)).collect();
    let mut of: Vec<u32> = rows.iter().map(|&i| campaigns.of_row[i as usize]).collect();
    of.sort_unstable();
    of.dedup();
    View { rows, campaigns: of }
}
