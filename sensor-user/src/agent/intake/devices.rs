//! Which device a local belongs to, by the neighbour table.
//!
//! A neighbour often becomes known a moment after the first contact of its address, when the answer is delivered.
//! So the latest contact of each local without a device is kept, and recorded again as a refresh once the device
//! is known.

use std::collections::{HashMap, HashSet};
use std::net::Ipv6Addr;

use tattler_core::forget::Forget;
use tattler_core::observation::{Contact, Observation};
use tattler_core::time::Span;

use crate::netlink::Neighbour;

/// Addresses in each half of a cache; 100 bytes each.
const KEPT: usize = 8_192;
/// Contacts that wait for a device.
const WAITING: usize = 1_024;

/// Makes the name of a device from its MAC address.
pub type DeviceName = Box<dyn Fn([u8; 6]) -> String + Send>;

pub struct Devices {
    name: DeviceName,
    own: HashSet<Ipv6Addr>,
    excluded: HashSet<String>,
    /// Of devices that are recorded, and of excluded ones: one of these that is evicted would be recorded.
    caches: [Cache; 2],
    waiting: HashMap<Ipv6Addr, Contact>,
}

/// The devices of [`KEPT`] to twice as many addresses. Those that were learned or asked for longest ago are
/// evicted first.
#[derive(Default)]
struct Cache {
    young: HashMap<Ipv6Addr, String>,
    old: HashMap<Ipv6Addr, String>,
}

impl Cache {
    fn get(&self, address: Ipv6Addr) -> Option<&String> {
        self.young.get(&address).or_else(|| self.old.get(&address))
    }

    /// As [`Cache::get`]; the address stays for longer then.
    fn find(&mut self, address: Ipv6Addr) -> Option<String> {
        let found = self.get(address)?.clone();
        if !self.young.contains_key(&address) {
            self.keep(address, found.clone());
        }
        Some(found)
    }

    fn keep(&mut self, address: Ipv6Addr, device: String) {
        if self.young.len() >= KEPT && !self.young.contains_key(&address) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(address, device);
    }

    fn remove(&mut self, address: Ipv6Addr) {
        self.young.remove(&address);
        self.old.remove(&address);
    }
}

impl Devices {
    /// Knows no device yet. `excluded` are the names of those that are never recorded.
    pub fn new(name: DeviceName, excluded: &[String]) -> Devices {
        let excluded = excluded.iter().cloned().collect();
        Devices { name, own: HashSet::new(), excluded, caches: Default::default(), waiting: HashMap::new() }
    }

    /// Other devices are excluded from now on.
    pub fn exclude(&mut self, excluded: &[String]) {
        self.excluded = excluded.iter().cloned().collect();
        for cache in std::mem::take(&mut self.caches) {
            cache.old.into_iter().chain(cache.young).for_each(|(address, device)| self.keep(address, device));
        }
    }

    pub fn is_excluded(&self, device: &str) -> bool {
        self.excluded.contains(device)
    }

    /// Takes the addresses of this machine.
    pub fn own(&mut self, addresses: impl Iterator<Item = Ipv6Addr>) {
        self.own = addresses.collect();
    }

    /// Adds a neighbour. Returns its device if that is new, and the contact that waited for it.
    pub fn learn(&mut self, neighbour: &Neighbour) -> Option<(String, Option<Observation>)> {
        let device = (self.name)(neighbour.mac);
        if self.caches.iter().find_map(|cache| cache.get(neighbour.address)) == Some(&device) {
            return None;
        }
        self.keep(neighbour.address, device.clone());
        let waited = self.waiting.remove(&neighbour.address);
        let refresh = waited.map(|contact| {
            let device = Some(device.clone());
            Observation::Contact(Contact { ts: contact.last, count: 0, device, ..contact })
        });
        Some((device, refresh))
    }

    /// Puts the device into an observation, where it is known. Returns it as well, since an answer has no field for it.
    pub fn complete(&mut self, observation: &mut Observation) -> Option<String> {
        match observation {
            Observation::Contact(contact) => {
                contact.device = self.find(contact.local);
                if contact.device.is_none() {
                    if self.waiting.len() >= WAITING && !self.waiting.contains_key(&contact.local) {
                        // Addresses that never have a neighbour (VPN clients, networks behind another
                        // router) fill it up in time.
                        self.waiting.clear();
                    }
                    self.waiting.insert(contact.local, contact.clone());
                }
                contact.device.clone()
            }
            Observation::Probe(probe) => {
                probe.device = self.find(probe.target);
                probe.device.clone()
            }
            Observation::Answer(answer) => self.find(answer.target),
        }
    }

    /// The device of an address, where it is known.
    pub fn find(&mut self, address: Ipv6Addr) -> Option<String> {
        if self.own.contains(&address) {
            return Some("self".to_owned());
        }
        self.caches.iter_mut().find_map(|cache| cache.find(address))
    }

