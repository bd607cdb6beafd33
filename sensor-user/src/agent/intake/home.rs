//! What is home, by netlink and by the user.

use std::collections::HashSet;
use std::net::Ipv6Addr;

use sensor_common::rules::is_global;
use tattler_core::home::{self, HomePrefix, HomeSettings, NetworkDevice, NetworkState, News};

/// Prefixes and addresses taken as home at once in a burst of changes; the rest waits until it has settled.
const MOST_ARRIVALS: u32 = 16;

/// Home prefixes, the addresses of this machine, and the devices behind it.
#[derive(Default)]
pub struct HomeNetwork {
    /// What the user says; it counts when the network is read next.
    pub told: HomeSettings,
    /// The prefixes that the kernel programs have; `None` before they got any.
    pub prefixes: Option<Vec<HomePrefix>>,
    /// The global addresses of this machine, and whether each is temporary.
    pub own: Vec<(Ipv6Addr, bool)>,
    /// The indices of devices with a network behind this machine.
    pub inside: HashSet<u32>,
    /// Prefixes and addresses taken as home since the network was read as a whole.
    pub arrivals: u32,
}

impl HomeNetwork {
    /// Takes the whole network in. Returns the home prefixes that it makes.
    pub fn read(&mut self, network: &NetworkState, uplinks: &[NetworkDevice]) -> Vec<HomePrefix> {
        // A device that was inside while it had a network stays inside when that is taken away.
        self.inside.extend(home::inside(network, uplinks));
        let leads_out = network.default_uplinks();
        self.inside.retain(|&index| {
            network.devices.iter().any(|device| device.index == index)
                && !uplinks.iter().chain(&leads_out).any(|uplink| uplink.index == index)
        });
        self.arrivals = 0;
        let global = network.addresses.iter().filter(|own| is_global(&own.address.octets()));
        self.own = global.map(|own| (own.address, own.temporary)).collect();
        home::home(network, uplinks, &self.told)
    }

    /// The home prefixes after one piece of news, if it changes them. A prefix or address that arrives inside is
    /// home at once, so that its first packets are not missed while the rest of the change settles; reading the
    /// whole corrects any mistake. Nothing is removed here: it may come back.
    pub fn arrived(&mut self, news: News) -> Option<Vec<HomePrefix>> {
        let home = self.prefixes.as_ref().filter(|_| self.arrivals < MOST_ARRIVALS)?;
        let mut new = home::arrived(news, &self.inside, &self.told);
        new.retain(|new| home.iter().all(|home| home.prefix != new.prefix));
        if new.is_empty() {
            return None;
        }
        self.arrivals += 1;
        new.extend(home);
        new.sort();
        Some(new)
    }
}
