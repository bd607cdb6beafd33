//! State that all actors share: the phase of the replay, and the actions of the actors.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;
use std::sync::{Arc, Mutex, MutexGuard};

use rand_pcg::Pcg32;

use crate::signals;

use super::plan;

/// The phases of a replay, in order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Phase {
    /// Hosts form new addresses and visit remotes.
    Traffic,
    /// Hosts finish their visits. Harvesters wait for the last visit.
    LastVisits,
    /// All actors stop at once.
    Over,
}

/// A handle for the shared state. All clones refer to the same state.
#[derive(Clone)]
pub struct World {
    seed: u64,
    harvesters: Vec<Ipv6Addr>,
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    phase: Phase,
    /// Number of running hosts. Harvesters run until it is 0.
    visitors: usize,
    /// Remotes that each temporary address visited.
    visits: BTreeMap<Ipv6Addr, BTreeSet<Ipv6Addr>>,
    /// Addresses that the scanner of each harvester probed, in order. For a scanner without a harvester, the key is the
    /// scanner.
    probes: BTreeMap<Ipv6Addr, Vec<Ipv6Addr>>,
    /// Number of queries to a harvester from an address that had already queried it.
    repeats: usize,
    /// Number of addresses to which the path was measured.
    paths: usize,
}

impl World {
    /// A world in which only `harvesters` leak.
    pub fn new(seed: u64, harvesters: &[Ipv6Addr]) -> Self {
        let shared = Shared {
            phase: Phase::Traffic,
            visitors: plan::HOSTS,
            visits: BTreeMap::new(),
            probes: BTreeMap::new(),
            repeats: 0,
            paths: 0,
        };
        Self { seed, harvesters: harvesters.to_vec(), shared: Arc::new(Mutex::new(shared)) }
    }

    pub fn harvesters(&self) -> &[Ipv6Addr] {
        &self.harvesters
    }

    /// Random numbers for one actor. They do not depend on the speed of other actors.
    pub fn random(&self, actor: u64) -> Pcg32 {
        Pcg32::new(self.seed, actor)
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
        if !is_new && self.harvesters.contains(&remote) {
            shared.repeats += 1;
        }
    }

    pub fn note_probe(&self, who: Ipv6Addr, target: Ipv6Addr) {
        self.lock().probes.entry(who).or_default().push(target);
    }

    pub fn note_paths(&self, count: usize) {
        self.lock().paths += count;
    }

    /// Temporary addresses that have visited at least one remote.
    pub fn visitors(&self) -> Vec<Ipv6Addr> {
        self.lock().visits.keys().copied().collect()
    }

    /// Progress of the lab, in one line.
    pub fn summary(&self) -> String {
        let shared = self.lock();
        let mut line = format!("{} temporary addresses", shared.visits.len());
        for harvester in &self.harvesters {
            let visitors = shared.visits.values().filter(|remotes| remotes.contains(harvester)).count();
            let probed = shared.probes.get(harvester).map_or(0, Vec::len);
            line += &format!("; {harvester}: visited by {visitors}, passed on {probed}");
        }
        line += &match self.harvesters.as_slice() {
            [] => {
                let targets: BTreeSet<_> = shared.probes.values().flatten().collect();
                format!("; no leaks, {} of them probed at random", targets.len())
            }
            _ => format!("; {} repeated visits of harvesters", shared.repeats),
        };
        line + &format!("; path measured to {}", shared.paths)
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        // After a panic the state is still consistent, since each method makes a single change.
        self.shared.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
