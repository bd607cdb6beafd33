//! Scanners that are hard to recognise as one, or as two.

use super::Family;
use crate::network::plan::{Harvester, Place, Plan, Scanner};

pub(super) const FAMILIES: &[Family] = &[
    Family::rank("scanner-in-700-networks", "the scanner spreads over 700 /64s, with one fingerprint", |size| {
        let mut plan = Plan::base(size);
        plan.scanners[0].networks = 700;
        plan
    }),
    Family::rank("two-scanners-one-print", "two harvesters, their scanners use the same tool", |size| {
        let second = Harvester { place: Place::Site(0.08), scanner: 1, ..Harvester::BASE };
        let mut plan = Plan::base(size);
        plan.harvesters.push(second);
        plan.scanners[1] = Scanner { from: 1, ..Scanner::plain(0) };
        plan
    }),
    Family::rank("one-scanner-two-prints", "the scanner uses two tools, half of the targets each", |size| {
        let mut plan = Plan::base(size);
        plan.scanners[0].second_tool = Some(9);
        plan
    }),
    Family::rank("scanner-falls-silent", "the scanner probes one address a day in each /64 of ours", |size| {
        let mut plan = Plan::with(size, |harvester| harvester.place = Place::Site(0.2));
        plan.scanners[0].once_a_day = true;
        plan
    }),
];
