//! Notifies the service manager (sd_notify(3)): ready, stopping, and alive while the ring is drained. Without a
//! service manager these calls do nothing.

use std::time::Duration;

pub use sd_notify::NotifyState;
use tokio::time::Instant;
use tracing::warn;

/// The service manager's watchdog, if there is one.
#[derive(Debug)]
pub struct Watchdog {
    /// Half of its timeout.
    every: Option<Duration>,
    fed: Instant,
    position: u64,
}

impl Watchdog {
    /// The one that the service manager has set up for this process.
    pub fn new(now: Instant) -> Watchdog {
        Watchdog { every: sd_notify::watchdog_enabled().map(|patience| patience / 2), fed: now, position: 0 }
    }

    /// Says that the sensor is alive, if the ring is drained: it is empty, or was read on since the last call. A
    /// sensor that is stuck is restarted, and finds in the ring what it missed.
    pub fn feed(&mut self, position: u64, waiting: bool, now: Instant) {
        if self.is_due(position, waiting, now) {
            notify(NotifyState::Watchdog);
        }
    }

    fn is_due(&mut self, position: u64, waiting: bool, now: Instant) -> bool {
        let is_due = self.every.is_some_and(|every| now - self.fed >= every);
        let is_drained = !waiting || position != self.position;
        if !is_due || !is_drained {
            return false;
        }
        (self.fed, self.position) = (now, position);
        true
    }
}

/// Says what state the sensor is in.
pub fn notify(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        warn!("cannot notify the service manager: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watchdog_is_fed_only_while_the_ring_is_drained() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let mut watchdog = Watchdog { every: Some(second), fed: start, position: 0 };
        assert!(!watchdog.is_due(0, false, start + second / 2), "not yet");
        assert!(watchdog.is_due(0, false, start + second), "nothing comes");
        assert!(watchdog.is_due(80, true, start + second * 2), "it is read on, though more waits");
        assert!(!watchdog.is_due(80, true, start + second * 3), "something waits, and nobody reads");
        assert!(watchdog.is_due(160, true, start + second * 4));
        let mut none = Watchdog { every: None, ..watchdog };
        assert!(!none.is_due(240, false, start + second * 9));
    }
}
