//! Making what the kernel remembers older, for tests: its clock can't be set.

use aya::Pod;
use aya::maps::HashMap;
use sensor_common::names;

use super::Datapath;

impl Datapath {
    /// Makes all that the programs remember of packets older by `nanos`.
    ///
    /// # Panics
    /// When a map can't be read or written.
    #[doc(hidden)]
    pub fn age(&mut self, nanos: u64) {
        // Times stand first in every value: two in most, one in the others.
        self.age_map::<[u8; 40], [u64; 2], 2>(names::FLOWS, nanos);
        self.age_map::<[u8; 40], [u64; 2], 2>(names::INBOUND, nanos);
        self.age_map::<[u8; 20], [u64; 1], 1>(names::PORTS, nanos);
        self.age_map::<[u8; 32], [u64; 3], 2>(names::PAIRS, nanos);
        self.age_map::<[u8; 36], [u64; 4], 2>(names::REPEATS, nanos);
        self.age_map::<[u8; 16], [u64; 1], 1>(names::LOCALS, nanos);
    }

    fn age_map<K: Pod, V: Pod + AsMut<[u64]>, const TIMES: usize>(&mut self, name: &str, nanos: u64) {
        let map = self.ebpf.map_mut(name).unwrap_or_else(|| panic!("no map {name}"));
        let mut map: HashMap<_, K, V> = map.try_into().unwrap_or_else(|error| panic!("{name}: {error}"));
        let entries: Vec<(K, V)> = map.iter().filter_map(Result::ok).collect();
        for (key, mut value) in entries {
            for time in &mut value.as_mut()[..TIMES] {
                *time = time.saturating_sub(nanos);
            }
            map.insert(key, value, 0).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }
}
