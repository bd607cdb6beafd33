//! What user space remembers of a capture, for the rules.
//!
//! Each table is bounded as the kernel's maps are, and what was not touched for longest is
//! forgotten first.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::Ipv6Addr;

use ipnet::Ipv6Net;
use sensor_common::parse::Address;
use sensor_common::rules;
use sensor_common::wire::{Flow, FlowKey, Pair, PairKey, PortKey, Repeat, RepeatKey};

/// Entries that a table keeps at least; at most twice as many. Some 70 MB if all are full. A hash
/// table is at most seven eighths full, and doubles beyond.
const KEPT: usize = (1 << 17) / 8 * 7;

/// A table that forgets: entries go into the young half, and when that is full, the old half is
/// dropped and the young one grows old.
pub(super) struct Table<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    kept: usize,
}

impl<K: Hash + Eq, V: Copy> Table<K, V> {
    fn new(kept: usize) -> Self {
        Table { young: HashMap::new(), old: HashMap::new(), kept }
    }

    pub(super) fn get(&self, key: &K) -> Option<V> {
        self.young.get(key).or_else(|| self.old.get(key)).copied()
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        if self.young.len() >= self.kept && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }
}

impl<K: Hash + Eq, V: Copy> Default for Table<K, V> {
    fn default() -> Self {
        Table::new(KEPT)
    }
}

/// The tables that the kernel has as maps.
#[derive(Default)]
pub(super) struct Memory {
    pub(super) home: Vec<Ipv6Net>,
    pub(super) flows: Table<FlowKey, Flow>,
    pub(super) inbound: Table<FlowKey, Flow>,
    pub(super) ports: Table<PortKey, rules::Time>,
    pub(super) pairs: Table<PairKey, Pair>,
    pub(super) repeats: Table<RepeatKey, Repeat>,
}

impl rules::Memory for Memory {
    fn is_home(&self, address: &Address) -> bool {
        let address = Ipv6Addr::from(*address);
        self.home.iter().any(|prefix| prefix.contains(&address))
    }
    fn flow(&self, key: &FlowKey) -> Option<Flow> {
        self.flows.get(key)
    }
    fn inbound(&self, key: &FlowKey) -> Option<Flow> {
        self.inbound.get(key)
    }
    fn port(&self, key: &PortKey) -> Option<rules::Time> {
        self.ports.get(key)
    }
    fn pair(&self, key: &PairKey) -> Option<Pair> {
        self.pairs.get(key)
    }
    fn repeat(&self, key: &RepeatKey) -> Option<Repeat> {
        self.repeats.get(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_forgets_the_oldest_and_keeps_its_bound() {
        let mut table = Table::new(100);
        for n in 0..1_000 {
            table.insert(0, n); // touched all the time
            table.insert(n + 1, n);
        }
        assert!(table.young.len() + table.old.len() <= 200);
        assert_eq!(table.get(&0), Some(999));
        assert_eq!(table.get(&1_000), Some(999));
        assert_eq!(table.get(&5), None);
    }
}
