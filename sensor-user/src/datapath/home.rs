//! Writes the home prefixes and the locals in use to the maps of the programs.

use std::cell::RefCell;
use std::net::Ipv6Addr;

use aya::maps::HashMap;
use aya::maps::lpm_trie::Key;
use ipnet::Ipv6Net;
use sensor_common::names;
use sensor_common::parse::Address;
use sensor_common::wire::BootTime;
use tattler_core::home::HomePrefix;

use super::{Datapath, MapError};

impl Datapath {
    /// Makes `wanted` the home prefixes: adds new ones, removes others.
    ///
    /// # Errors
    /// The kernel refuses. What was written stays.
    pub fn set_home(&mut self, wanted: &[HomePrefix]) -> Result<(), MapError> {
        let refused = MapError::of(names::HOME);
        let map = RefCell::new(&mut self.home);
        let remove = |home: &HomePrefix| match map.borrow_mut().remove(&key(home)) {
            Ok(()) | Err(aya::maps::MapError::KeyNotFound) => Ok(()),
            Err(error) => Err(refused(error)),
        };
        let insert = |home: &HomePrefix| map.borrow_mut().insert(&key(home), u8::from(home.ours), 0).map_err(refused);
        bring(&mut self.written_home, wanted, remove, insert)
    }
}

/// Makes `written` and the map equal to `wanted`. After an error, `written` is still what the map contains.
fn bring<E>(
    written: &mut Vec<HomePrefix>,
    wanted: &[HomePrefix],
    mut remove: impl FnMut(&HomePrefix) -> Result<(), E>,
    mut insert: impl FnMut(&HomePrefix) -> Result<(), E>,
) -> Result<(), E> {
    // A prefix that changes only `ours` is written again below.
    while let Some(at) = written.iter().position(|home| !wanted.contains(home)) {
        remove(&written[at])?;
        written.remove(at);
    }
    for home in wanted {
        if !written.contains(home) {
            insert(home)?;
            written.push(*home);
        }
    }
    Ok(())
}

impl Datapath {
    /// Reads the prefixes that an earlier run wrote.
    pub(super) fn read_home(&mut self) -> Result<(), MapError> {
        for entry in self.home.iter() {
            let (key, ours) = entry.map_err(MapError::of(names::HOME))?;
            let length = key.prefix_len().try_into().unwrap_or(u8::MAX);
            if let Ok(prefix) = Ipv6Net::new(key.data().into(), length) {
                self.written_home.push(HomePrefix { prefix, ours: ours == 1 });
            }
        }
        Ok(())
    }

    /// Tells the programs which locals are in use, from the store.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn set_in_use(&mut self, locals: impl Iterator<Item = Ipv6Addr>) -> Result<(), MapError> {
        let failed = MapError::of(names::LOCALS);
        let Some(map) = self.ebpf.map_mut(names::LOCALS) else { return Ok(()) };
        let mut map: HashMap<_, Address, BootTime> = HashMap::try_from(map).map_err(failed)?;
        for local in locals {
            map.insert(local.octets(), 0, 0).map_err(failed)?;
        }
        Ok(())
    }
}

fn key(home: &HomePrefix) -> Key<[u8; 16]> {
    Key::new(u32::from(home.prefix.prefix_len()), home.prefix.network().octets())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_prefix_removed_before_an_error_is_written_again_later() {
        let home = |n: u8| HomePrefix { prefix: format!("2001:db8:{n}::/48").parse().unwrap(), ours: true };
        let (one, two, three) = (home(1), home(2), home(3));
        let mut written = vec![one, two, three];
        let map = RefCell::new(HashSet::from([one, two, three]));
        let refuse = |home: &HomePrefix| {
            if *home == two {
                return Err(());
            }
            map.borrow_mut().remove(home);
            Ok(())
        };
        let insert = |home: &HomePrefix| {
            map.borrow_mut().insert(*home);
            Ok(())
        };
        bring(&mut written, &[], refuse, insert).unwrap_err();
        let all = [one, two, three];
        bring(&mut written, &all, |_| Ok::<_, ()>(()), insert).unwrap();
        assert_eq!(*map.borrow(), HashSet::from(all));
    }
}
