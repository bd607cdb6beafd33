//! Telling the programs what is home.

use aya::maps::lpm_trie::Key;
use ipnet::Ipv6Net;
use sensor_common::names;

use super::error::one_line;
use super::{Datapath, MapError};

/// A prefix, and whether it is ours; the longest prefix decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Home {
    /// The prefix.
    pub prefix: Ipv6Net,
    /// Ours, or excluded.
    pub ours: bool,
}

impl Datapath {
    /// Makes `wanted` the home prefixes: writes what is new, removes what is gone.
    ///
    /// # Errors
    /// When the kernel refuses; what was written stays.
    pub fn set_home(&mut self, wanted: &[Home]) -> Result<(), MapError> {
        let refused = |error: aya::maps::MapError| MapError { map: names::HOME, reason: one_line(&error) };
        for gone in self.told_home.extract_if(.., |home| !wanted.contains(home)) {
            // A prefix that stays with another verdict is written again below.
            match self.home.remove(&key(&gone)) {
                Ok(()) | Err(aya::maps::MapError::KeyNotFound) => {}
                Err(error) => return Err(refused(error)),
            }
        }
        for home in wanted {
            if !self.told_home.contains(home) {
                self.home.insert(&key(home), u8::from(home.ours), 0).map_err(refused)?;
                self.told_home.push(*home);
            }
        }
        Ok(())
    }
}

fn key(home: &Home) -> Key<[u8; 16]> {
    Key::new(u32::from(home.prefix.prefix_len()), home.prefix.network().octets())
}
