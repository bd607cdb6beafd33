//! Log lines about the sensor's own health, and the service manager.

mod loss;
mod open_ports;
pub mod service_manager;

use loss::LossNotices;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::datapath::Counters;
use crate::store;
pub use open_ports::OpenPorts;
use service_manager::Watchdog;
use tattler_core::ledger::Ledger;

pub struct Notices {
    loss: LossNotices,
    store: StoreHealth,
    pub watchdog: Watchdog,
    pub open_ports: OpenPorts,
}

impl Notices {
    /// With counters and ledger as an earlier run left them.
    pub fn new(counters: &Counters, ledger: &Ledger, now: Instant) -> Notices {
        Notices {
            loss: LossNotices::new(counters, now),
            store: StoreHealth::default(),
            watchdog: Watchdog::new(now),
            open_ports: OpenPorts::new(ledger),
        }
    }

    /// Logs what has changed. Returns the time without events.
    pub fn look(
        &mut self,
        counters: Option<&Counters>,
        drained: u64,
        store: &store::StoreCounters,
        now: Instant,
    ) -> std::time::Duration {
        let loss = counters.and_then(|counters| self.loss.loss(counters, now));
        for line in loss.into_iter().chain(self.loss.silence(drained, now)) {
            warn!("{line}");
        }
        self.store.look(store);
        self.loss.silent_for(now)
    }
}

/// The store at the last look. Failed writes are logged by the thread that writes.
#[derive(Debug, Default)]
struct StoreHealth {
    stalled: bool,
    losing: bool,
    lost: u64,
    written: u64,
}

impl StoreHealth {
    /// Logs when the store stops keeping up, and when it recovers.
    fn look(&mut self, store: &store::StoreCounters) {
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
