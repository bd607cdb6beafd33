//! Harvesters that pass on little.

use super::Family;
use crate::network::plan::{Leak, Place, Plan};

pub(super) const FAMILIES: &[Family] = &[
    Family::rank("leaks-8-percent", "a popular harvester passes on 8 % of the contacts", |size| {
        Plan::with(size, |harvester| {
            harvester.place = Place::Site(0.4);
            harvester.leak = Leak::Each(0.08);
        })
    })
    .hard(),
    Family::rank("leaks-on-third", "the third contact of an address is passed on, no other", |size| {
        Plan::with(size, |harvester| {
            harvester.place = Place::Site(0.2);
            harvester.leak = Leak::Kth(3, 0.8);
        })
    }),
];
