//! Locals and the remotes that they contacted, written by egress alone.

use aya_ebpf::macros::map;
use aya_ebpf::maps::LruHashMap;
use sensor_common::wire::{Pair, PairKey};

#[map]
static PAIRS: LruHashMap<PairKey, Pair> = LruHashMap::with_max_entries(65_536, 0);

/// The latest contact of a pair.
#[inline(always)]
pub fn get(key: &PairKey) -> Option<Pair> {
    // SAFETY: an entry that is replaced meanwhile yields a torn record at worst.
    unsafe { PAIRS.get(key) }.copied()
}

/// Writes the latest contact of a pair.
#[inline(always)]
pub fn set(key: &PairKey, pair: &Pair) {
    match PAIRS.get_ptr_mut(key) {
        // In place: a fifth of the cost of an update.
        // SAFETY: map memory stays valid while the program runs.
        Some(known) => unsafe { *known = *pair },
        None => {
            let _ = PAIRS.insert(key, pair, 0);
        }
    }
}
