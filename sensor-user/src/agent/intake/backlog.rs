//! What waits until no query holds the ledger.

use std::net::Ipv6Addr;

use ipnet::Ipv6Net;
use tattler_core::home::{self, HomePrefix};
use tattler_core::ledger::Ledger;
use tattler_core::observation::Observation;
use tattler_core::time::{Span, Time};
use tracing::warn;

use super::devices::Devices;
use crate::agent::notices::OpenPorts;

/// Observations that may wait, some 200 MB. Beyond that, events stay in the ring.
pub const MOST: usize = 1 << 20;

/// Changes of the ledger that wait.
#[derive(Default)]
pub struct Backlog {
    due: Vec<Due>,
    observations: Vec<Observation>,
    learned: Vec<(Ipv6Addr, String)>,
}

/// A change of the ledger.
pub enum Due {
    /// The home prefixes from this time on.
    Home(Vec<HomePrefix>, Time),
    /// The addresses of this machine at this time, and whether they are temporary.
    Own(Vec<(Ipv6Addr, bool)>, Time),
    /// Public prefixes and window, by new settings.
    Settings { public: Vec<Ipv6Net>, window: Span },
    /// Drop what is older than the window.
    Prune,
}

impl Backlog {
    pub fn is_empty(&self) -> bool {
        self.observations.is_empty() && self.learned.is_empty() && self.due.is_empty()
    }

    /// How many observations it has room for.
    pub fn room(&self) -> usize {
        MOST.saturating_sub(self.observations.len())
    }

    pub fn push(&mut self, due: Due) {
        self.due.push(due);
    }

    pub fn extend(&mut self, batch: &[Observation]) {
        self.observations.extend_from_slice(batch);
    }

    /// How many observations wait.
    pub fn waiting(&self) -> usize {
        self.observations.len()
    }

    /// Drops the first observations: the ledger was rebuilt from a store that has them.
    pub fn drop_first(&mut self, count: usize) {
        self.observations.drain(..count.min(self.observations.len()));
    }

    /// An address belongs to a device.
    pub fn learned(&mut self, address: Ipv6Addr, device: String) {
        self.learned.push((address, device));
    }

    /// The clock was set.
    pub fn shift(&mut self, step: Span) {
        self.observations.iter_mut().for_each(|observation| observation.shift(step));
        for due in &mut self.due {
            if let Due::Home(_, at) | Due::Own(_, at) = due {
                *at = *at + step;
            }
        }
    }

    /// Applies all to the ledger, whose window ends at `now`.
    pub fn feed(&mut self, ledger: &mut Ledger, now: Time, devices: &mut Devices, open_ports: &mut OpenPorts) {
        for due in std::mem::take(&mut self.due) {
            match due {
                Due::Home(home, at) => ledger.home_is(|address| home::is_home(&home, address), at),
                Due::Own(addresses, at) => {
                    for (address, temporary) in addresses {
                        if temporary {
                            ledger.mark_temporary(address, at);
                        } else {
                            ledger.mark_stable(address, at);
                        }
                    }
                }
                Due::Settings { public, window } => {
                    ledger.set_public(public);
                    ledger.set_window(window, now);
                }
                Due::Prune => ledger.prune(now),
            }
        }
        for observation in &std::mem::take(&mut self.observations) {
            ledger.observe(observation);
            if let Observation::Answer(answer) = observation {
                // An answer has no device, and may be all that is ever seen of this local.
                if let Some(device) = devices.find(answer.target) {
                    ledger.belongs_to(answer.target, &device);
                }
                if let Some(line) = open_ports.first_sight(ledger, answer) {
                    warn!("{line}");
                }
            }
        }
        for (address, device) in self.learned.drain(..) {
            ledger.belongs_to(address, &device);
        }
    }
}
