//! Facts about locals that do not come from packets: whether they are home, and their device.

use std::net::Ipv6Addr;

use super::Ledger;
use crate::time::Time;

impl Ledger {
    /// Sets which locals are home since `at`. A local that no longer is keeps its history, but later
    /// probes of it don't count; one that is home again counts again.
    pub fn home_is(&mut self, is_home: impl Fn(Ipv6Addr) -> bool, at: Time) {
        self.revision.all += 1;
        let addresses = &self.addresses;
        self.locals.change(|row| {
            row.ended = if is_home(addresses.get(row.address)) { None } else { row.ended.or(Some(at)) };
        });
    }

    /// Sets the device of a local. Addresses that are no locals are ignored.
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
