//! The simulator: homes whose truth is known. Seeded, and apart from the model's code: it knows
//! nothing of how attribution works, only how homes, harvesters and scanners behave.
//!
//! # Layout
//! - [`size`], [`plan`]: what is prescribed
//! - `random`: chance
//! - [`home`]: devices, addresses and days; [`visits`]: what is contacted on a day
//! - [`internet`]: who has which address
//! - [`leaks`]: who tells scanners; [`scans`], [`tools`]: what they send
//! - [`truth`]: who it was

pub mod home;
pub mod internet;
pub mod leaks;
pub mod plan;
pub mod random;
pub mod scans;
pub mod size;
#[cfg(test)]
mod tests;
pub mod tools;
pub mod truth;
pub mod visits;

use anyhow::Result;
use tattler_core::observation::{Contact, Observation};
use tattler_core::time::Time;

use self::home::{Device, Life};
use self::internet::Internet;
use self::leaks::Told;
use self::plan::{DAY, HOUR, Plan};
use self::random::Random;
use self::truth::Truth;
use self::visits::{Day, Habits};

/// Midnight of 2026-03-01, UTC: second 0 of every network.
pub const START: i64 = 1_772_323_200;

/// Share of contacts in an address's first two hours that still use the one before.
const HOLDS_ON: f64 = 0.1;
/// Contacts with less than this between them, in seconds, belong together.
const TOGETHER: f64 = 3.0;

/// A point in time, by seconds from the beginning.
#[must_use]
pub fn time(seconds: f64) -> Time {
    Time(START * 1_000_000 + (seconds * 1e6) as i64)
}

/// What a sensor would see of a home, and the truth.
pub struct Network {
    /// In the order of time.
    pub observations: Vec<Observation>,
    /// Who leaks.
    pub truth: Truth,
    /// Addresses and what they contacted, outages included.
    pub lives: Vec<Life>,
    /// What scanners were told and acted on, outages included.
    pub told: Vec<Told>,
}

impl Network {
    /// Simulates a plan.
    pub fn new(plan: &Plan, name: &str, seed: u64) -> Result<Network> {
        let random = &mut Random::new(name, plan.size.addresses(), seed);
        let mut internet = Internet::new(random);
        let habits = Habits::new(plan)?;
        let devices: Vec<Device> =
            (0..plan.size.devices).map(|n| Device::new(n, plan, random, |random| habits.popular(random))).collect();
        let mut lives = home::lives(&devices, plan, random);
        let swarms = live(plan, &habits, &mut internet, &devices, &mut lives, random);

        let mut told = Vec::new();
        for (number, life) in lives.iter().enumerate() {
            for harvester in 0..plan.harvesters.len() {
                let contacts = life.contacts_with(harvester);
                told.extend(leaks::harvested(plan, harvester, number, &contacts, random));
            }
        }
        told.extend(leaks::background(plan, &devices, &lives, random));
        if let Some(rival) = plan.rival {
            told.extend(leaks::rival(rival, plan, &lives, &internet, random));
        }
        let mut scans = scans::scan(plan, &lives, &internet, &mut told, random);
        let mut acted = scans.acted.iter();
        told.retain(|_| acted.next().copied().unwrap_or(false));
        if let Some(torrent) = plan.torrent {
            for (life, start) in swarms {
                scans.inbound(start, lives[life].address, torrent.inbound, &mut internet, random);
            }
        }
        scans.services(&lives, &internet, random);
        scans.noise(plan, &internet, random);

        let end = plan.end();
        let seen = |at: f64| at < end && plan.outage.is_none_or(|(from, to)| !(from * DAY..to * DAY).contains(&at));
        let truth = Truth::new(plan, &internet, &lives, &told, &seen);
        let mut observations: Vec<Observation> = contacts(&lives, &seen).collect();
        let probes = scans.probes.into_iter().filter(|probe| seen(seconds(probe.ts)));
        observations.extend(probes.map(Observation::Probe));
        observations.sort_by_key(Observation::ts);
        Ok(Network { observations, truth, lives, told })
    }
}

impl Plan {
    /// When watching ends, in seconds: a day after the last address was new, or when an old list was
    /// replayed.
    #[must_use]
    pub fn end(&self) -> f64 {
        let replay = match self.rival {
            Some(plan::Rival::Hitlist(_, days)) => days + 1.0,
            _ => 1.0,
        };
        (self.size.days as f64 + replay) * DAY
    }
}

impl Life {
    /// When it contacted a harvester, in order.
    #[must_use]
    pub fn contacts_with(&self, harvester: usize) -> Vec<f64> {
        let visits = self.visits.iter().filter(|visit| visit.harvester == Some(harvester));
        let mut contacts: Vec<f64> = visits.map(|visit| visit.at).collect();
        contacts.sort_by(f64::total_cmp);
        contacts
    }
}

/// Fills the lives with visits; gives the peer-to-peer sessions: which life, and when.
fn live(
    plan: &Plan,
    habits: &Habits,
    internet: &mut Internet,
    devices: &[Device],
    lives: &mut [Life],
    random: &mut Random,
) -> Vec<(usize, f64)> {
    let mut swarms = Vec::new();
    for number in 0..lives.len() {
        let Life { device, from, until, temporary, .. } = lives[number];
        let days = ((until - from) / DAY).round() as usize;
        let follows = temporary && number > 0 && lives[number - 1].device == device;
        for day in 0..days {
            let from = from + day as f64 * DAY;
            let day = Day::live(plan, habits, internet, random, &devices[device], from);
            swarms.extend(day.swarm_at.map(|at| (number, at)));
            let mut visits = day.visits;
            visits.sort_by(|a, b| a.at.total_cmp(&b.at));
            let (mut before, mut old) = (f64::NEG_INFINITY, false);
            for visit in visits {
                // With a new prefix the old address is of no more use.
                let may = follows && !plan.prefix_changes && !visit.fresh && visit.at < from + 2.0 * HOUR;
                // What is loaded together uses one address.
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

fn contacts<'a>(lives: &'a [Life], seen: &'a dyn Fn(f64) -> bool) -> impl Iterator<Item = Observation> + 'a {
    lives.iter().flat_map(move |life| {
        life.visits.iter().filter(move |visit| seen(visit.at)).map(move |visit| {
            let mut contact = Contact::new(time(visit.at), life.address, visit.remote, visit.proto, visit.port);
            contact.device = Some(format!("device-{}", life.device));
            Observation::Contact(contact)
        })
    })
}

/// Seconds from the beginning, by a point in time.
#[must_use]
pub fn seconds(at: Time) -> f64 {
    (at - Time::from_seconds(START)).seconds()
}
