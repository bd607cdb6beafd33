//! Who it was: what a ranking is judged by.

use std::collections::BTreeSet;
use std::net::Ipv6Addr;

use super::home::Life;
use super::internet::Internet;
use super::leaks::Told;
use super::plan::{Leak, Plan};

/// Who leaks in a network.
#[derive(Clone, Debug, Default)]
pub struct Truth {
    /// One for each harvester of the plan.
    pub harvesters: Vec<TrueHarvester>,
}

/// One who leaks.
#[derive(Clone, Debug)]
pub struct TrueHarvester {
    /// Under which it was contacted.
    pub addresses: BTreeSet<Ipv6Addr>,
    /// Remotes that no data could tell from it, since they are always contacted together with it. To
    /// name them with it is no mistake; to name them without it is.
    pub companions: BTreeSet<Ipv6Addr>,
    /// Temporary addresses that contacted it.
    pub visitors: usize,
    /// Those of them that were probed because of that, as far as the sensor saw contact and probe.
    pub leaked: usize,
    /// The probability with which a visitor is passed on, the mean over visitors; `None` where the
    /// scanner's own habits decide as well.
    pub leak: Option<f64>,
}

/// Fewer leaks than this make nobody identifiable: a single probe may be chance.
pub const LEAST_LEAKS: usize = 2;

impl Truth {
    /// What happened, as far as it was `seen`.
    pub fn new(plan: &Plan, internet: &Internet, lives: &[Life], told: &[Told], seen: &dyn Fn(f64) -> bool) -> Truth {
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
                && !matches!(harvester.leak, Leak::Kth(..))
                && !visitors.is_empty();
            let inseparable = if harvester.companions_elsewhere > 0.0 { 0 } else { harvester.companions };
            TrueHarvester {
                addresses: visits().filter(|visit| seen(visit.at)).map(|visit| visit.remote).collect(),
                companions: (0..inseparable).map(|n| internet.companion(number, n)).collect(),
                visitors: visitors.len(),
                leaked: told
                    .iter()
                    .filter(|told| told.by == Some(number) && lives[told.life].temporary)
                    .filter(|told| seen(told.learned) && seen(told.at))
                    .count(),
                leak: by_chance_alone.then(|| expected / visitors.len() as f64),
            }
        });
        Truth { harvesters: harvesters.collect() }
    }

    /// The harvester that a set of remotes names, if it names one and nobody innocent. A set larger
    /// than what the data can't tell apart is a miss.
    #[must_use]
    pub fn named_by(&self, members: &[Ipv6Addr]) -> Option<usize> {
        self.harvesters.iter().position(|harvester| {
            members.iter().any(|member| harvester.addresses.contains(member))
                && members.iter().all(|m| harvester.addresses.contains(m) || harvester.companions.contains(m))
        })
    }

    /// Those that could be found: positions of harvesters that leaked often enough.
    #[must_use]
    pub fn identifiable(&self) -> Vec<usize> {
        (0..self.harvesters.len()).filter(|&n| self.harvesters[n].leaked >= LEAST_LEAKS).collect()
    }
}
