//! Who learns of which address, and when that leads to a scan: harvesters, chance, rivals.

use super::home::{Device, Life};
use super::internet::Internet;
use super::plan::{DAY, HOUR, Lag, Leak, MINUTE, Plan, Rival};
use super::random::Random;

/// A scanner was told of an address.
#[derive(Clone, Copy, Debug)]
pub struct Told {
    /// When it learned of it.
    pub learned: f64,
    /// When it comes.
    pub at: f64,
    /// A position in the lives.
    pub life: usize,
    /// A position in the plan's scanners.
    pub scanner: usize,
    /// By whom; `None`: nobody that is seen here.
    pub by: Option<usize>,
}

/// Chance that an address which lives on a day of its own is hit, for a stable one: it has long been
/// on somebody's list.
const STABLE_KNOWN: f64 = 0.8;

impl Lag {
    fn after(self, contact: f64, random: &mut Random) -> f64 {
        match self {
            Lag::About(median, sigma) => contact + random.lognormal(median, sigma),
            Lag::Fixed(lag) => contact + lag + 2.0 * random.unit(),
            Lag::Night(over) => {
                let three = 3.0 * HOUR;
                contact + (three - contact).rem_euclid(DAY) + over * random.unit()
            }
        }
    }
}

impl Leak {
    /// Which contact of `contacts` is passed on, if any.
    fn draw(self, contacts: usize, random: &mut Random) -> Option<usize> {
        match self {
            Leak::First(p) => (contacts > 0 && random.chance(p)).then_some(0),
            Leak::Each(p) => (0..contacts).find(|_| random.chance(p)),
            Leak::Kth(k, p) => (contacts >= k && k > 0 && random.chance(p)).then(|| k - 1),
        }
    }

    /// The probability that an address with so many contacts is passed on.
    #[must_use]
    pub fn probability(self, contacts: usize) -> f64 {
        match self {
            Leak::First(p) => {
                if contacts > 0 {
                    p
                } else {
                    0.0
                }
            }
            Leak::Each(p) => 1.0 - (1.0 - p).powi(contacts as i32),
            Leak::Kth(k, p) => {
                if contacts >= k {
                    p
                } else {
                    0.0
                }
            }
        }
    }
}

/// What harvesters pass on, for one that is contacted at `contacts` by `life`, in order.
pub fn harvested(plan: &Plan, number: usize, life: usize, contacts: &[f64], random: &mut Random) -> Option<Told> {
    let harvester = &plan.harvesters[number];
    let learned = contacts[harvester.leak.draw(contacts.len(), random)?];
    let at = harvester.lag.after(learned, random);
    Some(Told { learned, at, life, scanner: harvester.scanner, by: Some(number) })
}

/// Hits by chance.
pub fn background(plan: &Plan, devices: &[Device], lives: &[Life], random: &mut Random) -> Vec<Told> {
    let fed: Vec<usize> = plan.harvesters.iter().map(|harvester| harvester.scanner).collect();
    let others: Vec<usize> = (0..plan.scanners.len()).filter(|scanner| !fed.contains(scanner)).collect();
    let background = &plan.background;
    let whole = (plan.size.days as f64 + 1.0) * DAY;
    let temporary = lives.iter().filter(|life| life.temporary);
    let visits: usize = temporary.clone().map(|life| life.visits.len()).sum();
    let mean = visits as f64 / temporary.count().max(1) as f64;
    let mut told = Vec::new();
    for (number, life) in lives.iter().enumerate() {
        let first = life.visits.iter().map(|visit| visit.at).fold(f64::INFINITY, f64::min);
        if first.is_infinite() {
            continue;
        }
        let weight = if background.by_activity { life.visits.len() as f64 / mean } else { 1.0 };
        let share =
            if life.temporary { background.share * devices[life.device].exposed * weight } else { STABLE_KNOWN };
        let in_burst = background.burst.is_none_or(|(from, to)| (from * whole..to * whole).contains(&life.from));
        if !in_burst || !random.chance(share) {
            continue;
        }
        let at = if background.follows_activity {
            life.visits[random.below(life.visits.len())].at + random.lognormal(5.0 * MINUTE, 1.0)
        } else if background.burst.is_some() {
            first + DAY * random.unit()
        } else {
            // Valid for some days beyond the day on which it is preferred.
            first + (life.until + 5.0 * DAY - first) * random.unit()
        };
        let of =
            if others.is_empty() || !fed.is_empty() && random.chance(background.from_fed) { &fed } else { &others };
        if !of.is_empty() {
            told.push(Told { learned: at, at, life: number, scanner: of[random.below(of.len())], by: None });
        }
    }
    told
}

/// What rivals cause; all of it by the first scanner.
pub fn rival(rival: Rival, plan: &Plan, lives: &[Life], internet: &Internet, random: &mut Random) -> Vec<Told> {
    let mut told = Vec::new();
    let scan = |learned, at, life| Told { learned, at, life, scanner: 0, by: None };
    for (number, life) in lives.iter().enumerate() {
        match rival {
            Rival::OnPath(p) => {
                for visit in life.visits.iter() {
                    if random.chance(p) {
                        told.push(scan(visit.at, visit.at + random.lognormal(5.0 * MINUTE, 1.0), number));
                    }
                }
            }
            Rival::OneDevice(p) => {
                let first = life.visits.iter().map(|visit| visit.at).fold(f64::INFINITY, f64::min);
                if life.device == 0 && first.is_finite() && random.chance(p) {
                    let at = first + random.exponential(6.0 * HOUR);
                    told.push(scan(at, at, number));
                }
            }
            Rival::Framing(p) => {
                let framed = internet.site(1);
                let visits = life.visits.iter().filter(|visit| visit.remote == framed);
                if let Some(first) = visits.map(|visit| visit.at).reduce(f64::min)
                    && random.chance(p)
                {
                    told.push(scan(first, first + random.lognormal(MINUTE, 1.0), number));
                }
            }
            Rival::Hitlist(p, days) => {
                if random.chance(p) {
                    let at = (plan.size.days as f64 + days + random.unit()) * DAY;
                    told.push(scan(at, at, number));
                }
            }
        }
    }
    told
}
