//! Access to the records in LRU maps, in place.
//!
//! The memory of a record stays valid until the program ends. Its content does not belong to this
//! program alone:
//! - Another CPU may write the same record. A read may then mix two versions, and one of two updates
//!   may get lost. All fields are plain integers, so any mix is a valid record.
//! - The map may evict the record and reuse its memory for another key. A look-up marks a record as
//!   referenced, and the map evicts those last. It takes a shrink that finds nothing else, or a
//!   removal by user space, between look-up and access: nanoseconds. A read then returns the record of
//!   another key, and a write overwrites it: a wrong time or count, never an invalid access.

use aya_ebpf::maps::LruHashMap;
use sensor_common::track::RecordTable;

/// A map as the rules use it.
pub struct Lru<K: 'static, V: 'static>(pub &'static LruHashMap<K, V>);

impl<K, V: Copy + Default> RecordTable<K, V> for Lru<K, V> {
    #[inline(always)]
    fn get(&self, key: &K) -> Option<V> {
        // SAFETY: `get_ptr` returns memory of the map that holds a `V`; see above for its content.
        self.0.get_ptr(key).map(|record| unsafe { *record })
    }

    #[inline(always)]
    fn update(&mut self, key: &K, change: impl FnOnce(&mut V)) {
        match self.0.get_ptr_mut(key) {
            // In place: a fifth of the cost of `insert`. The compiler drops the stores of fields that `change` leaves
            // alone. If it did not, another CPU's update of such a field within these nanoseconds would get lost.
            // SAFETY: as in `get`. The reference is to a copy, so nothing else writes to its target.
            Some(record) => unsafe {
                let mut copy = *record;
                change(&mut copy);
                *record = copy;
            },
            None => {
                let mut new = V::default();
                change(&mut new);
                let _ = self.0.insert(key, new, 0);
            }
        }
    }
}
