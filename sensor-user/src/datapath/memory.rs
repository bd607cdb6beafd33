//! Removes addresses from the tables of the programs.

use std::net::Ipv6Addr;
use std::os::fd::AsFd;
use std::thread;
use std::time::Duration;

use aya::Pod;
use aya::maps::{HashMap, Map, MapData};
use sensor_common::names;
use sensor_common::wire::BootTime;

use super::{Datapath, MapError};

/// Entries handled before a pause: about a millisecond.
const BATCH: usize = 1_024;
const PAUSE: Duration = Duration::from_millis(1);

/// An entry of one of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowEntry {
    /// The address in a home prefix.
    pub local: Ipv6Addr,
    /// The address outside, if the table has one.
    pub remote: Option<Ipv6Addr>,
    /// When it was last used.
    pub last: BootTime,
}

/// Removes the entries of one table for which the argument returns true. Returns their number.
type RemoveEntries = Box<dyn FnMut(&mut dyn FnMut(FlowEntry) -> bool) -> Result<usize, MapError> + Send>;

/// The tables of addresses: flows of both directions, ports, pairs, repeats and locals in use. Can be used on another
/// thread than the [`Datapath`].
pub struct Memory(Vec<RemoveEntries>);

impl Datapath {
    /// The tables of addresses.
    ///
    /// # Errors
    /// The kernel refuses another descriptor.
    pub fn memory(&self) -> Result<Memory, MapError> {
        Ok(Memory(vec![
            self.table::<40, 2>(names::FLOWS, true)?,
            self.table::<40, 2>(names::INBOUND, true)?,
            self.table::<20, 1>(names::PORTS, false)?,
            self.table::<32, 3>(names::PAIRS, true)?,
            self.table::<36, 4>(names::REPEATS, true)?,
            self.table::<16, 1>(names::LOCALS, false)?,
        ]))
    }

    /// Every key begins with the local, every value with the time of the last use.
    fn table<const KEY: usize, const WORDS: usize>(
        &self,
        name: &'static str,
        has_remotes: bool,
    ) -> Result<RemoveEntries, MapError>
    where
        [u8; KEY]: Pod,
        [u64; WORDS]: Pod,
    {
        let Some(Map::LruHashMap(data)) = self.ebpf.map(name) else {
            return Err(MapError { map: name, reason: "the object has no such table".to_owned() });
        };
        let size = data.info().map_err(MapError::of(name))?.max_entries() as usize;
        let descriptor = data.fd().as_fd().try_clone_to_owned().map_err(MapError::of(name))?;
        let map = MapData::from_fd(descriptor).and_then(|data| HashMap::try_from(Map::LruHashMap(data)));
        let mut map: HashMap<MapData, [u8; KEY], [u64; WORDS]> = map.map_err(MapError::of(name))?;
        Ok(Box::new(move |is_meant| {
            let failed = MapError::of(name);
            let mut meant = Vec::new();
            // If the current key is evicted meanwhile, the kernel starts again from the first one. So the loop has a
            // bound.
            for (number, key) in map.keys().take(size * 2).enumerate() {
                let key = key.map_err(failed)?;
                pause(number);
                // An entry that was evicted meanwhile needs no removal.
                if let Ok(value) = map.get(&key, 0)
                    && is_meant(entry(&key, &value, has_remotes))
                {
                    meant.push(key);
                }
            }
            let mut removed = 0;
            for (number, key) in meant.iter().enumerate() {
                pause(number);
                match map.remove(key) {
                    Ok(()) => removed += 1,
                    Err(aya::maps::MapError::KeyNotFound) => {}
                    Err(error) => return Err(failed(error)),
                }
            }
            Ok(removed)
        }))
    }
}

impl Memory {
    /// Removes the entries for which `is_meant` returns true, with a pause after each batch. Returns their number.
    ///
    /// # Errors
    /// The kernel refuses. Entries removed before are not restored.
    pub fn remove(&mut self, is_meant: &mut dyn FnMut(FlowEntry) -> bool) -> Result<usize, MapError> {
        self.0.iter_mut().try_fold(0, |sum, table| Ok(sum + table(is_meant)?))
    }
}

fn pause(number: usize) {
    if number % BATCH == BATCH - 1 {
        thread::sleep(PAUSE);
    }
}

fn entry(key: &[u8], value: &[u64], has_remotes: bool) -> FlowEntry {
    let address = |from: usize| {
        let bytes = key.get(from..from + 16).and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
        Ipv6Addr::from(bytes.unwrap_or_default())
    };
    let last = value.first().copied().unwrap_or(0);
    FlowEntry { local: address(0), remote: has_remotes.then(|| address(16)), last }
}
