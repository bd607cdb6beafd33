//! What is told of locals by others than packets: whether they are home, and whose they are.

use std::net::Ipv6Addr;

use ipnet::Ipv6Net;

use super::Ledger;
use crate::time::Time;

impl Ledger {
    /// Tells what is home since `at`. Locals that are not any more keep their history and are exposed
    /// no longer; those that are again, are exposed again.
    pub fn home_is(&mut self, is_home: impl Fn(Ipv6Addr) -> bool, at: Time) {
        self.revision.all += 1;
        let addresses = &self.addresses;
        self.locals.change(|row| {
            row.ended = if is_home(addresses.get(row.address)) { None } else { row.ended.or(Some(at)) };
        });
    }

    /// A prefix went away, and with it all locals inside.
    pub fn home_ended(&mut self, prefix: Ipv6Net, at: Time) {
        self.revision.all += 1;
        let addresses = &self.addresses;
        self.locals.change(|row| {
            if prefix.contains(&addresses.get(row.address)) {
                row.ended = row.ended.or(Some(at));
            }
        });
    }

    /// Which device a local belongs to. Says nothing of addresses that are no locals.
    pub fn belongs_to(&mut self, address: Ipv6Addr, device: &str) {
        if let Some(row) = self.addresses.find(address).and_then(|id| self.locals.get_mut(id)) {
            self.revision.all += 1;
            row.device = self.devices.number(device).or(row.device);
        }
    }

    /// The name of a device by its number.
    #[must_use]
    pub fn device(&self, number: u32) -> Option<&str> {
        self.devices.get(number)
    }
}