    /// Drops waiting contacts that are to be forgotten. Their devices are not known yet.
    pub fn forget(&mut self, forget: &Forget) {
        let nobody = HashSet::new();
        self.waiting.retain(|_, contact| {
            !forget.means(contact.local, contact.remote, &nobody)
                || forget.before.is_some_and(|time| contact.last >= time)
        });
    }

    /// The clock was set: changes the dates of what waits.
    pub fn shift(&mut self, step: Span) {
        for contact in self.waiting.values_mut() {
            (contact.ts, contact.last) = (contact.ts + step, contact.last + step);
        }
    }

    fn keep(&mut self, address: Ipv6Addr, device: String) {
        let cache = usize::from(self.is_excluded(&device));
        self.caches[1 - cache].remove(address);
        self.caches[cache].keep(address, device);
    }
}

#[cfg(test)]
mod tests {
    use sensor_common::Proto;
    use tattler_core::time::Time;

    use super::*;

    fn address(n: u16) -> Ipv6Addr {
        Ipv6Addr::new(0x2001, 0xdb8, 1, 1, 0xe014, 0x9aff, 0x5e49, n)
    }

    fn contact(local: Ipv6Addr) -> Observation {
        let remote = "2a05::80".parse().unwrap();
        Observation::Contact(Contact::new(Time::from_seconds(7), local, remote, Proto::Tcp, 443))
    }

    fn device(observation: &Observation) -> Option<&str> {
        match observation {
            Observation::Contact(contact) => contact.device.as_deref(),
            _ => panic!("a contact"),
        }
    }

    fn devices() -> Devices {
        Devices::new(Box::new(|mac| format!("d{}", mac[5])), &[])
    }

    fn neighbour(n: u16, mac: u8) -> Neighbour {
        Neighbour { device: 3, address: address(n), mac: [2, 0, 0, 0, 0, mac] }
    }

    #[test]
    fn a_waiting_contact_that_was_forgotten_is_not_recorded_again() {
        let mut devices = devices();
        devices.complete(&mut contact(address(1)));
        devices.complete(&mut contact(address(2)));
        devices.forget(&Forget { before: Some(Time::from_seconds(7)), ..Forget::parse("2001:db8::/32") });
        assert_eq!(devices.waiting.len(), 2, "at that time, not before it");
        devices.forget(&Forget::parse(&address(1).to_string()));
        assert!(!devices.waiting.contains_key(&address(1)) && devices.waiting.contains_key(&address(2)));
    }

    #[test]
    fn a_contact_is_recorded_again_with_its_device_and_a_count_of_0() {
        let mut devices = devices();
        let mut first = contact(address(1));
        devices.complete(&mut first);
        assert_eq!(device(&first), None);
        let (name, refresh) = devices.learn(&neighbour(1, 9)).unwrap();
        let Some(Observation::Contact(refresh)) = refresh else { panic!("a refresh") };
        assert_eq!((name.as_str(), refresh.device.as_deref(), refresh.count), ("d9", Some("d9"), 0));
        assert!(devices.learn(&neighbour(1, 9)).is_none(), "no news");
        let (name, refresh) = devices.learn(&neighbour(1, 7)).unwrap();
        assert_eq!((name.as_str(), refresh), ("d7", None), "the address moved to another device");
    }

    #[test]
    fn the_cache_is_bounded_and_keeps_addresses_in_use() {
        let mut devices = devices();
        devices.learn(&neighbour(0, 9));
        for n in 1..40_000 {
            devices.learn(&neighbour(n, 1));
            devices.complete(&mut contact(address(0)));
            devices.complete(&mut contact(Ipv6Addr::from(u128::from(n))));
        }
        let Cache { young, old } = &devices.caches[0];
        assert!(young.len() + old.len() <= 2 * KEPT && devices.waiting.len() <= WAITING);
        let mut still = contact(address(0));
        devices.complete(&mut still);
        assert_eq!(device(&still), Some("d9"));
    }

    #[test]
    fn an_excluded_device_stays_excluded_in_a_network_of_any_size() {
        let mut devices = devices();
        devices.learn(&neighbour(0, 9));
        devices.exclude(&["d9".to_owned(), "d8".to_owned()]);
        devices.learn(&neighbour(1, 8));
        for n in 2..40_000 {
            devices.learn(&neighbour(n, 1));
        }
        let names = [0, 1, 39_999].map(|n| devices.find(address(n)));
        assert_eq!(names, ["d9", "d8", "d1"].map(|name| Some(name.to_owned())));
        devices.learn(&neighbour(0, 1));
        assert_eq!(devices.find(address(0)).as_deref(), Some("d1"), "the address moved to another device");
    }
}
