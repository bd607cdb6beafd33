//! The home: devices, their temporary addresses, and the rhythm of their days.

use std::net::Ipv6Addr;

use sensor_common::{IidClass, Proto};

use super::plan::{DAY, HOUR, Plan};
use super::random::Random;

/// A contact of a local with a remote.
#[derive(Clone, Copy, Debug)]
pub struct Visit {
    /// Seconds from the beginning.
    pub at: f64,
    /// With whom.
    pub remote: Ipv6Addr,
    /// Over what.
    pub proto: Proto,
    /// The remote's port.
    pub port: u16,
    /// The harvester that the remote is, a position in the plan.
    pub harvester: Option<usize>,
    /// Made because the address is new: never with the one before.
    pub fresh: bool,
}

/// The time in which a device prefers an address.
#[derive(Clone, Debug)]
pub struct Life {
    /// Whose.
    pub device: usize,
    /// Which.
    pub address: Ipv6Addr,
    /// Preferred from then on.
    pub from: f64,
    /// Preferred until then.
    pub until: f64,
    /// A privacy-extension address; otherwise a stable one by RFC 7217.
    pub temporary: bool,
    /// Contacts, in no order. A few come after `until`, of programs that hold on to the address.
    pub visits: Vec<Visit>,
}

/// A device and its habits.
#[derive(Clone, Debug)]
pub struct Device {
    /// The home's /64 that it is in.
    pub network: usize,
    /// When on a day it takes a new address.
    pub changes_at: f64,
    /// It has one stable address instead.
    pub stable: bool,
    /// How much more than others it visits.
    pub busy: f64,
    /// Hours by which its day is late; `None`: it is always on and has no day.
    pub day: Option<f64>,
    /// Sites that it visits every day, as their ranks.
    pub favourites: Vec<usize>,
    /// How much more than others it is hit by chance: what told of it is on some devices and not on others.
    pub exposed: f64,
    /// How much more than others it is drawn to each harvester.
    pub drawn: Vec<f64>,
}

/// Visits by hour of the day of people; in any unit.
const PEOPLE: [f64; 24] = [
    0.8, 0.3, 0.15, 0.1, 0.1, 0.2, 0.8, 2.0, 3.0, 3.0, 3.0, 3.0, 3.5, 3.0, 3.0, 3.0, 3.5, 4.5, 6.0, 7.0, 7.5, 7.0, 5.0,
    2.5,
];

impl Device {
    /// A device as a household has them: three of five follow people's days.
    pub fn new(number: usize, plan: &Plan, random: &mut Random, popular: impl Fn(&mut Random) -> usize) -> Device {
        let people = number % 5 < 3;
        let in_the_night = 4.0 * HOUR;
        Device {
            network: number % plan.size.networks,
            // A change of prefix comes with the provider's nightly reconnection.
            changes_at: if plan.prefix_changes { in_the_night + 60.0 * random.unit() } else { DAY * random.unit() },
            stable: (number as f64) < plan.stable * plan.size.devices as f64,
            busy: random.factor(plan.unevenness),
            day: people.then(|| 4.0 * random.unit() - 2.0),
            favourites: (0..12).map(|_| popular(random)).collect(),
            exposed: random.factor(0.7),
            drawn: plan.harvesters.iter().map(|_| random.factor(0.9)).collect(),
        }
    }

    /// A time of the day that begins at `from`, as the device is used.
    pub fn moment(&self, from: f64, random: &mut Random) -> f64 {
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

/// A random address in /64 `network` of the home; of day `day` if the prefix changes daily.
pub fn address(network: usize, day: usize, plan: &Plan, random: &mut Random) -> Ipv6Addr {
    let site = if plan.prefix_changes { day as u128 + 1 } else { 1 };
    loop {
        let iid = random.bits();
        let address = Ipv6Addr::from(0x2001_0db8u128 << 96 | site << 80 | (network as u128) << 64 | u128::from(iid));
        // One in thousands has zeros enough to look guessable, or a mark as if made from a MAC.
        let looks_made = iid >> 24 & 0xffff == 0xfffe;
        if IidClass::of(&address.octets()) == IidClass::Random && !looks_made {
            return address;
        }
    }
}

/// The lives of all devices' addresses, without visits; those of one device follow each other.
pub fn lives(devices: &[Device], plan: &Plan, random: &mut Random) -> Vec<Life> {
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
