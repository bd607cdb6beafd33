//! The maps that hold the state of earlier packets.
//!
//! FLOWS, PORTS, PAIRS and LOCALS are written by egress alone: outsiders can't evict their entries.

use aya_ebpf::macros::map;
use aya_ebpf::maps::lpm_trie::Key;
use aya_ebpf::maps::{LpmTrie, LruHashMap};
use sensor_common::counters::Fate;
use sensor_common::parse::Address;
use sensor_common::track::{RecordTable, Tables};
use sensor_common::wire::{BootTime, Event, Flow, FlowKey, Pair, PairKey, PortKey, Repeat, RepeatKey, What};

use crate::record::Lru;
use crate::{budgets, counters, events};

/// Home prefixes, written by the agent.
#[map]
static HOME: LpmTrie<Address, u8> = LpmTrie::with_max_entries(16_384, 0);
#[map]
static FLOWS: LruHashMap<FlowKey, Flow> = LruHashMap::with_max_entries(65_536, 0);
#[map]
static INBOUND: LruHashMap<FlowKey, Flow> = LruHashMap::with_max_entries(65_536, 0);
#[map]
static PORTS: LruHashMap<PortKey, BootTime> = LruHashMap::with_max_entries(65_536, 0);
#[map]
static PAIRS: LruHashMap<PairKey, Pair> = LruHashMap::with_max_entries(65_536, 0);
#[map]
static REPEATS: LruHashMap<RepeatKey, Repeat> = LruHashMap::with_max_entries(65_536, 0);
#[map]
static LOCALS: LruHashMap<Address, BootTime> = LruHashMap::with_max_entries(65_536, 0);

/// All maps that the rules need.
pub struct Maps;

impl Tables for Maps {
    /// The longest matching prefix decides. Its value is 1, or 0 for an excluded prefix.
    #[inline(always)]
    fn is_home(&self, address: &Address) -> bool {
        matches!(HOME.get(Key::new(128, *address)), Some(1))
    }

    #[inline(always)]
    fn flows(&mut self) -> impl RecordTable<FlowKey, Flow> {
        Lru(&FLOWS)
    }

    #[inline(always)]
    fn inbound(&mut self) -> impl RecordTable<FlowKey, Flow> {
        Lru(&INBOUND)
    }

    #[inline(always)]
    fn ports(&mut self) -> impl RecordTable<PortKey, BootTime> {
        Lru(&PORTS)
    }

    #[inline(always)]
    fn pairs(&mut self) -> impl RecordTable<PairKey, Pair> {
        Lru(&PAIRS)
    }

    #[inline(always)]
    fn repeats(&mut self) -> impl RecordTable<RepeatKey, Repeat> {
        Lru(&REPEATS)
    }

    #[inline(always)]
    fn locals(&mut self) -> impl RecordTable<Address, BootTime> {
        Lru(&LOCALS)
    }

    #[inline(always)]
    fn take_budget(&mut self, now: BootTime) -> bool {
        budgets::take(now)
    }

    #[inline(always)]
    fn submit(&mut self, event: impl FnOnce() -> Event) -> bool {
        events::submit(event)
    }

    #[inline(always)]
    fn count(&mut self, what: What, fate: Fate) {
        counters::add(what, fate);
    }
}
