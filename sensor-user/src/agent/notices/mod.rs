//! What the sensor says to people by the log, and to the service manager.

mod loss;
mod open_ports;
pub mod service_manager;
mod store_health;

use loss::LossNotices;
use tokio::time::Instant;
use tracing::warn;

use crate::datapath::Counters;
use crate::store;
pub use open_ports::OpenPorts;
use service_manager::Watchdog;
use store_health::StoreHealth;
use tattler_core::ledger::Ledger;

/// All that is said while the sensor runs.
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
