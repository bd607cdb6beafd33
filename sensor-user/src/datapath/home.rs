//! Telling the programs what is home, and what of it is in use.

use std::net::Ipv6Addr;

use aya::maps::HashMap;
use aya::maps::lpm_trie::Key;
use ipnet::Ipv6Net;
use sensor_common::names;
use sensor_common::parse::Address;
use sensor_common::wire::BootTime;
use tattler_core::home::Home;

use super::error::one_line;
use super::{Datapath, MapError};

impl Datapath {
    /// Makes `wanted` the home prefixes: writes what is new, removes what is gone.
    ///
    /// # Errors
    /// When the kernel refuses; what was written stays.
    pub fn set_home(&mut self, wanted: &[Home]) -> Result<(), MapError> {
        let refused = |error: aya::maps::MapError| MapError { map: names::HOME, reason: one_line(&error) };
        for gone in self.told_home.iter().filter(|home| !wanted.contains(home)) {
            // A prefix that stays with another verdict is written again below.
            match self.home.remove(&key(gone)) {
                Ok(()) | Err(aya::maps::MapError::KeyNotFound) => {}
                Err(error) => return Err(refused(error)),
            }
        }
        self.told_home.retain(|home| wanted.contains(home));
        for home in wanted {
            if !self.told_home.contains(home) {
                self.home.insert(&key(home), u8::from(home.ours), 0).map_err(refused)?;
                self.told_home.push(*home);
            }
        }
        Ok(())
    }
}

impl Datapath {
    /// Reads what an earlier life told the programs.
    pub(super) fn read_home(&mut self) -> Result<(), MapError> {
        let refused = |error: aya::maps::MapError| MapError { map: names::HOME, reason: one_line(&error) };
        for entry in self.home.iter() {
            let (key, ours) = entry.map_err(refused)?;
            let length = key.prefix_len().try_into().unwrap_or(u8::MAX);
            if let Ok(prefix) = Ipv6Net::new(key.data().into(), length) {
                self.told_home.push(Home { prefix, ours: ours == 1 });
            }
        }
        Ok(())
    }

    /// Tells the programs which locals are in use, by what was remembered from before.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn set_in_use(&mut self, locals: impl Iterator<Item = Ipv6Addr>) -> Result<(), MapError> {
        let failed = |error: aya::maps::MapError| MapError { map: names::LOCALS, reason: one_line(&error) };
        let Some(map) = self.ebpf.map_mut(names::LOCALS) else { return Ok(()) };
        let mut map: HashMap<_, Address, BootTime> = HashMap::try_from(map).map_err(failed)?;
        for local in locals {
            map.insert(local.octets(), 0, 0).map_err(failed)?;
        }
        Ok(())
    }
}

fn key(home: &Home) -> Key<[u8; 16]> {
    Key::new(u32::from(home.prefix.prefix_len()), home.prefix.network().octets())
}
