//! What the actors share: the phase of the replay, and a tally of what they did.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::signals;

use super::plan;
use super::random::Random;

/// The replay goes through these in order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Phase {
    /// Hosts take up new addresses.
    Traffic,
    /// Hosts end what they began; harvesters wait for the last visit.
    LastVisits,
    /// Everybody stops where they are.
    Over,
}

/// A handle; clones share one world.
#[derive(Clone)]
pub struct World {
    seed: u64,
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    phase: Phase,
    /// Hosts that are about; harvesters stay until the last one left.
    visitors: usize,
    /// Each temporary address that visited, with what it visited.
    visits: BTreeMap<Ipv6Addr, BTreeSet<Ipv6Addr>>,
    /// Each harvester with the addresses that its scanner probed, in order.
    probes: BTreeMap<Ipv6Addr, Vec<Ipv6Addr>>,
    /// Queries of a harvester that the same address had queried before.
    repeats: usize,
}

impl World {
    pub fn new(seed: u64) -> Self {
        let shared = Shared {
            phase: Phase::Traffic,
            visitors: plan::HOSTS,
            visits: BTreeMap::new(),
            probes: BTreeMap::new(),
            repeats: 0,
        };
        Self { seed, shared: Arc::new(Mutex::new(shared)) }
    }

    /// Choices of one actor, which don't depend on how fast the others are.
    pub fn random(&self, actor: u64) -> Random {
        Random::new(self.seed, actor)
    }

    pub fn phase(&self) -> Phase {
        if signals::stopped() { Phase::Over } else { self.lock().phase }
    }

    pub fn is_over(&self) -> bool {
        self.phase() == Phase::Over
    }

    pub fn enter(&self, phase: Phase) {
        self.lock().phase = phase;
    }

    pub fn visitor_left(&self) {
        self.lock().visitors -= 1;
    }

    pub fn has_visitors(&self) -> bool {
        self.lock().visitors > 0
    }

    pub fn note_visit(&self, local: Ipv6Addr, remote: Ipv6Addr) {
        let mut shared = self.lock();
        let is_new = shared.visits.entry(local).or_default().insert(remote);
        if !is_new && plan::harvesters().contains(&remote) {
            shared.repeats += 1;
        }
    }

    pub fn note_probe(&self, harvester: Ipv6Addr, target: Ipv6Addr) {
        self.lock().probes.entry(harvester).or_default().push(target);
    }

    /// One line on what happened so far.
    pub fn summary(&self) -> String {
        let shared = self.lock();
        let mut line = format!("{} temporary addresses", shared.visits.len());
        for harvester in plan::harvesters() {
            let visitors = shared.visits.values().filter(|remotes| remotes.contains(&harvester)).count();
            let probed = shared.probes.get(&harvester).map_or(0, Vec::len);
            line += &format!("; {harvester}: visited by {visitors}, passed on {probed}");
        }
        line + &format!("; {} repeated visits of harvesters, no second probe", shared.repeats)
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        // A panicked actor leaves nothing half-written: each method makes one change.
        self.shared.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
