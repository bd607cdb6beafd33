//! Facts and settings that do not come from packets: settings that change while the ledger is in use, whether locals
//! are home, and the devices of locals.

use std::net::Ipv6Addr;

use ipnet::Ipv6Net;

use super::Ledger;
use crate::time::{Span, Time};

impl Ledger {
    /// Sets the prefixes of public locals: locals that are meant to be reached. Existing locals change too.
    pub fn set_public(&mut self, public: Vec<Ipv6Net>) {
        self.revision.all += 1;
        let addresses = &self.addresses;
        self.locals.change(|row| {
            let address = addresses.get(row.address);
            row.public = public.iter().any(|net| net.contains(&address));
        });
        self.settings.public = public;
    }

    /// Sets the window. A shorter window takes effect now. The additional rows of a longer window are loaded at the
    /// next start.
    pub fn set_window(&mut self, window: Span, now: Time) {
        self.revision.all += 1;
        self.settings.window = Some(window);
        self.prune(now);
    }

    /// Updates whether locals are home. A local that is not home from `at` on keeps its history, but later probes
    /// of the local don't count. Probes of a local that is home again count again.
    pub fn home_is(&mut self, is_home: impl Fn(Ipv6Addr) -> bool, at: Time) {
        self.revision.all += 1;
        let addresses = &self.addresses;
        self.locals.change(|row| {
            row.ended = if is_home(addresses.get(row.address)) { None } else { row.ended.or(Some(at)) };
        });
    }

    /// Sets the device of a local. Addresses that are not locals are ignored.
    pub fn belongs_to(&mut self, address: Ipv6Addr, device: &str) {
        if let Some(row) = self.addresses.find(address).and_then(|id| self.locals.get_mut(id)) {
            self.revision.all += 1;
            row.device = self.devices.number(device).or(row.device);
        }
    }

    /// The name of the device with a number.
    #[must_use]
    pub fn device(&self, number: u32) -> Option<&str> {
        self.devices.get(number)
    }
}

#[cfg(test)]
mod tests {
    use super::super::LedgerSettings;
    use super::*;
    use crate::observation::{Contact, Observation};

    fn contact(seconds: i64, local: &str) -> Observation {
        let ts = Time::from_seconds(seconds);
        let (local, remote) = (local.parse().unwrap(), "2a05::53".parse().unwrap());
        Observation::Contact(Contact::new(ts, local, remote, sensor_common::Proto::Tcp, 443))
    }

    #[test]
    fn a_change_of_public_or_window_applies_to_existing_rows() {
        let mut ledger = Ledger::new(LedgerSettings::live());
        let day = 86_400;
        ledger.observe(&contact(0, "2001:db8::1"));
        ledger.observe(&contact(10 * day, "2001:db8::2"));
        ledger.set_public(vec!["2001:db8::1/128".parse().unwrap()]);
        let public = |ledger: &Ledger| ledger.locals().iter().map(|local| local.public).collect::<Vec<_>>();
        assert_eq!(public(&ledger), [true, false]);
        ledger.set_public(Vec::new());
        assert_eq!(public(&ledger), [false, false]);
        ledger.set_window(Span::from_days(5), Time::from_seconds(10 * day));
        assert_eq!(ledger.contacts().len(), 1);
    }
}
