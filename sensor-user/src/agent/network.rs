//! The network, as the loop follows it: prefixes, neighbours, uplinks.

use sensor_common::rules::is_global;
use tattler_core::home::{self, Home, Network, News};
use tokio::time::Instant;
use tracing::{info, warn};

use super::programs::Programs;
use super::sensor::{Due, Sensor};
use crate::netlink::{self, Netlink};

/// What comes within one burst of changes and is home at once; the rest is read with the whole.
const MOST_ARRIVALS: u32 = 16;

impl<P: Programs> Sensor<P> {
    pub(super) async fn read_neighbours(&mut self, netlink: &Netlink) {
        match netlink.neighbours().await {
            Ok(neighbours) => self.learn(&neighbours),
            Err(error) => warn!("{error}"),
        }
    }

    /// Takes neighbours in; the ledger learns of them with the next events. Those on an uplink are
    /// not ours.
    pub(super) fn learn(&mut self, neighbours: &[netlink::Neighbour]) {
        for neighbour in neighbours.iter().filter(|n| !self.uplinks.has(n.device)) {
            let Some((device, refresh)) = self.devices.learn(neighbour) else { continue };
            self.learned.push((neighbour.address, device));
            self.fresh.extend(refresh);
        }
    }

    /// Tells programs and ledger what is ours now, and attaches to uplinks that came back.
    pub(super) fn network_changed(&mut self, network: &Network) {
        for index in self.uplinks.follow(network, Instant::now()) {
            self.datapath.detach(index);
        }
        let uplinks = self.uplinks.devices();
        // What was inside while it had a network stays inside when that is taken away.
        self.inside.extend(home::inside(network, &uplinks));
        let leads_out = network.default_uplinks();
        self.inside.retain(|&index| {
            network.devices.iter().any(|device| device.index == index)
                && !uplinks.iter().chain(&leads_out).any(|uplink| uplink.index == index)
        });
        self.arrivals = 0;
        self.set_home(home::home(network, &uplinks, &self.prefixes));
        self.devices.own(network.addresses.iter().map(|address| address.address));
        let global = network.addresses.iter().filter(|own| is_global(&own.address.octets()));
        self.own = global.map(|own| (own.address, own.temporary)).collect();
        self.due.push(Due::Own(self.own.clone(), self.clock.now()));
        // With home as it is now: the first packet that is seen is judged by it.
        let asked = self.settings.attach;
        self.uplinks.attach(Instant::now(), |device| self.datapath.attach(device, asked));
        self.show_uplinks();
    }

    fn set_home(&mut self, home: Vec<Home>) {
        if self.home.as_ref() == Some(&home) {
            return;
        }
        match self.datapath.set_home(&home) {
            Ok(()) => {
                let ours: Vec<String> = home.iter().filter(|h| h.ours).map(|h| h.prefix.to_string()).collect();
                if ours.is_empty() {
                    warn!("no home prefix yet: nothing is ours, so nothing is recorded");
                } else {
                    info!(home = ours.join(" "), "home prefixes");
                }
                self.due.push(Due::Home(home.clone(), self.clock.now()));
                self.shared.seen().home.clone_from(&home);
                self.home = Some(home);
            }
            Err(error) => warn!("{error}"),
        }
    }

    /// What comes to a network inside is home at once: its first packets are not missed while the rest
    /// of the change settles, and that puts right what this got wrong. What goes is left to settle: it
    /// may come back.
    pub(super) fn arrived(&mut self, news: News) {
        let Some(home) = &self.home else { return };
        if self.arrivals >= MOST_ARRIVALS {
            return;
        }
        let mut new = home::arrived(news, &self.inside, &self.prefixes);
        new.retain(|new| home.iter().all(|home| home.prefix != new.prefix));
        if new.is_empty() {
            return;
        }
        self.arrivals += 1;
        new.extend(home);
        new.sort();
        self.set_home(new);
    }

    /// An uplink that goes away takes the programs with it. The links are dropped at once: a device
    /// that comes back under the same index is another one.
    pub(super) fn lost(&mut self, index: u32) {
        if self.uplinks.gone(index, Instant::now()) {
            self.datapath.detach(index);
            self.show_uplinks();
        }
    }

    fn show_uplinks(&self) {
        let mut seen = self.shared.seen();
        seen.uplinks = self.uplinks.attachments();
        seen.up = self.uplinks.up();
        seen.faults = self.uplinks.faults();
        seen.changes = self.uplinks.changes();
    }
}
