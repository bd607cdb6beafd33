//! Who leaked.

use std::collections::BTreeSet;
use std::net::Ipv6Addr;

use crate::home::Life;
use crate::internet::SimulatedInternet;
use crate::leaks::Tip;
use crate::plan::{HomePlan, LeakPlan};

/// Who leaks in a home.
#[derive(Clone, Debug, Default)]
pub struct Truth {
    /// One for each harvester of the plan.
    pub harvesters: Vec<TrueHarvester>,
}

/// A harvester.
#[derive(Clone, Debug)]
pub struct TrueHarvester {
    /// The addresses under which it was contacted.
    pub addresses: BTreeSet<Ipv6Addr>,
    /// Remotes that are always contacted together with it, so that no data distinguish them. It is no mistake to name
    /// them with it; it is one to name them without it.
    pub companions: BTreeSet<Ipv6Addr>,
    /// Temporary addresses that contacted it.
    pub visitors: usize,
    /// Those of them that were probed because of that, if the sensor saw both the contact and the probe.
    pub leaked: usize,
    /// The probability that a visitor is passed on, the mean over visitors; `None` if it depends on the scanner too.
    pub leak: Option<f64>,
}

/// A harvester with fewer leaks can't be identified: a single probe may be chance.
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
