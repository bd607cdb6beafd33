//! Whether the store keeps up, for the log: a line for each change, whatever happens in between. What a
//! write that failed has to say is said by the thread that writes.

use tracing::{info, warn};

use crate::store::Counters;

/// What was seen last.
#[derive(Debug, Default)]
pub(super) struct StoreLog {
    stalled: bool,
    losing: bool,
    lost: u64,
    written: u64,
}

impl StoreLog {
    /// Looks again.
    pub(super) fn look(&mut self, store: &Counters) {
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
            info!(lost, "the store takes all observations again; those were lost since the start");
            self.losing = false;
        }
        (self.lost, self.written) = (lost, written);
    }
}
