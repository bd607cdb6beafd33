//! Scanners at work: what they are told becomes probes. Sweeps and strays beside them.

use std::collections::HashSet;
use std::net::Ipv6Addr;

use tattler_core::observation::Probe;

use super::home::{self, Life};
use super::internet::Internet;
use super::leaks::Told;
use super::plan::{DAY, HOUR, Plan};
use super::random::Random;
use super::time;
use super::tools::{PEER, PROXY_CHECK, SWEEP, tool};

/// Share of targets to which a scanner comes back within days.
const COMES_BACK: f64 = 0.3;
/// Hosts that a scanner uses in one of its /64s.
const HOSTS: usize = 4;
/// The site that looks for open proxies on its visitors, from the address that they contacted; and how
/// many of them it checks.
const CHECKS: (usize, f64) = (6, 0.5);
/// The content network that measures the path to its visitors, from other addresses; and to how many.
const MEASURES: (usize, f64) = (4, 0.3);
/// Where the sweeper is, a number that no scanner of a plan has.
const SWEEPER: usize = 90;

/// The probes that scanners send for what they were told, and which of it they acted on.
pub fn scan(plan: &Plan, lives: &[Life], internet: &Internet, told: &mut [Told], random: &mut Random) -> Scans {
    told.sort_by(|a, b| a.learned.total_cmp(&b.learned));
    let mut done: HashSet<(usize, u64, i64)> = HashSet::new();
    let mut scans = Scans { probes: Vec::new(), acted: Vec::with_capacity(told.len()) };
    for told in told.iter() {
        let scanner = &plan.scanners[told.scanner];
        let target = lives[told.life].address;
        let network = (u128::from(target) >> 64) as u64;
        let day = (told.learned / DAY) as i64;
        let acts = !scanner.once_a_day || done.insert((told.scanner, network, day));
        scans.acted.push(acts);
        if !acts {
            continue;
        }
        let used = match scanner.second_tool {
            Some(second) if random.chance(0.5) => second,
            _ => scanner.tool,
        };
        let network = random.below(scanner.networks);
        let again = random.chance(COMES_BACK).then(|| told.at + random.exponential(DAY) + HOUR);
        for at in [Some(told.at), again].into_iter().flatten() {
            let source = internet.source(scanner.from, network, 1 + random.below(HOSTS) as u64);
            let hops = 8 + ((scanner.from * 7 + network) % 14) as u8;
            scans.burst(at, source, target, used, hops, random);
        }
    }
    scans
}

/// Probes, and for each scan that was asked for whether it came.
pub struct Scans {
    /// In no order.
    pub probes: Vec<Probe>,
    /// For each that was told, in its order.
    pub acted: Vec<bool>,
}

impl Scans {
    /// A tool's probes of one target: its ports in turn, in seconds.
    fn burst(&mut self, at: f64, source: Ipv6Addr, target: Ipv6Addr, number: usize, hops: u8, random: &mut Random) {
        let tool = tool(number);
        let mut at = at;
        for &port in tool.ports {
            let mut probe = Probe::new(time(at), source, target, tool.kind, port);
            probe.traits = tool.traits(hops, random);
            self.probes.push(probe);
            at += random.exponential(1.0);
        }
    }

    /// Connections from peers that were not contacted, to the session's port.
    pub fn inbound(
        &mut self,
        start: f64,
        target: Ipv6Addr,
        count: usize,
        internet: &mut Internet,
        random: &mut Random,
    ) {
        for _ in 0..count {
            let source = internet.new_peer();
            let (at, hops) = (start + 2.0 * HOUR * random.unit(), 8 + random.below(20) as u8);
            self.burst(at, source, target, PEER, hops, random);
        }
    }

    /// What sites do with their visitors that is no leak: one checks for open proxies, one sends pairs of
    /// echo requests whose hop limits ascend step by step, a traceroute by ping.
    pub fn services(&mut self, lives: &[Life], internet: &Internet, random: &mut Random) {
        for life in lives {
            let first = |site: usize| {
                let visits = life.visits.iter().filter(|visit| visit.remote == internet.site(site));
                visits.map(|visit| visit.at).reduce(f64::min)
            };
            if let Some(at) = first(CHECKS.0).filter(|_| random.chance(CHECKS.1)) {
                let at = at + 1.0 + random.exponential(2.0);
                self.burst(at, internet.site(CHECKS.0), life.address, PROXY_CHECK, 12, random);
            }
            if let Some(at) = first(MEASURES.0).filter(|_| random.chance(MEASURES.1)) {
                let tool = tool(SWEEP);
                for step in 0..12 {
                    let at = at + 5.0 + 0.2 * f64::from(step);
                    let source = internet.beside_site(MEASURES.0);
                    let mut probe = Probe::new(time(at), source, life.address, tool.kind, 0);
                    probe.traits = tool.traits(0, random);
                    probe.traits.hop_limit = Some(1 + step as u8 / 2);
                    self.probes.push(probe);
                }
            }
        }
    }

    /// Sweeps over low addresses, three in all, and a few strays to random addresses that nobody uses.
    pub fn noise(&mut self, plan: &Plan, internet: &Internet, random: &mut Random) {
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
