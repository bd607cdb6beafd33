//! The contacts of an address on a day: early contacts with services, sites in sessions, third parties that sites
//! load, time servers, and peers.

use std::net::Ipv6Addr;

use rand_distr::Zipf;
use sensor_common::Proto;

use crate::home::{SimulatedDevice, SimulatedVisit};
use crate::internet::{SimulatedInternet, THIRD_PARTY_POOL};
use crate::plan::{DAY, HOUR, HarvesterAddresses, HarvesterPlace, HomePlan, LeakPlan, MINUTE};
use crate::random::SeededRandom;

/// Mean seconds until the contact with each ubiquitous service: the check for a captive portal, push services,
/// telemetry, mail, updates.
const EARLY: [f64; 6] = [5.0, 15.0, 30.0, MINUTE, 5.0 * MINUTE, 30.0 * MINUTE];
/// Share of addresses that contact a given ubiquitous site, and share of addresses that contact a given common site.
const NEARLY_ALL: f64 = 0.99;
/// Mean number of site visits in a session.
const VISITS_IN_A_SESSION: f64 = 5.0;
/// The mean length of a session.
const SESSION: f64 = 8.0 * MINUTE;
/// The share of visits that are repeated later in the day.
const REPEATED: f64 = 0.25;
/// Share of visits that lead to a visit of the neighbour in rank.
const LEADS_ON: f64 = 0.15;
/// Share of visits of a harvester's site that come from a popular site, and rank of the first such popular site.
const REFERRED: f64 = 0.5;
const REFERRER: usize = 10;
/// The time for which a site is popular.
const ERA: f64 = 4.0 * DAY;
/// Number of peers that a home meets more than once.
const KNOWN_PEERS: f64 = 2_000.0;

/// The popularity of sites, third parties and peers.
pub struct Habits {
    sites: Zipf<f64>,
    third_parties: Zipf<f64>,
    peers: Zipf<f64>,
}

impl Habits {
    pub fn new(plan: &HomePlan) -> Habits {
        let zipf = |n: f64, exponent| Zipf::new(n.max(1.0), exponent).expect("at least 1, and a positive exponent");
        Habits {
            sites: zipf(plan.size.sites as f64, 0.95),
            third_parties: zipf(THIRD_PARTY_POOL as f64, 0.8),
            peers: zipf(KNOWN_PEERS, 0.8),
        }
    }

    /// The rank of a site; 0 is the most popular.
    pub fn popular(&self, random: &mut SeededRandom) -> usize {
        random.draw(&self.sites) as usize - 1
    }
}

/// A day of one address.
pub struct DayOfVisits<'a> {
    plan: &'a HomePlan,
    habits: &'a Habits,
    internet: &'a mut SimulatedInternet,
    random: &'a mut SeededRandom,
    device: &'a SimulatedDevice,
    from: f64,
    /// Visits, in no order.
    pub visits: Vec<SimulatedVisit>,
    sessions: Vec<f64>,
    /// Time at which a peer-to-peer session began.
    pub swarm_at: Option<f64>,
}

