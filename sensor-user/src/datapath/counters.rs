//! The programs' counters, summed over CPUs.

use sensor_common::GiveUp;
use sensor_common::counters::{self, Direction, Fate};
use sensor_common::names;
use sensor_common::wire::What;

use super::error::one_line;
use super::{Datapath, MapError};

/// All counters at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counters(Vec<u64>);

impl Default for Counters {
    fn default() -> Self {
        Counters(vec![0; counters::COUNTERS as usize])
    }
}

impl Counters {
    /// What became of contacts, probes or answers.
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
    /// When the kernel refuses.
    pub fn counters(&self) -> Result<Counters, MapError> {
        (0..counters::COUNTERS)
            .map(|index| {
                let cpus = self.counters.get(&index, 0);
                cpus.map(|cpus| cpus.iter().sum())
                    .map_err(|error| MapError { map: names::COUNTERS, reason: one_line(&error) })
            })
            .collect::<Result<_, _>>()
            .map(Counters)
    }
}
