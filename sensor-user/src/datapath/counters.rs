//! The counters of the programs, summed over CPUs.

use sensor_common::GiveUp;
use sensor_common::counters::{self, Direction, Fate};
use sensor_common::names;
use sensor_common::wire::What;

use super::{Datapath, MapError};

/// All counters at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counters([u64; counters::COUNTERS as usize]);

impl Default for Counters {
    fn default() -> Self {
        Counters([0; counters::COUNTERS as usize])
    }
}

impl From<[u64; counters::COUNTERS as usize]> for Counters {
    fn from(all: [u64; counters::COUNTERS as usize]) -> Self {
        Counters(all)
    }
}

impl Counters {
    /// All counters, by the indices of [`counters`].
    #[must_use]
    pub const fn all(&self) -> [u64; counters::COUNTERS as usize] {
        self.0
    }

    /// The number of contacts, probes or answers with a fate.
    #[must_use]
    pub fn fate(&self, what: What, fate: Fate) -> u64 {
        self.0.get(counters::fate(what, fate) as usize).copied().unwrap_or(0)
    }

    /// Packets that the parser gave up on.
    #[must_use]
    pub fn gave_up(&self, direction: Direction, reason: GiveUp) -> u64 {
        let index = counters::give_up(direction, reason);
        index.and_then(|index| self.0.get(index as usize)).copied().unwrap_or(0)
    }
}

impl Datapath {
    /// Reads all counters.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn counters(&self) -> Result<Counters, MapError> {
        let mut all = Counters::default();
        for (sum, index) in all.0.iter_mut().zip(0..) {
            *sum = self.counters.get(&index, 0).map_err(MapError::of(names::COUNTERS))?.iter().sum();
        }
        Ok(all)
    }
}
