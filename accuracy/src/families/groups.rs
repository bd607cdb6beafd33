//! Harvesters of several addresses, and remotes that come with them.

use super::Family;
use crate::network::plan::{Addresses, Lag, Leak, MINUTE, Place, Plan};

pub(super) const FAMILIES: &[Family] = &[
    Family::rank("moves-within-64", "the harvester has another address every day, in one /64", |size| {
        Plan::with(size, |harvester| harvester.addresses = Addresses::MovesWithin64(24))
    }),
    Family::rank("moves-within-48", "the harvester has another /64 every day, in one /48", |size| {
        Plan::with(size, |harvester| harvester.addresses = Addresses::MovesWithin48(24))
    }),
    Family::rank("third-parties-bound", "four third parties come with the harvester and nowhere else", |size| {
        Plan::with(size, |harvester| harvester.companions = 4)
    }),
    Family::rank("third-parties-shared", "four third parties come with the harvester, and with other sites", |size| {
        Plan::with(size, |harvester| (harvester.companions, harvester.companions_elsewhere) = (4, 0.015))
    }),
    Family::rank("ntp-operator", "four of the NTP pool's servers belong to an operator who leaks", |size| {
        let mut plan = Plan::with(size, |harvester| {
            harvester.place = Place::Ntp;
            harvester.addresses = Addresses::Several(4);
            harvester.lag = Lag::About(MINUTE, 1.0);
        });
        plan.ntp_asked = 4;
        plan
    }),
    // A quarter of the visits is of the site that leaks; the address is all that can be seen.
    Family::rank("cdn-front", "one address before many sites, of which one leaks", |size| {
        Plan::with(size, |harvester| {
            harvester.place = Place::Site(0.4);
            harvester.leak = Leak::Each(0.2);
        })
    }),
];
