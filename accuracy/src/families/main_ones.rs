//! One harvester or five, visited by some, by few or by all.

use super::Family;
use crate::network::plan::{HOUR, Harvester, Lag, MINUTE, Place, Plan, Scanner};
use crate::network::size::Size;

/// Shares of addresses that visit each of five harvesters.
const SHARES: [f64; 5] = [0.2, 0.15, 0.12, 0.1, 0.08];

pub(super) const FAMILIES: &[Family] = &[
    Family::rank("one", "one harvester, a scan within minutes", Plan::base).replayed(),
    Family::rank("five-own-scanners", "five harvesters, each with a scanner of its own", |size| {
        five(size, |number| number)
    }),
    Family::rank("five-one-scanner", "five harvesters that feed one scanner", |size| five(size, |_| 0)),
    Family::rank("all-contact-all", "150 sites that nearly every address contacts, one of them leaks", |size| {
        let mut plan = Plan::with(size, |harvester| harvester.place = Place::Common);
        (plan.common, plan.visits, plan.ubiquitous) = (149, 4.0, 0);
        plan
    }),
    Family::rank("always-fast", "an ubiquitous service leaks, a scan within seconds", |size| {
        Plan::with(size, |harvester| {
            harvester.place = Place::Early(30.0);
            harvester.lag = Lag::About(20.0, 0.7);
        })
    }),
    Family::rank("rarely-visited", "three addresses in a hundred visit the harvester", |size| {
        Plan::with(size, |harvester| harvester.place = Place::Site(0.03))
    }),
];

/// Five harvesters with lags from seconds to hours.
fn five(size: Size, scanner: fn(usize) -> usize) -> Plan {
    let lags = [MINUTE, 10.0 * MINUTE, HOUR, 4.0 * HOUR, 10.0];
    let harvester = |number: usize| Harvester {
        place: Place::Site(SHARES[number]),
        lag: Lag::About(lags[number], 1.0),
        scanner: scanner(number),
        ..Harvester::BASE
    };
    Plan {
        harvesters: (0..5).map(harvester).collect(),
        scanners: (0..8).map(Scanner::plain).collect(),
        ..Plan::base(size)
    }
}
