//! Hits by chance beside a harvester's.

use super::Family;
use crate::network::plan::{Background, Plan};

pub(super) const FAMILIES: &[Family] = &[
    Family::rank("background-15", "15 % of addresses are hit by chance", |size| Plan {
        background: Background { share: 0.15, ..Background::BASE },
        ..Plan::base(size)
    }),
    Family::rank("background-15-active", "15 % are hit by chance, minutes after contacts with anybody", |size| {
        let background = Background { share: 0.15, follows_activity: true, by_activity: true, ..Background::BASE };
        Plan { background, ..Plan::base(size) }
    }),
];
