//! What an address contacts on a day: services early on, sites in sessions, third parties with them,
//! time servers, peers.

use sensor_common::Proto;

use super::home::{Device, Visit};
use super::internet::{Internet, THIRD_PARTY_POOL};
use super::plan::{Addresses, DAY, HOUR, Leak, MINUTE, Place, Plan};
use super::random::Random;
use rand_distr::Zipf;

/// Mean seconds until each of the ubiquitous services is contacted: the check for a portal, push
/// services, telemetry, mail, updates.
const EARLY: [f64; 6] = [5.0, 15.0, 30.0, MINUTE, 5.0 * MINUTE, 30.0 * MINUTE];
/// Share of addresses that contact an ubiquitous site, and a common one.
const NEARLY_ALL: f64 = 0.99;
/// Sites are visited a few at a time.
const VISITS_IN_A_SESSION: f64 = 5.0;
/// How long a session lasts, the mean.
const SESSION: f64 = 8.0 * MINUTE;
/// Share of visits that are repeated later in the day.
const REPEATED: f64 = 0.25;
/// Share of visits that lead on to a site that is often visited next.
const LEADS_ON: f64 = 0.15;
/// Share of visits of a harvester's site that come from a popular one, and the first such rank.
const REFERRED: f64 = 0.5;
const REFERRER: usize = 10;
/// Days for which a site is in fashion.
const ERA: f64 = 4.0 * DAY;
/// Peers of the swarm that are met again and again.
const KNOWN_PEERS: f64 = 2_000.0;

/// What days are drawn from.
pub struct Habits {
    sites: Zipf<f64>,
    third_parties: Zipf<f64>,
    peers: Zipf<f64>,
}

impl Habits {
    /// For a plan.
    pub fn new(plan: &Plan) -> anyhow::Result<Habits> {
        Ok(Habits {
            sites: Zipf::new(plan.size.sites as f64, 0.95)?,
            third_parties: Zipf::new(THIRD_PARTY_POOL as f64, 0.8)?,
            peers: Zipf::new(KNOWN_PEERS, 0.8)?,
        })
    }

    /// A site by popularity: 0 is the most popular.
    pub fn popular(&self, random: &mut Random) -> usize {
        random.draw(&self.sites) as usize - 1
    }
}

/// A day of one address.
pub struct Day<'a> {
    /// What is prescribed.
    pub plan: &'a Plan,
    /// What it is drawn from.
    pub habits: &'a Habits,
    /// Who is there.
    pub internet: &'a mut Internet,
    /// Chance.
    pub random: &'a mut Random,
    /// Whose day.
    pub device: &'a Device,
    /// When it begins.
    pub from: f64,
    /// What was contacted.
    pub visits: Vec<Visit>,
    sessions: Vec<f64>,
    /// When a peer-to-peer session began.
    pub swarm_at: Option<f64>,
}

impl<'a> Day<'a> {
    /// Lives it.
    pub fn live(
        plan: &'a Plan,
        habits: &'a Habits,
        internet: &'a mut Internet,
        random: &'a mut Random,
        device: &'a Device,
        from: f64,
    ) -> Day<'a> {
        let mean = plan.visits * device.busy * random.factor(plan.unevenness);
        let sessions = 1 + random.poisson((mean + plan.common as f64) / VISITS_IN_A_SESSION);
        let sessions = (0..sessions).map(|_| device.moment(from, random)).collect();
        let mut day =
            Day { plan, habits, internet, random, device, from, visits: Vec::new(), sessions, swarm_at: None };
        day.early();
        day.common();
        let visits = day.random.poisson(mean);
        day.sites(visits);
        day.time_servers();
        day.harvested_sites();
        day.swarm();
        day
    }

    /// A moment in one of the day's sessions.
    fn in_session(&mut self) -> f64 {
        let session = self.sessions[self.random.below(self.sessions.len())];
        session + self.random.exponential(SESSION)
    }

    fn tcp(&mut self, at: f64, remote: std::net::Ipv6Addr) {
        self.visits.push(Visit { at, remote, proto: Proto::Tcp, port: 443, harvester: None, fresh: false });
    }

    /// A contact with a harvester, and with the third parties that come along.
    fn harvester(&mut self, number: usize, at: f64, which: usize, proto: Proto, port: u16) {
        let plan = &self.plan.harvesters[number];
        let remote = self.internet.harvester(number, plan, at, which);
        self.visits.push(Visit { at, remote, proto, port, harvester: Some(number), fresh: false });
        for companion in 0..plan.companions {
            // Known within the same page load, so no lag tells them apart.
            let at = at + 0.01 + 0.3 * self.random.unit();
            self.tcp(at, self.internet.companion(number, companion));
        }
    }

    fn harvesters(&self) -> impl Iterator<Item = (usize, Place)> + use<'a> {
        self.plan.harvesters.iter().enumerate().map(|(number, harvester)| (number, harvester.place))
    }

    /// Always-on services, when the device notices its new address or wakes up.
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
            if let Place::Early(mean) = place
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
            if place == Place::Common && self.random.chance(NEARLY_ALL) {
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
                // Neighbours in rank lead to each other.
                self.site(rank ^ 1, at);
            }
        }
    }

    fn site(&mut self, rank: usize, at: f64) {
        // Sites come and go at different times.
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

    /// Servers that the pool's DNS happens to give out, asked again after a while.
    fn time_servers(&mut self) {
        let ours: Vec<(usize, usize)> = self
            .harvesters()
            .filter(|&(_, place)| place == Place::Ntp)
            .flat_map(|(number, _)| {
                let servers = match self.plan.harvesters[number].addresses {
                    Addresses::Several(n) => n,
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
                    None => {
                        let remote = self.internet.ntp(server);
                        self.visits.push(Visit {
                            at,
                            remote,
                            proto: Proto::Udp,
                            port: 123,
                            harvester: None,
                            fresh: false,
                        });
                    }
                }
            }
        }
    }

    fn harvested_sites(&mut self) {
        for (number, place) in self.harvesters() {
            let Place::Site(share) = place else { continue };
            if !self.random.chance((share * self.device.drawn[number]).min(0.95)) {
                continue;
            }
            let again = match self.plan.harvesters[number].leak {
                Leak::Kth(..) => 3.0,
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
            self.visits.push(Visit { at, remote, proto, port, harvester: None, fresh: false });
        }
        for (number, place) in self.harvesters() {
            if place == Place::Peer && self.random.chance(0.8) {
                let at = start + HOUR * self.random.unit();
                self.harvester(number, at, 0, Proto::Udp, 6_881);
            }
        }
    }
}
