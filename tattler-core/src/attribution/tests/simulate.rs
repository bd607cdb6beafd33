//! A small simulated home, seeded, independent of the model's code: locals with limited lives, sites of unequal
//! popularity, harvesters, scanners, background.

use std::net::Ipv6Addr;

use sensor_common::{Kind, Proto};

use crate::observation::{Contact, Observation, Probe};
use crate::time::{Span, Time};

/// xorshift64*, Vigna 2016.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        (0..8).for_each(|_| _ = random.next());
        random
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.unit() * n as f64) as usize
    }

    fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.unit()).ln()
    }
}

/// One kind of network. Times in seconds.
#[derive(Clone)]
pub struct Family {
    pub name: &'static str,
    pub locals: usize,
    /// The longest use of an address; the shortest is a fifth of it.
    pub life: f64,
    /// The mean number of visits in a life; it varies by `unevenness` either way.
    pub visits: usize,
    pub unevenness: f64,
    /// Sites that everybody visits early.
    pub ubiquitous: usize,
    /// Other sites, popular as 1/rank.
    pub sites: usize,
    /// For each harvester the share of locals that visit it, and the scanner that it feeds.
    pub harvesters: &'static [(f64, usize)],
    pub leak: f64,
    pub lag: f64,
    /// Third parties loaded with each harvester, and by a fifth of the other visits.
    pub third_parties: usize,
    /// Share of locals probed by chance, by `scanners` in turn: at any time, or shortly after a visit.
    pub background: f64,
    pub after_visits: bool,
    pub scanners: usize,
    /// Each site is visited for so many lives, then another replaces it.
    pub fashion: Option<f64>,
    /// Background is limited to this part of the whole time.
    pub burst: Option<(f64, f64)>,
}

pub const BASE: Family = Family {
    name: "one harvester",
    locals: 60,
    life: 86_400.0,
    visits: 25,
    unevenness: 0.5,
    ubiquitous: 10,
    sites: 150,
    harvesters: &[(0.25, 0)],
    leak: 1.0,
    lag: 60.0,
    third_parties: 0,
    background: 0.1,
    after_visits: false,
    scanners: 1,
    fashion: None,
    burst: None,
};

fn site(number: usize) -> Ipv6Addr {
    Ipv6Addr::from((0x2a05_0000_0000_0000u128 + number as u128) << 64 | 0x80)
}

pub fn harvester(number: usize) -> Ipv6Addr {
    site(40_000 + number)
}

fn third_party(number: usize) -> Ipv6Addr {
    site(50_000 + number)
}

fn local(random: &mut Random) -> Ipv6Addr {
    let iid = random.next() | 0x1101_0101_0101_0101;
    Ipv6Addr::from(0x2001_0db8_0000_0001u128 << 64 | u128::from(iid))
}

/// The observations of a network, in no order, and its harvesters.
pub fn network(family: &Family, seed: u64) -> (Vec<Observation>, Vec<Ipv6Addr>) {
    let mut random = Random::new(seed);
    let weights: f64 = (1..=family.sites).map(|rank| 1.0 / rank as f64).sum();
    let mut observations = Vec::new();
    for number in 0..family.locals {
        let address = local(&mut random);
        let start = number as f64 * family.life / 4.0;
        let life = family.life * (0.2 + 0.8 * random.unit());
        let mut visits: Vec<(f64, Ipv6Addr)> = Vec::new();
        for n in 0..family.ubiquitous {
            visits.push((random.unit() * life * 0.5, site(n)));
        }
        let share = 1.0 + family.unevenness * (2.0 * random.unit() - 1.0);
        // A longer life has more visits.
        let count = (family.visits as f64 * share * life / family.life / 0.6) as usize;
        for _ in 0..count {
            let mut left = random.unit() * weights;
            let rank = (1..=family.sites).find(|&rank| {
                left -= 1.0 / rank as f64;
                left <= 0.0
            });
            let at = random.unit() * life;
            let rank = rank.unwrap_or(1);
            // Sites change at different times.
            let era =
                family.fashion.map_or(0, |lives| ((start + at) / family.life / lives + rank as f64 * 0.37) as usize);
            visits.push((at, site(1_000 + 200 * era + rank)));
            if family.third_parties > 0 && random.unit() < 0.2 {
                visits.push((at + random.unit(), third_party(random.below(family.third_parties))));
            }
        }
        let mut hits: Vec<(f64, usize)> = Vec::new();
        for (n, &(share, scanner)) in family.harvesters.iter().enumerate() {
            if random.unit() < share {
                let at = random.unit() * life;
                visits.push((at, harvester(n)));
                visits.extend((0..family.third_parties).map(|t| (at + random.unit(), third_party(t))));
                if random.unit() < family.leak {
                    hits.push((at + 0.5 + random.exponential(family.lag), scanner));
                }
            }
        }
        // Background is proportional to the length of a life.
        let whole = family.locals as f64 * family.life / 4.0;
        let in_burst = family.burst.is_none_or(|(from, to)| start >= from * whole && start < to * whole);
        if in_burst && random.unit() < family.background * life / family.life / 0.6 {
            let at = if family.after_visits && !visits.is_empty() {
                visits[random.below(visits.len())].0 + random.exponential(5.0)
            } else {
                random.unit() * life
            };
            hits.push((at, number % family.scanners));
        }
        let seconds = |at: f64| Time((1e6 * (start + at)) as i64) + Span::from_seconds(1_790_000_000);
        for (at, remote) in visits {
            let ts = seconds(at);
            observations.push(Observation::Contact(Contact::new(ts, address, remote, Proto::Tcp, 443)));
        }
        for (at, scanner) in hits {
            let source = (0x2a0d_5600_0000_0000u128 + ((scanner as u128) << 16)) << 64;
            observations.push(Observation::Probe(Probe::new(
                seconds(at),
                Ipv6Addr::from(source + 1 + random.below(4) as u128),
                address,
                Kind::Syn,
                22,
            )));
        }
    }
    let truth = (0..family.harvesters.len()).map(harvester).collect();
    (observations, truth)
}
