//! Tips, and the times of the probes that follow. In a tip, a scanner learns of an address: from a harvester, by
//! chance, or from a rival.

use crate::home::{Life, SimulatedDevice};
use crate::internet::SimulatedInternet;
use crate::plan::{DAY, HOUR, HomePlan, Lag, LeakPlan, MINUTE, RivalPlan};
use crate::random::SeededRandom;

/// A tip: a scanner learned of an address, and probes the address later.
#[derive(Clone, Copy, Debug)]
pub struct Tip {
    /// Time at which the scanner learned of the address.
    pub learned: f64,
    /// Time at which the scanner probes.
    pub at: f64,
    /// The position in [`SimulatedHome::lives`](crate::SimulatedHome::lives).
    pub life: usize,
    /// The scanner's position in the plan.
    pub scanner: usize,
    /// The harvester's position in the plan. `None`: the scanner learned of the address in another way.
    pub by: Option<usize>,
}

/// Probability that a stable address is hit: scanners' lists have held the address for long.
const STABLE_KNOWN: f64 = 0.8;

impl Lag {
    fn after(self, contact: f64, random: &mut SeededRandom) -> f64 {
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

impl LeakPlan {
    /// The position of the contact that the harvester passes on, if any.
    fn draw(self, contacts: usize, random: &mut SeededRandom) -> Option<usize> {
        match self {
            LeakPlan::First(p) => (contacts > 0 && random.chance(p)).then_some(0),
            LeakPlan::Each(p) => (0..contacts).find(|_| random.chance(p)),
            LeakPlan::Kth(k, p) => (contacts >= k && k > 0 && random.chance(p)).then(|| k - 1),
        }
    }

    /// Probability that the harvester passes on an address with this number of contacts.
    pub fn probability(self, contacts: usize) -> f64 {
        match self {
            LeakPlan::First(p) if contacts > 0 => p,
            LeakPlan::Each(p) => 1.0 - (1.0 - p).powi(contacts as i32),
            LeakPlan::Kth(k, p) if contacts >= k => p,
            _ => 0.0,
        }
    }
}

/// The tip that a harvester gives about a life with these contacts, if any. `contacts` are times in ascending order.
pub fn harvested(
    plan: &HomePlan,
    number: usize,
    life: usize,
    contacts: &[f64],
    random: &mut SeededRandom,
) -> Option<Tip> {
    let harvester = &plan.harvesters[number];
    let learned = contacts[harvester.leak.draw(contacts.len(), random)?];
    let at = harvester.lag.after(learned, random);
    Some(Tip { learned, at, life, scanner: harvester.scanner, by: Some(number) })
}

/// Tips that lead to probes by chance.
pub fn background(plan: &HomePlan, devices: &[SimulatedDevice], lives: &[Life], random: &mut SeededRandom) -> Vec<Tip> {
    let fed: Vec<usize> = plan.harvesters.iter().map(|harvester| harvester.scanner).collect();
    let others: Vec<usize> = (0..plan.scanners.len()).filter(|scanner| !fed.contains(scanner)).collect();
    let background = &plan.background;
    let whole = (plan.size.days as f64 + 1.0) * DAY;
    let temporary = lives.iter().filter(|life| life.temporary);
    let visits: usize = temporary.clone().map(|life| life.visits.len()).sum();
    let mean = visits as f64 / temporary.count().max(1) as f64;
    let mut tips = Vec::new();
    for (number, life) in lives.iter().enumerate() {
        let Some(first) = life.first(|_| true) else { continue };
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
            // Temporary addresses stay valid for some days after the day on which they are preferred.
            first + (life.until + 5.0 * DAY - first) * random.unit()
        };
        let of =
            if others.is_empty() || !fed.is_empty() && random.chance(background.from_fed) { &fed } else { &others };
        if !of.is_empty() {
            tips.push(Tip { learned: at, at, life: number, scanner: of[random.below(of.len())], by: None });
        }
    }
    tips
}

/// Tips that the rival gives to the first scanner.
pub fn rival(plan: &HomePlan, lives: &[Life], internet: &SimulatedInternet, random: &mut SeededRandom) -> Vec<Tip> {
    let mut tips = Vec::new();
    let Some(rival) = plan.rival else { return tips };
    let scan = |learned, at, life| Tip { learned, at, life, scanner: 0, by: None };
    for (number, life) in lives.iter().enumerate() {
        match rival {
            RivalPlan::OnPath(p) => {
                for visit in life.visits.iter() {
                    if random.chance(p) {
                        tips.push(scan(visit.at, visit.at + random.lognormal(5.0 * MINUTE, 1.0), number));
                    }
                }
            }
            RivalPlan::OneDevice(p) => {
                if life.device == 0
                    && let Some(first) = life.first(|_| true)
                    && random.chance(p)
                {
                    let at = first + random.exponential(6.0 * HOUR);
                    tips.push(scan(at, at, number));
                }
            }
            RivalPlan::Framing(p) => {
                let framed = internet.site(1);
                if let Some(first) = life.first(|visit| visit.remote == framed)
                    && random.chance(p)
                {
                    tips.push(scan(first, first + random.lognormal(MINUTE, 1.0), number));
                }
            }
            RivalPlan::Hitlist(p, days) => {
                if random.chance(p) {
                    let at = (plan.size.days as f64 + days + random.unit()) * DAY;
                    tips.push(scan(at, at, number));
                }
            }
        }
    }
    tips
}
