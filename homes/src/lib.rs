//! Simulated homes with known truth: the harvesters that leak addresses, and the scanners that receive these
//! addresses. A seed determines each home. The simulation covers the behaviour of homes, harvesters and scanners, and
//! contains nothing about Tattler's attribution of probes.
//!
//! # Layout
//! - `plan`: the parameters of a home
//! - `random`: random numbers
//! - `home`: devices, addresses and daily rhythms; `visits`: the contacts of a day
//! - `internet`: the addresses of remotes
//! - `leaks`: the tips of scanners; `scans`, `tools`: the probes that scanners send
//! - `truth`: the true harvesters

mod home;
mod internet;
mod leaks;
mod plan;
mod random;
mod scans;
#[cfg(test)]
mod tests;
mod tools;
mod truth;
mod visits;

pub use self::home::{Life, SimulatedVisit};
pub use self::leaks::Tip;
pub use self::plan::{
    Background, DAY, HOUR, HarvesterAddresses, HarvesterPlace, HarvesterPlan, HomePlan, HomeSize, Lag, LeakPlan,
    MINUTE, RivalPlan, ScannerPlan, Torrent,
};
pub use self::random::SeededRandom;
pub use self::tools::SimulatedProbe;
pub use self::truth::{TrueHarvester, Truth};

use self::home::SimulatedDevice;
use self::internet::SimulatedInternet;
use self::scans::Scans;
use self::visits::{DayOfVisits, Habits};

/// Share of contacts in an address's first two hours that still use the previous address.
const HOLDS_ON: f64 = 0.1;
/// Contacts less than this many seconds apart belong together.
const TOGETHER: f64 = 3.0;

/// All events in a home, and the truth. Times are seconds from the first midnight.
pub struct SimulatedHome {
    /// The plan of this home.
    pub plan: HomePlan,
    /// The harvesters.
    pub truth: Truth,
    /// Addresses and their contacts.
    pub lives: Vec<Life>,
    /// The tips of scanners: addresses that scanners learned of and probed.
    pub tips: Vec<Tip>,
    /// Probes, in no order.
    pub probes: Vec<SimulatedProbe>,
}

impl SimulatedHome {
    /// Simulates a plan. The same plan, name and seed give the same home.
    #[must_use]
    pub fn new(plan: &HomePlan, name: &str, seed: u64) -> SimulatedHome {
        let random = &mut SeededRandom::new(name, plan.size.addresses(), seed);
        let mut internet = SimulatedInternet::new(random);
        let habits = Habits::new(plan);
        let devices: Vec<SimulatedDevice> = (0..plan.size.devices)
            .map(|n| SimulatedDevice::new(n, plan, random, |random| habits.popular(random)))
            .collect();
        let mut lives = home::lives(&devices, plan, random);
        let swarms = visit(plan, &habits, &mut internet, &devices, &mut lives, random);

        let mut tips = Vec::new();
        for (number, life) in lives.iter().enumerate() {
            for harvester in 0..plan.harvesters.len() {
                tips.extend(leaks::harvested(plan, harvester, number, &life.contacts_with(harvester), random));
            }
        }
        tips.extend(leaks::background(plan, &devices, &lives, random));
        tips.extend(leaks::rival(plan, &lives, &internet, random));
        let mut scans = Scans { probes: Vec::new() };
        let tips = scans.follow(plan, &lives, &internet, tips, random);
        if let Some(torrent) = plan.torrent {
            for (life, start) in swarms {
                scans.inbound(start, lives[life].address, torrent.inbound, &mut internet, random);
            }
        }
        scans.services(&lives, &internet, random);
        scans.noise(plan, &internet, random);
        let truth = Truth::new(plan, &internet, &lives, &tips);
        SimulatedHome { plan: plan.clone(), truth, lives, tips, probes: scans.probes }
    }

    /// The sensor's view of the home as the caller's observations, in the order of the sensor's clock. The clock runs
    /// at the plan's pace. The closures get the clock's time as their first argument.
    pub fn seen<T>(
        &self,
        contact: impl Fn(f64, &Life, &SimulatedVisit) -> T,
        probe: impl Fn(f64, &SimulatedProbe) -> T,
    ) -> Vec<T> {
        let pace = self.plan.pace;
        let visits = self.lives.iter().flat_map(|life| life.visits.iter().map(move |visit| (life, visit)));
        let contacts = visits
            .filter(|(_, visit)| self.plan.sees(visit.at))
            .map(|(life, visit)| (visit.at * pace, contact(visit.at * pace, life, visit)));
        let probes = self.probes.iter().filter(|probe| self.plan.sees(probe.at));
        let probes = probes.map(|seen| (seen.at * pace, probe(seen.at * pace, seen)));
        let mut all: Vec<(f64, T)> = contacts.chain(probes).collect();
        // Clocks count microseconds.
        all.sort_by_key(|(at, _)| (at * 1e6) as i64);
        all.into_iter().map(|(_, seen)| seen).collect()
    }
}

/// Fills the lives with visits. Returns the peer-to-peer sessions: the number of the life, and the time.
fn visit(
    plan: &HomePlan,
    habits: &Habits,
    internet: &mut SimulatedInternet,
    devices: &[SimulatedDevice],
    lives: &mut [Life],
    random: &mut SeededRandom,
) -> Vec<(usize, f64)> {
    let mut swarms = Vec::new();
    for number in 0..lives.len() {
        let Life { device, from, until, temporary, .. } = lives[number];
        let days = ((until - from) / DAY).round() as usize;
        let follows = temporary && number > 0 && lives[number - 1].device == device;
        for day in 0..days {
            let from = from + day as f64 * DAY;
            let day = DayOfVisits::new(plan, habits, internet, random, &devices[device], from);
            swarms.extend(day.swarm_at.map(|at| (number, at)));
            let mut visits = day.visits;
            visits.sort_by(|a, b| a.at.total_cmp(&b.at));
            let (mut before, mut old) = (f64::NEG_INFINITY, false);
            for visit in visits {
                // After a change of the prefix, the old address is unusable.
                let may = follows && !plan.prefix_changes && !visit.fresh && visit.at < from + 2.0 * HOUR;
                // All contacts of one page load use one address.
                if visit.at - before > TOGETHER {
                    old = random.chance(HOLDS_ON);
                }
                before = visit.at;
                lives[if may && old { number - 1 } else { number }].visits.push(visit);
            }
        }
    }
    swarms
}
