//! How long until the scanner comes.

use super::Family;
use crate::network::plan::{DAY, HOUR, Lag, MINUTE, Plan};

pub(super) const FAMILIES: &[Family] = &[
    Family::rank("lag-seconds", "a scan five seconds later", |size| {
        Plan::with(size, |harvester| harvester.lag = Lag::About(5.0, 0.6))
    })
    .replayed(),
    Family::rank("lag-hours", "a scan four hours later", |size| {
        Plan::with(size, |harvester| harvester.lag = Lag::About(4.0 * HOUR, 0.8))
    }),
    Family::rank("lag-days", "a scan three days later", |size| {
        Plan::with(size, |harvester| harvester.lag = Lag::About(3.0 * DAY, 0.5))
    })
    .hard(),
    Family::rank("lag-37-minutes", "a scan after 37 minutes to the second", |size| {
        Plan::with(size, |harvester| harvester.lag = Lag::Fixed(37.0 * MINUTE))
    }),
    Family::rank("lag-night", "what was learned by day is scanned from 03:00 on", |size| {
        Plan::with(size, |harvester| harvester.lag = Lag::Night(20.0 * MINUTE))
    }),
];
