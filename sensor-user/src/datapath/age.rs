//! Makes the state of the programs older, for tests: the kernel's boot time can't be set.

use aya::maps::HashMap;
use aya::{Ebpf, Pod};
use sensor_common::names;

use super::Datapath;

impl Datapath {
    /// Makes all state of earlier packets older by `nanos`.
    #[doc(hidden)]
    pub fn age(&mut self, nanos: u64) {
        age(&mut self.ebpf, nanos);
    }
}

/// [`Datapath::age`] for an object that was loaded without a [`Datapath`].
///
/// # Panics
/// A map can't be read or written.
#[doc(hidden)]
pub fn age(ebpf: &mut Ebpf, nanos: u64) {
    // Every value begins with its times: two in most tables, one in the others.
    age_map::<[u8; 40], [u64; 2], 2>(ebpf, names::FLOWS, nanos);
    age_map::<[u8; 40], [u64; 2], 2>(ebpf, names::INBOUND, nanos);
    age_map::<[u8; 20], [u64; 1], 1>(ebpf, names::PORTS, nanos);
    age_map::<[u8; 32], [u64; 3], 2>(ebpf, names::PAIRS, nanos);
    age_map::<[u8; 36], [u64; 4], 2>(ebpf, names::REPEATS, nanos);
    age_map::<[u8; 16], [u64; 1], 1>(ebpf, names::LOCALS, nanos);
}

fn age_map<K: Pod, V: Pod + AsMut<[u64]>, const TIMES: usize>(ebpf: &mut Ebpf, name: &str, nanos: u64) {
    let map = ebpf.map_mut(name).unwrap_or_else(|| panic!("no map {name}"));
    let mut map: HashMap<_, K, V> = map.try_into().unwrap_or_else(|error| panic!("{name}: {error}"));
    let entries: Vec<(K, V)> = map.iter().filter_map(Result::ok).collect();
    for (key, mut value) in entries {
        for time in &mut value.as_mut()[..TIMES] {
            *time = time.saturating_sub(nanos);
        }
        map.insert(key, value, 0).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}