impl<'a> DayOfVisits<'a> {
    /// The day that begins at time `from`.
    pub fn new(
        plan: &'a HomePlan,
        habits: &'a Habits,
        internet: &'a mut SimulatedInternet,
        random: &'a mut SeededRandom,
        device: &'a SimulatedDevice,
        from: f64,
    ) -> DayOfVisits<'a> {
        let mean = plan.visits * device.busy * random.factor(plan.unevenness);
        let sessions = 1 + random.poisson((mean + plan.common as f64) / VISITS_IN_A_SESSION);
        let sessions = (0..sessions).map(|_| device.moment(from, random)).collect();
        let visits = Vec::new();
        let mut day = DayOfVisits { plan, habits, internet, random, device, from, visits, sessions, swarm_at: None };
        day.early();
        day.common();
        let visits = day.random.poisson(mean);
        day.sites(visits);
        day.time_servers();
        day.harvested_sites();
        day.swarm();
        day
    }

    /// A random time in one of the day's sessions.
    fn in_session(&mut self) -> f64 {
        let session = self.sessions[self.random.below(self.sessions.len())];
        session + self.random.exponential(SESSION)
    }

    fn push(&mut self, at: f64, remote: Ipv6Addr, proto: Proto, port: u16, harvester: Option<usize>) {
        self.visits.push(SimulatedVisit { at, remote, proto, port, harvester, fresh: false });
    }

    fn tcp(&mut self, at: f64, remote: Ipv6Addr) {
        self.push(at, remote, Proto::Tcp, 443, None);
    }

    /// Adds a contact with a harvester, and contacts with the third parties that are loaded with the harvester.
    fn harvester(&mut self, number: usize, at: f64, which: usize, proto: Proto, port: u16) {
        let plan = &self.plan.harvesters[number];
        let remote = self.internet.harvester(number, plan, at, which);
        self.push(at, remote, proto, port, Some(number));
        for companion in 0..plan.companions {
            // All these contacts belong to one page load, so lags do not distinguish a third party from the
            // harvester.
            let at = at + 0.01 + 0.3 * self.random.unit();
            self.tcp(at, self.internet.companion(number, companion));
        }
    }

    fn harvesters(&self) -> impl Iterator<Item = (usize, HarvesterPlace)> + use<'a> {
        self.plan.harvesters.iter().enumerate().map(|(number, harvester)| (number, harvester.place))
    }

    /// Adds contacts with always-on services, when the device notices its new address or wakes up.
    fn early(&mut self) {
        let awake = self.sessions.iter().copied().fold(f64::INFINITY, f64::min);
        let awake = awake.min(self.from + self.random.exponential(HOUR));
        for number in 0..self.plan.ubiquitous {
            if self.random.chance(NEARLY_ALL) {
                let at = awake + self.random.exponential(EARLY[number % EARLY.len()]);
                self.tcp(at, self.internet.ubiquitous(number));
            }
        }
        for (number, place) in self.harvesters() {
            if let HarvesterPlace::Early(mean) = place
                && self.random.chance(NEARLY_ALL)
            {
                let at = awake + self.random.exponential(mean);
                self.harvester(number, at, 0, Proto::Tcp, 443);
            }
        }
        self.visits.iter_mut().for_each(|visit| visit.fresh = true);
    }

    fn common(&mut self) {
        for number in 0..self.plan.common {
            if self.random.chance(NEARLY_ALL) {
                let at = self.in_session();
                self.tcp(at, self.internet.common(number));
            }
        }
        for (number, place) in self.harvesters() {
            if place == HarvesterPlace::Common && self.random.chance(NEARLY_ALL) {
                let at = self.in_session();
                self.harvester(number, at, 0, Proto::Tcp, 443);
            }
        }
    }

    fn sites(&mut self, visits: usize) {
        for _ in 0..visits {
            let rank = if self.random.chance(0.5) {
                self.device.favourites[self.random.below(self.device.favourites.len())]
            } else {
                self.habits.popular(self.random)
            };
            let at = self.in_session();
            self.site(rank, at);
            if self.random.chance(LEADS_ON) {
                let at = at + self.random.exponential(MINUTE);
                self.site(rank ^ 1, at);
            }
        }
    }

    fn site(&mut self, rank: usize, at: f64) {
        // The popularity of each site changes at a different time.
        let era = if self.plan.fashion {
            (at / ERA + rank as f64 * 0.37) as usize - (rank as f64 * 0.37) as usize
        } else {
            0
        };
        let remote = self.internet.site(rank + era * self.plan.size.sites);
        self.tcp(at, remote);
        if self.random.chance(REPEATED) {
            let again = self.in_session();
            self.tcp(again, remote);
        }
        if self.random.chance(0.5) {
            let third = self.random.draw(&self.habits.third_parties) as usize - 1;
            let at = at + 0.2 + 2.0 * self.random.unit();
            self.tcp(at, self.internet.third_party(third));
        }
        for (number, harvester) in self.plan.harvesters.iter().enumerate() {
            for companion in 0..harvester.companions {
                if self.random.chance(harvester.companions_elsewhere) {
                    let at = at + 0.2 + 2.0 * self.random.unit();
                    self.tcp(at, self.internet.companion(number, companion));
                }
            }
        }
    }

    /// Adds contacts with servers that the pool's DNS returns. Half of the servers are asked a second time.
    fn time_servers(&mut self) {
        let ours: Vec<(usize, usize)> = self
            .harvesters()
            .filter(|&(_, place)| place == HarvesterPlace::Ntp)
            .flat_map(|(number, _)| {
                let servers = match self.plan.harvesters[number].addresses {
                    HarvesterAddresses::Several(n) => n,
                    _ => 1,
                };
                (0..servers).map(move |which| (number, which))
            })
            .collect();
        for _ in 0..self.plan.ntp_asked {
            let at = self.from + DAY * 0.9 * self.random.unit();
            let server = self.random.below(self.plan.ntp_servers);
            let again = self.random.chance(0.5).then_some(at + 1_024.0);
            for at in [Some(at), again].into_iter().flatten() {
                match ours.get(server) {
                    Some(&(number, which)) => self.harvester(number, at, which, Proto::Udp, 123),
                    None => self.push(at, self.internet.ntp(server), Proto::Udp, 123, None),
                }
            }
        }
    }

    fn harvested_sites(&mut self) {
        for (number, place) in self.harvesters() {
            let HarvesterPlace::Site(share) = place else { continue };
            if !self.random.chance((share * self.device.drawn[number]).min(0.95)) {
                continue;
            }
            let again = match self.plan.harvesters[number].leak {
                LeakPlan::Kth(..) => 3.0,
                _ => REPEATED,
            };
            for _ in 0..=self.random.poisson(again) {
                let at = self.in_session();
                if self.random.chance(REFERRED) {
                    let before = at - self.random.exponential(MINUTE);
                    self.site(REFERRER + number, before);
                }
                self.harvester(number, at, 0, Proto::Tcp, 443);
            }
        }
    }

    fn swarm(&mut self) {
        let Some(torrent) = self.plan.torrent else { return };
        if !self.random.chance(torrent.share) {
            return;
        }
        let start = self.in_session();
        self.swarm_at = Some(start);
        for _ in 0..torrent.peers {
            let at = start + HOUR * self.random.unit();
            let remote = if self.random.chance(0.3) {
                let known = self.random.draw(&self.habits.peers) as usize;
                self.internet.known_peer(known)
            } else {
                self.internet.new_peer()
            };
            let proto = if self.random.chance(0.5) { Proto::Tcp } else { Proto::Udp };
            let port = 1_024 + self.random.below(60_000) as u16;
            self.push(at, remote, proto, port, None);
        }
        for (number, place) in self.harvesters() {
            if place == HarvesterPlace::Peer && self.random.chance(0.8) {
                let at = start + HOUR * self.random.unit();
                self.harvester(number, at, 0, Proto::Udp, 6_881);
            }
        }
    }
}
