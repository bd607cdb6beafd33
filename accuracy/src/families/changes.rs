//! A home and a sensor that do not stay as they are.

use super::Family;
use crate::network::plan::Plan;

pub(super) const FAMILIES: &[Family] = &[
    Family::rank("prefix-changes-daily", "the provider hands out another prefix every night", |size| Plan {
        prefix_changes: true,
        ..Plan::base(size)
    }),
    Family::rank("stable-hosts", "a third of the devices has a stable random address (RFC 7217)", |size| Plan {
        stable: 0.3,
        ..Plan::base(size)
    }),
    Family::rank("sensor-outage", "the sensor sees nothing for two days", |size| {
        let middle = size.days as f64 / 2.0;
        Plan { outage: Some((middle - 1.0, middle + 1.0)), ..Plan::base(size) }
    }),
];
