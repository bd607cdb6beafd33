//! The tables of the rules, for a capture.
//!
//! Each table has a bound, as the kernel's maps have. A full table drops the entries with the longest time since
//! their last use.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::Ipv6Addr;

use ipnet::Ipv6Net;
use sensor_common::counters::{self, COUNTERS, Fate};
use sensor_common::parse::Address;
use sensor_common::track::{RecordTable, Tables};
use sensor_common::wire::{BootTime, Event, Flow, FlowKey, Pair, PairKey, PortKey, Repeat, RepeatKey, What};

/// The least number of entries that a full table keeps. A table holds at most twice as many. The tables use some 80
/// MB if all tables are full. A hash table is at most seven eighths full, and doubles its size beyond.
const KEPT: usize = (1 << 17) / 8 * 7;

/// A table in two halves. Used entries move to the young half. When the young half is full, the old half is dropped
/// and the young half becomes the old half.
pub(super) struct AgingTable<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    kept: usize,
}

impl<K, V> Default for AgingTable<K, V> {
    fn default() -> Self {
        AgingTable { young: HashMap::new(), old: HashMap::new(), kept: KEPT }
    }
}

impl<K: Copy + Hash + Eq, V: Copy + Default> RecordTable<K, V> for &mut AgingTable<K, V> {
    fn get(&self, key: &K) -> Option<V> {
        self.young.get(key).or_else(|| self.old.get(key)).copied()
    }

    fn update(&mut self, key: &K, change: impl FnOnce(&mut V)) {
        if let Some(value) = self.young.get_mut(key) {
            return change(value);
        }
        if self.young.len() >= self.kept {
            self.old = std::mem::take(&mut self.young);
        }
        let mut value = self.old.get(key).copied().unwrap_or_default();
        change(&mut value);
        self.young.insert(*key, value);
    }
}

/// The tables that the kernel keeps as maps, and the event of the current packet.
#[derive(Default)]
pub(super) struct CaptureTables {
    home: Vec<Ipv6Net>,
    pub(super) event: Option<Event>,
    pub(super) counters: [u64; COUNTERS as usize],
    flows: AgingTable<FlowKey, Flow>,
    inbound: AgingTable<FlowKey, Flow>,
    ports: AgingTable<PortKey, BootTime>,
    pairs: AgingTable<PairKey, Pair>,
    repeats: AgingTable<RepeatKey, Repeat>,
    locals: AgingTable<Address, BootTime>,
}

impl CaptureTables {
    pub(super) fn new(home: Vec<Ipv6Net>) -> CaptureTables {
        CaptureTables { home, ..CaptureTables::default() }
    }
}

impl Tables for &mut CaptureTables {
    fn is_home(&self, address: &Address) -> bool {
        let address = Ipv6Addr::from(*address);
        self.home.iter().any(|prefix| prefix.contains(&address))
    }
    fn flows(&mut self) -> impl RecordTable<FlowKey, Flow> {
        &mut self.flows
    }
    fn inbound(&mut self) -> impl RecordTable<FlowKey, Flow> {
        &mut self.inbound
    }
    fn ports(&mut self) -> impl RecordTable<PortKey, BootTime> {
        &mut self.ports
    }
    fn pairs(&mut self) -> impl RecordTable<PairKey, Pair> {
        &mut self.pairs
    }
    fn repeats(&mut self) -> impl RecordTable<RepeatKey, Repeat> {
        &mut self.repeats
    }
    fn locals(&mut self) -> impl RecordTable<Address, BootTime> {
        &mut self.locals
    }
    fn take_budget(&mut self, _: BootTime) -> bool {
        // A file can wait, so the budget always permits the packet.
        true
    }
    fn submit(&mut self, event: impl FnOnce() -> Event) -> bool {
        // A packet makes at most one event.
        self.event = Some(event());
        true
    }
    fn count(&mut self, what: What, fate: Fate) {
        if let Some(counter) = self.counters.get_mut(counters::fate(what, fate) as usize) {
            *counter += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_forgets_the_oldest_and_keeps_its_bound() {
        let mut table = AgingTable { kept: 100, ..AgingTable::default() };
        let mut records = &mut table;
        for n in 0..1_000 {
            records.update(&0, |value| *value += 1); // this entry stays in use
            records.update(&(n + 1), |value| *value = n);
        }
        assert_eq!(records.get(&0), Some(1_000));
        assert_eq!(records.get(&1_000), Some(999));
        assert_eq!(records.get(&5), None);
        assert!(table.young.len() + table.old.len() <= 200);
    }
}
