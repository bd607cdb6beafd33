//! The truth about the leaks in a home.

use std::collections::BTreeSet;
use std::net::Ipv6Addr;

use crate::home::Life;
use crate::internet::SimulatedInternet;
use crate::leaks::Tip;
use crate::plan::{HomePlan, LeakPlan};

/// The true harvesters of a simulated home, for comparison with a report.
#[derive(Clone, Debug, Default)]
pub struct Truth {
    /// The truth about each harvester of the plan, in the same order.
    pub harvesters: Vec<TrueHarvester>,
}

/// The truth about a harvester.
#[derive(Clone, Debug)]
pub struct TrueHarvester {
    /// The harvester's addresses that the home contacted.
    pub addresses: BTreeSet<Ipv6Addr>,
    /// Remotes that the home always contacts together with the harvester, so no data distinguish a companion from the
    /// harvester. A ranking may name companions together with the harvester. Companions without the harvester are a
    /// wrong answer.
    pub companions: BTreeSet<Ipv6Addr>,
    /// Number of temporary addresses that contacted the harvester.
    pub visitors: usize,
    /// Number of visitors that were probed because of the harvester, if the sensor saw both the contact and the
    /// probe.
    pub leaked: usize,
    /// Mean, over visitors, of the probability that the visitor is passed on. `None` if this probability depends on
    /// the scanner too.
    pub leak: Option<f64>,
}

/// The least number of leaks of an identifiable harvester: a single probe may be chance.
const LEAST_LEAKS: usize = 2;

impl Truth {
    pub(crate) fn new(plan: &HomePlan, internet: &SimulatedInternet, lives: &[Life], tips: &[Tip]) -> Truth {
        let harvesters = plan.harvesters.iter().enumerate().map(|(number, harvester)| {
            let visits = || lives.iter().flat_map(|life| &life.visits).filter(|v| v.harvester == Some(number));
            let visitors: Vec<usize> = lives
                .iter()
                .filter(|life| life.temporary)
                .map(|life| life.contacts_with(number).len())
                .filter(|&contacts| contacts > 0)
                .collect();
            let expected: f64 = visitors.iter().map(|&contacts| harvester.leak.probability(contacts)).sum();
            let by_chance_alone = !plan.scanners[harvester.scanner].once_a_day
                && !matches!(harvester.leak, LeakPlan::Kth(..))
                && !visitors.is_empty();
            let inseparable = if harvester.companions_elsewhere > 0.0 { 0 } else { harvester.companions };
            TrueHarvester {
                addresses: visits().filter(|visit| plan.sees(visit.at)).map(|visit| visit.remote).collect(),
                companions: (0..inseparable).map(|n| internet.companion(number, n)).collect(),
                visitors: visitors.len(),
                leaked: tips
                    .iter()
                    .filter(|tip| tip.by == Some(number) && lives[tip.life].temporary)
                    .filter(|tip| plan.sees(tip.learned) && plan.sees(tip.at))
                    .count(),
                leak: by_chance_alone.then(|| expected / visitors.len() as f64),
            }
        });
        Truth { harvesters: harvesters.collect() }
    }

    /// The harvester that a set of remotes names, unless the set holds an innocent remote.
    #[must_use]
    pub fn named_by(&self, members: &[Ipv6Addr]) -> Option<usize> {
        self.harvesters.iter().position(|harvester| {
            members.iter().any(|member| harvester.addresses.contains(member))
                && members.iter().all(|m| harvester.addresses.contains(m) || harvester.companions.contains(m))
        })
    }

    /// The positions of the harvesters that leaked often enough to be found.
    #[must_use]
    pub fn identifiable(&self) -> Vec<usize> {
        (0..self.harvesters.len()).filter(|&n| self.harvesters[n].leaked >= LEAST_LEAKS).collect()
    }
}
