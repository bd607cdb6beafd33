//! Log lines when the store stops keeping up and when it recovers. Failed writes are logged by the thread that
//! writes.

use tracing::{info, warn};

use crate::store::StoreCounters;

/// The store as it was last.
#[derive(Debug, Default)]
pub struct StoreHealth {
    stalled: bool,
    losing: bool,
    lost: u64,
    written: u64,
}

impl StoreHealth {
    /// Logs what has changed since the last call.
    pub fn look(&mut self, store: &StoreCounters) {
        let stalled = store.stalled();
        match (&stalled, self.stalled) {
            (Some(line), false) => {
                warn!("the store can't write: {line}; observations are kept in memory while there is room");
            }
            (None, true) => info!("the disk of the store answers again"),
            _ => {}
        }
        self.stalled = stalled.is_some();
        let (lost, written) = (store.lost(), store.written());
        if lost > self.lost && !self.losing {
            warn!("no room is left to keep observations in memory: they are lost to the store, and counted");
            self.losing = true;
        } else if lost == self.lost && written > self.written && self.losing && store.failure().is_none() {
            info!(lost, "the store takes all observations again; so many were lost since the start");
            self.losing = false;
        }
        (self.lost, self.written) = (lost, written);
    }
}
