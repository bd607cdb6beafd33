//! Networks without anybody who leaks: there are scanners and hits by chance.

use super::Family;
use crate::network::plan::{Background, Plan};

pub(super) const FAMILIES: &[Family] = &[
    Family::clean("clean", "15 % of addresses are hit by chance", |size| Plan {
        background: Background { share: 0.15, ..Background::BASE },
        ..Plan::clean(size)
    }),
    Family::clean(
        "clean-uneven",
        "devices differ much, and the busy are hit more often, minutes after contacts",
        |size| {
            let background = Background { share: 0.15, follows_activity: true, by_activity: true, ..Background::BASE };
            Plan { background, unevenness: 1.0, ..Plan::clean(size) }
        },
    ),
    Family::clean("clean-bursts", "sites come and go, and hits by chance come in a burst", |size| {
        let background = Background { share: 0.4, burst: Some((0.4, 0.6)), ..Background::BASE };
        Plan { background, fashion: true, ..Plan::clean(size) }
    }),
];
