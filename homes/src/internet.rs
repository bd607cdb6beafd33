//! The addresses of remotes.
//!
//! Every organisation has a /48 that depends on the home's key, so neither an address nor the order of addresses
//! shows a role. Three sites in ten share the /48 of one of ten hosters. Each such site has its own /64.

use std::net::Ipv6Addr;

use crate::plan::{HOUR, HarvesterAddresses, HarvesterPlan};
use crate::random::SeededRandom;

const HOSTERS: u32 = 100_000;
const UBIQUITOUS: u32 = 110_000;
const COMMON: u32 = 120_000;
const THIRD_PARTIES: u32 = 130_000;
const NTP: u32 = 140_000;
const HARVESTERS: u32 = 150_000;
const COMPANIONS: u32 = 160_000;
const SCANNERS: u32 = 170_000;
const SWARM: u32 = 1_000_000;

/// Number of third parties that many sites load.
pub const THIRD_PARTY_POOL: usize = 20;

/// The remotes of a home, with addresses as the module documentation describes.
pub struct SimulatedInternet {
    key: u32,
    fresh: u32,
}

impl SimulatedInternet {
    pub fn new(random: &mut SeededRandom) -> SimulatedInternet {
        SimulatedInternet { key: random.bits() as u32, fresh: 0 }
    }

    /// The /48 of an organisation: 2aXX:XXXX:XX00. Each step is invertible, so no two organisations collide.
    fn organisation(&self, number: u32) -> u128 {
        let mut x = number ^ self.key;
        x = (x ^ (x >> 16)).wrapping_mul(0x045d_9f3b);
        x = (x ^ (x >> 16)).wrapping_mul(0x045d_9f3b);
        x ^= x >> 16;
        0x2au128 << 120 | u128::from(x) << 88
    }

    fn host(&self, organisation: u32, network: u16, host: u64) -> Ipv6Addr {
        Ipv6Addr::from(self.organisation(organisation) | u128::from(network) << 64 | u128::from(host))
    }

    /// The address of a site by its popularity; 0 is the most popular site.
    pub fn site(&self, number: usize) -> Ipv6Addr {
        let number = number as u32;
        if number % 10 < 3 {
            self.host(HOSTERS + number / 10 % 10, number as u16, 0x10)
        } else {
            self.host(number, 1, 0x80)
        }
    }

    /// Another host of a site's operator. Only sites with their own /48 have such a host.
    pub fn beside_site(&self, number: usize) -> Ipv6Addr {
        self.host(number as u32, 2, 0x99)
    }

    pub fn ubiquitous(&self, number: usize) -> Ipv6Addr {
        self.host(UBIQUITOUS + number as u32, 1, 0x200)
    }

    pub fn common(&self, number: usize) -> Ipv6Addr {
        self.host(COMMON + number as u32, 1, 0x80)
    }

    pub fn third_party(&self, number: usize) -> Ipv6Addr {
        self.host(THIRD_PARTIES + number as u32, 1, 0x443a)
    }

    /// A third party that is loaded with a harvester.
    pub fn companion(&self, harvester: usize, number: usize) -> Ipv6Addr {
        self.host(COMPANIONS + (harvester * 100 + number) as u32, 1, 0x443b)
    }

    /// An honest server of the NTP pool.
    pub fn ntp(&self, number: usize) -> Ipv6Addr {
        self.host(NTP + number as u32, 1, 0x123)
    }

    /// The address of a harvester at a time. `which` selects among the addresses that the harvester has at the same
    /// time.
    pub fn harvester(&self, number: usize, plan: &HarvesterPlan, at: f64, which: usize) -> Ipv6Addr {
        let organisation = HARVESTERS + number as u32;
        let moves = |hours: u32| (at / HOUR / f64::from(hours)) as u64 + 1;
        match plan.addresses {
            HarvesterAddresses::One => self.host(organisation, 1, 0x80),
            // The multiplier ensures that consecutive addresses are not neighbours.
            HarvesterAddresses::MovesWithin64(hours) => {
                self.host(organisation, 1, moves(hours).wrapping_mul(0x9e37_79b9_7f4a_7c15))
            }
            HarvesterAddresses::MovesWithin48(hours) => {
                self.host(organisation, (moves(hours) as u16).wrapping_mul(0x9e3b), 0x80)
            }
            HarvesterAddresses::Several(_) => self.host(organisation, which as u16 * 0x101 + 1, 0x123),
        }
    }

    /// The address of a source of a scanner. The scanner's networks belong to different organisations.
    pub fn source(&self, place: usize, network: usize, host: u64) -> Ipv6Addr {
        self.host(SCANNERS + (place * 1_000 + network) as u32, 0x5600, host)
    }

    /// A peer that the home meets more than once.
    pub fn known_peer(&self, number: usize) -> Ipv6Addr {
        self.host(SWARM + number as u32, 1, 0xa1b2_c3d4_e5f6_0718 ^ number as u64)
    }

    /// A peer that the home has not met before.
    pub fn new_peer(&mut self) -> Ipv6Addr {
        self.fresh += 1;
        self.known_peer(1_000_000 + self.fresh as usize)
    }
}
