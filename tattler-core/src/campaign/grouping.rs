//! Groupings: sets of probes that one scanner may have sent.
//!
//! One scanner may have sent all probes from a /64, from a /48, or by one tool; nobody knows beforehand. A harvester
//! that feeds one scanner stands out in the right grouping. Attribution tests all groupings and corrects for their
//! number. To keep the number low, groupings with the same hits count as a single grouping.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use super::partition::Partition;
use super::{Campaigns, distinct, hosters};
use crate::ledger::AddrId;
use crate::view::evidence::Evidence;
use crate::view::frame::Frame;

/// The maximum number of groupings.
const MAX_GROUPINGS: usize = 128;
/// Number of campaigns among the groupings that stay even if other groupings have more hits.
const CAMPAIGNS: usize = 96;
/// The minimum number of exact targets for a comparison. A campaign with fewer exact targets is a grouping only if
/// there is room: a torrent leads to hundreds of peers that try one address each.
const TARGETS: usize = 2;

/// A set of probes that one scanner may have sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grouping {
    /// The probes of the grouping, path probes too: positions in [`crate::ledger::Ledger::probes`], in order.
    pub rows: Vec<u32>,
    /// The campaigns of these probes: positions in [`Campaigns::list`], in order.
    pub campaigns: Vec<u32>,
}

/// The property that the probes of a grouping share. If groupings have the same hits, only the grouping with the
/// first level in [`LEVELS`] stays.
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

/// The data from which the properties of a row are computed.
struct Keys<'a> {
    frame: &'a Frame<'a>,
    partition: &'a Partition,
    of_row: &'a [u32],
}

impl Keys<'_> {
    /// The value of the property for a row; `None` if unknown.
    fn of(&self, level: Level, row: u32) -> Option<u128> {
        let source = || self.frame.ledger.address(self.frame.ledger.probes()[row as usize].source);
        match level {
            Level::Campaign => Some(self.of_row[row as usize].into()),
            // Customers with prefixes of different lengths have different addresses too.
            Level::Customer => Some(hosters::customer(source()).network().into()),
            Level::Prefix(length) => Some(hosters::prefix(source(), length).network().into()),
            Level::Tool => self.partition.tool_of[row as usize].map(u128::from),
        }
    }
}

/// The exact hits of a grouping, in short form.
#[derive(Default)]
struct Sketch {
    targets: HashSet<AddrId>,
    hits: DefaultHasher,
    count: usize,
}

/// A grouping before its rows are collected.
struct Found {
    targets: usize,
    /// The level of the grouping: a position in [`LEVELS`].
    level: usize,
    key: u128,
}

impl Found {
    /// The sort key: groupings with the most exact targets come first.
    fn order(&self) -> (Reverse<usize>, usize, u128) {
        (Reverse(self.targets), self.level, self.key)
    }
}

/// The groupings with the most exact targets.
pub(super) fn groupings(frame: &Frame, partition: &Partition, campaigns: &Campaigns) -> Vec<Grouping> {
    let rows = frame.ledger.probes();
    let exact: Vec<u32> = (0..rows.len() as u32)
        .filter(|&i| campaigns.evidence[i as usize] == Evidence::Exact && !campaigns.is_path[i as usize])
        .collect();
    let keys = Keys { frame, partition, of_row: &campaigns.of_row };
    let mut found: Vec<Found> = Vec::new();
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
                found.push(Found { targets: sketch.targets.len(), level, key });
            }
        }
    }
    let is_reserved = |one: &Found| one.level == 0 && one.targets >= TARGETS;
    found.sort_unstable_by_key(|one| (!is_reserved(one), one.order()));
    let reserved = found.partition_point(is_reserved).min(CAMPAIGNS);
    found[reserved..].sort_unstable_by_key(Found::order);
    found.truncate(MAX_GROUPINGS);
    found.sort_unstable_by_key(Found::order);
    gather(rows.len(), &keys, &found)
}

/// Collects the rows of the groupings, one level at a time.
fn gather(rows: usize, keys: &Keys, found: &[Found]) -> Vec<Grouping> {
    let mut groupings = vec![Grouping { rows: Vec::new(), campaigns: Vec::new() }; found.len()];
    for (level, &of) in LEVELS.iter().enumerate() {
        let wanted: HashMap<u128, usize> =
            found.iter().enumerate().filter(|(_, one)| one.level == level).map(|(at, one)| (one.key, at)).collect();
        if wanted.is_empty() {
            continue;
        }
        for row in 0..rows as u32 {
            if let Some(&at) = keys.of(of, row).and_then(|key| wanted.get(&key)) {
                groupings[at].rows.push(row);
            }
        }
    }
    for grouping in &mut groupings {
        grouping.campaigns = distinct(grouping.rows.iter().map(|&row| keys.of_row[row as usize]).collect());
    }
    groupings
}
