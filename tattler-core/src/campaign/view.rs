//! Ideas of who is one scanner, side by side.
//!
//! Whether a /64 or a /48 is one scanner's, or all that look alike, can't be known beforehand: a
//! harvester that feeds one scanner stands out under the right idea. Attribution tests them in
//! parallel, and pays for each, so there are few: ideas that come to the same hits are one.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use super::cluster::Clusters;
use super::{Campaigns, hosters};
use crate::ledger::AddrId;
use crate::view::evidence::Evidence;
use crate::view::frame::Frame;

/// Views at most.
const MAX_VIEWS: usize = 128;
/// Of those, campaigns that stay whatever else there is.
const CAMPAIGNS: usize = 96;
/// Exact targets from which on there is something to compare. A campaign with fewer has a view as long
/// as there is room: a torrent brings hundreds of peers that try one address each.
const TARGETS: usize = 2;

/// Probes that may be one scanner's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Positions in [`crate::ledger::Ledger::probes`], in order: all its probes, path probes too.
    pub rows: Vec<u32>,
    /// The campaigns that they belong to, positions in [`Campaigns::list`], in order.
    pub campaigns: Vec<u32>,
}

/// What makes probes one scanner's; the most natural first: of the same hits the first stays.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Campaign,
    Customer,
    Prefix(u8),
    Tool,
}

const LEVELS: [Level; 7] = [
    Level::Campaign,
    Level::Customer,
    Level::Prefix(64),
    Level::Prefix(48),
    Level::Prefix(32),
    Level::Tool,
    Level::Prefix(128),
];

/// Keys of rows at the levels.
struct Keys<'a> {
    frame: &'a Frame<'a>,
    clusters: &'a Clusters,
    of_row: &'a [u32],
}

impl Keys<'_> {
    /// What a row shares with others of one scanner; `None` where that is not known.
    fn of(&self, level: Level, row: u32) -> Option<u128> {
        let source = || self.frame.ledger.address(self.frame.ledger.probes()[row as usize].source);
        match level {
            Level::Campaign => Some(self.of_row[row as usize].into()),
            // Lengths differ within a level only where prefixes do.
            Level::Customer => Some(hosters::customer(source()).network().into()),
            Level::Prefix(length) => Some(hosters::prefix(source(), length).network().into()),
            Level::Tool => self.clusters.tool_of[row as usize].map(u128::from),
        }
    }
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
    let keys = Keys { frame, clusters, of_row: &campaigns.of_row };
    // (exact targets, level, key), the same hits once.
    let mut found: Vec<(usize, usize, u128)> = Vec::new();
    let mut known = HashSet::new();
    for (level, &of) in LEVELS.iter().enumerate() {
        let mut sketches: HashMap<u128, Sketch> = HashMap::new();
        for &i in &exact {
            if let Some(key) = keys.of(of, i) {
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
    let is_reserved = |view: &(usize, usize, u128)| view.1 == 0 && view.0 >= TARGETS;
    found.sort_unstable_by_key(|view| (!is_reserved(view), order(view)));
    let first = found.partition_point(is_reserved).min(CAMPAIGNS);
    found[first..].sort_unstable_by_key(order);
    let dropped = found.len().saturating_sub(MAX_VIEWS) as u64;
    found.truncate(MAX_VIEWS);
    found.sort_unstable_by_key(order);
    (assemble(rows.len(), &keys, &found), dropped)
}

/// Puts the rows of the views together, a level at a time.
fn assemble(rows: usize, keys: &Keys, found: &[(usize, usize, u128)]) -> Vec<View> {
    let mut views = vec![View { rows: Vec::new(), campaigns: Vec::new() }; found.len()];
    for (level, &of) in LEVELS.iter().enumerate() {
        let wanted: HashMap<u128, usize> =
            found.iter().enumerate().filter(|(_, view)| view.1 == level).map(|(at, view)| (view.2, at)).collect();
        if wanted.is_empty() {
            continue;
        }
        for row in 0..rows as u32 {
            if let Some(&at) = keys.of(of, row).and_then(|key| wanted.get(&key)) {
                views[at].rows.push(row);
            }
        }
    }
    for view in &mut views {
        view.campaigns = view.rows.iter().map(|&row| keys.of_row[row as usize]).collect();
        view.campaigns.sort_unstable();
        view.campaigns.dedup();
    }
    views
}
