//! Devices, their addresses, and their daily rhythms.

use std::net::Ipv6Addr;

use sensor_common::{IidClass, Proto};

use crate::plan::{DAY, HOUR, HomePlan};
use crate::random::SeededRandom;

/// A contact of a local with a remote.
#[derive(Clone, Copy, Debug)]
pub struct SimulatedVisit {
    /// Time of the contact.
    pub at: f64,
    /// The remote.
    pub remote: Ipv6Addr,
    /// The protocol.
    pub proto: Proto,
    /// The remote's port.
    pub port: u16,
    /// The harvester's position in the plan, if the remote is one.
    pub harvester: Option<usize>,
    /// Whether the contact occurs because the address is new. Such a contact never uses the previous address.
    pub fresh: bool,
}

/// The use of an address by a device.
#[derive(Clone, Debug)]
pub struct Life {
    /// The device's number.
    pub device: usize,
    /// The address.
    pub address: Ipv6Addr,
    /// Time from which the device prefers the address.
    pub from: f64,
    /// Time until which the device prefers the address.
    pub until: f64,
    /// Whether the address is a temporary one (RFC 8981). Otherwise the address is stable (RFC 7217).
    pub temporary: bool,
    /// Contacts, in no order. A few contacts come after `until`, from programs that still use the address.
    pub visits: Vec<SimulatedVisit>,
}

impl Life {
    /// Times of the contacts with a harvester, in order.
    #[must_use]
    pub fn contacts_with(&self, harvester: usize) -> Vec<f64> {
        let visits = self.visits.iter().filter(|visit| visit.harvester == Some(harvester));
        let mut contacts: Vec<f64> = visits.map(|visit| visit.at).collect();
        contacts.sort_by(f64::total_cmp);
        contacts
    }

    /// Time of the first contact that satisfies a condition.
    pub(crate) fn first(&self, is: impl Fn(&SimulatedVisit) -> bool) -> Option<f64> {
        self.visits.iter().filter(|visit| is(visit)).map(|visit| visit.at).reduce(f64::min)
    }
}

/// A device and its habits.
pub struct SimulatedDevice {
    /// Number of the device's /64.
    pub network: usize,
    /// Time of day at which the device takes a new address.
    pub changes_at: f64,
    /// Whether the device has one stable address instead of temporary addresses.
    pub stable: bool,
    /// Number of the device's visits, relative to the mean over devices.
    pub busy: f64,
    /// Hours by which the device's day is late. `None`: the device is always on.
    pub day: Option<f64>,
    /// Ranks of the sites that the device visits every day.
    pub favourites: Vec<usize>,
    /// Number of the device's hits by chance, relative to the mean: not every device runs the software that passes on
    /// addresses.
    pub exposed: f64,
    /// Number of the device's visits of each harvester, relative to the mean.
    pub drawn: Vec<f64>,
}

/// Number of people's visits by hour of the day, in any unit.
const PEOPLE: [f64; 24] = [
    0.8, 0.3, 0.15, 0.1, 0.1, 0.2, 0.8, 2.0, 3.0, 3.0, 3.0, 3.0, 3.5, 3.0, 3.0, 3.0, 3.5, 4.5, 6.0, 7.0, 7.5, 7.0, 5.0,
    2.5,
];

impl SimulatedDevice {
    /// A device with random habits. Three devices in five follow people's days.
    pub fn new(
        number: usize,
        plan: &HomePlan,
        random: &mut SeededRandom,
        popular: impl Fn(&mut SeededRandom) -> usize,
    ) -> SimulatedDevice {
        let people = number % 5 < 3;
        let in_the_night = 4.0 * HOUR;
        SimulatedDevice {
            network: number % plan.size.networks,
            // The prefix changes at the provider's nightly reconnection.
            changes_at: if plan.prefix_changes { in_the_night + 60.0 * random.unit() } else { DAY * random.unit() },
            stable: (number as f64) < plan.stable * plan.size.devices as f64,
            busy: random.factor(plan.unevenness),
            day: people.then(|| 4.0 * random.unit() - 2.0),
            favourites: (0..12).map(|_| popular(random)).collect(),
            exposed: random.factor(0.7),
            drawn: plan.harvesters.iter().map(|_| random.factor(0.9)).collect(),
        }
    }

    /// A time at which the device is used, on the day that begins at `from`.
    pub fn moment(&self, from: f64, random: &mut SeededRandom) -> f64 {
        let Some(late) = self.day else { return from + DAY * random.unit() };
        let mut left = random.unit() * PEOPLE.iter().sum::<f64>();
        let hour = PEOPLE.iter().position(|weight| {
            left -= weight;
            left < 0.0
        });
        let of_day = (hour.unwrap_or(20) as f64 + random.unit() + late) * HOUR;
        from + (of_day - from).rem_euclid(DAY)
    }
}

/// A random address in a /64 of the home. If the prefix changes daily, the /64 belongs to the prefix of the day.
pub fn address(network: usize, day: usize, plan: &HomePlan, random: &mut SeededRandom) -> Ipv6Addr {
    let site = if plan.prefix_changes { day as u128 + 1 } else { 1 };
    loop {
        let iid = random.bits();
        let address = Ipv6Addr::from(0x2001_0db8u128 << 96 | site << 80 | (network as u128) << 64 | u128::from(iid));
        // One random identifier in thousands looks guessable because of zeros, or looks made from a MAC address.
        let looks_made = iid >> 24 & 0xffff == 0xfffe;
        if IidClass::of(&address.octets()) == IidClass::Random && !looks_made {
            return address;
        }
    }
}

/// The lives of all addresses, without visits. The lives of one device are consecutive.
pub fn lives(devices: &[SimulatedDevice], plan: &HomePlan, random: &mut SeededRandom) -> Vec<Life> {
    let mut lives = Vec::new();
    for (number, device) in devices.iter().enumerate() {
        let days = if device.stable { 1 } else { plan.size.days };
        for day in 0..days {
            let from = day as f64 * DAY + device.changes_at;
            lives.push(Life {
                device: number,
                address: address(device.network, day, plan, random),
                from,
                until: if device.stable { from + plan.size.days as f64 * DAY } else { from + DAY },
                temporary: !device.stable,
                visits: Vec::new(),
            });
        }
    }
    lives
}
