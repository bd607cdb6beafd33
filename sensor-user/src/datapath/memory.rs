//! What the programs remember of addresses, and taking it away.

use std::net::Ipv6Addr;
use std::os::fd::AsFd;
use std::thread;
use std::time::Duration;

use aya::Pod;
use aya::maps::{HashMap, Map, MapData};
use sensor_common::names;
use sensor_common::wire::BootTime;

use super::error::one_line;
use super::{Datapath, MapError};

/// Entries that are looked at before others have their turn: a millisecond or so.
const BATCH: usize = 1_024;
const PAUSE: Duration = Duration::from_millis(1);

/// An entry of one of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowEntry {
    /// The address in a home prefix.
    pub local: Ipv6Addr,
    /// The address outside, where the table has one.
    pub remote: Option<Ipv6Addr>,
    /// When it was last used.
    pub last: BootTime,
}

/// The tables of addresses: flows of both sides, ports, pairs, repeats and locals in use. Can be on another
/// thread than the [`Datapath`].
pub struct Memory {
    flows: Table<40, 2>,
    inbound: Table<40, 2>,
    ports: Table<20, 1>,
    pairs: Table<32, 3>,
    repeats: Table<36, 4>,
    locals: Table<16, 1>,
}

/// Every key begins with the local; every value with the time of its last use.
struct Table<const KEY: usize, const WORDS: usize> {
    name: &'static str,
    map: HashMap<MapData, [u8; KEY], [u64; WORDS]>,
    has_remotes: bool,
    /// That fit.
    entries: u32,
}

impl Datapath {
    /// The tables of addresses.
    ///
    /// # Errors
    /// When the kernel refuses another descriptor.
    pub fn memory(&self) -> Result<Memory, MapError> {
        Ok(Memory {
            flows: self.table(names::FLOWS, true)?,
            inbound: self.table(names::INBOUND, true)?,
            ports: self.table(names::PORTS, false)?,
            pairs: self.table(names::PAIRS, true)?,
            repeats: self.table(names::REPEATS, true)?,
            locals: self.table(names::LOCALS, false)?,
        })
    }

    fn table<const KEY: usize, const WORDS: usize>(
        &self,
        name: &'static str,
        has_remotes: bool,
    ) -> Result<Table<KEY, WORDS>, MapError>
    where
        [u8; KEY]: Pod,
        [u64; WORDS]: Pod,
    {
        let failed = |reason: String| MapError { map: name, reason };
        let Some(Map::LruHashMap(data)) = self.ebpf.map(name) else {
            return Err(failed("the object has no such table".to_owned()));
        };
        let entries = data.info().map_err(|error| failed(one_line(&error)))?.max_entries();
        let descriptor = data.fd().as_fd().try_clone_to_owned().map_err(|error| failed(one_line(&error)))?;
        let opened = MapData::from_fd(descriptor).and_then(|data| HashMap::try_from(Map::LruHashMap(data)));
        Ok(Table { name, map: opened.map_err(|error| failed(one_line(&error)))?, has_remotes, entries })
    }
}

impl Memory {
    /// Removes the entries that are meant; says how many. Takes its time, a pause after each batch.
    ///
    /// # Errors
    /// When the kernel refuses; what was removed stays so.
    pub fn remove(&mut self, is_meant: &mut dyn FnMut(FlowEntry) -> bool) -> Result<usize, MapError> {
        Ok(self.flows.remove(is_meant)?
            + self.inbound.remove(is_meant)?
            + self.ports.remove(is_meant)?
            + self.pairs.remove(is_meant)?
            + self.repeats.remove(is_meant)?
            + self.locals.remove(is_meant)?)
    }
}

impl<const KEY: usize, const WORDS: usize> Table<KEY, WORDS>
where
    [u8; KEY]: Pod,
    [u64; WORDS]: Pod,
{
    fn remove(&mut self, is_meant: &mut dyn FnMut(FlowEntry) -> bool) -> Result<usize, MapError> {
        let failed = |error: aya::maps::MapError| MapError { map: self.name, reason: one_line(&error) };
        // Whoever follows a key that is evicted meanwhile begins anew, so that there may be no end.
        let mut meant = Vec::new();
        for (number, key) in self.map.keys().take(self.entries as usize * 2).enumerate() {
            let key = key.map_err(failed)?;
            if number % BATCH == BATCH - 1 {
                thread::sleep(PAUSE);
            }
            // One that is gone by now needs no removal.
            if let Ok(value) = self.map.get(&key, 0)
                && is_meant(self.entry(&key, &value))
            {
                meant.push(key);
            }
        }
        let mut removed = 0;
        for (number, key) in meant.iter().enumerate() {
            if number % BATCH == BATCH - 1 {
                thread::sleep(PAUSE);
            }
            match self.map.remove(key) {
                Ok(()) => removed += 1,
                Err(aya::maps::MapError::KeyNotFound) => {}
                Err(error) => return Err(MapError { map: self.name, reason: one_line(&error) }),
            }
        }
        Ok(removed)
    }

    fn entry(&self, key: &[u8; KEY], value: &[u64; WORDS]) -> FlowEntry {
        let address = |from: usize| {
            let bytes = key.get(from..from + 16).and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
            Ipv6Addr::from(bytes.unwrap_or_default())
        };
        let remote = self.has_remotes.then(|| address(16));
        FlowEntry { local: address(0), remote, last: value.first().copied().unwrap_or(0) }
    }
}
