//! The probes of scanners: probes of addresses that scanners learned of, sweeps, and strays.

use std::collections::HashSet;
use std::net::Ipv6Addr;

use crate::home::{self, Life};
use crate::internet::SimulatedInternet;
use crate::leaks::Tip;
use crate::plan::{DAY, HOUR, HomePlan};
use crate::random::SeededRandom;
use crate::tools::{PEER, PROXY_CHECK, SWEEP, SimulatedProbe, tool};

/// Share of targets that a scanner probes again within days.
const COMES_BACK: f64 = 0.3;
/// Number of hosts that a scanner uses in one of its /64s.
const HOSTS: usize = 4;
/// The site that checks visitors for open proxies, from the contacted address, and the share of visitors that the
/// site checks.
const CHECKS: (usize, f64) = (6, 0.5);
/// The content network that measures the path to visitors, from other addresses, and the share of visitors that the
/// content network measures.
const MEASURES: (usize, f64) = (4, 0.3);
/// Network number of the sweeper. No scanner of a plan has this number.
const SWEEPER: usize = 90;

/// The probes of all scanners.
pub struct Scans {
    pub probes: Vec<SimulatedProbe>,
}

impl Scans {
    /// Sends the probes that result from tips. Returns the tips on which scanners acted, in the order of time.
    pub fn follow(
        &mut self,
        plan: &HomePlan,
        lives: &[Life],
        internet: &SimulatedInternet,
        mut tips: Vec<Tip>,
        random: &mut SeededRandom,
    ) -> Vec<Tip> {
        tips.sort_by(|a, b| a.learned.total_cmp(&b.learned));
        let mut done: HashSet<(usize, u64, i64)> = HashSet::new();
        tips.retain(|tip| {
            let scanner = &plan.scanners[tip.scanner];
            let target = lives[tip.life].address;
            let network = (u128::from(target) >> 64) as u64;
            let day = (tip.learned / DAY) as i64;
            if scanner.once_a_day && !done.insert((tip.scanner, network, day)) {
                return false;
            }
            let used = match scanner.second_tool {
                Some(second) if random.chance(0.5) => second,
                _ => scanner.tool,
            };
            let network = random.below(scanner.networks);
            let again = random.chance(COMES_BACK).then(|| tip.at + random.exponential(DAY) + HOUR);
            for at in [Some(tip.at), again].into_iter().flatten() {
                let source = internet.source(scanner.from, network, 1 + random.below(HOSTS) as u64);
                let hops = 8 + ((scanner.from * 7 + network) % 14) as u8;
                self.burst(at, source, target, used, hops, random);
            }
            true
        });
        tips
    }

    /// Adds a tool's probes of all the tool's ports at one target, within seconds.
    fn burst(
        &mut self,
        mut at: f64,
        source: Ipv6Addr,
        target: Ipv6Addr,
        number: usize,
        hops: u8,
        random: &mut SeededRandom,
    ) {
        let tool = tool(number);
        for &port in tool.ports {
            self.probes.push(tool.probe(at, source, target, port, hops, random));
            at += random.exponential(1.0);
        }
    }

    /// Adds connections to the session's port from peers that the session did not contact.
    pub fn inbound(
        &mut self,
        start: f64,
        target: Ipv6Addr,
        count: usize,
        internet: &mut SimulatedInternet,
        random: &mut SeededRandom,
    ) {
        for _ in 0..count {
            let source = internet.new_peer();
            let (at, hops) = (start + 2.0 * HOUR * random.unit(), 8 + random.below(20) as u8);
            self.burst(at, source, target, PEER, hops, random);
        }
    }

    /// Adds probes by visited sites. These probes do not result from a leak. One site checks for open proxies.
    /// Another site sends pairs of echo requests with ascending hop limits, as a traceroute does.
    pub fn services(&mut self, lives: &[Life], internet: &SimulatedInternet, random: &mut SeededRandom) {
        for life in lives {
            let first = |site: usize| life.first(|visit| visit.remote == internet.site(site));
            if let Some(at) = first(CHECKS.0).filter(|_| random.chance(CHECKS.1)) {
                let at = at + 1.0 + random.exponential(2.0);
                self.burst(at, internet.site(CHECKS.0), life.address, PROXY_CHECK, 12, random);
            }
            if let Some(at) = first(MEASURES.0).filter(|_| random.chance(MEASURES.1)) {
                let tool = tool(SWEEP);
                for step in 0..12 {
                    let at = at + 5.0 + 0.2 * f64::from(step);
                    let source = internet.beside_site(MEASURES.0);
                    let probe = tool.probe(at, source, life.address, 0, 0, random);
                    self.probes.push(SimulatedProbe { hop_limit: 1 + step as u8 / 2, ..probe });
                }
            }
        }
    }

    /// Adds three sweeps of low addresses, and a few probes of random addresses that no device uses.
    pub fn noise(&mut self, plan: &HomePlan, internet: &SimulatedInternet, random: &mut SeededRandom) {
        let days = plan.size.days as f64;
        for _ in 0..3 {
            let start = days * DAY * random.unit();
            let network = random.below(plan.size.networks);
            let base = u128::from(home::address(network, (start / DAY) as usize, plan, random)) >> 64 << 64;
            for host in 1..=20u128 {
                let source = internet.source(SWEEPER, 0, 1);
                self.burst(start + host as f64, source, Ipv6Addr::from(base | host), SWEEP, 11, random);
            }
        }
        for _ in 0..random.poisson(days / 5.0) {
            let at = days * DAY * random.unit();
            let network = random.below(plan.size.networks);
            let target = home::address(network, (at / DAY) as usize, plan, random);
            let scanner = &plan.scanners[random.below(plan.scanners.len())];
            let source = internet.source(scanner.from, random.below(scanner.networks), 1);
            self.burst(at, source, target, scanner.tool, 8 + (scanner.from * 7 % 14) as u8, random);
        }
    }
}
